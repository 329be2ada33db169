//! What is read of a host's VMs: a handful of enumerations for the whole host, or the same for one VM.
//!
//! Each class is asked for the properties that are used, nothing more. What belongs together is joined afterwards, by
//! instance ids (`machine.rs`); checkpoints' settings come with the rest and fall out in that join.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, try_join_all};

use super::cim::{Instance, Namespace, key_of_path, quoted};
use super::client::Client;
use super::fault::Failure;
use super::ident::{guest_network_of, is_guid, vm_of};
use crate::model::PowerState;

/// Of a whole host, or of one VM by its GUID.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    All,
    One(&'a str),
}

impl Scope<'_> {
    /// A query for these properties; settings name their VM in their instance id.
    fn settings(self, columns: &str, class: &str) -> String {
        let query = format!("SELECT {columns} FROM {class}");
        match self {
            Self::All => query,
            Self::One(guid) => format!("{query} WHERE InstanceID LIKE {}", quoted(&format!("Microsoft:{guid}%"))),
        }
    }

    fn keyed(self, columns: &str, class: &str, key: &str) -> String {
        let query = format!("SELECT {columns} FROM {class}");
        match self {
            Self::All => query,
            Self::One(guid) => format!("{query} WHERE {key} = {}", quoted(&guid.to_ascii_uppercase())),
        }
    }
}

/// Msvm_ComputerSystem: what is read each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct System {
    /// In lower case; empty for the host itself.
    pub guid: String,
    pub name: Arc<str>,
    pub power: PowerState,
    /// Moves with every change of configuration or state.
    pub stamp: String,
    /// A copy that Hyper-V Replica keeps here of a VM elsewhere.
    pub replica: bool,
}

/// Msvm_VirtualSystemSettingData of a VM as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub id: String,
    pub name: String,
    pub notes: String,
    pub generation: Option<u8>,
    pub root: Option<String>,
}

/// Msvm_MemorySettingData.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub mib: u64,
    pub dynamic: bool,
}

/// A controller or a drive: Msvm_ResourceAllocationSettingData.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    pub id: String,
    pub kind: u64,
    pub subtype: String,
    pub address: Option<u8>,
    pub unit: Option<u8>,
    pub parent: Option<String>,
}

/// What is in a drive: Msvm_StorageAllocationSettingData.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Medium {
    pub id: String,
    pub parent: Option<String>,
    pub path: String,
    /// A hard disk, not a disc.
    pub is_disk: bool,
    pub shared: bool,
}

/// A NIC: Msvm_SyntheticEthernetPortSettingData, or the emulated one of old guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nic {
    pub id: String,
    pub class: &'static str,
    pub name: String,
    pub address: String,
}

/// A NIC's connection: Msvm_EthernetPortAllocationSettingData.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub id: String,
    pub parent: Option<String>,
    pub enabled: bool,
    /// GUID of the switch, in lower case.
    pub switch: Option<String>,
}

/// Msvm_EthernetSwitchPortVlanSettingData.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vlan {
    pub id: String,
    /// 1 access, 2 trunk, 3 private.
    pub mode: u64,
    pub access: u16,
}

/// Which settings are read: all, or those that a change has touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subset {
    All,
    /// Processors and memory.
    Size,
    /// Controllers, drives and what is in them.
    Storage,
    /// NICs, connections and VLANs.
    Network,
}

impl Subset {
    /// The one that a class of settings belongs to.
    pub(super) fn of(class: &str) -> Self {
        match class {
            "Msvm_ProcessorSettingData" | "Msvm_MemorySettingData" => Self::Size,
            "Msvm_ResourceAllocationSettingData" | "Msvm_StorageAllocationSettingData" => Self::Storage,
            SYNTHETIC | EMULATED | "Msvm_EthernetPortAllocationSettingData" | VLAN => Self::Network,
            _ => Self::All,
        }
    }

    fn holds(self, other: Self) -> bool {
        self == Self::All || self == other
    }
}

/// Everything but the systems. By the GUID that stands in each instance id: that of a VM, or of a checkpoint.
#[derive(Debug, Default, Clone)]
pub(super) struct Parts {
    pub settings: BTreeMap<String, Settings>,
    /// VMs that have a checkpoint.
    pub checkpointed: Vec<String>,
    /// Instance id and number of processors.
    pub processors: BTreeMap<String, (String, u64)>,
    pub memories: BTreeMap<String, (String, Memory)>,
    pub resources: Vec<(String, Resource)>,
    pub media: Vec<(String, Medium)>,
    pub nics: Vec<(String, Nic)>,
    pub ports: Vec<(String, Port)>,
    pub vlans: Vec<(String, Vlan)>,
    pub addresses: Vec<(String, Arc<str>)>,
    /// VMs whose guest answers to the shutdown service.
    pub obedient: Vec<String>,
}

impl Parts {
    /// Puts what was read again in the place of what there was.
    pub(super) fn replace(&mut self, subset: Subset, read: Self) {
        match subset {
            Subset::All => *self = read,
            Subset::Size => (self.processors, self.memories) = (read.processors, read.memories),
            Subset::Storage => (self.resources, self.media) = (read.resources, read.media),
            Subset::Network => (self.nics, self.ports, self.vlans) = (read.nics, read.ports, read.vlans),
        }
    }

    /// Is there nothing of it?
    pub(super) fn lacks(&self, subset: Subset) -> bool {
        match subset {
            Subset::All => self.settings.is_empty(),
            Subset::Size => self.processors.is_empty(),
            Subset::Storage => self.resources.is_empty(),
            Subset::Network => self.nics.is_empty(),
        }
    }

    /// Instance id of a VM's processor settings.
    pub(super) fn processor_id(&self, vm: &str) -> Option<String> {
        self.processors.get(vm).map(|(id, _)| id.clone())
    }

    /// Instance id of a VM's memory settings.
    pub(super) fn memory_id(&self, vm: &str) -> Option<String> {
        self.memories.get(vm).map(|(id, _)| id.clone())
    }
}

const VIRTUALIZATION: Namespace = Namespace::Virtualization;
const SYSTEM: &str = "Name, ElementName, EnabledState, TimeOfLastConfigurationChange, TimeOfLastStateChange, \
                      ReplicationMode";
const SETTINGS: &str = "InstanceID, VirtualSystemIdentifier, VirtualSystemType, VirtualSystemSubType, ElementName, \
                        Notes, ConfigurationDataRoot";
const RESOURCE: &str = "InstanceID, ResourceType, ResourceSubType, Address, AddressOnParent, Parent";
const MEDIUM: &str = "InstanceID, ResourceSubType, Parent, HostResource, PersistentReservationsSupported";
/// A VM as it is, not a checkpoint or a planned one (SEQUENCES.md, "Inventory: settings").
const REALIZED: &str = "Microsoft:Hyper-V:System:Realized";
const SNAPSHOT: &str = "Microsoft:Hyper-V:Snapshot:";

/// The systems: VMs, and the host itself, which everybody who may read anything sees.
pub(super) async fn systems(client: &Client, scope: Scope<'_>) -> Result<Vec<System>, Failure> {
    let query = scope.keyed(SYSTEM, "Msvm_ComputerSystem", "Name");
    client.enumerate(VIRTUALIZATION, &query, |instance| Some(system(instance))).await
}

fn system(instance: &Instance<'_>) -> System {
    let name = instance.word("Name");
    let guid = if is_guid(name) { name.to_ascii_lowercase() } else { String::new() };
    System {
        guid,
        name: instance.word("ElementName").into(),
        power: power(instance.number("EnabledState")),
        stamp: format!("{} {}", instance.word("TimeOfLastConfigurationChange"), instance.word("TimeOfLastStateChange")),
        // Recovery, test and extended replica (Msvm_ComputerSystem.ReplicationMode); 1 is the VM itself.
        replica: matches!(instance.number("ReplicationMode"), Some(2..=4)),
    }
}

/// Msvm_ComputerSystem.EnabledState; numbers of the first version of the API are still met
/// (SEQUENCES.md, "Read state").
pub(super) const fn power(state: Option<u64>) -> PowerState {
    match state {
        Some(2) => PowerState::Running,
        Some(3) => PowerState::Stopped,
        Some(6 | 9 | 32_768 | 32_769) => PowerState::Suspended,
        _ => PowerState::Unknown,
    }
}

/// Settings of VMs and checkpoints. One query holds names and notes too.
pub(super) async fn settings(client: &Client, scope: Scope<'_>) -> Result<(Vec<Settings>, Vec<String>), Failure> {
    let query = scope.keyed(SETTINGS, "Msvm_VirtualSystemSettingData", "VirtualSystemIdentifier");
    let mut checkpointed = Vec::new();
    let settings = client
        .enumerate(VIRTUALIZATION, &query, |instance| {
            let kind = instance.word("VirtualSystemType");
            if kind.starts_with(SNAPSHOT) {
                checkpointed.push(instance.word("VirtualSystemIdentifier").to_ascii_lowercase());
            }
            (kind == REALIZED).then(|| one_settings(instance))
        })
        .await?;
    Ok((settings, checkpointed))
}

fn one_settings(instance: &Instance<'_>) -> Settings {
    let generation = instance.word("VirtualSystemSubType").rsplit(':').next().and_then(|last| last.parse().ok());
    Settings {
        id: instance.word("InstanceID").to_owned(),
        name: instance.word("ElementName").to_owned(),
        // An array that holds one text in practice.
        notes: instance.list("Notes").collect::<Vec<_>>().join("\n"),
        generation,
        root: instance.text("ConfigurationDataRoot").filter(|root| !root.is_empty()).map(str::to_owned),
    }
}

/// VMs that have settings, and VMs that have a checkpoint: making one need not move a VM's stamp.
pub(super) async fn inhabitants(client: &Client) -> Result<(Vec<String>, Vec<String>), Failure> {
    let query = "SELECT InstanceID, VirtualSystemIdentifier, VirtualSystemType FROM Msvm_VirtualSystemSettingData";
    let mut checkpointed = Vec::new();
    let realized = client
        .enumerate(VIRTUALIZATION, query, |instance| {
            let kind = instance.word("VirtualSystemType");
            let guid = instance.word("VirtualSystemIdentifier").to_ascii_lowercase();
            if kind.starts_with(SNAPSHOT) {
                checkpointed.push(guid);
                return None;
            }
            (kind == REALIZED && is_guid(&guid)).then_some(guid)
        })
        .await?;
    Ok((realized, checkpointed))
}

type Part = Box<dyn FnOnce(&mut Parts) + Send>;

/// Everything but the systems, all queries at once.
pub(super) async fn read(client: &Client, scope: Scope<'_>) -> Result<Parts, Failure> {
    let (mut parts, (settings, checkpointed), guests) =
        futures_util::try_join!(read_some(client, scope, Subset::All), settings(client, scope), guests(client, scope))?;
    parts.settings = settings.into_iter().filter_map(|found| Some((vm_of(&found.id)?, found))).collect();
    parts.checkpointed = checkpointed;
    (parts.addresses, parts.obedient) = guests;
    Ok(parts)
}

/// Hardware alone, of one sort or all.
pub(super) async fn read_some(client: &Client, scope: Scope<'_>, subset: Subset) -> Result<Parts, Failure> {
    const MEMORY: &str = "InstanceID, VirtualQuantity, DynamicMemoryEnabled";
    let mut queries = Vec::new();
    if subset.holds(Subset::Size) {
        queries.push(list(client, scope, ("InstanceID, VirtualQuantity", "Msvm_ProcessorSettingData"), processor));
        queries.push(list(client, scope, (MEMORY, "Msvm_MemorySettingData"), memory));
    }
    if subset.holds(Subset::Storage) {
        queries.push(list(client, scope, (RESOURCE, "Msvm_ResourceAllocationSettingData"), resource));
        queries.push(list(client, scope, (MEDIUM, "Msvm_StorageAllocationSettingData"), medium));
    }
    if subset.holds(Subset::Network) {
        queries.push(list(client, scope, (NIC, SYNTHETIC), |instance| nic(instance, SYNTHETIC)));
        queries.push(list(client, scope, (NIC, EMULATED), |instance| nic(instance, EMULATED)));
        queries.push(list(client, scope, (PORT, "Msvm_EthernetPortAllocationSettingData"), port));
        queries.push(list(client, scope, ("InstanceID, OperationMode, AccessVlanId", VLAN), vlan));
    }
    let mut parts = Parts::default();
    for part in try_join_all(queries).await?.into_iter().flatten() {
        part(&mut parts);
    }
    Ok(parts)
}

const SYNTHETIC: &str = "Msvm_SyntheticEthernetPortSettingData";
const EMULATED: &str = "Msvm_EmulatedEthernetPortSettingData";
const VLAN: &str = "Msvm_EthernetSwitchPortVlanSettingData";
const NIC: &str = "InstanceID, ElementName, Address";
const PORT: &str = "InstanceID, Parent, EnabledState, HostResource";

/// One class; each instance becomes something to put into the whole.
fn list<'c>(
    client: &'c Client,
    scope: Scope<'_>,
    (columns, class): (&str, &str),
    read: fn(&Instance<'_>) -> Option<Part>,
) -> BoxFuture<'c, Result<Vec<Part>, Failure>> {
    let query = scope.settings(columns, class);
    Box::pin(async move { client.enumerate(VIRTUALIZATION, &query, read).await })
}

/// The VM or checkpoint of an instance, and its id.
fn owner(instance: &Instance<'_>) -> Option<(String, String)> {
    let id = instance.text("InstanceID")?;
    Some((vm_of(id)?, id.to_owned()))
}

fn processor(instance: &Instance<'_>) -> Option<Part> {
    let (vm, id) = owner(instance)?;
    let count = instance.number("VirtualQuantity")?;
    Some(Box::new(move |parts| drop(parts.processors.insert(vm, (id, count)))))
}

fn memory(instance: &Instance<'_>) -> Option<Part> {
    let (vm, id) = owner(instance)?;
    let memory = Memory { mib: instance.number("VirtualQuantity")?, dynamic: instance.flag("DynamicMemoryEnabled") };
    Some(Box::new(move |parts| drop(parts.memories.insert(vm, (id, memory)))))
}

fn resource(instance: &Instance<'_>) -> Option<Part> {
    let (vm, id) = owner(instance)?;
    let small = |name| instance.number(name).and_then(|number| u8::try_from(number).ok());
    let resource = Resource {
        id,
        kind: instance.number("ResourceType")?,
        subtype: instance.word("ResourceSubType").to_owned(),
        address: small("Address"),
        unit: small("AddressOnParent"),
        parent: parent(instance),
    };
    Some(Box::new(move |parts| parts.resources.push((vm, resource))))
}

fn medium(instance: &Instance<'_>) -> Option<Part> {
    let (vm, id) = owner(instance)?;
    let path = instance.list("HostResource").next().unwrap_or_default().to_owned();
    let medium = Medium {
        id,
        parent: parent(instance),
        is_disk: instance.word("ResourceSubType") == "Microsoft:Hyper-V:Virtual Hard Disk",
        // A VHD set is made to be shared, and persistent reservations are what guests share a disk by.
        shared: instance.flag("PersistentReservationsSupported") || path.to_lowercase().ends_with(".vhds"),
        path,
    };
    Some(Box::new(move |parts| parts.media.push((vm, medium))))
}

fn nic(instance: &Instance<'_>, class: &'static str) -> Option<Part> {
    let (vm, id) = owner(instance)?;
    let nic =
        Nic { id, class, name: instance.word("ElementName").to_owned(), address: instance.word("Address").to_owned() };
    Some(Box::new(move |parts| parts.nics.push((vm, nic))))
}

fn port(instance: &Instance<'_>) -> Option<Part> {
    let (vm, id) = owner(instance)?;
    let switch = instance.list("HostResource").find_map(|path| key_of_path(path, "Name"));
    let port = Port {
        id,
        parent: parent(instance),
        enabled: instance.number("EnabledState") == Some(2),
        switch: switch.map(|guid| guid.to_ascii_lowercase()),
    };
    Some(Box::new(move |parts| parts.ports.push((vm, port))))
}

fn vlan(instance: &Instance<'_>) -> Option<Part> {
    let (vm, id) = owner(instance)?;
    let access = instance.number("AccessVlanId").and_then(|id| u16::try_from(id).ok()).unwrap_or(0);
    let vlan = Vlan { id, mode: instance.number("OperationMode").unwrap_or(0), access };
    Some(Box::new(move |parts| parts.vlans.push((vm, vlan))))
}

/// The instance id that `Parent` names.
fn parent(instance: &Instance<'_>) -> Option<String> {
    key_of_path(instance.text("Parent")?, "InstanceID")
}

/// Addresses by VM, and VMs whose guests answer.
pub(super) type Guests = (Vec<(String, Arc<str>)>, Vec<String>);

/// Addresses, and guests that can be asked to shut down. Nothing here waits for a guest.
pub(super) async fn guests(client: &Client, scope: Scope<'_>) -> Result<Guests, Failure> {
    let query = match scope {
        Scope::All => "SELECT InstanceID, IPAddresses FROM Msvm_GuestNetworkAdapterConfiguration".to_owned(),
        Scope::One(guid) => format!(
            "SELECT InstanceID, IPAddresses FROM Msvm_GuestNetworkAdapterConfiguration WHERE InstanceID LIKE {}",
            quoted(&format!("%{guid}%"))
        ),
    };
    let addresses = client.enumerate(VIRTUALIZATION, &query, |instance| {
        let vm = guest_network_of(instance.word("InstanceID"))?;
        let told: Vec<Arc<str>> =
            instance.list("IPAddresses").filter(|text| !text.is_empty()).map(Into::into).collect();
        Some(told.into_iter().map(|address| (vm.clone(), address)).collect::<Vec<_>>())
    });
    let query = scope.keyed("SystemName, EnabledState, OperationalStatus", "Msvm_ShutdownComponent", "SystemName");
    let obedient = client.enumerate(VIRTUALIZATION, &query, |instance| {
        // 2 is OK; 12 and 13 are no contact and lost communication (Msvm_ShutdownComponent.OperationalStatus).
        let answers = instance.list("OperationalStatus").next().is_none_or(|status| status.trim() == "2");
        let enabled = instance.number("EnabledState") == Some(2);
        (enabled && answers).then(|| instance.word("SystemName").to_ascii_lowercase())
    });
    let (addresses, obedient) = futures_util::try_join!(addresses, obedient)?;
    Ok((addresses.into_iter().flatten().collect(), obedient))
}

/// Files of disks by the VM or checkpoint that has them, and no more.
pub(super) async fn media(client: &Client) -> Result<Vec<(String, String)>, Failure> {
    let query = "SELECT InstanceID, HostResource FROM Msvm_StorageAllocationSettingData";
    client
        .enumerate(VIRTUALIZATION, query, |instance| {
            let path = instance.list("HostResource").next()?.to_owned();
            Some((owner(instance)?.0, path))
        })
        .await
}
