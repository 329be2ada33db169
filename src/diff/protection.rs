//! What guards a VM: it takes effect when it stands in the mark, so a change of it is an update of its own.

use super::{Differences, Effect, Pair};
use crate::mark::Protection;
use crate::model::{OnRemove, Prune, Shutdown, Tier, VmSpec};

/// The protection that a manifest and its tier ask for.
pub fn wanted(spec: &VmSpec, tier: &Tier) -> Protection {
    Protection {
        prevent_destroy: spec.prevent_destroy,
        on_remove: spec.on_remove,
        prune: tier.sync.prune,
        grace_days: tier.sync.grace_days,
        delete_disks: spec.delete_disks,
        shutdown: spec.shutdown,
    }
}

pub(super) fn compare(pair: Pair<'_>, differences: &mut Differences) {
    let wanted = wanted(pair.spec, pair.tier);
    let marked = &pair.mark.protection;
    if wanted == *marked {
        return;
    }
    let Protection { prevent_destroy, on_remove, prune, grace_days, delete_disks, shutdown } = wanted;
    let Shutdown { timeout_seconds, force } = shutdown;
    let mut field = |name: &str, from: String, to: String| {
        if from != to {
            differences.push(name, Some(from), Some(to), Effect::Mark);
        }
    };
    field("preventDestroy", marked.prevent_destroy.to_string(), prevent_destroy.to_string());
    field("onRemove", on_remove_text(marked.on_remove).to_owned(), on_remove_text(on_remove).to_owned());
    field("prune", prune_text(marked.prune).to_owned(), prune_text(prune).to_owned());
    field("graceDays", marked.grace_days.to_string(), grace_days.to_string());
    field("deleteDisks", marked.delete_disks.to_string(), delete_disks.to_string());
    field("shutdown/timeout", format!("{}s", marked.shutdown.timeout_seconds), format!("{timeout_seconds}s"));
    field("shutdown/force", marked.shutdown.force.to_string(), force.to_string());
}

const fn on_remove_text(on_remove: OnRemove) -> &'static str {
    match on_remove {
        OnRemove::Delete => "delete",
        OnRemove::Release => "release",
    }
}

const fn prune_text(prune: Prune) -> &'static str {
    match prune {
        Prune::Never => "never",
        Prune::Confirm => "confirm",
        Prune::Auto => "auto",
    }
}
