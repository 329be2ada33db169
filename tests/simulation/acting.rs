//! What may happen in a life: one action a step, by the seed's choice.

use std::sync::PoisonError;

use jiff::SignedDuration;
use rand::RngExt;
use rand::seq::{IndexedMutRandom, IndexedRandom, IteratorRandom};
use tierwright::clock::Clock;
use tierwright::journal::Volatile;
use tierwright::lab::world;
use tierwright::model::OwnId;
use tierwright::plan::EndpointState;

use crate::edits;
use crate::invariants::{Owner, own_id, owner};
use crate::life::Life;
use crate::marks;
use crate::over_world::CallTrouble;
use crate::people;
use crate::site::Fault;

/// What was done: its kind, for the figures, and the particulars.
type Done = (String, String);

impl Life {
    pub fn act(&mut self) {
        let done = match self.rng.random_range(0..100) {
            0..50 if self.paused => Some(self.pause_or_resume()),
            0..32 => self.edit_git(),
            32..52 => self.act_at_console(),
            52..67 => Some(self.strike()),
            67..75 => self.heal(),
            75..84 => Some(self.pass_time()),
            84..92 => self.approve(),
            92..95 => Some(self.pause_or_resume()),
            95..97 => Some(self.restart()),
            97..99 => self.change_state(),
            _ => Some(self.forget()),
        };
        if let Some((kind, what)) = done {
            self.figures.action(kind.clone());
            self.note(format!("{kind}: {what}"));
        }
    }

    fn edit_git(&mut self) -> Option<Done> {
        if self.rng.random_bool(0.08) {
            return self.adopt();
        }
        let edit = edits::edit(&mut self.rng);
        let what = edits::make(edit, &mut self.git, &mut self.drawer, &mut self.rng)?;
        self.git.write(&self.settings.source);
        Some((format!("git {edit:?}"), what))
    }

    /// A manifest that takes over a VM which nobody manages, as `import` would write it.
    fn adopt(&mut self) -> Option<Done> {
        let site = self.sites.choose(&mut self.rng)?;
        let tier = self.git.tiers.values().find(|tier| tier.endpoints.contains(&site.name.to_string()))?.name.clone();
        let (id, mut file) = site.world.with(|world| {
            let taken = |id: &OwnId| {
                self.git.vms.values().any(|vm| vm.adopt.as_ref().is_some_and(|(_, it)| *it == id.to_string()))
            };
            let free = world.vms().filter(|vm| !vm.template && owner(vm) == Owner::NotUs && !vm.disks.is_empty());
            let free = free.filter(|vm| !taken(&own_id(vm)));
            let vm = free.choose(&mut self.rng)?;
            Some((own_id(vm), people::as_manifest(world, vm, &tier)?))
        })?;
        self.drawer.made += 1;
        let key = format!("sim/taken-{}", self.drawer.made);
        let what = format!("{key} from {id} on {}", site.name);
        file.adopt = Some((site.name.to_string(), id.to_string()));
        self.git.vms.insert(key, file);
        self.git.write(&self.settings.source);
        Some(("git Adopt".to_owned(), what))
    }

    /// The administrator says that an endpoint is worked on, given up, or counted on again.
    fn change_state(&mut self) -> Option<Done> {
        let endpoint = self.settings.endpoints.choose_mut(&mut self.rng)?;
        endpoint.state = match endpoint.state {
            EndpointState::Active => *[EndpointState::Maintenance, EndpointState::Retired].choose(&mut self.rng)?,
            EndpointState::Maintenance | EndpointState::Retired => EndpointState::Active,
        };
        self.session = None;
        Some((format!("endpoint {:?}", endpoint.state), endpoint.name.to_string()))
    }

    /// Somebody installs guest tools in most VMs that we made.
    pub fn install_tools(&mut self) {
        for site in &self.sites {
            site.world.with(|world| {
                let bare = |vm: &&world::Vm| marks::text(vm).is_some() && !vm.guest.tools_installed;
                let ids: Vec<world::Id> = world.vms().filter(bare).map(|vm| vm.id).collect();
                for id in ids.into_iter().filter(|_| self.rng.random_bool(0.6)) {
                    world.edit_runtime(id, |vm| vm.guest.tools_installed = true);
                }
            });
        }
    }

    pub fn act_at_console(&mut self) -> Option<Done> {
        let deed = people::deed(&mut self.rng);
        let site = self.sites.choose(&mut self.rng)?;
        let what = people::act(deed, &site.world, &mut self.rng)?;
        Some((format!("console {deed:?}"), format!("{what} on {}", site.name)))
    }

    fn strike(&mut self) -> Done {
        let at = self.rng.random_range(0..self.sites.len());
        let vms: Vec<OwnId> =
            self.sites[at].world.with(|world| world.vms().filter(|vm| marks::text(vm).is_some()).map(own_id).collect());
        let some = vms.choose(&mut self.rng).cloned();
        let nth = self.rng.random_range(0..4);
        let fault = match (self.rng.random_range(0..16), some) {
            (0, _) => Fault::Outage,
            (1, _) => Fault::CutListing(self.rng.random_range(0..6)),
            (2, _) => Fault::Blind,
            (3, Some(id)) => Fault::Hidden(id),
            (4, Some(id)) => Fault::Denied(id),
            (5, Some(id)) => Fault::UnsetConfig(id),
            (6, Some(id)) => Fault::DeafGuest(id),
            (7, _) => Fault::Call(nth, CallTrouble::LoseReplyAndEndpoint),
            (8, _) => Fault::Call(nth, CallTrouble::Drop),
            (9 | 10, _) => Fault::Call(nth, CallTrouble::Late),
            (11, _) => Fault::Call(nth, CallTrouble::Refuse),
            (12, _) => Fault::Call(nth, CallTrouble::FailTask),
            (13, _) => Fault::Call(nth, CallTrouble::Unsent),
            (14, _) => Fault::Call(nth, CallTrouble::Busy),
            _ => Fault::Call(nth, CallTrouble::LoseReply),
        };
        self.sites[at].strike(&fault);
        self.figures.fault(fault.name());
        ("trouble".to_owned(), format!("{fault:?} at {}", self.sites[at].name))
    }

    fn heal(&mut self) -> Option<Done> {
        let site = self.sites.choose_mut(&mut self.rng)?;
        site.heal();
        Some(("trouble ends".to_owned(), format!("at {}", site.name)))
    }

    fn pass_time(&mut self) -> Done {
        let by = match self.rng.random_range(0..10) {
            0..4 => SignedDuration::from_hours(self.rng.random_range(1..=23)),
            4..8 => SignedDuration::from_hours(24 * self.rng.random_range(1..=8)),
            8 => -SignedDuration::from_mins(self.rng.random_range(1..=90)),
            _ => -SignedDuration::from_hours(self.rng.random_range(2..=72)),
        };
        self.set_clock(by);
        let kind = if by.is_negative() { "clock back" } else { "clock forward" };
        (kind.to_owned(), format!("{by:#}"))
    }

    pub fn set_clock(&self, by: SignedDuration) {
        if let Clock::Virtual(shared) = &self.clock {
            let mut now = shared.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.saturating_add(by).unwrap_or(*now);
        }
        // Only our own clock is ever set back.
        if let Ok(by) = std::time::Duration::try_from(by) {
            self.sites.iter().for_each(|site| site.switch.pass(by));
        }
    }

    fn approve(&mut self) -> Option<Done> {
        if self.shown.is_empty() {
            return None;
        }
        let choice = self.rng.random_range(1..=3);
        let typed: Vec<_> = self.shown.iter().sample(&mut self.rng, choice);
        for (digest, keys) in typed {
            self.typed.insert(digest.clone(), keys.clone());
        }
        Some(("approve".to_owned(), format!("{:?}", self.typed)))
    }

    pub fn pause_or_resume(&mut self) -> Done {
        let dir = &self.settings.state_dir;
        self.paused = !self.paused;
        if self.paused {
            tierwright::pause::pause(dir, Some("a person said so")).expect("a STOP file");
        } else {
            tierwright::pause::resume(dir).expect("no STOP file");
        }
        (if self.paused { "pause" } else { "resume" }.to_owned(), String::new())
    }

    fn restart(&mut self) -> Done {
        self.session = None;
        ("restart".to_owned(), String::new())
    }

    /// The state directory is lost.
    fn forget(&mut self) -> Done {
        self.session = None;
        self.memory = Volatile::default();
        self.forgot = true;
        self.past.destroys.clear();
        ("stateDir lost".to_owned(), String::new())
    }
}
