//! The product's words for each action, reason and block code: one place, so that every form says the same.

use crate::plan::{Action, Because, BlockCode, InventoryStatus, Landing, Reason, Risk, Step};

/// The sign at the left of a step.
pub(super) const fn sign(action: Action) -> &'static str {
    match action {
        Action::Create => "+",
        Action::Retire | Action::Delete | Action::Replace => "-",
        Action::Update
        | Action::PowerOn
        | Action::PowerOff
        | Action::Restore
        | Action::Adopt
        | Action::Release
        | Action::Rename
        | Action::Move => "~",
    }
}

/// The action as one word, as in the JSON but for the space.
pub(super) const fn action(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::PowerOn => "power on",
        Action::PowerOff => "power off",
        Action::Retire => "retire",
        Action::Restore => "restore",
        Action::Delete => "delete",
        Action::Adopt => "adopt",
        Action::Release => "release",
        Action::Rename => "rename",
        Action::Replace => "replace",
        Action::Move => "move",
    }
}

/// The action with what it does to a guest that runs.
pub(super) fn action_and_landing(step: &Step) -> &'static str {
    match (step.action, step.lands) {
        (Action::Update, Landing::Reboot) => "update, REBOOTS",
        (Action::Update, Landing::PowerOff) => "update, POWERS OFF",
        (Action::Rename, Landing::Reboot) => "rename, REBOOTS",
        (Action::Restore, Landing::Reboot) => "restore, REBOOTS",
        (Action::Delete, _) => "DELETE",
        (Action::Retire, _) => "RETIRE",
        (other, _) => action(other),
    }
}

/// What an action means, where its word alone does not say.
pub(super) const fn meaning(action: Action) -> Option<&'static str> {
    match action {
        Action::Retire => Some("shut down, NICs disconnected, renamed; disks kept until the grace days are over"),
        Action::Delete => Some("the VM and its own disks are gone for good"),
        Action::Release => Some("forgotten and left running: only the mark is removed"),
        Action::Adopt => Some("taken over as it is: only the mark is written"),
        Action::Restore => Some("back from retirement: name, NICs and power as before"),
        Action::Create
        | Action::Update
        | Action::PowerOn
        | Action::PowerOff
        | Action::Rename
        | Action::Replace
        | Action::Move => None,
    }
}

/// Why a field changes.
pub(super) const fn because(because: Because) -> &'static str {
    match because {
        Because::New => "new in Git",
        Because::ManifestChanged => "changed in Git",
        Because::Drifted => "drifted",
        Because::Removed => "gone from Git",
        Because::GraceOver => "grace days over",
        Because::Returned => "back in Git",
        Because::Unfinished => "unfinished before",
        Because::Adopted => "adopted",
        Because::Renamed => "renamed in Git",
        Because::Mark => "mark",
    }
}

/// The risk as one word.
pub(super) const fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::None => "no risk",
        Risk::Low => "low risk",
        Risk::Medium => "medium risk",
        Risk::High => "HIGH risk",
        Risk::Unknown => "UNKNOWN risk",
    }
}

/// How an endpoint answered.
pub(super) const fn status(status: InventoryStatus) -> &'static str {
    match status {
        InventoryStatus::Complete => "complete",
        InventoryStatus::Incomplete => "INCOMPLETE",
        InventoryStatus::Unreachable => "UNREACHABLE",
    }
}

/// What a reason's landing asks of the guest, if it interrupts it.
pub(super) const fn interruption(reason: &Reason) -> Option<&'static str> {
    match reason.lands {
        Landing::Hot => None,
        Landing::Reboot => Some("needs a reboot"),
        Landing::PowerOff => Some("powers it off"),
    }
}

/// A block code as it stands in the JSON.
pub fn code(code: BlockCode) -> String {
    serde_json::to_value(code).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The rule behind a block code, in a few words.
pub const fn rule(code: BlockCode) -> &'static str {
    match code {
        BlockCode::NotConfigured => "endpoint not in the settings",
        BlockCode::EndpointUnknown => "an endpoint was not fully seen; not known is not gone",
        BlockCode::VmUnknown => "the VM could not be read; not known is not gone",
        BlockCode::InventoryShrunk => "the endpoint lost too many VMs at once to be believed",
        BlockCode::SourceNotTrusted => "this source may not lead to a destroy now",
        BlockCode::Protected => "preventDestroy stands on the mark",
        BlockCode::PruneForbidden => "the mark forbids to prune it",
        BlockCode::NeedsApproval => "a person must approve first",
        BlockCode::InGrace => "the grace days are not over",
        BlockCode::DestroyLimit => "a cap on destroys would be passed",
        BlockCode::DisruptionLimit => "more interruptions in one run than the cap",
        BlockCode::LooksLikeRename => "a key left and one like it came: perhaps a rename",
        BlockCode::NeedsHuman => "a person must look",
        BlockCode::UnfinishedCreate => "an unfinished create",
        BlockCode::Clone => "the mark was copied from another VM",
        BlockCode::MarkUnreadable => "the mark cannot be read",
        BlockCode::NameTaken => "the name is taken by another VM",
        BlockCode::MacTaken => "the MAC is taken by another VM",
        BlockCode::NoRoom => "no room",
        BlockCode::Unsupported => "the endpoint cannot do it",
        BlockCode::RebootNotAllowed => "needs a reboot that allowReboot does not permit",
        BlockCode::NoGuestTools => "the guest cannot be asked to shut down",
        BlockCode::Snapshot => "a snapshot stands in the way",
        BlockCode::DiskUnsafe => "a disk is not safe to touch",
        BlockCode::Suspended => "suspended, saved or paused: never changed",
        BlockCode::Question => "the hypervisor waits for an answer",
        BlockCode::Dependency => "something it depends on is blocked",
        BlockCode::NotBuilt => "not built yet",
        BlockCode::AdoptMismatch => "what is to be adopted is not there or does not match",
        BlockCode::ObserveOnly => "the endpoint is only observed",
        BlockCode::TargetMissing => "a target named by the tier is not there",
    }
}

/// `1 step`, `2 steps`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
