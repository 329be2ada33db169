//! One `VirtualMachine` as the property collector gives it, in our words. Pure.
//!
//! Read in two parts: the light one each time, the heavy one (devices, extra configuration: most of the bytes) only when
//! `config.changeVersion` moved. What the server did not give makes the VM unreadable, never different.

use std::sync::Arc;

use super::device::{self, Card, NetworkNames};
use super::names::unescape;
use super::property::Object;
use super::soap::Moref;
use crate::model::{
    Bytes, Config, Firmware, GuestAgent, GuestOs, Hot, ObservedNic, OwnId, PowerState, VmConfig, Words,
};
use crate::xml::Element;

/// The key of our mark in `config.extraConfig`.
pub(super) const MARK_KEY: &str = "tierwright.mark";

/// Properties read of every VM each time.
pub(super) const LIGHT: &[&str] = &[
    "name",
    "parent",
    "parentVApp",
    "config.changeVersion",
    "config.instanceUuid",
    "config.template",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "runtime.question",
    "guest.toolsRunningStatus",
    "guest.ipAddress",
    "snapshot",
];

/// Where the id of a VM stands that has no configuration. Asked for of such VMs alone.
const SUMMARY_ID: &str = "summary.config.instanceUuid";

/// Properties read of VMs that are asked for by reference.
pub(super) fn all_paths() -> Vec<&'static str> {
    LIGHT.iter().chain(HEAVY).copied().chain([SUMMARY_ID]).collect()
}

/// Properties read when the configuration changed.
pub(super) const HEAVY: &[&str] = &[
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "config.firmware",
    "config.guestId",
    "config.cpuHotAddEnabled",
    "config.memoryHotAddEnabled",
    "config.hotPlugMemoryLimit",
    "config.hotPlugMemoryIncrementSize",
    "config.extraConfig",
];

/// What is read of a VM each time.
#[derive(Debug, Clone)]
pub(super) struct Light {
    pub moref: Moref,
    pub name: Arc<str>,
    pub id: OwnId,
    /// The server gives that id; otherwise it stands for nothing.
    pub has_id: bool,
    pub parent: Option<Moref>,
    pub vapp: Option<Moref>,
    pub host: Option<Moref>,
    pub template: bool,
    /// Empty: the server does not tell.
    pub change_version: Box<str>,
    pub power: PowerState,
    question: Option<String>,
    pub guest_agent: GuestAgent,
    addresses: Vec<Arc<str>>,
    pub snapshots: bool,
    /// Why the configuration cannot be believed, if so.
    unreadable: Option<String>,
}

impl Light {
    /// Why the configuration cannot be believed, if so.
    pub(super) fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }
}

/// What is read of a VM when its configuration changed.
#[derive(Debug, Clone)]
pub(super) struct Heavy {
    /// All of the configuration. What the light part and the names of networks say stands in it as they last said it, and
    /// [`config`] sets it right: so nothing is kept twice of a VM that stays as it is.
    pub config: Arc<VmConfig>,
    /// Of each NIC; `None` where nothing can change what the configuration says of them.
    cards: Option<Arc<[Card]>>,
}

/// The light part of an object.
pub(super) fn light(object: &Object<'_>, words: &mut Words) -> Option<Light> {
    if object.moref.kind != "VirtualMachine" {
        return None;
    }
    let id = object.text("config.instanceUuid").or_else(|| object.text(SUMMARY_ID));
    let template = object.text("config.template");
    let state = object.text("runtime.connectionState");
    let unreadable = if let Some(fault) = object.missing("config").or_else(|| object.missing("runtime")) {
        Some(fault.to_string())
    } else if let Some(state) = state.filter(|state| *state != "connected") {
        Some(format!("the server says it is {state}"))
    } else if template.is_none() || id.is_none_or(str::is_empty) {
        Some("the server gives no configuration".to_owned())
    } else {
        None
    };
    Some(Light {
        has_id: id.is_some_and(|id| !id.is_empty()),
        name: unescape(object.text("name").unwrap_or_default()).into(),
        // Without a configuration there may be no id at all; the reference keeps two such VMs apart.
        id: OwnId::new(id.filter(|id| !id.is_empty()).unwrap_or(&format!("unknown-{}", object.moref.value))),
        parent: object.shared_reference("parent", words),
        vapp: object.shared_reference("parentVApp", words),
        host: object.shared_reference("runtime.host", words),
        template: template == Some("true"),
        change_version: object.text("config.changeVersion").unwrap_or_default().into(),
        power: power(object.text("runtime.powerState")),
        question: object.get("runtime.question").map(question),
        guest_agent: match object.text("guest.toolsRunningStatus") {
            Some("guestToolsRunning") => GuestAgent::Running,
            Some("guestToolsNotRunning" | "guestToolsExecutingScripts") => GuestAgent::NotRunning,
            _ => GuestAgent::Unknown,
        },
        addresses: object.text("guest.ipAddress").filter(|text| !text.is_empty()).map(Into::into).into_iter().collect(),
        snapshots: object.get("snapshot").is_some(),
        unreadable,
        moref: object.moref.clone(),
    })
}

pub(super) fn power(word: Option<&str>) -> PowerState {
    match word {
        Some("poweredOn") => PowerState::Running,
        Some("poweredOff") => PowerState::Stopped,
        Some("suspended") => PowerState::Suspended,
        _ => PowerState::Unknown,
    }
}

fn question(element: &Element<'_>) -> String {
    element.text_of("text").unwrap_or("it asks something").trim().to_owned()
}

/// The heavy part of an object; `None` when the server gave none of it.
pub(super) fn heavy(object: &Object<'_>, words: &mut Words) -> Option<Heavy> {
    let devices = object.get("config.hardware.device")?;
    let count = |path: &str| object.text(path).and_then(|text| text.trim().parse::<u64>().ok());
    let flag = |path: &str| object.text(path) == Some("true");
    let mebibytes = |path: &str| count(path).filter(|count| *count > 0).map(Bytes::mib);
    let mut hot = Hot {
        add_cpu: flag("config.cpuHotAddEnabled"),
        add_memory: flag("config.memoryHotAddEnabled"),
        memory_limit: mebibytes("config.hotPlugMemoryLimit"),
        memory_increment: mebibytes("config.hotPlugMemoryIncrementSize"),
        ..Hot::default()
    };
    let controllers = device::controllers(devices);
    device::hot_devices(devices, &controllers, &mut hot);
    let (nics, cards) = device::nics(devices, words);
    let config = VmConfig {
        cpus: u32::try_from(count("config.hardware.numCPU")?).ok()?,
        memory: Bytes::mib(count("config.hardware.memoryMB")?),
        firmware: if object.text("config.firmware") == Some("efi") { Firmware::Uefi } else { Firmware::Bios },
        guest_os: guest_os(object.text("config.guestId").unwrap_or_default()),
        power: PowerState::Unknown,
        template: false,
        disks: device::disks(devices, &controllers, words),
        nics,
        snapshots: false,
        question: None,
        guest_agent: GuestAgent::Unknown,
        hot,
        mark: object.get("config.extraConfig").and_then(mark),
        addresses: Vec::new(),
    };
    let cards = cards.iter().any(Card::varies).then(|| cards.into());
    Some(Heavy { config: Arc::new(config), cards })
}

/// Our mark. Everything else in there is somebody's, some of it secret (`guestinfo.userdata`), and is not looked at.
/// A real server keeps one value per key; where there are several (vcsim appends) the last is the newest. An empty one
/// is how a key is removed.
fn mark(extra: &Element<'_>) -> Option<String> {
    extra
        .children
        .iter()
        .rev()
        .find(|option| option.text_of("key") == Some(MARK_KEY))
        .and_then(|option| option.text_of("value"))
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// The family of a `VirtualMachineGuestOsIdentifier`.
fn guest_os(id: &str) -> GuestOs {
    const LINUX: &[&str] = &[
        "almalinux",
        "amazonlinux",
        "asianux",
        "centos",
        "coreos",
        "crx",
        "debian",
        "fedora",
        "mandr",
        "nld9",
        "oes",
        "opensuse",
        "oraclelinux",
        "redhat",
        "rhel",
        "rocky",
        "sjds",
        "sles",
        "suse",
        "turbolinux",
        "ubuntu",
        "vmwarephoton",
    ];
    let id = id.to_ascii_lowercase();
    if id.starts_with("win") {
        GuestOs::Windows
    } else if id.contains("linux") || LINUX.iter().any(|name| id.starts_with(name)) {
        GuestOs::Linux
    } else {
        GuestOs::Other
    }
}

/// Both parts, put together; the heavy one keeps the outcome.
pub(super) fn config(light: &Light, heavy: Option<&mut Heavy>, networks: &NetworkNames) -> Config {
    if let Some(why) = &light.unreadable {
        return Config::Unreadable(why.clone());
    }
    let Some(heavy) = heavy else {
        return Config::Unreadable("the server gives no hardware".to_owned());
    };
    let running = light.power != PowerState::Stopped;
    let cards = heavy.cards.as_deref().unwrap_or_default();
    let nics_agree =
        |nics: &[ObservedNic]| nics.iter().zip(cards).all(|(nic, card)| card.agrees(nic, running, networks));
    if !light.agrees(&heavy.config) || !nics_agree(&heavy.config.nics) {
        let config = Arc::make_mut(&mut heavy.config);
        light.tell(config);
        for (nic, card) in config.nics.iter_mut().zip(cards) {
            card.tell(nic, running, networks);
        }
    }
    Config::Readable(Arc::clone(&heavy.config))
}

impl Light {
    /// Does this configuration say what is so?
    fn agrees(&self, config: &VmConfig) -> bool {
        config.power == self.power
            && config.template == self.template
            && config.snapshots == self.snapshots
            && config.guest_agent == self.guest_agent
            && config.question == self.question
            && config.addresses == self.addresses
    }

    /// Makes it say so.
    fn tell(&self, config: &mut VmConfig) {
        config.power = self.power;
        config.template = self.template;
        config.snapshots = self.snapshots;
        config.guest_agent = self.guest_agent;
        config.question.clone_from(&self.question);
        config.addresses.clone_from(&self.addresses);
    }
}
