//! Manifests of usual length, for benches.

use std::sync::Arc;

use tierwright::manifest::SourceText;

/// The words that the VMs of [`vm`] use.
pub const TIER: &str = "apiVersion: tierwright.dev/v1
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
pub fn vm(number: usize) -> String {
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

/// A file.
pub fn text(path: String, text: String) -> SourceText {
    SourceText { path: Arc::from(path), bytes: text.into_bytes().into() }
}

/// So many VMs, a file each, and what they name.
pub fn fleet(vms: usize) -> Vec<SourceText> {
    let files = (0..vms).map(|number| text(format!("vms/{number:05}.yaml"), vm(number)));
    std::iter::once(text("tiers.yaml".into(), TIER.into())).chain(files).collect()
}
