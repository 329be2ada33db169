//! `serve`'s way of observing: one endpoint at a time, each at its own pace.
//!
//! ```text
//! prepare() --> Asked --(in a task of its own)--> View --> take_in() --> Answer
//! ```
//!
//! An [`Answer`] carries what was known *before* it. A plan must judge it against that and never against
//! what the journal holds since: else one listing that lacks a VM, planned with twice, would pass for
//! the two that rule 1 asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Session, SessionError};
use crate::endpoints::Endpoint;
use crate::inventory::{EndpointInventory, Inventory, Known, View};
use crate::model::EndpointName;
use crate::plan::{LastInventory, memory};

/// An inventory about to be asked for.
pub(crate) struct Asked {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) known: Vec<Known>,
    generation: u64,
    /// How often the endpoint had been changed by then.
    changes: u64,
}

/// One endpoint's answer.
pub(crate) struct Answer {
    pub(crate) inventory: EndpointInventory,
    /// The last complete inventory before this one.
    pub(crate) before: Option<LastInventory>,
    /// How often the endpoint had been changed when it was asked.
    pub(crate) changes: u64,
    /// Nothing was changed there while it was being asked.
    pub(crate) is_current: bool,
    /// It listed everything, as far as can be believed, so that what is not in it is not there.
    pub(crate) is_whole: bool,
    /// It says what the answer before it said.
    pub(crate) is_same: bool,
}

/// The answer before, and what was kept of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Earlier<'a> {
    pub(crate) inventory: &'a EndpointInventory,
    pub(crate) is_whole: bool,
}

impl Session {
    /// Numbers the next inventory of an endpoint and says what to ask with; `None`: no such endpoint.
    pub(crate) async fn prepare(&self, name: &EndpointName) -> Result<Option<Asked>, SessionError> {
        let Some(endpoint) = self.endpoints.get(name) else { return Ok(None) };
        let journal = self.journal().await?;
        // Counted before it is asked for, so that a change in between shows.
        let changes = journal.changes().await?.get(name).copied().unwrap_or(0);
        let generation = journal.next_generation(name).await?;
        let history = journal.history(self.clock.now()).await?;
        let known = memory::known(name, history.last.get(name), &history.open_intents);
        Ok(Some(Asked { endpoint: Arc::clone(endpoint), known, generation, changes }))
    }

    /// Keeps what a later plan needs of an answer, and closes the intents whose outcome it shows. `earlier` is the
    /// answer before: one that says the same again is not looked into.
    pub(crate) async fn take_in(
        &self,
        asked: &Asked,
        view: View,
        earlier: Option<Earlier<'_>>,
    ) -> Result<Answer, SessionError> {
        let name = asked.endpoint.name();
        let now = self.clock.now();
        let journal = self.journal().await?;
        let history = journal.history(now).await?;
        let answer = EndpointInventory { generation: asked.generation, taken_at: now, view };
        let again = earlier.filter(|earlier| says_the_same(earlier, &answer));
        let is_same = again.is_some();
        let last = again.and_then(|earlier| known_as_it_was(earlier, history.last.get(name)?));
        let inventory = Inventory { endpoints: BTreeMap::from([(name.clone(), answer)]) };
        let kept = match last {
            Some(last) => {
                let last = LastInventory { generation: asked.generation, taken_at: now, ..last.clone() };
                self.keep_known(&inventory, &history, BTreeMap::from([(name.clone(), last)])).await?
            }
            None => self.remember(&inventory, &history, &BTreeSet::new()).await?,
        };
        // What is kept has lost nothing that could not be believed.
        let is_whole = kept.contains_key(name);
        let changes = journal.changes().await?.get(name).copied().unwrap_or(0);
        let mut before = history.last.get(name).cloned();
        if let Some(last) = before.as_mut().filter(|last| last.generation > asked.generation) {
            // Another process looked while we did. What it did not find is no earlier answer than this one.
            for vm in Arc::make_mut(&mut last.vms) {
                vm.missing_once = false;
            }
        }
        let inventory =
            inventory.endpoints.into_values().next().ok_or(SessionError::Internal("taking an answer in"))?;
        Ok(Answer {
            inventory,
            before,
            changes: asked.changes,
            is_current: changes == asked.changes,
            is_whole,
            is_same,
        })
    }
}

/// Everything listed again as it was, and nothing to be asked for beside it?
fn says_the_same(earlier: &Earlier<'_>, now: &EndpointInventory) -> bool {
    match (&earlier.inventory.view, &now.view) {
        (View::Observed(before), View::Observed(now)) => now.missing.is_empty() && before == now,
        _ => false,
    }
}

/// What is known of the endpoint, if it was made from that earlier answer and from nothing since: then the same answer
/// makes the same of it once more. A VM that is known and not listed would have been asked for.
fn known_as_it_was<'k>(earlier: Earlier<'_>, last: &'k LastInventory) -> Option<&'k LastInventory> {
    (earlier.is_whole && last.generation == earlier.inventory.generation).then_some(last)
}
