//! `plan(&PlanInput) -> Plan`: the whole policy, read top to bottom as named steps.
//!
//! First each key by itself: what should be done, and whether its own VM or endpoint forbids it. Then the rules that
//! look at all keys together: renames, approvals, caps, dependencies. Last the order and the accounts. Rules that say
//! no stand in [`super::safety`]; here is only what would be done, and in which order the rules are asked.
//!
//! ```text
//! mod.rs       plan(), top to bottom        draft.rs   what each key comes to, before the plan is frozen
//! desired.rs   a key that is wanted: which of the files below answers for it
//! create.rs    make it, finish making it    update.rs  change it      restore.rs  undo a retire
//! adopt.rs     take it over, accept it as it is        rekey.rs   give it its new key
//! orphan.rs    a key that is not wanted any more: retire, delete, release
//! marks.rs     the marks that steps write   fleet.rs   the rules that look at all keys together
//! accounts.rs  costs, counts, hash
//! ```

mod accounts;
mod adopt;
mod create;
mod desired;
mod draft;
mod fleet;
mod marks;
mod orphan;
mod rekey;
mod restore;
#[cfg(test)]
mod tests;
mod update;

use std::collections::BTreeSet;

pub use accounts::content_hash;
use draft::Draft;

use super::safety::approval;
use super::{Plan, PlanInput, census, order};

/// Makes the plan. Equal input gives an equal plan, to the byte.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    if input.approvals.is_empty() {
        return make(*input);
    }
    // What was typed may be the digest of everything that waits, and that is known from the plan that was shown.
    let shown = make(PlanInput { approvals: &BTreeSet::new(), ..*input });
    make(PlanInput { approvals: &approval::spelled_out(input.approvals, &shown), ..*input })
}

fn make(input: PlanInput<'_>) -> Plan {
    let census = census::take_approved(input.inventory, input.history, input.policy, input.approvals);
    let mut draft = Draft::new(input, &census);

    // Each key by itself. Renames come first: they decide under which key a VM is looked at.
    draft.find_renames();
    draft.decide_desired();
    draft.decide_orphans();
    draft.note_clones();

    // All keys together.
    let proposals = draft.take_proposals();
    let suspects = fleet::rename_suspects(&draft, &proposals);
    let sorted = fleet::what_waits(&draft, proposals, &suspects);
    let approved = fleet::approve(&draft, sorted);
    let within_limits = fleet::limit_destroys(&draft, approved);
    let settled = fleet::hold_dependents(&draft, within_limits);

    // Frozen.
    let (steps, blocked) = settled.into_parts();
    accounts::close(draft, order::order(steps), blocked)
}
