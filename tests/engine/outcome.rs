//! Exit codes: error before missing endpoint before held back.

use tierwright::apply::{ApplyReport, StepOutcome, StepReport};
use tierwright::outcome::{of_apply, of_plan};
use tierwright::plan::{Action, BlockCode, Blocked, InventoryLine, InventoryStatus, Plan};

use crate::fixtures::{endpoint, grow, key, plan};

fn with_block(mut plan: Plan, code: BlockCode) -> Plan {
    plan.blocked.push(Blocked {
        key: key("x"),
        endpoint: None,
        own_id: None,
        action: Action::Delete,
        code,
        why: String::new(),
        reasons: Vec::new(),
        digest: None,
    });
    plan
}

fn with_endpoint(mut plan: Plan, status: InventoryStatus) -> Plan {
    let line = InventoryLine { endpoint: endpoint("vc"), status, generation: 1, why: None, excused: false };
    plan.inventory.push(line);
    plan
}

fn report(outcomes: &[StepOutcome]) -> ApplyReport {
    let step = |outcome: &StepOutcome| StepReport {
        key: key("a"),
        endpoint: endpoint("vc"),
        action: Action::Update,
        outcome: outcome.clone(),
    };
    ApplyReport { steps: outcomes.iter().map(step).collect() }
}

fn why() -> String {
    "why".into()
}

#[test]
fn plan_tells_differences_only_when_asked_to() {
    assert_eq!(of_plan(None, false), 1);
    assert_eq!(of_plan(Some(&plan(vec![])), true), 0);
    assert_eq!(of_plan(Some(&plan(vec![grow("vc", "a")])), false), 0);
    assert_eq!(of_plan(Some(&plan(vec![grow("vc", "a")])), true), 2);
    assert_eq!(of_plan(Some(&with_block(plan(vec![]), BlockCode::NeedsApproval)), true), 2);
}

#[test]
fn a_tier_that_is_not_configured_and_a_vm_in_its_grace_days_are_no_failure() {
    for code in [BlockCode::NotConfigured, BlockCode::InGrace] {
        let plan = with_block(plan(vec![]), code);
        assert_eq!((of_plan(Some(&plan), true), of_apply(Some(&plan), None)), (0, 0));
    }
}

#[test]
fn an_endpoint_that_is_missing_is_4_for_plan_and_apply() {
    for status in [InventoryStatus::Incomplete, InventoryStatus::Unreachable] {
        let plan = with_endpoint(plan(vec![]), status);
        assert_eq!((of_plan(Some(&plan), true), of_apply(Some(&plan), None)), (4, 4));
    }
    assert_eq!(of_apply(Some(&with_endpoint(plan(vec![]), InventoryStatus::Complete)), None), 0);
    let mut retired = with_endpoint(plan(vec![]), InventoryStatus::Unreachable);
    retired.inventory[0].excused = true;
    assert_eq!((of_plan(Some(&retired), true), of_apply(Some(&retired), None)), (0, 0));
}

#[test]
fn apply_puts_an_error_before_a_missing_endpoint_before_something_held_back() {
    let code = |outcomes: &[StepOutcome]| of_apply(Some(&plan(vec![grow("vc", "a")])), Some(&report(outcomes)));
    assert_eq!(of_apply(None, None), 1);
    assert_eq!(code(&[StepOutcome::Done]), 0);
    assert_eq!(code(&[StepOutcome::Done, StepOutcome::Gated(why())]), 3);
    assert_eq!(code(&[StepOutcome::Changed(why())]), 3);
    assert_eq!(code(&[StepOutcome::Gated(why()), StepOutcome::EndpointLost(why())]), 4);
    assert_eq!(code(&[StepOutcome::EndpointLost(why()), StepOutcome::Failed(why())]), 1);
    assert_eq!(code(&[StepOutcome::Stopped(why())]), 1);
    assert_eq!(of_apply(Some(&with_block(plan(vec![]), BlockCode::DestroyLimit)), Some(&report(&[]))), 3);
}

#[test]
fn a_person_who_says_no_gets_no_success() {
    assert_eq!(of_apply(Some(&plan(vec![grow("vc", "a")])), None), 1);
}
