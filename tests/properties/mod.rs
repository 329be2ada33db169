//! What must hold for every fleet: random fleets, edits, drift, removals, outages. Seeds are fixed, so a run repeats.

mod generate;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use tierwright::inventory::View;
use tierwright::mark::{Mark, Standing, judge};
use tierwright::model::{ObservedVm, OwnId, TierName, VmKey};
use tierwright::plan::render::{TextOptions, diff, markdown, text};
use tierwright::plan::{Action, BlockCode, Blocked, Limits, Plan};

use crate::support::fleet::{INSTALLATION, Input};
use crate::support::simulate::World;
use generate::{Scene, outages, scene, shuffled, steady};

fn runs(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_260_302),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn all_vms(input: &Input) -> impl Iterator<Item = &ObservedVm> {
    input.inventory.endpoints.values().flat_map(|endpoint| match &endpoint.view {
        View::Observed(observed) => observed.vms.as_slice(),
        View::Unreachable(_) => &[],
    })
}

fn ours(vm: &ObservedVm) -> Option<Box<Mark>> {
    match judge(vm, INSTALLATION) {
        Standing::Ours(mark) => Some(mark),
        _ => None,
    }
}

fn json(plan: &Plan) -> String {
    serde_json::to_string(plan).unwrap()
}

/// Applies the plans of an input until nothing is left to do, at most `rounds` times; answers the last plan.
fn settle(input: &mut Input, rounds: usize) -> Plan {
    for _ in 0..rounds {
        let plan = input.plan();
        if plan.steps.is_empty() {
            return plan;
        }
        apply(input, &plan);
    }
    input.plan()
}

fn apply(input: &mut Input, plan: &Plan) {
    input.now += SignedDuration::from_mins(1);
    let mut world = World { inventory: input.inventory.clone(), history: input.history.clone(), ..World::default() };
    world.apply(plan, input.now);
    (input.inventory, input.history) = (world.inventory, world.history);
}

proptest! {
    #![proptest_config(runs(96))]

    #[test]
    fn apply_then_plan_is_empty(scene in scene()) {
        let mut input = scene.at_once().input();
        input.policy.limits.destroy_percent_per_tier_per_day = 100;
        let plan = input.plan();
        apply(&mut input, &plan);
        let left = input.plan();
        prop_assert!(left.steps.is_empty(), "after\n{}\nthere is left\n{}", plain(&plan), plain(&left));
        // What the plan said things would cost is what they cost.
        for (promised, found) in plan.cost.iter().zip(&left.cost) {
            prop_assert_eq!(promised.after, found.before, "{}\n{}", plain(&plan), plain(&left));
        }
    }

    #[test]
    fn a_plan_is_the_same_again_until_it_says_that_it_may_be_another(scene in scene(), outage in outages(), rounds in 0usize..3) {
        let mut input = scene.input();
        settle(&mut input, rounds);
        outage.strike(&mut input);
        let (plan, until) = input.plan_for();
        let then = Input { now: until.unwrap_or(input.now + SignedDuration::from_hours(24 * 400)), ..input.clone() };
        let just_before = Input { now: then.now - SignedDuration::from_secs(1), ..input.clone() };
        if just_before.now > input.now {
            prop_assert_eq!(json(&plan), json(&just_before.plan()));
        }
        if until.is_some_and(|until| until > input.now) {
            prop_assert_ne!(json(&plan), json(&then.plan()));
        }
    }

    #[test]
    fn every_fleet_settles(scene in scene(), outage in outages()) {
        let mut input = scene.input();
        outage.strike(&mut input);
        let left = settle(&mut input, 3);
        prop_assert!(left.steps.is_empty(), "{}", plain(&left));
    }

    #[test]
    fn input_order_does_not_matter_and_equal_input_gives_equal_bytes(scene in scene(), outage in outages(), seed: u64) {
        let mut input = scene.input();
        outage.strike(&mut input);
        let plan = json(&input.plan());
        prop_assert_eq!(&plan, &json(&input.plan()));
        prop_assert_eq!(&plan, &json(&shuffled(&input, seed).plan()));
    }

    #[test]
    fn every_desired_or_owned_vm_is_accounted_once(scene in scene(), outage in outages()) {
        let mut input = scene.input();
        outage.strike(&mut input);
        let plan = input.plan();
        let named: Vec<&VmKey> =
            plan.steps.iter().map(|step| &step.key).chain(plan.blocked.iter().map(|blocked| &blocked.key)).collect();
        let once: BTreeSet<&VmKey> = named.iter().copied().collect();
        prop_assert_eq!(once.len(), named.len(), "a key is named twice:\n{}", plain(&plan));
        let marks: Vec<_> = all_vms(&input).filter_map(ours).collect();
        let mut known: BTreeSet<&VmKey> = input.desired.vms.keys().collect();
        // A renamed VM counts under its new key.
        let old: BTreeSet<&VmKey> = input.desired.vms.values().filter_map(|spec| spec.renamed_from.as_ref()).collect();
        known.extend(marks.iter().map(|mark| &mark.key).filter(|key| !old.contains(key)));
        let quiet = known.iter().filter(|key| !once.contains(**key)).count();
        prop_assert_eq!(plan.in_sync as usize, quiet, "{}", plain(&plan));
    }

    #[test]
    fn unmanaged_vms_are_never_named_and_never_changed(scene in scene()) {
        let mut input = scene.input();
        let adopted: BTreeSet<&OwnId> = input.desired.vms.values().filter_map(|it| Some(&it.adopt.as_ref()?.id)).collect();
        let unmanaged = all_vms(&input).filter(|vm| ours(vm).is_none() && !adopted.contains(&vm.id));
        let unmanaged: BTreeMap<OwnId, ObservedVm> = unmanaged.map(|vm| (vm.id.clone(), vm.clone())).collect();
        let plan = input.plan();
        for step in &plan.steps {
            prop_assert!(step.own_id.as_ref().is_none_or(|id| !unmanaged.contains_key(id)), "{}", plain(&plan));
        }
        apply(&mut input, &plan);
        let after: BTreeMap<OwnId, ObservedVm> = all_vms(&input).map(|vm| (vm.id.clone(), vm.clone())).collect();
        for (id, vm) in unmanaged {
            prop_assert_eq!(after.get(&id), Some(&vm));
        }
    }

    #[test]
    fn unknown_never_leads_to_create_or_destroy(scene in scene(), outage in outages()) {
        let mut input = scene.input();
        let before: BTreeMap<OwnId, VmKey> =
            all_vms(&input).filter_map(|vm| Some((vm.id.clone(), ours(vm)?.key))).collect();
        outage.strike(&mut input);
        let seen: BTreeSet<OwnId> =
            all_vms(&input).filter(|vm| vm.readable().is_some()).map(|vm| vm.id.clone()).collect();
        let hidden: BTreeSet<&VmKey> = before.iter().filter(|(id, _)| !seen.contains(*id)).map(|(_, key)| key).collect();
        let plan = input.plan();
        for step in plan.steps.iter().filter(|step| step.action == Action::Create || step.action.is_destroy()) {
            prop_assert!(!hidden.contains(&step.key), "{} is hidden:\n{}", step.key, plain(&plan));
            prop_assert!(!outage.hides(&step.endpoint) || step.action != Action::Create, "{}", plain(&plan));
        }
    }

    #[test]
    fn an_approval_lets_go_only_what_was_shown_to_wait(scene in scene(), outage in outages()) {
        let mut input = scene.input();
        outage.strike(&mut input);
        let shown = input.plan();
        // What would pass a cap together is approved one by one, never by the one digest.
        let at_once = |blocked: &&Blocked| blocked.digest.is_some() && blocked.code != BlockCode::DestroyLimit;
        let waiting = shown.blocked.iter().filter(at_once);
        let mut may: BTreeSet<(&VmKey, Action)> = waiting.map(|blocked| (&blocked.key, blocked.action)).collect();
        prop_assert_eq!(shown.approval.is_some(), !may.is_empty(), "{}", plain(&shown));
        may.extend(shown.steps.iter().map(|step| (&step.key, step.action)));
        // What waited only for something that waits goes with it.
        let after = shown.blocked.iter().filter(|blocked| blocked.code == BlockCode::Dependency);
        may.extend(after.map(|blocked| (&blocked.key, blocked.action)));
        input.approvals.extend(shown.approval.iter().map(|digest| digest.short().to_owned()));
        let plan = input.plan();
        for step in &plan.steps {
            prop_assert!(may.contains(&(&step.key, step.action)), "{}\n{}", plain(&shown), plain(&plan));
        }
    }

    #[test]
    fn a_smaller_desired_set_never_creates(scene in scene(), keep: u64) {
        let mut input = scene.input();
        settle(&mut input, 3);
        let before: BTreeSet<VmKey> = created(&input.plan());
        let mut n = 0;
        input.desired.vms.retain(|_, _| { n += 1; keep >> (n % 64) & 1 == 1 });
        let plan = input.plan();
        prop_assert!(created(&plan).is_subset(&before), "{}", plain(&plan));
    }

    #[test]
    fn every_form_names_every_step(scene in scene(), outage in outages()) {
        let mut input = scene.input();
        outage.strike(&mut input);
        let plan = input.plan();
        prop_assert_eq!(&serde_json::from_str::<Plan>(&json(&plan)).unwrap(), &plan);
        for form in [plain(&plan), markdown(&plan), diff(&plan)] {
            for step in &plan.steps {
                prop_assert!(form.contains(&step.key.to_string()), "{} is missing:\n{form}", step.key);
            }
        }
        let text = plain(&plan);
        for reason in plan.steps.iter().flat_map(|step| &step.reasons) {
            prop_assert!(text.contains(&reason.field), "{} is missing:\n{text}", reason.field);
        }
        prop_assert_eq!(plan.summary.values().sum::<u32>() as usize, plan.steps.len());
    }
}

#[test]
fn destroys_stay_within_the_limits_of_any_day() {
    let destroyed = Cell::new(0);
    let removals = proptest::collection::vec((0usize..=1, 2i64..=12), 16);
    let percent = prop_oneof![Just(5u32), Just(25), Just(100)];
    let lives = (steady(), removals, 1u32..=6, percent);
    let result = TestRunner::new(runs(24)).run(&lives, |(scene, removals, per_day, percent)| {
        let mut input = scene.input();
        input.policy.limits = Limits {
            destroys_per_day: per_day,
            destroy_percent_per_tier_per_day: percent,
            disruptions_per_run: 1000,
            ..Limits::default()
        };
        let mut owned: Vec<(Timestamp, BTreeMap<TierName, u32>)> = Vec::new();
        for (remove, hours) in removals {
            let keys: Vec<_> = input.desired.vms.keys().take(remove).cloned().collect();
            input.desired.vms.retain(|key, _| !keys.contains(key));
            input.now += SignedDuration::from_hours(hours);
            let day_ago = input.now - SignedDuration::from_hours(24);
            owned.push((input.now, owned_per_tier(&input)));
            let start = owned.iter().rev().find(|(at, _)| *at <= day_ago).or(owned.first());
            input.history.owned_at_window_start = start.map(|(_, owned)| owned.clone()).unwrap_or_default();
            let plan = input.plan();
            apply(&mut input, &plan);
            check_day(&input, &owned)?;
        }
        destroyed.set(destroyed.get() + input.history.destroys.len());
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(destroyed.get() > 100, "only {} destroys were ever seen: this proves little", destroyed.get());
}

fn owned_per_tier(input: &Input) -> BTreeMap<TierName, u32> {
    let mut owned = BTreeMap::new();
    for mark in all_vms(input).filter_map(ours) {
        *owned.entry(mark.tier).or_default() += 1;
    }
    owned
}

/// Counts what the journal holds of the last 24 hours against the limits.
fn check_day(input: &Input, owned: &[(Timestamp, BTreeMap<TierName, u32>)]) -> Result<(), TestCaseError> {
    let day_ago = input.now - SignedDuration::from_hours(24);
    let counted = input.history.destroys.iter().filter(|it| it.at > day_ago && !it.after_retire);
    let counted: Vec<_> = counted.collect();
    let limits = input.policy.limits;
    prop_assert!(counted.len() <= limits.destroys_per_day as usize, "{} destroys in a day", counted.len());
    let mut per_tier: BTreeMap<&TierName, u32> = BTreeMap::new();
    for destroyed in counted {
        *per_tier.entry(&destroyed.tier).or_default() += 1;
    }
    for (tier, n) in per_tier {
        let most = owned.iter().filter_map(|(_, owned)| owned.get(tier)).max().copied().unwrap_or_default();
        let allowed = (most * limits.destroy_percent_per_tier_per_day / 100).max(1);
        let off = limits.destroy_percent_per_tier_per_day == 100;
        prop_assert!(off || n <= allowed, "{n} destroys of {tier} in a day, {allowed} allowed of {most}");
    }
    Ok(())
}

fn created(plan: &Plan) -> BTreeSet<VmKey> {
    let steps = plan.steps.iter().filter(|step| step.action == Action::Create).map(|step| &step.key);
    let blocked = plan.blocked.iter().filter(|it| it.action == Action::Create).map(|it| &it.key);
    steps.chain(blocked).cloned().collect()
}

fn plain(plan: &Plan) -> String {
    text(plan, &TextOptions::default())
}

#[test]
fn the_generator_reaches_what_the_properties_are_about() {
    use proptest::strategy::ValueTree as _;
    let mut runner = TestRunner::new(runs(1));
    let mut done = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for _ in 0..200 {
        let scene: Scene = scene().new_tree(&mut runner).unwrap().current();
        let plan = scene.input().plan();
        done.extend(plan.steps.iter().map(|step| step.action));
        codes.extend(plan.blocked.iter().map(|blocked| blocked.code));
    }
    let wanted = [
        Action::Create,
        Action::Update,
        Action::PowerOn,
        Action::PowerOff,
        Action::Retire,
        Action::Restore,
        Action::Delete,
        Action::Release,
        Action::Adopt,
        Action::Rename,
    ];
    let missing: Vec<_> = wanted.into_iter().filter(|action| !done.contains(action)).collect();
    assert!(missing.is_empty() && codes.len() >= 8, "never seen: {missing:?}; codes: {codes:?}");
}
