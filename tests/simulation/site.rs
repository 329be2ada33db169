//! One endpoint of a simulation: a world, a provider in front of it, and a switch for what goes wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use tierwright::lab::WorldHandle;
use tierwright::model::{EndpointName, HypervisorType, OwnId};
use tierwright::provider::Provider;

use crate::over_world::{CallTrouble, OverWorld};

/// What goes wrong at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Outage,
    CutListing(usize),
    Blind,
    Hidden(OwnId),
    Denied(OwnId),
    UnsetConfig(OwnId),
    DeafGuest(OwnId),
    Call(usize, CallTrouble),
}

impl Fault {
    /// For the figures.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::CutListing(_) => "listing cut short",
            Self::Blind => "hosts not listed",
            Self::Hidden(_) => "VM hidden from listings",
            Self::Denied(_) => "rights on a VM lost",
            Self::UnsetConfig(_) => "configuration unset",
            Self::DeafGuest(_) => "guest that does not stop",
            Self::Call(_, trouble) => match trouble {
                CallTrouble::LoseReply => "reply lost",
                CallTrouble::LoseReplyAndEndpoint => "reply lost and endpoint out",
                CallTrouble::Drop => "call lost",
                CallTrouble::Late => "call done late",
                CallTrouble::Refuse => "call refused",
                CallTrouble::FailTask => "task failed",
                CallTrouble::Unsent => "connection broken before the call",
                CallTrouble::Busy => "server busy",
            },
        }
    }
}

/// Makes things go wrong, and well again.
pub trait Switch: Send + Sync {
    fn strike(&self, fault: &Fault);
    fn heal(&self);
}

/// See the module.
pub struct Site {
    pub name: EndpointName,
    pub hypervisor: HypervisorType,
    /// Tier words for it.
    pub places: &'static str,
    pub world: WorldHandle,
    pub switch: Arc<dyn Switch>,
    /// A provider as a new process has it.
    pub connect: Box<dyn Fn() -> Arc<dyn Provider> + Send + Sync>,
    /// Whose listings lack them, or whose configuration is not readable, now.
    pub unseen: BTreeSet<OwnId>,
    /// Faults of the endpoint as a whole are in force.
    pub dark: bool,
}

impl Switch for OverWorld {
    fn strike(&self, fault: &Fault) {
        let mut trouble = self.trouble();
        match fault {
            Fault::Outage => trouble.out = true,
            Fault::CutListing(most) => trouble.cut = Some(*most),
            Fault::Blind => trouble.blind = true,
            Fault::Hidden(id) => drop(trouble.hidden.insert(id.clone())),
            Fault::Denied(id) => drop(trouble.denied.insert(id.clone())),
            Fault::UnsetConfig(id) => drop(trouble.unset.insert(id.clone())),
            Fault::DeafGuest(id) => drop(trouble.deaf.insert(id.clone())),
            Fault::Call(n, kind) => drop(trouble.calls.insert(*n, *kind)),
        }
    }

    fn heal(&self) {
        self.trouble().heal();
    }
}

impl Site {
    /// One more thing goes wrong.
    pub fn strike(&mut self, fault: &Fault) {
        match fault {
            Fault::Outage | Fault::CutListing(_) | Fault::Blind => self.dark = true,
            Fault::Hidden(id) | Fault::Denied(id) | Fault::UnsetConfig(id) => drop(self.unseen.insert(id.clone())),
            Fault::DeafGuest(_) | Fault::Call(..) => {}
        }
        self.switch.strike(fault);
    }

    /// All is well again.
    pub fn heal(&mut self) {
        self.switch.heal();
        self.unseen.clear();
        self.dark = false;
    }
}
