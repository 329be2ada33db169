//! What a VM costs per month: declared sizes, whatever the power; exact, rounded only when shown.

use rust_decimal::Decimal;

use crate::model::{Bytes, Money, Price};

/// Hours in a month.
const HOURS: u32 = 730;

/// One VM's month.
pub fn monthly(price: &Price, cpus: u32, memory: Bytes, storage: Bytes) -> Money {
    let gib = |bytes: Bytes| Decimal::from(bytes.0) / Decimal::from(Bytes::GIB);
    let hourly = price.vcpu_hour.0 * Decimal::from(cpus) + price.memory_gib_hour.0 * gib(memory);
    Money(hourly * Decimal::from(HOURS) + price.storage_gib_month.0 * gib(storage) + price.vm_month.0)
}
