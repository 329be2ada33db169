//! What reading manifests costs: the budget of 10,000 VMs cold, and hostile shapes by the mebibyte.

mod texts;

use std::fmt::Write as _;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use texts::{TIER, fleet, text, vm};
use tierwright::manifest::again::{Earlier, compile_from};
use tierwright::manifest::compile;
use tierwright::model::Revision;

fn main() {
    divan::main();
}

/// Budget: 0.6 s for 10,000.
#[divan::bench(args = [1_000, 10_000], sample_count = 5)]
fn vms_one_a_file(bencher: Bencher<'_, '_>, vms: usize) {
    let texts = fleet(vms);
    bencher.counter(ItemsCount::new(vms)).bench_local(|| {
        let compiled = compile(Revision("bench".into()), &texts);
        assert!(compiled.desired.is_some_and(|desired| desired.vms.len() == vms));
    });
}

/// What `serve` does after an edit.
#[divan::bench(args = [1_000, 10_000], sample_count = 5)]
fn vms_one_a_file_one_changed(bencher: Bencher<'_, '_>, vms: usize) {
    let before = fleet(vms);
    let compiled = compile(Revision("before".into()), &before);
    let desired = compiled.desired.expect("the manifests are good");
    let earlier = Earlier { texts: &before, desired: &desired, common: &compiled.common };
    let mut texts = before.clone();
    let last = texts.last_mut().expect("there are some");
    last.bytes = [&last.bytes, &b"# edited\n"[..]].concat().into();
    bencher.counter(ItemsCount::new(vms)).bench_local(|| {
        let again = compile_from(earlier, Revision("bench".into()), &texts);
        assert!(again.and_then(|again| again.desired).is_some_and(|desired| desired.vms.len() == vms));
    });
}

#[divan::bench(sample_count = 5)]
fn vms_in_one_file_each_wrong(bencher: Bencher<'_, '_>) {
    let all = (0..10_000).fold(TIER.to_owned(), |mut all, number| {
        let _ = write!(all, "---\n{}", vm(number).replace("image: debian-12", "image: debain-12"));
        all
    });
    let texts = [text("all.yaml".into(), all)];
    bencher.bench_local(|| compile(Revision("bench".into()), &texts).diagnostics.len());
}

/// A mebibyte each; time grows with the length only.
#[divan::bench(args = ["[", "[a,", "{a: 1,", "- [", "- a\n", "a: b\n", "- &a x\n", "- !!str x\n", "--- a\n", " ", "\""], sample_count = 5)]
fn hostile_mebibyte(bencher: Bencher<'_, '_>, unit: &str) {
    // The first character opens a collection once; what follows repeats.
    let (open, unit) = if unit.len() > 1 && unit.starts_with(['[', '{']) { unit.split_at(1) } else { ("", unit) };
    let texts = [text("hostile.yaml".into(), format!("{open}{}", unit.repeat((1 << 20) / unit.len())))];
    bencher.counter(BytesCount::new(1_usize << 20)).bench_local(|| compile(Revision("bench".into()), &texts));
}
