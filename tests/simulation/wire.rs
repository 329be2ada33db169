//! Endpoints over the wire: each a lab of its own, its front's real protocol, and the real provider.

use std::collections::BTreeSet;
use std::sync::Arc;

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
    name: "vc-a",
    hypervisor: HypervisorType::Vsphere,
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

/// The list: one line a kind. The first two of a life share a tier where they speak one language.
pub const KINDS: [Kind; 3] = [VCENTER, Kind { name: "vc-b", ..VCENTER }, Kind { name: "vc-c", ..VCENTER }];

/// The faults of a lab, by the words of its protocol.
struct Wire {
    lab: Lab,
    kind: Kind,
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
                FaultRule::nth(self.kind.calls[n % self.kind.calls.len()], None, 1, effect)
            }
        };
        self.lab.faults().add(rule);
    }

    fn heal(&self) {
        self.lab.faults().clear();
    }
}

/// A fresh lab with this one front, and the provider's way in.
pub async fn site(kind: Kind, seed: u64) -> Site {
    let options =
        LabOptions { seed, vms: 2, only: vec![kind.hypervisor], clock: ClockMode::Virtual, ..LabOptions::default() };
    let lab = Lab::start(options).await.expect("the lab starts");
    let endpoint = lab.endpoints().into_iter().next().expect("it has a front");
    let name = EndpointName::new(kind.name).expect("a name");
    let settings = settings(&name, kind, &endpoint);
    Site {
        name,
        hypervisor: kind.hypervisor,
        places: kind.places,
        world: lab.world(),
        switch: Arc::new(Wire { lab, kind }),
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
