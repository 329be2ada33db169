//! The terse form of an inventory and what goes with it: a line for each VM, everything usual left out.
//!
//! ```yaml
//! vc-prod:
//!   vms:
//!     - {vm: erp/app-01}                          # ours, as applied: 2 CPUs, 4GiB, disk root 20GiB, NIC eth0 in PG-APP
//!     - {vm: erp/db-01, memory: 8GiB, applied: {memory: 4GiB}}    # somebody changed the memory
//!     - {vm: erp/old-01, mark: {prune: confirm, retired: 8}}      # retired eight days ago
//!     - {unmanaged: printer, disks: {c: 80GiB}}   # no mark
//!     - {vm: erp/app-01, id: copy-1, cloneOf: erp/app-01}         # its mark was written for another own id
//! vc-lab: {unreachable: connection refused}
//! ```

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tierwright::inventory::{EndpointInventory, Inventory, Missing, Observed, View};
use tierwright::mark::{Pending, Retired};
use tierwright::model::{
    Bytes, Config, GuestAgent, NetworkTarget, ObservedDisk, ObservedVm, OnRemove, OwnId, PowerGoal, PowerState, Prune,
    VmName,
};
use uuid::Uuid;

use crate::support::fleet::{self, Deployed};

/// Names with values, in the file's order.
type Ordered<T> = Vec<(String, T)>;

fn ordered<'de, D, T>(deserializer: D) -> Result<Option<Ordered<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let mapping = serde_yaml::Mapping::deserialize(deserializer)?;
    let pair = |(name, value)| {
        let name = serde_yaml::from_value(name).map_err(serde::de::Error::custom)?;
        Ok((name, serde_yaml::from_value(value).map_err(serde::de::Error::custom)?))
    };
    mapping.into_iter().map(pair).collect::<Result<_, D::Error>>().map(Some)
}

/// One endpoint's answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EndpointLines {
    unreachable: Option<String>,
    incomplete: Option<String>,
    /// By key: `notFound`, or why the read told nothing.
    missing: BTreeMap<String, String>,
    vms: Vec<VmLine>,
    /// A standalone host: no images.
    esxi: bool,
    /// The hypervisor chooses own ids, as XenServer and Hyper-V do.
    host_chooses_ids: bool,
    /// Memory of each host.
    memory: Option<Bytes>,
    /// Free on each datastore.
    free: Option<Bytes>,
}

/// One VM.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct VmLine {
    /// So many of them: `#` in names and keys becomes 001, 002, ...
    times: Option<u32>,
    vm: Option<String>,
    unmanaged: Option<String>,
    name: Option<String>,
    id: Option<String>,
    clone_of: Option<String>,
    tier: Option<String>,
    cpus: Option<u32>,
    memory: Option<Bytes>,
    #[serde(deserialize_with = "ordered")]
    disks: Option<Ordered<Bytes>>,
    #[serde(deserialize_with = "ordered")]
    nics: Option<Ordered<String>>,
    /// Attached, and in nobody's mark.
    #[serde(deserialize_with = "ordered")]
    foreign_disks: Option<Ordered<Bytes>>,
    shared: Vec<String>,
    macs: BTreeMap<String, String>,
    power: Option<PowerState>,
    hot: Vec<String>,
    no_tools: bool,
    snapshot: bool,
    question: Option<String>,
    host: Option<String>,
    folder: Option<String>,
    template: bool,
    unreadable: Option<String>,
    applied: AppliedLine,
    mark: MarkLine,
    mark_text: Option<String>,
}

/// What the mark says was applied, where that is not what is there.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct AppliedLine {
    cpus: Option<u32>,
    memory: Option<Bytes>,
    power: Option<PowerGoal>,
    image: Option<String>,
    #[serde(deserialize_with = "ordered")]
    disks: Option<Ordered<Bytes>>,
    #[serde(deserialize_with = "ordered")]
    nics: Option<Ordered<String>>,
}

/// What else the mark says.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the terse form")]
struct MarkLine {
    none: bool,
    generation: Option<u64>,
    installation: Option<String>,
    prevent_destroy: bool,
    on_remove: OnRemove,
    prune: Option<Prune>,
    grace_days: Option<u32>,
    delete_disks: bool,
    /// So many days ago.
    retired: Option<i64>,
    approved: bool,
    pending: Option<Pending>,
    no_own_id: bool,
    /// Detached disks: name and size.
    #[serde(deserialize_with = "ordered")]
    kept: Option<Ordered<Bytes>>,
    /// Disks that the mark says are attached, and that are not there.
    #[serde(deserialize_with = "ordered")]
    lost: Option<Ordered<Bytes>>,
    just_adopted: bool,
}

/// Reads an inventory; the second value holds the detached disks that its marks tell of.
pub fn inventory(text: &str, now: Timestamp) -> (Inventory, Vec<ObservedDisk>) {
    let lines: BTreeMap<String, EndpointLines> = serde_yaml::from_str(text).unwrap();
    let mut shelf = Vec::new();
    let mut inventory = Inventory::default();
    for (name, lines) in lines {
        let view = match &lines.unreachable {
            Some(why) => View::Unreachable(why.clone()),
            None => View::Observed(Box::new(endpoint(&lines, now, &mut shelf))),
        };
        let entry = EndpointInventory { generation: 7, taken_at: now, view };
        inventory.endpoints.insert(fleet::endpoint_name(&name), entry);
    }
    (inventory, shelf)
}

fn endpoint(lines: &EndpointLines, now: Timestamp, shelf: &mut Vec<ObservedDisk>) -> Observed {
    let mut vms: Vec<_> = lines.vms.iter().flat_map(VmLine::expand).map(|line| line.observed(now)).collect();
    shelf.extend(lines.vms.iter().flat_map(VmLine::expand).flat_map(|line| line.shelf()));
    vms.sort_by(|a, b| a.id.cmp(&b.id));
    let mut observed = fleet::observed(vms);
    observed.incomplete.clone_from(&lines.incomplete);
    let missing = |(key, answer): (&String, &String)| {
        let answer = if answer == "notFound" { Missing::NotFound } else { Missing::Unknown(answer.clone()) };
        (own_id_of(key), answer)
    };
    observed.missing = lines.missing.iter().map(missing).collect();
    observed.capabilities.create_from_image = !lines.esxi;
    observed.capabilities.own_id_is_identity = !lines.host_chooses_ids;
    for host in &mut observed.catalog.hosts {
        host.memory = lines.memory.unwrap_or(host.memory);
    }
    for storage in &mut observed.catalog.storage {
        storage.free = lines.free.unwrap_or(storage.free);
    }
    observed
}

/// The own id of the VM that was made for a key.
pub fn own_id_of(key: &str) -> OwnId {
    OwnId::new(&fleet::identity_of(&fleet::key(key)).to_string())
}

fn size(disks: &[(String, Bytes)]) -> Vec<(&str, Bytes)> {
    disks.iter().map(|(name, size)| (name.as_str(), *size)).collect()
}

fn target(nics: &[(String, String)]) -> Vec<(&str, NetworkTarget)> {
    nics.iter().map(|(name, network)| (name.as_str(), fleet::network(network))).collect()
}

impl VmLine {
    /// The line itself, or as many as `times` says.
    pub fn expand(&self) -> Vec<Self> {
        let Some(times) = self.times else { return vec![self.clone()] };
        let numbered = |text: &Option<String>, n: u32| text.as_ref().map(|text| text.replace('#', &format!("{n:03}")));
        let line = |n| Self { vm: numbered(&self.vm, n), unmanaged: numbered(&self.unmanaged, n), ..self.clone() };
        (1..=times).map(line).collect()
    }

    /// The VM's own id.
    pub fn own_id(&self) -> OwnId {
        match (&self.id, &self.vm, &self.unmanaged) {
            (Some(id), ..) => OwnId::new(id),
            (None, Some(key), _) => own_id_of(key),
            (None, None, Some(name)) => OwnId::new(&Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes()).to_string()),
            (None, None, None) => panic!("a VM is either `vm:` or `unmanaged:`: {self:?}"),
        }
    }

    fn own_disks(&self) -> Ordered<Bytes> {
        self.disks.clone().unwrap_or_else(|| vec![("root".into(), Bytes::gib(20))])
    }

    fn own_nics(&self) -> Ordered<String> {
        self.nics.clone().unwrap_or_else(|| vec![("eth0".into(), "PG-APP".into())])
    }

    fn default_name(&self) -> String {
        let name = match (&self.vm, &self.unmanaged) {
            (Some(key), _) => fleet::key(key).name().to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => unreachable!("own_id has checked it"),
        };
        if self.mark.retired.is_some() { format!("{name}-retired") } else { name }
    }

    /// The VM as an endpoint reports it.
    pub fn observed(&self, now: Timestamp) -> ObservedVm {
        let (disks, nics) = (self.own_disks(), self.own_nics());
        let mut attached = disks.clone();
        attached.extend(self.foreign_disks.clone().unwrap_or_default());
        let sizes = (self.cpus.unwrap_or(2), self.memory.unwrap_or(Bytes::gib(4)));
        let name = self.name.clone().unwrap_or_else(|| self.default_name());
        let mut deployed = Deployed::bare(&name, self.own_id(), sizes, &size(&attached), &target(&nics));
        self.hardware(&mut deployed, &attached, &nics);
        if self.vm.is_some() && !self.mark.none {
            self.write_mark(&mut deployed, now, &size(&disks), &target(&nics));
        }
        let mut vm = deployed.observed();
        if let Some(why) = &self.unreadable {
            vm.config = Config::Unreadable(why.clone());
        }
        vm
    }

    fn hardware(&self, deployed: &mut Deployed, disks: &[(String, Bytes)], nics: &[(String, String)]) {
        if let Some(host) = &self.host {
            deployed.vm.placed.host = Some(host.as_str().into());
        }
        if let Some(folder) = &self.folder {
            deployed.vm.placed.folder = Some(folder.as_str().into());
        }
        let retired = self.mark.retired.is_some();
        let config = deployed.config();
        config.power = self.power.unwrap_or(if retired { PowerState::Stopped } else { PowerState::Running });
        config.snapshots = self.snapshot;
        config.question.clone_from(&self.question);
        config.template = self.template;
        if self.no_tools {
            config.guest_agent = GuestAgent::NotRunning;
        }
        for flag in &self.hot {
            match flag.as_str() {
                "cpu" => config.hot.add_cpu = true,
                "memory" => config.hot.add_memory = true,
                other => panic!("no flag `{other}`"),
            }
        }
        for (disk, (name, _)) in config.disks.iter_mut().zip(disks) {
            disk.shared = self.shared.contains(name);
        }
        for (nic, (name, _)) in config.nics.iter_mut().zip(nics) {
            nic.connected = !retired;
            if let Some(mac) = self.macs.get(name) {
                nic.mac = mac.as_str().into();
            }
        }
        config.mark.clone_from(&self.mark_text);
    }

    fn write_mark(
        &self,
        deployed: &mut Deployed,
        now: Timestamp,
        disks: &[(&str, Bytes)],
        nics: &[(&str, NetworkTarget)],
    ) {
        if self.mark_text.is_some() {
            return;
        }
        let key = fleet::key(self.vm.as_deref().expect("the caller has looked"));
        let tier = fleet::tier_name(self.tier.as_deref().unwrap_or("tier-1"));
        let mut mark = deployed.own_mark(&key, &tier, disks, nics);
        let line = &self.mark;
        mark.generation = line.generation.unwrap_or(3);
        mark.installation = line.installation.clone().unwrap_or(mark.installation);
        mark.protection.prevent_destroy = line.prevent_destroy;
        mark.protection.on_remove = line.on_remove;
        mark.protection.prune = line.prune.unwrap_or(Prune::Auto);
        mark.protection.grace_days = line.grace_days.unwrap_or(7);
        mark.protection.delete_disks = line.delete_disks;
        mark.pending = line.pending;
        if let Some(key) = &self.clone_of {
            mark.own_id = Some(own_id_of(key));
            mark.identity = fleet::identity_of(&fleet::key(key));
        }
        if line.no_own_id {
            mark.own_id = None;
        }
        mark.retired = line.retired.map(|days| Retired {
            since: now - SignedDuration::from_hours(days * 24),
            name: VmName::new(key.name().as_str()).unwrap(),
            running: true,
            connected: mark.nics.values().filter_map(|nic| nic.mac.clone()).collect(),
            approved: line.approved,
        });
        for disk in self.shelf() {
            let (name, id) = (disk.slot.to_string(), disk.id.map(|id| id.to_string()));
            let file = disk.file.map(|file| file.to_string());
            mark.disks.insert(name, tierwright::mark::MarkedDisk { slot: None, id, file, deleting: false });
        }
        for (n, (name, size)) in (7..).zip(line.lost.clone().unwrap_or_default()) {
            let disk = fleet::disk(&self.own_id(), "lost", n, size);
            let (slot, id) = (Some(disk.slot.to_string()), disk.id.map(|id| id.to_string()));
            mark.disks.insert(name.clone(), tierwright::mark::MarkedDisk { slot, id, file: None, deleting: false });
            mark.applied.as_mut().expect("as own_mark writes it").disks.insert(name, size);
        }
        self.applied(&mut mark);
        deployed.mark = Some(mark);
    }

    fn applied(&self, mark: &mut tierwright::mark::Mark) {
        let line = self.applied.clone();
        if self.mark.just_adopted {
            mark.applied = None;
        }
        let Some(applied) = mark.applied.as_mut() else { return };
        applied.cpus = line.cpus.unwrap_or(applied.cpus);
        applied.memory = line.memory.unwrap_or(applied.memory);
        applied.power = line.power.or(applied.power);
        applied.image = line.image.or(applied.image.take());
        applied.disks.extend(line.disks.unwrap_or_default());
        let nics = line.nics.unwrap_or_default().into_iter();
        applied.nics.extend(nics.map(|(name, network)| (name, fleet::network(&network))));
    }

    /// Disks that the mark remembers and that are not attached; for want of a slot, `slot` holds the name.
    fn shelf(&self) -> Vec<ObservedDisk> {
        let id = self.own_id();
        let disk = |(name, size): (String, Bytes)| ObservedDisk {
            id: Some(format!("{id}-{name}").into()),
            slot: name.as_str().into(),
            size,
            storage: Some("flash".into()),
            file: Some(format!("[flash] {}/{name}.vmdk", self.default_name()).into()),
            parent: None,
            shared: false,
        };
        self.mark.kept.clone().unwrap_or_default().into_iter().map(disk).collect()
    }
}
