//! One folder, one case.

mod case;
mod operations;
mod terse;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use similar::TextDiff;
use tierwright::plan::render::{TextOptions, diff, markdown, text};
use tierwright::plan::{Action, BlockCode, Plan};

use crate::support::simulate::World;
use case::Case;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

fn cases() -> Vec<Case> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.iter().map(|folder| Case::read(folder)).collect()
}

/// The preview, what apply does, and what is left.
fn story(case: &Case, plan: &Plan) -> String {
    let mut story = text(plan, &TextOptions { color: false, width: 100 });
    if plan.steps.is_empty() {
        return story;
    }
    story.push_str("\n== apply\n");
    for step in &plan.steps {
        story.push_str(&operations::line(step));
    }
    let mut world = World {
        inventory: case.input.inventory.clone(),
        history: case.input.history.clone(),
        shelf: case.shelf.clone(),
    };
    let now = case.input.now + jiff::SignedDuration::from_mins(1);
    world.apply(plan, now);
    let mut later = case.input.clone();
    (later.inventory, later.history, later.now) = (world.inventory, world.history, now);
    let later = text(&later.plan(), &TextOptions::default());
    story.push_str("\n== afterwards\n");
    story.push_str(later.split("\n\n").next().unwrap_or_default().trim_end());
    story.push('\n');
    story
}

/// Digests by number in order of appearance: what they are made of is not what a golden is about, that they differ is.
fn masked(story: &str) -> String {
    let mut known: Vec<&str> = Vec::new();
    let mut masked = String::new();
    let mut rest = story;
    while !rest.is_empty() {
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (token, after) = rest.split_at(word);
        if matches!(token.len(), 16 | 64) && token.bytes().all(|b| b.is_ascii_hexdigit()) {
            let n = known.iter().position(|it| *it == token).unwrap_or_else(|| {
                known.push(token);
                known.len() - 1
            });
            let _ = write!(masked, "DIGEST-{}", n + 1);
        } else {
            masked.push_str(token);
        }
        let next = after.chars().next().map_or(0, char::len_utf8);
        masked.push_str(&after[..next]);
        rest = &after[next..];
    }
    masked
}

#[test]
fn every_plan_is_as_written() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let told = std::panic::catch_unwind(|| masked(&story(&case, &case.plan())));
        let Ok(told) = told else {
            wrong.push(format!("{}: panicked, see above", case.name));
            continue;
        };
        let path = case.folder.join("plan.txt");
        let written = fs::read_to_string(&path).unwrap_or_default();
        if told != written && update {
            fs::write(&path, &told).unwrap();
        } else if told != written {
            let diff = TextDiff::from_lines(&written, &told);
            wrong.push(format!("{}\n{}", case.name, diff.unified_diff().header("written", "now")));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ (UPDATE_GOLDENS=1 accepts):\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_form_says_what_the_json_says() {
    for case in cases() {
        let plan = case.plan();
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "{}: JSON and back", case.name);
        for form in [text(&plan, &TextOptions::default()), markdown(&plan), diff(&plan)] {
            for step in &plan.steps {
                assert!(form.contains(&step.key.to_string()), "{}: {} is missing in\n{form}", case.name, step.key);
            }
            for secret in ["CANARY", "hunter2"] {
                assert!(!form.contains(secret) && !json.contains(secret), "{}: a secret in\n{form}", case.name);
            }
        }
    }
}

#[test]
fn every_case_fits_a_screen() {
    for case in cases() {
        for file in ["desired.yaml", "inventory.yaml", "plan.txt"] {
            let lines = fs::read_to_string(case.folder.join(file)).unwrap_or_default().lines().count();
            assert!(lines <= 60, "{}/{file} has {lines} lines: nobody will review that", case.name);
        }
    }
}

/// Codes without a golden, each with the reason.
const ELSEWHERE: [BlockCode; 0] = [];

#[test]
fn every_action_and_every_block_code_has_a_case() {
    let plans: Vec<_> = cases().iter().map(Case::plan).collect();
    let done = |action: Action| plans.iter().any(|plan| plan.steps.iter().any(|step| step.action == action));
    let refused = |action: Action| plans.iter().any(|plan| plan.blocked.iter().any(|it| it.action == action));
    let said = |code: BlockCode| plans.iter().any(|plan| plan.blocked.iter().any(|it| it.code == code));
    let built = [
        Action::Create,
        Action::Update,
        Action::PowerOn,
        Action::PowerOff,
        Action::Retire,
        Action::Restore,
        Action::Delete,
        Action::Adopt,
        Action::Release,
        Action::Rename,
    ];
    let mut missing: Vec<_> = built.into_iter().filter(|action| !done(*action)).map(|it| format!("{it:?}")).collect();
    let unbuilt = [Action::Move].into_iter().filter(|action| !refused(*action));
    missing.extend(unbuilt.map(|action| format!("blocked {action:?}")));
    let codes = BLOCK_CODES.into_iter().filter(|code| !ELSEWHERE.contains(code) && !said(*code));
    missing.extend(codes.map(|code| format!("{code:?}")));
    assert!(missing.is_empty(), "no case shows {}", missing.join(", "));
}

const BLOCK_CODES: [BlockCode; 31] = [
    BlockCode::NotConfigured,
    BlockCode::EndpointUnknown,
    BlockCode::VmUnknown,
    BlockCode::InventoryShrunk,
    BlockCode::SourceNotTrusted,
    BlockCode::Protected,
    BlockCode::PruneForbidden,
    BlockCode::NeedsApproval,
    BlockCode::InGrace,
    BlockCode::DestroyLimit,
    BlockCode::DisruptionLimit,
    BlockCode::LooksLikeRename,
    BlockCode::NeedsHuman,
    BlockCode::UnfinishedCreate,
    BlockCode::Clone,
    BlockCode::MarkUnreadable,
    BlockCode::NameTaken,
    BlockCode::MacTaken,
    BlockCode::NoRoom,
    BlockCode::Unsupported,
    BlockCode::RebootNotAllowed,
    BlockCode::NoGuestTools,
    BlockCode::Snapshot,
    BlockCode::DiskUnsafe,
    BlockCode::Suspended,
    BlockCode::Question,
    BlockCode::Dependency,
    BlockCode::NotBuilt,
    BlockCode::AdoptMismatch,
    BlockCode::ObserveOnly,
    BlockCode::TargetMissing,
];
