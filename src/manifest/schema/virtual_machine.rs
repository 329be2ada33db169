//! The VirtualMachine kind. It names no hypervisor.

use std::net::IpAddr;

use schemars::JsonSchema;

use super::texts::Labels;
use super::{
    AddressText, ApiVersion, At, DurationText, EndpointText, FileNameText, IgnoreDriftText, IpText, KeyText, MacText,
    Named, PlainText, ProjectText, SizeText, TierText, VmNameText, WordText,
};
use crate::model::{
    AllowReboot, Bytes, EndpointName, Firmware, GuestOs, OnRemove, OwnId, PowerGoal, Secret, TierName, VmKey, VmName,
};

/// A virtual machine: what it should be, whatever the hypervisor.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, title = "VirtualMachine")]
pub struct VmManifest {
    /// The version of the manifest format.
    pub api_version: ApiVersion,
    /// VirtualMachine.
    pub kind: VmKind,
    /// What it is called.
    pub metadata: VmMetadata,
    /// What it is.
    pub spec: VmBody,
}

/// `kind: VirtualMachine`.
#[derive(Debug, Default, JsonSchema)]
pub enum VmKind {
    /// The one there is.
    #[default]
    VirtualMachine,
}

/// `metadata` of a VM. Its key is project/name.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmMetadata {
    /// The project it belongs to (default: default).
    #[schemars(with = "Option<ProjectText>")]
    pub project: Option<At<String>>,
    /// Its name on the hypervisor.
    #[schemars(with = "VmNameText")]
    pub name: Option<At<VmName>>,
    /// For people and reports. Values are text: quote numbers.
    #[schemars(with = "Option<Labels>")]
    pub labels: Named<At<String>>,
}

/// `spec` of a VM.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields,
    extend("anyOf" = [{"required": ["instanceType"]}, {"required": ["cpus", "memory"]}]))]
pub struct VmBody {
    /// The tier it belongs on.
    #[schemars(with = "TierText")]
    pub tier: Option<At<TierName>>,
    /// Its size by name; cpus and memory override it.
    #[schemars(with = "Option<WordText>")]
    pub instance_type: Option<At<String>>,
    /// Virtual CPUs.
    #[schemars(with = "Option<u32>", range(min = 1, max = 1024))]
    pub cpus: Option<At<u32>>,
    /// Memory: a multiple of 4 MiB, such as 32GiB.
    #[schemars(with = "Option<SizeText>")]
    pub memory: Option<At<Bytes>>,
    /// An image of the tier; without it a blank VM. Counts at creation.
    #[schemars(with = "Option<WordText>")]
    pub image: Option<At<String>>,
    /// The guest's family (default linux).
    #[schemars(with = "Option<GuestOs>")]
    pub guest_os: Option<At<GuestOs>>,
    /// What it boots with (default: the tier's, else uefi). Counts at creation.
    #[schemars(with = "Option<Firmware>")]
    pub firmware: Option<At<Firmware>>,
    /// Its disks, known by name, never by position; the first is the image's boot disk.
    #[schemars(with = "Option<Vec<DiskEntry>>")]
    pub disks: Option<Vec<DiskEntry>>,
    /// Its NICs, known by name.
    #[schemars(with = "Option<Vec<NicEntry>>")]
    pub nics: Option<Vec<NicEntry>>,
    /// Kept so; absent: started once at creation, then left alone.
    #[schemars(with = "Option<PowerGoal>")]
    pub power: Option<At<PowerGoal>>,
    /// What cloud-init is told at creation.
    pub cloud_init: Option<CloudInitSpec>,
    /// Never destroy it (default false).
    #[schemars(with = "Option<bool>")]
    pub prevent_destroy: Option<At<bool>>,
    /// What removing this manifest means (default delete).
    #[schemars(with = "Option<OnRemove>")]
    pub on_remove: Option<At<OnRemove>>,
    /// May an update that needs it power the VM off? (default: the tier's, else never)
    #[schemars(with = "Option<AllowReboot>")]
    pub allow_reboot: Option<At<AllowReboot>>,
    /// How the guest is stopped.
    #[schemars(with = "Option<ShutdownSpec>")]
    pub shutdown: ShutdownSpec,
    /// Delete disks that leave this manifest (default false: they are detached and kept).
    #[schemars(with = "Option<bool>")]
    pub delete_disks: Option<At<bool>>,
    /// What is used at creation only, such as power or nics/eth0/mac.
    #[schemars(with = "Option<Vec<IgnoreDriftText>>", extend("uniqueItems" = true))]
    pub ignore_drift: Vec<At<String>>,
    /// Keys of VMs that must be in place first.
    #[schemars(with = "Option<Vec<KeyText>>", extend("uniqueItems" = true))]
    pub depends_on: Vec<At<VmKey>>,
    /// The key it had before.
    #[schemars(with = "Option<KeyText>")]
    pub renamed_from: Option<At<VmKey>>,
    /// An existing VM to take over, as `tierwright import` prints it.
    pub adopt: Option<AdoptSpec>,
}

/// One disk.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiskEntry {
    /// Its name within the VM.
    #[schemars(with = "WordText")]
    pub name: Option<At<String>>,
    /// Its size, such as 100GiB. Disks only grow.
    #[schemars(with = "SizeText")]
    pub size: Option<At<Bytes>>,
    /// A storage of the tier (default: the placement's).
    #[schemars(with = "Option<WordText>")]
    pub storage: Option<At<String>>,
}

/// One NIC.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct NicEntry {
    /// Its name within the VM.
    #[schemars(with = "WordText")]
    pub name: Option<At<String>>,
    /// A network of the tier.
    #[schemars(with = "WordText")]
    pub network: Option<At<String>>,
    /// Its MAC (default: the hypervisor's choice).
    #[schemars(with = "Option<MacText>")]
    pub mac: Option<At<String>>,
    /// Addresses with prefix length, told to the guest at creation.
    #[schemars(with = "Option<Vec<AddressText>>", extend("uniqueItems" = true))]
    pub addresses: Vec<At<String>>,
    /// Default gateway, in the network of one of the addresses.
    #[schemars(with = "Option<IpText>")]
    pub gateway: Option<At<IpAddr>>,
}

/// What cloud-init is told.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields,
    extend("oneOf" = [{"required": ["userData"]}, {"required": ["userDataFile"]}]))]
pub struct CloudInitSpec {
    /// The user data itself.
    #[schemars(with = "Option<String>", length(min = 1))]
    pub user_data: Option<At<Secret>>,
    /// A plain file name in the administrator's secretsDir, read at apply.
    #[schemars(with = "Option<FileNameText>")]
    pub user_data_file: Option<At<String>>,
}

/// How a guest is stopped: asked first, always.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShutdownSpec {
    /// How long the guest may take, such as 5m (the default).
    #[schemars(with = "Option<DurationText>")]
    pub timeout: Option<At<u32>>,
    /// Power off hard after that (default false).
    #[schemars(with = "Option<bool>")]
    pub force: Option<At<bool>>,
}

/// An existing VM to take over.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdoptSpec {
    /// Where it is.
    #[schemars(with = "EndpointText")]
    pub endpoint: Option<At<EndpointName>>,
    /// Its id there.
    #[schemars(with = "PlainText")]
    pub id: Option<At<OwnId>>,
}
