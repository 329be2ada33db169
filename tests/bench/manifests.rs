//! What reading manifests costs: the budget of 10,000 VMs cold, and hostile shapes by the mebibyte.

use std::fmt::Write as _;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tierwright::manifest::{SourceText, compile};
use tierwright::model::Revision;

fn main() {
    divan::main();
}

const TIER: &str = "apiVersion: tierwright.dev/v1
kind: Tier
metadata: {name: tier-1}
spec:
  endpoints: [vc-prod]
  images: {debian-12: {template: tmpl-debian-12}}
  networks: {db: {portGroup: PG-DB-20}}
  storage: {fast: {datastore: nvme-01}}
---
apiVersion: tierwright.dev/v1
kind: InstanceType
metadata: {name: medium}
spec: {cpus: 2, memory: 8GiB, tiers: [tier-1]}
";

/// A manifest of usual length, about 620 bytes.
fn vm(number: usize) -> String {
    let [_, _, _, _, _, high, middle, low] = (number as u64 + 1).to_be_bytes();
    format!(
        "apiVersion: tierwright.dev/v1
kind: VirtualMachine
metadata: {{project: p{project}, name: vm-{number:05}, labels: {{owner: dba, cost-center: \"4711\"}}}}
spec:
  tier: tier-1
  instanceType: medium
  memory: 48GiB
  image: debian-12
  disks:
    - {{name: root, size: 100GiB}}
    - {{name: data, size: 400GiB, storage: fast}}
  nics:
    - {{name: eth0, network: db, mac: \"00:50:56:{high:02x}:{middle:02x}:{low:02x}\", addresses: [10.{high}.{middle}.{low}/8], gateway: 10.255.0.1}}
  power: running
  cloudInit:
    userData: |
      #cloud-config
      packages: [postgresql-15]
  preventDestroy: true
  ignoreDrift: [power, nics/eth0/mac]
",
        project = number % 10
    )
}

fn text(path: String, text: String) -> SourceText {
    SourceText { path: Arc::from(path), bytes: text.into_bytes() }
}

fn fleet(vms: usize) -> Vec<SourceText> {
    let files = (0..vms).map(|number| text(format!("vms/{number:05}.yaml"), vm(number)));
    std::iter::once(text("tiers.yaml".into(), TIER.into())).chain(files).collect()
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
