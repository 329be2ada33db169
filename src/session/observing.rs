//! From the endpoints to an inventory, with what the journal knows before and keeps after.

use std::collections::{BTreeMap, BTreeSet};

use super::{LookRequest, Session, SessionError};
use crate::collect::{self, Asking};
use crate::events::EventSink;
use crate::inventory::{EndpointInventory, Inventory, Known, Missing, View};
use crate::journal::JournalError;
use crate::model::{EndpointName, OwnId};
use crate::plan::{EndpointState, History, LastInventory, memory};

impl Session {
    /// What is there and what was there. A VM of ours that is newly missing is asked for once more at once: two answers
    /// in a row make it gone (safety rule 1), and whoever runs one command should not have to run it twice.
    pub(super) async fn observe(&self, request: &LookRequest) -> Result<(Inventory, History), SessionError> {
        if let Some(given) = &request.inventory {
            return Ok((given.clone(), self.history_if_any().await?));
        }
        let journal = self.journal().await?;
        let history = journal.history(self.clock.now()).await?;
        let mut inventory = self.ask(&history, None, &request.events).await?;
        let doubtful = newly_missing(&inventory, &history);
        if doubtful.is_empty() || request.ask_once {
            return Ok((inventory, history));
        }
        let first: BTreeMap<_, _> = inventory.endpoints.iter().filter(|(name, _)| doubtful.contains(name)).collect();
        self.keep(first, &history, &request.approvals).await?;
        let history = journal.history(self.clock.now()).await?;
        let second = self.ask(&history, Some(&doubtful), &request.events).await?;
        inventory.endpoints.extend(second.endpoints);
        Ok((inventory, history))
    }

    /// Asks the endpoints once.
    pub(super) async fn ask(
        &self,
        history: &History,
        only: Option<&[EndpointName]>,
        events: &EventSink,
    ) -> Result<Inventory, JournalError> {
        let known: BTreeMap<EndpointName, Vec<Known>> = (history.last.iter())
            .map(|(name, last)| (name.clone(), memory::known(name, Some(last), &history.open_intents)))
            .collect();
        let asking = Asking { endpoints: &self.endpoints, only, known: &known, deadline: collect::DEADLINE, events };
        collect::collect(&asking, self.journal().await?, &self.clock).await
    }

    /// Keeps what a later plan needs of this inventory, and closes the intents whose outcome it shows. Says what was
    /// kept: the answers that were whole.
    pub(super) async fn remember(
        &self,
        inventory: &Inventory,
        history: &History,
        approvals: &BTreeSet<String>,
    ) -> Result<BTreeMap<EndpointName, LastInventory>, SessionError> {
        let kept = self.keep(inventory.endpoints.iter().collect(), history, approvals).await?;
        self.close_seen_intents(inventory, history, &kept).await?;
        Ok(kept)
    }

    /// The same for what is known to be kept.
    pub(super) async fn keep_known(
        &self,
        inventory: &Inventory,
        history: &History,
        kept: BTreeMap<EndpointName, LastInventory>,
    ) -> Result<BTreeMap<EndpointName, LastInventory>, SessionError> {
        self.write(history, &kept).await?;
        self.close_seen_intents(inventory, history, &kept).await?;
        Ok(kept)
    }

    async fn keep(
        &self,
        answers: BTreeMap<&EndpointName, &EndpointInventory>,
        history: &History,
        approvals: &BTreeSet<String>,
    ) -> Result<BTreeMap<EndpointName, LastInventory>, JournalError> {
        let mut kept = BTreeMap::new();
        for (name, answer) in answers {
            let previous = history.last.get(name);
            let accepted = match &answer.view {
                View::Observed(observed) => memory::loss(name, previous, observed, &history.destroys)
                    .is_none_or(|loss| approvals.iter().any(|typed| loss.digest.matches(typed))),
                View::Unreachable(_) => continue,
            };
            if let Some(last) = memory::remember(previous, answer, &self.policy.installation, accepted) {
                kept.insert(name.clone(), last);
            }
        }
        self.write(history, &kept).await?;
        Ok(kept)
    }

    async fn write(&self, history: &History, kept: &BTreeMap<EndpointName, LastInventory>) -> Result<(), JournalError> {
        let journal = self.journal().await?;
        journal.remember(kept, self.clock.now()).await?;
        if history.partial && self.are_all_seen(|name| history.last.contains_key(name) || kept.contains_key(name)) {
            journal.memory_is_whole(self.clock.now()).await?;
        }
        Ok(())
    }

    /// Is there a last inventory of every endpoint that is counted on?
    fn are_all_seen(&self, is_seen: impl Fn(&EndpointName) -> bool) -> bool {
        let counted_on = self.policy.endpoints.iter().filter(|(_, policy)| policy.state != EndpointState::Retired);
        counted_on.map(|(name, _)| name).all(is_seen)
    }

    /// For an offline plan: what this installation remembers, if it has a journal here. None is made.
    async fn history_if_any(&self) -> Result<History, SessionError> {
        if self.settings.state_dir.join("journal.db").exists() {
            return Ok(self.journal().await?.history(self.clock.now()).await?);
        }
        Ok(History::default())
    }
}

/// Endpoints where a VM of ours is missing for the first time.
fn newly_missing(inventory: &Inventory, history: &History) -> Vec<EndpointName> {
    let is_new = |name: &EndpointName, id: &OwnId| {
        let last = history.last.get(name);
        last.is_some_and(|last| last.vms.iter().any(|vm| vm.id == *id && !vm.missing_once))
    };
    let names = inventory.endpoints.keys().filter(|name| {
        inventory.observed(name).is_some_and(|observed| {
            observed.missing.iter().any(|(id, read)| *read == Missing::NotFound && is_new(name, id))
        })
    });
    names.cloned().collect()
}
