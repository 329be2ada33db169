//! Kinds of endpoints, each with the tier that names its places. A new hypervisor is one entry of the list.

use tierwright::lab::{self, LabOptions, NamedFault};
use tierwright::model::HypervisorType;

use crate::scenarios::Scenario;

/// One kind.
pub struct Kind {
    pub name: &'static str,
    pub hypervisor: HypervisorType,
    /// Name of its endpoint in the lab.
    pub endpoint: &'static str,
    /// Placement, images, networks and storage of the tier, in this hypervisor's words: image `debian`, networks `app`
    /// and `db`, storage `fast`.
    pub places: &'static str,
    /// The server's word for "busy, later", with which a call is refused once.
    pub busy: &'static str,
    /// Cases of each scenario that a plain `cargo test` runs.
    pub share: usize,
}

/// The list.
pub const KINDS: &[Kind] = &[VCENTER, ESXI];

const VCENTER: Kind = Kind {
    name: "vCenter",
    hypervisor: HypervisorType::Vsphere,
    endpoint: lab::VCENTER,
    places: "
  placement: {cluster: gold, folder: Prod/tierwright, createFolders: true, storage: flash-repl}
  images: {debian: {template: tmpl-debian-12}}
  networks: {app: {portGroup: PG-APP-10}, db: {portGroup: PG-DB-20}}
  storage: {fast: {datastore: nvme-01}}",
    busy: "TaskInProgress",
    share: 3,
};

/// The same client against a host alone, which has no folders and clones nothing: one case of each is enough a time.
const ESXI: Kind = Kind {
    name: "ESXi",
    endpoint: lab::ESXI,
    places: "
  placement: {storage: datastore1}
  networks: {app: {portGroup: VM Network}, db: {portGroup: PG-APP-10}}
  storage: {fast: {datastore: datastore1}}",
    share: 1,
    ..VCENTER
};

impl Kind {
    /// Can a scenario be played there?
    pub fn can(&self, scenario: &Scenario) -> bool {
        !scenario.needs_image || self.places.contains("images:")
    }

    /// The lab with this endpoint.
    pub fn lab(&self) -> LabOptions {
        let esxi = self.endpoint == lab::ESXI;
        LabOptions { vms: 3, only: vec![self.hypervisor], esxi, ..LabOptions::default() }
    }

    /// How it refuses a call.
    pub fn refusal(&self) -> NamedFault {
        NamedFault { fault: self.busy.to_owned(), message: Some("busy with something else".to_owned()) }
    }

    /// The manifest of the tier.
    pub fn tier(&self, grace_days: u32) -> String {
        format!(
            "apiVersion: tierwright.dev/v1
kind: Tier
metadata: {{name: tier}}
spec:
  endpoints: [{endpoint}]{places}
  sync: {{prune: auto, graceDays: {grace_days}}}
  defaults: {{firmware: uefi, allowReboot: always}}
",
            endpoint = self.endpoint,
            places = self.places,
        )
    }
}
