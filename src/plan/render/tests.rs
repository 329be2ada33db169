//! One rich plan, looked at in every form. Whole previews of real plans are the goldens under `tests/plans`.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{TextOptions, diff, markdown, text};
use crate::model::{Currency, Digest, EndpointName, Money, OwnId, Revision, TierName, VmKey};
use crate::plan::{
    Action, Because, BlockCode, Blocked, CostLine, InventoryLine, InventoryStatus, Landing, Note, Plan, Precondition,
    Reason, Risk, Step,
};

fn key(text: &str) -> VmKey {
    VmKey::parse(text).unwrap()
}

fn endpoint(name: &str) -> EndpointName {
    EndpointName::new(name).unwrap()
}

fn usd(before: &str, after: &str) -> CostLine {
    let money = |text| Money::parse(text).unwrap();
    CostLine { currency: Currency::new("USD").unwrap(), before: money(before), after: money(after) }
}

fn reason(field: &str, from: Option<&str>, to: Option<&str>, because: Because) -> Reason {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Reason { field: field.into(), from: own(from), to: own(to), because, lands: Landing::Hot, detail: None }
}

fn step(key_text: &str, action: Action, reasons: Vec<Reason>) -> Step {
    let identity = Uuid::nil();
    Step {
        key: key(key_text),
        tier: TierName::new("tier-1").unwrap(),
        endpoint: endpoint("vc-prod"),
        own_id: None,
        identity,
        action,
        lands: reasons.iter().map(|reason| reason.lands).max().unwrap_or(Landing::Hot),
        reasons,
        risk: if action.is_destroy() { Risk::High } else { Risk::Low },
        cost: None,
        depends_on: vec![],
        preconditions: Precondition::Absent { identity, name: "x".into() },
        operations: vec![],
    }
}

fn blocked(key_text: &str, code: BlockCode, why: &str, digest: Option<&str>) -> Blocked {
    Blocked {
        key: key(key_text),
        endpoint: Some(endpoint("vc-prod")),
        own_id: Some(OwnId::new("4211-aa")),
        action: Action::Retire,
        code,
        why: why.into(),
        reasons: vec![],
        digest: digest.map(|text| Digest::of(text.as_bytes())),
    }
}

fn steps() -> Vec<Step> {
    let mut create = step(
        "erp/web-03",
        Action::Create,
        vec![
            reason("cpus", None, Some("4"), Because::New),
            reason("memory", None, Some("8GiB"), Because::New),
            reason("disks/root", None, Some("40GiB"), Because::New),
            reason("cloudInit/userData", None, Some("CANARY"), Because::New),
        ],
    );
    create.cost = Some(usd("0", "92.74"));
    create.depends_on = vec![key("erp/dc-01")];
    let mut memory = reason("memory", Some("32GiB"), Some("48GiB"), Because::ManifestChanged);
    memory.lands = Landing::Reboot;
    memory.detail = Some("memory hot-add is off on this VM".into());
    let grown = reason("disks/data/size", Some("400GiB"), Some("500GiB"), Because::ManifestChanged);
    let mut reboot = step("erp/erp-db-01", Action::Update, vec![memory, grown]);
    reboot.cost = Some(usd("498.00", "616.44"));
    let drift = reason("nics/eth0/network", Some("PG\u{1b}[2J-X"), Some("PG-DB-20"), Because::Drifted);
    let hot = step("erp/app-01", Action::Update, vec![drift]);
    let mut gone =
        step("erp/old-01", Action::Delete, vec![reason("retired", Some("7 days"), None, Because::GraceOver)]);
    gone.cost = Some(usd("120", "0"));
    vec![create, hot, reboot, gone]
}

fn plan() -> Plan {
    let unseen = InventoryLine {
        endpoint: endpoint("xs-hosted"),
        status: InventoryStatus::Unreachable,
        generation: 41,
        why: Some("connection refused by 10.0.0.9:443".into()),
        excused: false,
    };
    let steps = steps();
    let mut summary = BTreeMap::new();
    for step in &steps {
        *summary.entry(step.action).or_default() += 1;
    }
    Plan {
        format_version: 1,
        installation: "prod".into(),
        revision: Revision("4f1c22d".into()),
        settings: Digest::of(b"settings"),
        inventory: vec![unseen],
        steps,
        blocked: vec![
            blocked("erp/left-01", BlockCode::NeedsApproval, "prune is confirm", Some("one")),
            blocked("erp/left-02", BlockCode::NeedsApproval, "prune is confirm", Some("two")),
            blocked("web/far-01", BlockCode::EndpointUnknown, "xs-hosted did not answer", None),
        ],
        in_sync: 212,
        unmanaged: 17,
        summary,
        cost: vec![usd("48210.00", "48301.18")],
        notes: vec![Note { key: Some(key("erp/app-01")), text: "image differs from the one it was made from".into() }],
        hash: Digest::of(b"plan"),
        approval: Some(Digest::of(b"all")),
    }
}

fn position(text: &str, part: &str) -> usize {
    text.find(part).unwrap_or_else(|| panic!("`{part}` is not in:\n{text}"))
}

#[test]
fn first_line_is_the_verdict_with_the_worst_first() {
    let text = text(&plan(), &TextOptions::default());
    assert_eq!(
        text.lines().next(),
        Some("Will DELETE 1 VM, REBOOT 1, create 1, update 1. 3 blocked (2 await approval). 1 endpoint IN DOUBT."),
        "{text}"
    );
}

#[test]
fn what_hurts_stands_before_what_does_not() {
    let text = text(&plan(), &TextOptions::default());
    let order =
        ["NOT FULLY SEEN", "\nDESTROY", "\nINTERRUPT", "\nCREATE", "\nCHANGE", "\nBLOCKED", "\nNOTES", "\ncounts"];
    let places: Vec<_> = order.iter().map(|part| position(&text, part)).collect();
    assert!(places.is_sorted(), "{text}");
    assert!(text.trim_end().ends_with(plan().hash.as_str()));
}

#[test]
fn a_reboot_names_the_field_and_why_it_cannot_be_hot() {
    let text = text(&plan(), &TextOptions::default());
    let memory = position(&text, "32GiB -> 48GiB");
    assert!(text[memory..].contains("needs a reboot: memory hot-add is off on this VM"), "{text}");
    assert!(text.contains("update, REBOOTS"));
}

#[test]
fn approvals_are_commands_to_copy() {
    let all = Digest::of(b"all");
    for form in [text(&plan(), &TextOptions::default()), markdown(&plan())] {
        assert!(form.contains(&format!("tierwright apply --approve {}", all.short())), "{form}");
        assert!(form.contains(Digest::of(b"one").short()), "one may be approved without the other:\n{form}");
    }
    assert!(diff(&plan()).contains(&format!("tierwright apply --approve {}", Digest::of(b"two").short())));
}

#[test]
fn no_form_leaks_a_secret_or_a_control_character() {
    let plain = TextOptions::default();
    for form in [text(&plan(), &plain), markdown(&plan()), diff(&plan())] {
        assert!(!form.contains("CANARY"), "{form}");
        assert!(!form.contains('\u{1b}'), "{form}");
        assert!(form.contains("u{1b}"), "the escaped name is still told:\n{form}");
    }
}

#[test]
fn the_text_fits_its_width() {
    for width in [60, 80, 100, 160] {
        let text = text(&plan(), &TextOptions { color: false, width });
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest <= width.max(76), "what must stay whole aside, {longest} > {width}:\n{text}");
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let coloured = text(&plan(), &TextOptions { color: true, width: 100 });
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some(start) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..start]);
        let end = rest[start..].find('m').expect("every sequence is a colour");
        rest = &rest[start + end + 1..];
    }
    plain.push_str(rest);
    let trimmed: Vec<_> = plain.lines().map(str::trim_end).collect();
    assert_eq!(trimmed.join("\n"), text(&plan(), &TextOptions::default()).trim_end());
}

#[test]
fn many_hopeless_ones_are_counted_and_every_approvable_one_is_named() {
    let mut plan = plan();
    let far = |n| blocked(&format!("web/far-{n:03}"), BlockCode::EndpointUnknown, "xs-hosted did not answer", None);
    plan.blocked = (0..300).map(far).collect();
    let hopeless = text(&plan, &TextOptions::default());
    assert!(hopeless.contains("and 280 more (`-o json` names each)"), "{hopeless}");
    for blocked in &mut plan.blocked {
        blocked.digest = Some(Digest::of(b"together"));
    }
    let approvable = text(&plan, &TextOptions::default());
    assert!((0..300).all(|n| approvable.contains(&format!("web/far-{n:03}"))));
    assert_eq!(approvable.matches(Digest::of(b"together").short()).count(), 1, "one digest, one command");
    for (n, blocked) in plan.blocked.iter_mut().enumerate() {
        blocked.digest = Some(Digest::of(&[u8::try_from(n % 251).unwrap()]));
    }
    let apart = text(&plan, &TextOptions::default());
    assert!((0..300).all(|n| apart.contains(&format!("web/far-{n:03}"))));
    assert!(apart.lines().count() < 120, "names in rows, not a line each:\n{apart}");
}

#[test]
fn nothing_to_do_is_said_in_one_line() {
    let mut plan = plan();
    plan.steps.clear();
    plan.blocked.clear();
    plan.inventory.clear();
    plan.approval = None;
    let text = text(&plan, &TextOptions::default());
    assert_eq!(text.lines().next(), Some("Nothing to do: 212 VMs are as desired."));
    assert_eq!(diff(&plan), "");
}

#[test]
fn the_diff_is_yaml_with_the_old_and_the_new_side() {
    let diff = diff(&plan());
    for part in [
        "--- erp/erp-db-01 (vc-prod)\n+++ erp/erp-db-01 (4f1c22d)",
        "-memory: 32GiB\n",
        "+memory: 48GiB\n",
        "+    size: 500GiB\n",
    ] {
        position(&diff, part);
    }
    assert!(position(&diff, "erp/old-01") < position(&diff, "erp/web-03"), "destructive first:\n{diff}");
}

#[test]
fn markdown_starts_with_a_table_and_unfolds_what_hurts() {
    let markdown = markdown(&plan());
    assert!(position(&markdown, "| what | how many |") < position(&markdown, "<details"));
    assert!(markdown.contains("<details open><summary><b>DESTROY (1)</b></summary>"), "{markdown}");
    assert!(markdown.contains("<details><summary><b>CREATE (1)</b></summary>"), "{markdown}");
}
