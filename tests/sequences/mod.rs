//! What only shows over several runs or days: each run plans, applies in the simulated world, and lets time pass.

use jiff::SignedDuration;
use tierwright::inventory::{Missing, View};
use tierwright::model::{Bytes, Prune, Tier, VmSpec};
use tierwright::plan::{Action, BlockCode, Limits, Plan, SourceTrust};

use crate::support::fleet::{self, Deployed, Input};
use crate::support::simulate::World;

/// One installation over time.
struct Life {
    world: World,
    input: Input,
}

impl Life {
    /// A fleet on tier-1 that was applied long ago.
    fn of(tier: Tier, vms: &[VmSpec]) -> Self {
        let observed = vms.iter().map(|spec| Deployed::of(spec, &tier).observed()).collect();
        let inventory = fleet::inventory(vec![("vc-prod", fleet::observed(observed))]);
        let world = World::settled(inventory);
        let input = Input {
            now: fleet::noon(),
            desired: fleet::desired(vec![tier], vms.to_vec()),
            source: SourceTrust::Settled,
            inventory: world.inventory.clone(),
            history: world.history.clone(),
            policy: fleet::policy(&["vc-prod"]),
            approvals: std::collections::BTreeSet::new(),
        };
        Self { world, input }
    }

    fn tier() -> Tier {
        fleet::tier("tier-1", &["vc-prod"])
    }

    fn want(&mut self, vms: Vec<VmSpec>) {
        let tiers = self.input.desired.tiers.values().cloned().collect();
        self.input.desired = fleet::desired(tiers, vms);
    }

    fn plan(&mut self) -> Plan {
        self.input.inventory = self.world.inventory.clone();
        self.input.history = self.world.history.clone();
        self.input.plan()
    }

    /// Plans and applies.
    fn run(&mut self) -> Plan {
        let plan = self.plan();
        self.world.apply(&plan, self.input.now);
        plan
    }

    fn pass(&mut self, hours: i64) {
        self.input.now += SignedDuration::from_hours(hours);
    }

    /// Somebody deletes a VM on the hypervisor; direct reads say so from now on.
    fn vanish(&mut self, name: &str) {
        let id = self.world.vm("vc-prod", name).id.clone();
        let endpoint = self.world.inventory.endpoints.get_mut(&fleet::endpoint_name("vc-prod")).unwrap();
        let View::Observed(observed) = &mut endpoint.view else { panic!("it answers") };
        observed.vms.retain(|vm| vm.id != id);
        observed.missing.insert(id, Missing::NotFound);
    }
}

fn fleet_of(names: impl IntoIterator<Item = u32>) -> Vec<VmSpec> {
    names.into_iter().map(|n| fleet::spec(&format!("erp/app-{n:03}"))).collect()
}

fn actions(plan: &Plan) -> Vec<(String, Action)> {
    plan.steps.iter().map(|step| (step.key.to_string(), step.action)).collect()
}

fn codes(plan: &Plan) -> Vec<(String, BlockCode)> {
    plan.blocked.iter().map(|blocked| (blocked.key.to_string(), blocked.code)).collect()
}

#[test]
fn a_removed_vm_is_retired_kept_for_its_grace_days_and_then_deleted() {
    let mut life = Life::of(Life::tier(), &fleet_of(1..=2));
    life.want(fleet_of(1..=1));
    assert_eq!(actions(&life.run()), [("erp/app-002".into(), Action::Retire)]);
    life.pass(6 * 24);
    let waiting = life.run();
    assert_eq!((actions(&waiting), codes(&waiting)), (vec![], vec![("erp/app-002".into(), BlockCode::InGrace)]));
    life.pass(25);
    assert_eq!(actions(&life.run()), [("erp/app-002".into(), Action::Delete)]);
    let quiet = life.run();
    assert_eq!((actions(&quiet), codes(&quiet)), (vec![], vec![]), "nothing of it is left");
}

#[test]
fn a_vm_back_in_git_is_as_it_was() {
    let vms = fleet_of(1..=2);
    let mut life = Life::of(Life::tier(), &vms);
    let before = life.world.vm("vc-prod", "app-002").clone();
    life.want(fleet_of(1..=1));
    life.run();
    life.pass(48);
    life.want(vms);
    assert_eq!(actions(&life.run()), [("erp/app-002".into(), Action::Restore)]);
    let after = life.world.vm("vc-prod", "app-002").clone();
    let (before, after) = (before.readable().unwrap(), after.readable().unwrap());
    assert_eq!((before.power, &before.nics, &before.disks), (after.power, &after.nics, &after.disks));
    assert!(life.plan().steps.is_empty());
}

#[test]
fn the_daily_limit_holds_over_several_runs_and_lets_go_after_a_day() {
    let mut life = Life::of(Life::tier(), &fleet_of(1..=30));
    let limits = Limits { destroys_per_day: 5, destroy_percent_per_tier_per_day: 100, ..Limits::default() };
    life.input.policy.limits = Limits { disruptions_per_run: 100, ..limits };
    life.want(fleet_of(4..=30));
    assert_eq!(life.run().steps.len(), 3, "three of five");
    life.pass(1);
    life.want(fleet_of(7..=30));
    let second = life.run();
    assert!(second.steps.is_empty(), "three and three are more than five: all wait");
    assert!(codes(&second).contains(&("erp/app-004".into(), BlockCode::DestroyLimit)));
    life.pass(22);
    assert!(life.run().steps.is_empty(), "23 hours later still");
    life.pass(2);
    let third = life.run();
    assert_eq!(third.steps.iter().filter(|step| step.action == Action::Retire).count(), 3, "a day later they may");
}

#[test]
fn a_delete_after_its_retire_does_not_count_again() {
    let mut life = Life::of(Life::tier(), &fleet_of(1..=30));
    let limits = Limits { destroys_per_day: 3, destroy_percent_per_tier_per_day: 100, ..Limits::default() };
    life.input.policy.limits = limits;
    life.want(fleet_of(4..=30));
    life.run();
    life.pass(8 * 24);
    life.want(fleet_of(7..=30));
    let plan = life.run();
    let number = |action| plan.steps.iter().filter(|step| step.action == action).count();
    assert_eq!((number(Action::Delete), number(Action::Retire)), (3, 3), "{plan:#?}");
}

#[test]
fn a_vm_that_vanishes_is_made_again_only_after_two_inventories() {
    let vms = fleet_of(1..=3);
    let mut life = Life::of(Life::tier(), &vms);
    life.vanish("app-002");
    let first = life.plan();
    assert_eq!((actions(&first), codes(&first)), (vec![], vec![("erp/app-002".into(), BlockCode::VmUnknown)]));
    life.world.look_again(life.input.now);
    assert_eq!(actions(&life.run()), [("erp/app-002".into(), Action::Create)]);
    assert!(life.plan().steps.is_empty());
}

#[test]
fn a_vm_that_comes_back_between_two_inventories_was_never_gone() {
    let mut life = Life::of(Life::tier(), &fleet_of(1..=3));
    let vm = life.world.vm("vc-prod", "app-002").clone();
    life.vanish("app-002");
    life.world.look_again(life.input.now);
    life.world.add(&fleet::endpoint_name("vc-prod"), vm);
    life.world.look_again(life.input.now);
    assert!(life.plan().steps.is_empty());
    life.vanish("app-002");
    let again = life.plan();
    assert_eq!(actions(&again), [], "the count began anew");
}

#[test]
fn protection_ends_only_once_a_revision_without_it_was_applied() {
    let mut vms = fleet_of(1..=2);
    vms[1].prevent_destroy = true;
    let mut life = Life::of(Life::tier(), &vms);
    life.want(fleet_of(1..=1));
    assert_eq!(codes(&life.run()), [("erp/app-002".into(), BlockCode::Protected)]);
    life.want(fleet_of(1..=2));
    assert_eq!(actions(&life.run()), [("erp/app-002".into(), Action::Update)], "writes the new protection");
    life.want(fleet_of(1..=1));
    assert_eq!(actions(&life.run()), [("erp/app-002".into(), Action::Retire)]);
}

#[test]
fn an_approved_retire_covers_its_delete() {
    let mut tier = Life::tier();
    tier.sync.prune = Prune::Confirm;
    let mut life = Life::of(tier, &fleet_of(1..=2));
    life.want(fleet_of(1..=1));
    let shown = life.plan();
    assert_eq!(codes(&shown), [("erp/app-002".into(), BlockCode::NeedsApproval)]);
    life.input.approvals.insert(shown.approval.expect("an approval helps").short().to_owned());
    assert_eq!(actions(&life.run()), [("erp/app-002".into(), Action::Retire)]);
    life.input.approvals.clear();
    life.pass(8 * 24);
    assert_eq!(actions(&life.run()), [("erp/app-002".into(), Action::Delete)]);
}

#[test]
fn an_approval_is_void_once_the_vm_has_changed() {
    let mut tier = Life::tier();
    tier.sync.prune = Prune::Confirm;
    let mut life = Life::of(tier, &fleet_of(1..=2));
    life.want(fleet_of(1..=1));
    let shown = life.plan();
    life.input.approvals.insert(shown.approval.expect("an approval helps").short().to_owned());
    if let tierwright::model::Config::Readable(config) = &mut life.world.vm("vc-prod", "app-002").config {
        std::sync::Arc::make_mut(config).disks[0].size = Bytes::gib(500);
    }
    assert!(life.plan().steps.is_empty(), "what was approved is not what is there now");
}

#[test]
fn the_hash_does_not_follow_what_moves_by_itself() {
    let mut life = Life::of(Life::tier(), &fleet_of(1..=2));
    life.want(fleet_of(1..=3));
    let before = life.plan();
    assert!(!before.steps.is_empty());
    life.pass(0);
    life.world.look_again(life.input.now);
    let endpoint = life.world.inventory.endpoints.get_mut(&fleet::endpoint_name("vc-prod")).unwrap();
    let View::Observed(observed) = &mut endpoint.view else { panic!("it answers") };
    for storage in &mut observed.catalog.storage {
        storage.free.0 -= Bytes::GIB;
    }
    let after = life.plan();
    assert_ne!(before.inventory, after.inventory, "it was looked at again");
    assert_eq!((before.hash, before.approval), (after.hash, after.approval));
}
