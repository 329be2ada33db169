//! What VMs cost per month, before and after a plan.
//!
//! A month is 730 hours. Declared sizes count whatever the power: a stopped VM still holds its place, and a bill that
//! jumps with every shutdown helps nobody to plan. Amounts stay exact here; they are rounded to cents only where they
//! are shown ([`Money`]'s `Display`). Amounts beyond what a decimal holds stay at its end rather than panic, since
//! prices come from files.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::CostLine;
use crate::model::{Bytes, Currency, Money, Price, Tier, VmSpec};

/// Hours in a month, for every bill alike.
pub const HOURS_PER_MONTH: u32 = 730;

/// What a VM of these sizes costs per month at these prices.
pub fn monthly(price: &Price, cpus: u32, memory: Bytes, storage: Bytes) -> Money {
    monthly_of_all(price, (1, cpus.into()), memory, storage)
}

/// What so many VMs with so many CPUs, and so much memory and storage in all, cost per month. Prices are linear, so the
/// sizes of a fleet may be added up first.
pub fn monthly_of_all(price: &Price, (vms, cpus): (u64, u64), memory: Bytes, storage: Bytes) -> Money {
    let hours = Decimal::from(HOURS_PER_MONTH);
    let parts = [
        (price.vcpu_hour, hours.saturating_mul(cpus.into())),
        (price.memory_gib_hour, hours.saturating_mul(gib(memory))),
        (price.storage_gib_month, gib(storage)),
        (price.vm_month, vms.into()),
    ];
    Money(
        parts.into_iter().fold(Decimal::ZERO, |sum, (rate, amount)| sum.saturating_add(rate.0.saturating_mul(amount))),
    )
}

/// What a desired VM costs per month on its tier, by its declared sizes; `None` without a price.
pub fn of_spec(tier: &Tier, spec: &VmSpec) -> Option<Money> {
    let storage = spec.disks.iter().fold(0_u64, |sum, disk| sum.saturating_add(disk.size.0));
    Some(monthly(tier.price.as_ref()?, spec.cpus, spec.memory, Bytes(storage)))
}

/// Adds lines up, one for each currency, in the order of their codes.
pub fn sum<'a>(lines: impl IntoIterator<Item = &'a CostLine>) -> Vec<CostLine> {
    let mut totals: BTreeMap<&Currency, (Decimal, Decimal)> = BTreeMap::new();
    for line in lines {
        let (before, after) = totals.entry(&line.currency).or_default();
        *before = before.saturating_add(line.before.0);
        *after = after.saturating_add(line.after.0);
    }
    totals
        .into_iter()
        .map(|(currency, (before, after))| CostLine {
            currency: currency.clone(),
            before: Money(before),
            after: Money(after),
        })
        .collect()
}

/// After less before, with its sign, in cents: `+46.72`, `-3.00`, `+0.00`.
///
/// The difference of the exact amounts is rounded, not the rounded amounts subtracted.
pub fn difference(line: &CostLine) -> String {
    let change = Money(line.after.0.saturating_sub(line.before.0)).to_cents().0;
    if change.is_sign_negative() && !change.is_zero() {
        format!("{change:.2}")
    } else {
        format!("+{:.2}", change.abs())
    }
}

fn gib(bytes: Bytes) -> Decimal {
    // 2^30 divides with at most 30 decimal places; sizes are whole MiB in practice, which takes 10: exact.
    Decimal::from(bytes.0) / Decimal::from(Bytes::GIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        Money::parse(text).unwrap()
    }

    fn price(vcpu: &str, memory: &str, storage: &str, vm: &str) -> Price {
        Price {
            currency: Currency::new("USD").unwrap(),
            vcpu_hour: money(vcpu),
            memory_gib_hour: money(memory),
            storage_gib_month: money(storage),
            vm_month: money(vm),
        }
    }

    fn line(currency: &str, before: &str, after: &str) -> CostLine {
        CostLine { currency: Currency::new(currency).unwrap(), before: money(before), after: money(after) }
    }

    #[test]
    fn a_month_has_730_hours_and_amounts_are_exact() {
        // The tier of DESIGN section 4: 8 x 0.025 x 730 + 48 x 0.008 x 730 + 500 x 0.25 + 40.
        let cost = monthly(&price("0.025", "0.008", "0.25", "40"), 8, Bytes::gib(48), Bytes::gib(500));
        assert_eq!(cost, money("591.32"));
    }

    #[test]
    fn parts_of_a_gib_count_exactly() {
        let cost = monthly(&price("0", "0.001", "0", "0"), 0, Bytes::mib(4), Bytes(0));
        assert_eq!(cost, money("0.0028515625"));
        assert_eq!(cost.to_string(), "0.00", "rounded only when shown");
    }

    #[test]
    fn absurd_prices_do_not_panic() {
        let most = "79228162514264337593543950335";
        let cost = monthly(&price(most, most, most, most), u32::MAX, Bytes(u64::MAX), Bytes(u64::MAX));
        assert_eq!(cost.0, Decimal::MAX);
    }

    #[test]
    fn sums_keep_currencies_apart_and_ordered() {
        let lines = [line("USD", "1.005", "2"), line("EUR", "3", "0"), line("USD", "1.005", "2")];
        assert_eq!(sum(&lines), [line("EUR", "3", "0"), line("USD", "2.010", "4")]);
    }

    #[test]
    fn differences_carry_their_sign() {
        assert_eq!(difference(&line("USD", "10", "12.5")), "+2.50");
        assert_eq!(difference(&line("USD", "12.5", "10")), "-2.50");
        assert_eq!(difference(&line("USD", "10", "9.999")), "+0.00");
    }
}
