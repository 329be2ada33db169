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
    /// How it hands cloud-init data to a VM.
    pub cloud_init: CloudInit,
    /// Cases of each scenario that a plain `cargo test` runs.
    pub share: usize,
}

/// Ways of cloud-init data into a VM.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CloudInit {
    /// Not at all: it is left out of the manifests.
    None,
    /// With the VM's settings.
    Settings,
    /// On a disk of its own, which the lab's world does not count as one of the VM's.
    Disk,
}

/// The list.
pub const KINDS: &[Kind] = &[VCENTER, ESXI, XENSERVER, HYPERV, HYPERV_CLUSTER];

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
    cloud_init: CloudInit::Settings,
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

const XENSERVER: Kind = Kind {
    name: "XenServer",
    hypervisor: HypervisorType::Xenserver,
    endpoint: lab::XENSERVER,
    places: "
  placement: {storage: sr-hosted}
  images: {debian: {template: tmpl-debian-12}}
  networks: {app: {network: hosted-public}, db: {network: hosted-private}}
  storage: {fast: {sr: sr-nvme}}",
    busy: "OTHER_OPERATION_IN_PROGRESS",
    cloud_init: CloudInit::Disk,
    share: 3,
};

const HYPERV: Kind = Kind {
    name: "Hyper-V",
    hypervisor: HypervisorType::Hyperv,
    endpoint: lab::HYPERV,
    places: r"
  placement: {path: 'D:\Hyper-V'}
  images: {debian: {vhdx: 'D:\Images\debian-12.vhdx', mode: copy}}
  networks: {app: {switch: vSwitch-QA, vlan: 110}, db: {switch: vSwitch-QA, vlan: 120}}
  storage: {fast: {path: 'E:\Hyper-V'}}",
    busy: "QuotaLimit",
    cloud_init: CloudInit::None,
    share: 1,
};

/// Two nodes: a VM is a role besides, which comes and goes by calls of its own.
const HYPERV_CLUSTER: Kind = Kind {
    name: "HV cluster",
    endpoint: lab::HYPERV_CLUSTER,
    places: r"
  placement: {path: 'C:\ClusterStorage\Volume1\Hyper-V', host: HVC01}
  images: {debian: {vhdx: 'C:\ClusterStorage\Volume1\Images\debian-12.vhdx', mode: copy}}
  networks: {app: {switch: vSwitch-QA, vlan: 110}, db: {switch: vSwitch-QA, vlan: 120}}
  storage: {fast: {path: 'C:\ClusterStorage\Volume1\Hyper-V'}}",
    share: 1,
    ..HYPERV
};

impl Kind {
    /// Can a scenario be played there?
    pub fn can(&self, scenario: &Scenario) -> bool {
        !scenario.needs_image || self.places.contains("images:")
    }

    /// The lab with this endpoint.
    pub fn lab(&self) -> LabOptions {
        let esxi = self.endpoint == lab::ESXI;
        let hyperv_nodes = if self.endpoint == lab::HYPERV_CLUSTER { 2 } else { 0 };
        LabOptions { vms: 3, only: vec![self.hypervisor], esxi, hyperv_nodes, ..LabOptions::default() }
    }

    /// Disk files of a scenario that no VM has at the end, by intent.
    pub fn kept_files(&self, scenario: &Scenario) -> usize {
        let seed = self.cloud_init == CloudInit::Disk && scenario.needs_image;
        scenario.kept_files + usize::from(seed)
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
