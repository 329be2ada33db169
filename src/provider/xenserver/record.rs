//! Records of objects as XAPI gives them, cut to what is used: the same from `get_record` and from an event's snapshot.
//!
//! Fields and their types are those of the Xen API's data model. A record that lacks one is not read at all: what is
//! not told is unknown, not absent. Kept small, since a pool may have 10,000 VMs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::rpc::{Ref, Text, maybe, number};
use crate::model::PowerState;

/// Key of our mark in a VM's `other_config`.
pub(super) const MARK: &str = "tierwright:mark";
/// Key of the mark that is about to take its place; see `mark.rs`.
pub(super) const NEXT_MARK: &str = "tierwright:mark.next";
/// Key in the `other_config` of a VDI or VIF that we made: uuid of the VM it was made for.
pub(super) const OWNER: &str = "tierwright:vm";
/// The same: its name within the VM.
pub(super) const PART: &str = "tierwright:name";
/// The same, of a VIF that we disconnected: its locking mode before, where it was not the default.
pub(super) const LOCKED: &str = "tierwright:locking-mode";
/// Key in the `other_config` of a VM that is still to be given the disks its template prescribes.
pub(super) const PRESCRIBED: &str = "disks";

type Texts<'a> = BTreeMap<Text<'a>, Text<'a>>;

/// A VM or template.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireVm<'_>")]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each a field of the record")]
pub(super) struct Vm {
    pub uuid: Arc<str>,
    pub name: Arc<str>,
    pub power: PowerState,
    pub template: bool,
    pub snapshot: bool,
    pub control_domain: bool,
    pub affinity: Option<Ref>,
    pub host: Option<Ref>,
    pub cpus: u64,
    pub cpus_max: u64,
    pub memory: u64,
    pub memory_static: [u64; 2],
    pub memory_dynamic_min: u64,
    pub vbds: Vec<Ref>,
    pub vifs: Vec<Ref>,
    pub snapshots: bool,
    pub uefi: bool,
    pub windows: bool,
    pub mark: Option<Arc<str>>,
    pub next_mark: Option<Arc<str>>,
    pub prescribed: bool,
    /// Operation -> why it is blocked.
    pub blocked: BTreeMap<String, String>,
    /// What is being done to it: task -> operation.
    pub operations: BTreeMap<String, String>,
    pub may_shut_down: bool,
    pub guest_metrics: Option<Ref>,
}

#[derive(Deserialize)]
struct WireVm<'a> {
    uuid: Arc<str>,
    name_label: Arc<str>,
    #[serde(borrow)]
    power_state: Cow<'a, str>,
    is_a_template: bool,
    is_a_snapshot: bool,
    is_control_domain: bool,
    #[serde(deserialize_with = "maybe")]
    affinity: Option<Ref>,
    #[serde(deserialize_with = "maybe")]
    resident_on: Option<Ref>,
    #[serde(rename = "VCPUs_at_startup", deserialize_with = "number")]
    cpus: u64,
    #[serde(rename = "VCPUs_max", deserialize_with = "number")]
    cpus_max: u64,
    #[serde(deserialize_with = "number")]
    memory_dynamic_max: u64,
    #[serde(deserialize_with = "number")]
    memory_dynamic_min: u64,
    #[serde(deserialize_with = "number")]
    memory_static_max: u64,
    #[serde(deserialize_with = "number")]
    memory_static_min: u64,
    #[serde(rename = "VBDs")]
    vbds: Vec<Ref>,
    #[serde(rename = "VIFs")]
    vifs: Vec<Ref>,
    snapshots: Vec<Ref>,
    #[serde(rename = "HVM_boot_params", borrow)]
    boot: Texts<'a>,
    #[serde(borrow)]
    platform: Texts<'a>,
    #[serde(borrow)]
    other_config: Texts<'a>,
    #[serde(default)]
    blocked_operations: BTreeMap<String, String>,
    current_operations: BTreeMap<String, String>,
    #[serde(borrow)]
    allowed_operations: Vec<Text<'a>>,
    #[serde(deserialize_with = "maybe")]
    guest_metrics: Option<Ref>,
}

impl From<WireVm<'_>> for Vm {
    fn from(wire: WireVm<'_>) -> Self {
        let mut other = wire.other_config;
        let mut text = |key: &str| other.remove(key).map(|text| text.0).filter(|text| !text.is_empty()).map(Into::into);
        let (mark, next_mark) = (text(MARK), text(NEXT_MARK));
        Self {
            uuid: wire.uuid,
            name: wire.name_label,
            power: power(&wire.power_state),
            template: wire.is_a_template,
            snapshot: wire.is_a_snapshot,
            control_domain: wire.is_control_domain,
            affinity: wire.affinity,
            host: wire.resident_on,
            cpus: wire.cpus,
            cpus_max: wire.cpus_max,
            memory: wire.memory_dynamic_max,
            memory_static: [wire.memory_static_min, wire.memory_static_max],
            memory_dynamic_min: wire.memory_dynamic_min,
            vbds: wire.vbds,
            vifs: wire.vifs,
            snapshots: !wire.snapshots.is_empty(),
            uefi: wire.boot.get("firmware").is_some_and(|firmware| firmware.0 == "uefi"),
            windows: wire.platform.get("viridian").is_some_and(|viridian| viridian.0 == "true"),
            mark,
            next_mark,
            prescribed: other.contains_key(PRESCRIBED),
            blocked: wire.blocked_operations,
            operations: wire.current_operations,
            may_shut_down: wire.allowed_operations.iter().any(|operation| operation.0 == "clean_shutdown"),
            guest_metrics: wire.guest_metrics,
        }
    }
}

/// `vm_power_state` of the data model.
fn power(word: &str) -> PowerState {
    match word {
        "Running" => PowerState::Running,
        "Halted" => PowerState::Stopped,
        "Suspended" | "Paused" => PowerState::Suspended,
        _ => PowerState::Unknown,
    }
}

impl Vm {
    /// The mark in force: the next one only while there is none, in the middle of a change of marks.
    pub(super) fn mark(&self) -> Option<&str> {
        self.mark.as_deref().or(self.next_mark.as_deref())
    }
}

/// A virtual block device: where a disk is plugged into a VM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Vbd {
    #[serde(rename = "VM")]
    pub vm: Ref,
    #[serde(rename = "VDI", deserialize_with = "maybe")]
    pub vdi: Option<Ref>,
    pub userdevice: Arc<str>,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub currently_attached: bool,
}

/// `vbd_type` of the data model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Kind {
    #[serde(rename = "CD")]
    Cd,
    Disk,
    Floppy,
}

/// A virtual disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireVdi<'_>")]
pub(super) struct Vdi {
    pub uuid: Arc<str>,
    pub sr: Option<Ref>,
    pub size: u64,
    pub sharable: bool,
    pub vbds: Vec<Ref>,
    pub tag: Tag,
}

/// Whom a VDI or VIF was made for, where it was made by us: a VM's uuid, and the name within it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tag {
    pub owner: Option<Arc<str>>,
    pub part: Option<Arc<str>>,
}

impl Tag {
    fn of(other_config: &mut Texts<'_>) -> Self {
        let mut text = |key: &str| other_config.remove(key).map(|text| text.0.into());
        Self { owner: text(OWNER), part: text(PART) }
    }

    /// Was it made for this VM under this name?
    pub(super) fn is(&self, owner: &str, part: &str) -> bool {
        self.name_in(owner) == Some(part)
    }

    /// The name it was made under, if for this VM.
    pub(super) fn name_in(&self, owner: &str) -> Option<&str> {
        self.part.as_deref().filter(|_| self.owner.as_deref() == Some(owner))
    }
}

#[derive(Deserialize)]
struct WireVdi<'a> {
    uuid: Arc<str>,
    #[serde(rename = "SR", deserialize_with = "maybe")]
    sr: Option<Ref>,
    #[serde(deserialize_with = "number")]
    virtual_size: u64,
    sharable: bool,
    #[serde(rename = "VBDs")]
    vbds: Vec<Ref>,
    #[serde(borrow)]
    other_config: Texts<'a>,
}

impl From<WireVdi<'_>> for Vdi {
    fn from(mut wire: WireVdi<'_>) -> Self {
        let tag = Tag::of(&mut wire.other_config);
        Self { uuid: wire.uuid, sr: wire.sr, size: wire.virtual_size, sharable: wire.sharable, vbds: wire.vbds, tag }
    }
}

/// A virtual network interface.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireVif<'_>")]
pub(super) struct Vif {
    pub device: Arc<str>,
    pub mac: Arc<str>,
    pub network: Option<Ref>,
    pub attached: bool,
    /// Does it let anything through?
    pub disabled: bool,
    pub locking_mode: Arc<str>,
    /// Its locking mode before we disconnected it, where that was not the default.
    pub locked: Option<Arc<str>>,
    pub tag: Tag,
}

#[derive(Deserialize)]
struct WireVif<'a> {
    device: Arc<str>,
    #[serde(rename = "MAC")]
    mac: String,
    #[serde(deserialize_with = "maybe")]
    network: Option<Ref>,
    currently_attached: bool,
    locking_mode: Arc<str>,
    #[serde(borrow)]
    other_config: Texts<'a>,
}

impl From<WireVif<'_>> for Vif {
    fn from(mut wire: WireVif<'_>) -> Self {
        let tag = Tag::of(&mut wire.other_config);
        Self {
            device: wire.device,
            mac: wire.mac.to_ascii_lowercase().into(),
            network: wire.network,
            attached: wire.currently_attached,
            disabled: *wire.locking_mode == *"disabled",
            locking_mode: wire.locking_mode,
            locked: wire.other_config.remove(LOCKED).map(|text| text.0.into()),
            tag,
        }
    }
}

/// What a guest reports.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Guest {
    #[serde(rename = "PV_drivers_detected", default)]
    pub drivers: bool,
    #[serde(rename = "can_use_hotplug_vbd", default)]
    pub hotplug_vbd: Tristate,
    #[serde(rename = "can_use_hotplug_vif", default)]
    pub hotplug_vif: Tristate,
    #[serde(default)]
    pub networks: BTreeMap<String, String>,
    #[serde(default)]
    pub os_version: BTreeMap<String, String>,
}

/// `tristate_type` of the data model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tristate {
    Yes,
    No,
    #[default]
    Unspecified,
}

/// A storage repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Sr {
    pub name_label: Arc<str>,
    #[serde(deserialize_with = "number")]
    pub physical_size: u64,
    #[serde(deserialize_with = "number")]
    pub physical_utilisation: u64,
    #[serde(rename = "type")]
    pub kind: String,
    pub content_type: String,
}

/// A host's connection to a storage repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Pbd {
    pub host: Ref,
    #[serde(rename = "SR")]
    pub sr: Ref,
    pub currently_attached: bool,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireNetwork<'_>")]
pub(super) struct Network {
    pub name: Arc<str>,
    pub mtu: u64,
    /// The hosts' own, for their management.
    pub internal: bool,
}

#[derive(Deserialize)]
struct WireNetwork<'a> {
    name_label: Arc<str>,
    #[serde(rename = "MTU", deserialize_with = "number")]
    mtu: u64,
    #[serde(borrow)]
    other_config: Texts<'a>,
}

impl From<WireNetwork<'_>> for Network {
    fn from(wire: WireNetwork<'_>) -> Self {
        let internal = wire.other_config.contains_key("is_host_internal_management_network");
        Self { name: wire.name_label, mtu: wire.mtu, internal }
    }
}

/// A host's card on a network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Pif {
    pub network: Ref,
    pub host: Ref,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Host {
    pub name_label: Arc<str>,
    pub address: String,
    pub enabled: bool,
    #[serde(deserialize_with = "number")]
    pub memory_overhead: u64,
    #[serde(deserialize_with = "maybe")]
    pub metrics: Option<Ref>,
}

/// How a host is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct HostMetrics {
    #[serde(deserialize_with = "number")]
    pub memory_total: u64,
    pub live: bool,
}

/// The pool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Pool {
    pub uuid: Arc<str>,
    #[serde(rename = "default_SR", deserialize_with = "maybe")]
    pub default_sr: Option<Ref>,
}
