//! Which open intents an inventory settles: the effect of a call whose reply was lost is seen on the VM.
//!
//! A VM of that identity that can be read shows what became of it, whatever that is, the loss of its mark included (a
//! release, cut short after its one call); so does the proof that it is gone.
//! Nothing seen of a create settles nothing: its task may be running still, and the provider looks for that first.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Session, SessionError};
use crate::inventory::{Inventory, Observed};
use crate::mark::{self, Standing};
use crate::model::{EndpointName, ObservedVm};
use crate::plan::{History, LastInventory, LastVm, OpenIntent};

impl Session {
    /// Closes what `inventory` shows the outcome of; `kept` are the endpoints whose answer was whole.
    pub(super) async fn close_seen_intents(
        &self,
        inventory: &Inventory,
        history: &History,
        kept: &BTreeMap<EndpointName, LastInventory>,
    ) -> Result<(), SessionError> {
        for intent in &history.open_intents {
            let (Some(last), Some(observed)) = (kept.get(&intent.endpoint), inventory.observed(&intent.endpoint))
            else {
                continue;
            };
            let before = history.last.get(&intent.endpoint);
            if let Some(how) = settled(intent, observed, before, last, &self.policy.installation) {
                let journal = self.journal().await?;
                journal.close_seen(&intent.endpoint, &intent.key, how, self.clock.now()).await?;
            }
        }
        Ok(())
    }
}

fn settled(
    intent: &OpenIntent,
    observed: &Observed,
    before: Option<&LastInventory>,
    last: &LastInventory,
    installation: &str,
) -> Option<&'static str> {
    let seen = observed.vms.iter().any(|vm| match mark::judge(vm, installation) {
        Standing::Ours(mark) => mark.identity == intent.identity,
        Standing::Unfinished { identity, .. } => identity == intent.identity,
        _ => false,
    });
    if seen || seen_without_mark(intent, observed, last) {
        return Some("the VM was seen afterwards");
    }
    let knew = |last: &LastInventory, identity: Uuid| {
        last.vms.iter().any(|vm| vm.owned.as_ref().is_some_and(|owned| owned.identity == identity))
    };
    let gone = before.is_some_and(|before| knew(before, intent.identity)) && !knew(last, intent.identity);
    gone.then_some("the VM is gone")
}

/// Is the VM that was known by this identity listed, readable, and without a mark?
fn seen_without_mark(intent: &OpenIntent, observed: &Observed, last: &LastInventory) -> bool {
    let known = |vm: &&LastVm| vm.owned.as_ref().is_some_and(|owned| owned.identity == intent.identity);
    last.vms.iter().filter(known).any(|known| {
        let bare = |vm: &&ObservedVm| vm.id == known.id && vm.readable().is_some_and(|config| config.mark.is_none());
        observed.vms.iter().any(|vm| bare(&vm))
    })
}
