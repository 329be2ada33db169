//! One endpoint of a simulation: a world, a provider in front of it, and a switch for what goes wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tierwright::lab::WorldHandle;
use tierwright::lab::world::Link;
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
    /// Time passes there as well: what is at work comes to its end, and sessions run out.
    fn pass(&self, by: Duration);
    /// Does nothing there answer? A fault of a single call may lead to that, too.
    fn is_out(&self) -> bool;
    /// What is wrong now, in words; empty: nothing.
    fn in_force(&self) -> Vec<String>;
    /// What befell single calls since this was last asked.
    fn befallen(&self) -> Vec<String>;
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
    /// Faults of the endpoint as a whole were put in force.
    pub dark: bool,
}

impl Site {
    /// Is nothing, or not all, of it to be seen?
    pub fn is_dark(&self) -> bool {
        self.dark || self.switch.is_out()
    }

    /// What is wrong here: trouble of the endpoint, and VMs whose host is gone or that wait for an answer.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = self.switch.in_force();
        self.world.with(|world| {
            for vm in world.vms() {
                wrong.extend((vm.link != Link::Connected).then(|| format!("host lost of {}", vm.name)));
                wrong.extend(vm.question.is_some().then(|| format!("question of {}", vm.name)));
            }
        });
        wrong
    }
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

    fn pass(&self, by: Duration) {
        self.clock().advance(by);
    }

    fn is_out(&self) -> bool {
        self.trouble().out
    }

    fn in_force(&self) -> Vec<String> {
        self.trouble().in_force()
    }

    fn befallen(&self) -> Vec<String> {
        std::mem::take(&mut self.trouble().befallen)
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
