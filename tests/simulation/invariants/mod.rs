//! What must hold after every step of every simulation: one function a rule, each with the sentence of DESIGN it stands
//! for. They judge by the truth of the worlds, which no plan can see, and share no code with `plan/safety`.
//!
//! ```text
//! plans.rs      of a plan, against what was true when it was made
//! touching.rs   of every call: whose VM, and may it be touched?
//! destroys.rs   of every call that takes something away
//! lasting.rs    of the worlds before and after
//! settling.rs   once nothing goes wrong any more
//! ```

pub mod destroys;
pub mod lasting;
pub mod plans;
pub mod settling;
pub mod touching;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tierwright::lab::world;
use tierwright::mark::{self, Mark, Pending};
use tierwright::model::{EndpointName, OwnId, TierName, VmKey};
use tierwright::plan::Limits;

use crate::git::{Git, Shape};
use crate::marks;
use crate::site::Site;
use crate::watched::Sent;

/// The installation of all simulations.
pub const INSTALLATION: &str = "sim";

/// A rule that did not hold.
#[derive(Debug)]
pub struct Violation {
    /// The function that found it.
    pub rule: &'static str,
    /// The sentence of DESIGN.
    pub sentence: &'static str,
    /// What happened.
    pub what: String,
}

pub type Holds = Result<(), Violation>;

/// A rule, to be broken with particulars.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub name: &'static str,
    pub sentence: &'static str,
}

impl Rule {
    pub fn broken(self, what: impl Into<String>) -> Holds {
        Err(Violation { rule: self.name, sentence: self.sentence, what: what.into() })
    }
}

/// All VMs and disk files of all sites, as they are.
#[derive(Debug, Clone)]
pub struct Truth {
    pub vms: BTreeMap<(EndpointName, world::Id), world::Vm>,
    /// With the id that each has for good.
    pub files: BTreeMap<(EndpointName, std::sync::Arc<str>), uuid::Uuid>,
}

/// Whose a VM really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's that we know of: no mark, another's, a copy, or one that cannot be read.
    NotUs,
    /// Ours.
    Us(Box<Mark>),
    /// A create of ours that is not finished.
    Unfinished(uuid::Uuid),
}

/// What is known of one cycle when its rules are asked.
pub struct Cycle<'a> {
    pub git: &'a Git,
    /// When it was looked.
    pub now: Timestamp,
    /// Endpoints of which nothing, or not all, was to be seen at the look.
    pub dark: &'a BTreeSet<EndpointName>,
    /// VMs that were not to be seen, or not to be read, at the look.
    pub unseen: &'a BTreeSet<OwnId>,
    /// Keys for which a digest was typed that had been shown for them.
    pub approved: &'a BTreeSet<VmKey>,
    pub paused: bool,
    /// Endpoints that may not be changed.
    pub observed_only: &'a BTreeSet<EndpointName>,
    /// Our memory was lost at some time: what nobody remembers cannot be told from what never was.
    pub forgot: bool,
    /// Endpoints in state retired, of which nobody counts on an answer.
    pub given_up: BTreeSet<EndpointName>,
    /// Endpoints in maintenance.
    pub excused: BTreeSet<EndpointName>,
    pub limits: Limits,
}

impl Cycle<'_> {
    pub fn source_is_good(&self) -> bool {
        self.git.shape == Shape::Good
    }
}

/// Reads the worlds.
pub fn truth(sites: &[Site]) -> Truth {
    let mut truth = Truth { vms: BTreeMap::new(), files: BTreeMap::new() };
    for site in sites {
        site.world.with(|world| {
            truth.vms.extend(world.vms().map(|vm| ((site.name.clone(), vm.id), vm.clone())));
            let file =
                |(path, file): (&std::sync::Arc<str>, &world::DiskFile)| ((site.name.clone(), path.clone()), file.uuid);
            truth.files.extend(world.files.iter().map(file));
        });
    }
    truth
}

pub fn own_id(vm: &world::Vm) -> OwnId {
    OwnId::new(&vm.instance_uuid.to_string())
}

/// Whose is it? By its mark and its very own id.
pub fn owner(vm: &world::Vm) -> Owner {
    let birth = vm.name.strip_prefix("tierwright-").and_then(|rest| rest.parse().ok());
    let Some(text) = marks::text(vm) else { return birth.map_or(Owner::NotUs, Owner::Unfinished) };
    let Ok(mark) = mark::parse(text) else { return Owner::NotUs };
    let its_own = mark.own_id.as_ref().is_none_or(|id| *id == own_id(vm));
    if mark.installation != INSTALLATION || !its_own {
        return Owner::NotUs;
    }
    if mark.own_id.is_none() || mark.pending == Some(Pending::Create) {
        return Owner::Unfinished(mark.identity);
    }
    Owner::Us(Box::new(mark))
}

/// What of the past the rules must know.
#[derive(Debug, Default)]
pub struct Past {
    /// Destroys as they were begun, once per VM and day.
    pub destroys: Vec<Destroy>,
    /// How many VMs of each tier were ours, at each step.
    pub owned: Vec<(Timestamp, BTreeMap<TierName, u32>)>,
    /// VMs whose removal a person approved at some time.
    pub approved: BTreeSet<OwnId>,
    /// Identities of VMs that were not to be seen when their key was made again and nobody remembered them: no program
    /// can know of these.
    pub unknowable: BTreeSet<uuid::Uuid>,
    /// VMs that we made.
    pub made: BTreeSet<(EndpointName, world::Id)>,
}

/// One VM that began to be taken away.
#[derive(Debug, Clone)]
pub struct Destroy {
    pub at: Timestamp,
    pub tier: TierName,
    pub own_id: OwnId,
}

/// All rules about the calls of one run, and about the worlds before and after it.
pub fn of_run(cycle: &Cycle<'_>, sent: &[Sent], (before, after): (&Truth, &Truth), past: &mut Past) -> Holds {
    for call in sent {
        touching::nothing_is_sent_while_paused(cycle, call)?;
        touching::an_endpoint_that_is_only_observed_is_not_changed(cycle, call)?;
        touching::no_mark_no_touch(cycle, call)?;
        touching::suspended_vms_are_never_changed(call)?;
        touching::a_hot_change_stops_no_guest(call)?;
        touching::a_create_makes_no_twin(cycle, call, before, past)?;
        if call.begins_destroy() {
            destroys::only_the_very_vm_that_carries_our_mark(cycle, call)?;
            destroys::protection_is_judged_by_the_mark(call)?;
            destroys::only_a_good_source_may_lead_to_a_destroy(cycle, call)?;
            destroys::only_what_left_git_is_destroyed(cycle, call)?;
            destroys::its_endpoint_listed_everything(cycle, call)?;
            destroys::prune_confirm_waits_for_an_approval(cycle, call, past)?;
            destroys::grace_days_pass_before_a_delete(call)?;
            destroys::an_orphan_whose_tier_is_gone_is_kept(cycle, call)?;
            destroys::limits_hold_over_a_sliding_day(cycle, call, past)?;
        }
    }
    lasting::what_is_not_ours_is_unchanged(sent, before, after)?;
    lasting::a_mark_s_generation_only_grows(before, after)?;
    lasting::no_disk_is_lost_but_by_its_delete(sent, before, after)?;
    lasting::nothing_is_created_twice(before, after, past)
}
