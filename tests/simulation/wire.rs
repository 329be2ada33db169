//! Endpoints over the wire: each a lab of its own, its front's real protocol, and the real provider.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tierwright::lab::{ClockMode, Effect, FaultRule, Lab, LabEndpoint, LabOptions, NamedFault};
use tierwright::model::{EndpointName, HypervisorType, Secret};
use tierwright::plan::{EndpointState, Manage};
use tierwright::provider;
use tierwright::settings::{EndpointSettings, PasswordFrom, Trust};

use crate::git::VSPHERE;
use crate::invariants::own_id;
use crate::over_world::CallTrouble;
use crate::site::{Fault, Site, Switch};

/// One kind of endpoint, in the words of its protocol.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    hypervisor: HypervisorType,
    /// Nodes of a cluster; 0: a host, pool or vCenter.
    nodes: usize,
    /// Words of its tier.
    places: &'static str,
    /// Its mutating calls, for faults of single calls.
    calls: &'static [&'static str],
    /// The call whose pages are cut short.
    listing: &'static str,
    /// The right without which a VM is not to be seen.
    right: &'static str,
    /// How it refuses a call, and how a task fails.
    refusals: [&'static str; 2],
}

const VCENTER: Kind = Kind {
    name: "vc",
    hypervisor: HypervisorType::Vsphere,
    nodes: 0,
    places: VSPHERE,
    calls: &[
        "ReconfigVM_Task",
        "CloneVM_Task",
        "CreateVM_Task",
        "PowerOnVM_Task",
        "ShutdownGuest",
        "Rename_Task",
        "Destroy_Task",
    ],
    listing: "RetrievePropertiesEx",
    right: "System.Read",
    refusals: ["NoPermission", "GenericVmConfigFault"],
};

const POOL: Kind = Kind {
    name: "xs",
    hypervisor: HypervisorType::Xenserver,
    nodes: 0,
    places: "  placement: {storage: sr-hosted}
  images: {debian: {template: tmpl-debian-12}}
  networks: {app: {network: hosted-public}, db: {network: hosted-private}}
  storage: {fast: {sr: sr-nvme}}
",
    calls: &[
        "VM.clone",
        "VM.add_to_other_config",
        "VM.provision",
        "VM.set_name_label",
        "VM.start",
        "VM.remove_from_other_config",
        "VM.clean_shutdown",
        "VM.create",
        "VM.destroy",
        "VDI.create",
        "VDI.resize",
        "VDI.destroy",
        "VBD.create",
        "VBD.destroy",
        "VIF.create",
        "VIF.destroy",
        "VIF.set_locking_mode",
    ],
    listing: "event.from",
    right: "System.View",
    refusals: ["OTHER_OPERATION_IN_PROGRESS", "INTERNAL_ERROR"],
};

const HYPERV: Kind = Kind {
    name: "hv",
    hypervisor: HypervisorType::Hyperv,
    nodes: 0,
    places: r"  placement: {path: 'D:\Hyper-V'}
  images: {debian: {vhdx: 'D:\Images\debian-12.vhdx', mode: copy}}
  networks: {app: {switch: vSwitch-QA, vlan: 110}, db: {switch: vSwitch-QA, vlan: 120}}
  storage: {fast: {path: 'E:\Hyper-V'}}
",
    calls: &[
        "DefineSystem",
        "ModifySystemSettings",
        "AddResourceSettings",
        "RequestStateChange",
        "ModifyResourceSettings",
        "InitiateShutdown",
        "DestroySystem",
        "CreateVirtualHardDisk",
        "ConvertVirtualHardDisk",
        "ResizeVirtualHardDisk",
        "RemoveResourceSettings",
        "AddFeatureSettings",
        "Delete",
    ],
    listing: "Enumerate",
    right: "Hyper-V Administrators",
    refusals: ["QuotaLimit", "OutOfMemory"],
};

const HYPERV_CLUSTER: Kind = Kind {
    name: "hvc",
    nodes: 2,
    places: r"  placement: {path: 'C:\ClusterStorage\Volume1\Hyper-V'}
  images: {debian: {vhdx: 'C:\ClusterStorage\Volume1\Images\debian-12.vhdx', mode: copy}}
  networks: {app: {switch: vSwitch-QA, vlan: 110}, db: {switch: vSwitch-QA, vlan: 120}}
  storage: {fast: {path: 'C:\ClusterStorage\Volume1'}}
",
    ..HYPERV
};

/// The list: one line a kind.
const KINDS: [Kind; 4] = [VCENTER, POOL, HYPERV, HYPERV_CLUSTER];

/// Which three a life is lived on: all combinations in turn. The first two share a tier where they speak one language.
pub fn kinds(seed: u64) -> [Kind; 3] {
    let all = KINDS.len() as u64;
    [seed, seed / all, seed / all / all].map(|n| KINDS[usize::try_from(n % all).expect("a small number")])
}

/// The faults of a lab, by the words of its protocol.
struct Wire {
    lab: Lab,
    kind: Kind,
    /// Calls that were struck so far: each kind has more calls than a fault has numbers.
    struck: AtomicUsize,
}

impl Switch for Wire {
    fn strike(&self, fault: &Fault) {
        let named =
            |name: &str| NamedFault { fault: name.to_owned(), message: Some("a fault rule said so".to_owned()) };
        let [refusal, failure] = self.kind.refusals;
        let rule = match fault {
            Fault::Outage | Fault::Blind => FaultRule::always(None, None, Effect::Drop),
            Fault::CutListing(most) => {
                FaultRule::always(Some(self.kind.listing), None, Effect::BreakAfterPage(4 + most))
            }
            Fault::Hidden(id) => FaultRule::always(None, Some(id.as_str()), Effect::Hide),
            Fault::Denied(id) => FaultRule::always(None, Some(id.as_str()), Effect::Deny(self.kind.right.to_owned())),
            Fault::UnsetConfig(id) => FaultRule::always(None, Some(id.as_str()), Effect::UnsetConfig),
            Fault::DeafGuest(id) => {
                let name = |world: &mut tierwright::lab::World| {
                    world.vms().find(|vm| own_id(vm) == *id).map(|vm| vm.name.to_string())
                };
                FaultRule::always(None, self.lab.world().with(name).as_deref(), Effect::IgnoreShutdown)
            }
            Fault::Call(n, trouble) => {
                let effect = match trouble {
                    CallTrouble::LoseReply | CallTrouble::LoseReplyAndEndpoint | CallTrouble::Late => Effect::LoseReply,
                    CallTrouble::Drop | CallTrouble::Unsent => Effect::Drop,
                    CallTrouble::Refuse | CallTrouble::Busy => Effect::Fail(named(refusal)),
                    CallTrouble::FailTask => Effect::FailTask(named(failure)),
                };
                let turn = n + 4 * self.struck.fetch_add(1, Ordering::Relaxed);
                FaultRule::nth(self.kind.calls[turn % self.kind.calls.len()], None, 1, effect)
            }
        };
        self.lab.faults().add(rule);
    }

    fn heal(&self) {
        self.lab.faults().clear();
    }

    fn pass(&self, by: Duration) {
        self.lab.clock().advance(by);
    }

    // Faults of single calls are of that call alone here.
    fn is_out(&self) -> bool {
        false
    }

    fn in_force(&self) -> Vec<String> {
        self.lab.faults().in_force().iter().map(|(rule, matched)| format!("{rule:?}, matched {matched}")).collect()
    }

    // The rules' counts say it: a call is not told apart from its repetition by the client.
    fn befallen(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A fresh lab with this one front, and the provider's way in. `which` tells it from others of its kind.
pub async fn site((kind, which): (Kind, &str), seed: u64) -> Site {
    let options = LabOptions {
        seed,
        vms: 2,
        only: vec![kind.hypervisor],
        hyperv_hosts: usize::from(kind.nodes == 0),
        hyperv_nodes: kind.nodes,
        clock: ClockMode::Virtual,
        ..LabOptions::default()
    };
    let lab = Lab::start(options).await.expect("the lab starts");
    let endpoint = lab.endpoints().into_iter().next().expect("it has a front");
    let name = EndpointName::new(&format!("{}-{which}", kind.name)).expect("a name");
    let settings = settings(&name, kind, &endpoint);
    Site {
        name,
        hypervisor: kind.hypervisor,
        places: kind.places,
        world: lab.world(),
        switch: Arc::new(Wire { lab, kind, struck: AtomicUsize::new(0) }),
        connect: Box::new(move || provider::connect(&settings).expect("settings are good")),
        unseen: BTreeSet::new(),
        dark: false,
    }
}

fn settings(name: &EndpointName, kind: Kind, endpoint: &LabEndpoint) -> EndpointSettings {
    let pin = |text: &String| {
        let mut pin = [0; 32];
        for (at, byte) in pin.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("hex");
        }
        pin
    };
    EndpointSettings {
        name: name.clone(),
        hypervisor: kind.hypervisor,
        urls: endpoint.urls.clone(),
        auth: tierwright::settings::Auth::default(),
        username: endpoint.username.clone(),
        password: PasswordFrom::Given(Secret::new(endpoint.password.clone())),
        trust: Trust::Pins(endpoint.pins.iter().map(pin).collect()),
        manage: Manage::Enforce,
        state: EndpointState::Active,
        parallel: 4,
    }
}
