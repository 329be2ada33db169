//! Census, diff and plan of a fleet in sync: the cost of looking when nothing is to be done.
//!
//! Budget (two cores, release): 15 ms for 10,000 VMs, 150 ms for 100,000. Run with `cargo bench --bench plan`.

mod fleet;

use fleet::Fleet;
use tierwright::plan::{census, plan};

fn main() {
    divan::main();
}

const SIZES: [u32; 2] = [10_000, 100_000];

#[divan::bench(args = SIZES, sample_count = 10)]
fn plan_in_sync(bencher: divan::Bencher<'_, '_>, vms: u32) {
    let fleet = Fleet::of(vms);
    bencher.bench(|| {
        let plan = plan(&fleet.input());
        assert_eq!(plan.in_sync, vms);
        plan
    });
}

#[divan::bench(args = SIZES, sample_count = 10)]
fn census_alone(bencher: divan::Bencher<'_, '_>, vms: u32) {
    let fleet = Fleet::of(vms);
    bencher.bench(|| census::take(&fleet.inventory, &fleet.history, &fleet.policy).unmanaged);
}
