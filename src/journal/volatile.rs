//! A journal that is gone with the process: the same record, held in memory.
//!
//! For simulations, which run thousands of installations through years of virtual time, and for embedders that keep no
//! state of their own. It answers as the file does: `tests/engine/journal.rs` runs both side by side and
//! compares. What it cannot do is survive a power failure, so no command uses it. Locks and the STOP file stay
//! files in the state directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::GoodRevision;
use super::intents::Intent;
use super::memory::{DAY, KEPT};
use crate::model::{EndpointName, OwnId, TierName, VmKey};
use crate::plan::{Destroyed, History, LastInventory, LastVm, OpenIntent, memory};
use crate::provider::IntentId;

/// What a journal in memory holds; clones share it, as two openings of one file would.
#[derive(Debug, Clone, Default)]
pub struct Volatile(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    /// In order of their ids, which count from 1.
    intents: Vec<Noted>,
    last_intent: i64,
    /// How often each endpoint was changed.
    changes: BTreeMap<EndpointName, u64>,
    destroys: Vec<Destroyed>,
    generations: BTreeMap<EndpointName, u64>,
    inventories: BTreeMap<EndpointName, LastInventory>,
    witnessed: BTreeMap<(EndpointName, OwnId), (u64, LastVm)>,
    owned: BTreeMap<TierName, BTreeMap<i64, u32>>,
    good_revision: Option<GoodRevision>,
    /// Every endpoint had a last inventory at some time.
    whole_memory: bool,
}

/// One intent and how it ended.
#[derive(Debug)]
struct Noted {
    id: IntentId,
    intent: OpenIntent,
    ended: Option<Ended>,
}

/// How an intent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The provider told the outcome.
    Told,
    /// A later look at the VM closed it.
    Seen,
}

impl Noted {
    fn is_of(&self, endpoint: &EndpointName, key: &VmKey) -> bool {
        self.intent.endpoint == *endpoint && self.intent.key == *key
    }
}

impl Volatile {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn intend(&self, intent: &Intent<'_>) -> IntentId {
        let mut tables = self.lock();
        tables.last_intent += 1;
        let id = IntentId(tables.last_intent);
        let step = intent.step;
        let open = OpenIntent {
            endpoint: step.endpoint.clone(),
            key: step.key.clone(),
            identity: step.identity,
            call: intent.call.name.to_owned(),
            at: intent.at,
        };
        *tables.changes.entry(open.endpoint.clone()).or_default() += 1;
        tables.intents.push(Noted { id, intent: open, ended: None });
        if let Some(destroyed) = intent.destroy() {
            tables.count_destroy(destroyed);
        }
        id
    }

    pub(super) fn settle(&self, intent: IntentId) {
        let mut tables = self.lock();
        // One that was closed by a look has its outcome already.
        let open = tables.intents.iter_mut().find(|noted| noted.id == intent && noted.ended.is_none());
        if let Some(noted) = open {
            noted.ended = Some(Ended::Told);
            let endpoint = noted.intent.endpoint.clone();
            *tables.changes.entry(endpoint).or_default() += 1;
        }
    }

    pub(super) fn changes(&self) -> BTreeMap<EndpointName, u64> {
        self.lock().changes.clone()
    }

    pub(super) fn close_seen(&self, endpoint: &EndpointName, key: &VmKey) -> u64 {
        let mut tables = self.lock();
        let open = tables.intents.iter_mut().filter(|noted| noted.ended.is_none() && noted.is_of(endpoint, key));
        open.map(|noted| noted.ended = Some(Ended::Seen)).count() as u64
    }

    pub(super) fn is_unsettled(&self, endpoint: &EndpointName, key: &VmKey) -> bool {
        let tables = self.lock();
        let last = tables.intents.iter().rev().find(|noted| noted.is_of(endpoint, key));
        last.is_some_and(|noted| noted.ended != Some(Ended::Told))
    }

    pub(super) fn next_generation(&self, endpoint: &EndpointName) -> u64 {
        let mut tables = self.lock();
        let generation = tables.generations.entry(endpoint.clone()).or_default();
        *generation += 1;
        *generation
    }

    pub(super) fn last_inventories(&self) -> BTreeMap<EndpointName, LastInventory> {
        self.lock().last_inventories()
    }

    pub(super) fn remember(&self, inventories: &BTreeMap<EndpointName, LastInventory>, now: Timestamp) {
        let mut tables = self.lock();
        for (endpoint, last) in inventories {
            if tables.inventories.get(endpoint).is_none_or(|kept| last.generation > kept.generation) {
                tables.inventories.insert(endpoint.clone(), last.clone());
            }
            tables.witnessed.retain(|(at, _), (generation, _)| at != endpoint || *generation >= last.generation);
        }
        tables.count_owned(now);
        tables.forget_old(now);
    }

    pub(super) fn memory_is_whole(&self) {
        self.lock().whole_memory = true;
    }

    pub(super) fn witness(&self, endpoint: &EndpointName, vm: &LastVm) {
        let mut tables = self.lock();
        let generation = tables.generations.get(endpoint).copied().unwrap_or_default();
        tables.witnessed.insert((endpoint.clone(), vm.id.clone()), (generation, vm.clone()));
    }

    pub(super) fn history(&self, now: Timestamp) -> History {
        let tables = self.lock();
        let last = tables.last_inventories();
        let window = now.as_second() - DAY;
        let since = last.values().map(|last| last.taken_at.as_second()).fold(window, i64::min) - DAY;
        let mut destroys: Vec<Destroyed> =
            tables.destroys.iter().filter(|destroyed| destroyed.at.as_second() >= since).cloned().collect();
        destroys.sort_by_key(|destroyed| destroyed.at);
        History {
            partial: !tables.whole_memory,
            destroys,
            open_intents: tables
                .intents
                .iter()
                .filter(|noted| noted.ended.is_none())
                .map(|noted| noted.intent.clone())
                .collect(),
            owned_at_window_start: tables.owned_at(window),
            last,
            disturbed: BTreeSet::new(),
        }
    }

    pub(super) fn keep_revision(&self, revision: Option<GoodRevision>) {
        let mut tables = self.lock();
        let same = |kept: &GoodRevision| {
            revision.as_ref().is_some_and(|new| new.revision == kept.revision && new.source == kept.source)
        };
        if !tables.good_revision.as_ref().is_some_and(same) {
            tables.good_revision = revision;
        }
    }

    pub(super) fn good_revision(&self) -> Option<GoodRevision> {
        self.lock().good_revision.clone()
    }
}

impl Tables {
    /// Once per VM and kind in any 24 hours, as the file counts.
    fn count_destroy(&mut self, destroyed: Destroyed) {
        let since = destroyed.at.as_second() - DAY;
        let same = |before: &&mut Destroyed| {
            before.own_id == destroyed.own_id && before.endpoint == destroyed.endpoint && before.at.as_second() > since
        };
        if destroyed.deleted {
            let begun = self.destroys.iter_mut().filter(same).filter(|before| !before.deleted);
            if begun.map(|before| before.deleted = true).count() > 0 {
                return;
            }
        }
        let counted = self.destroys.iter().any(|before| {
            before.own_id == destroyed.own_id
                && before.endpoint == destroyed.endpoint
                && before.deleted == destroyed.deleted
                && before.at.as_second() > since
        });
        if !counted {
            self.destroys.push(destroyed);
        }
    }

    fn last_inventories(&self) -> BTreeMap<EndpointName, LastInventory> {
        let mut all = self.inventories.clone();
        for (endpoint, last) in &mut all {
            let seen = self.witnessed.iter().filter(|((at, _), _)| at == endpoint);
            memory::add_witnessed(last, seen.map(|(_, (_, vm))| vm.clone()).collect());
        }
        all
    }

    fn count_owned(&mut self, now: Timestamp) {
        let mut counts: BTreeMap<TierName, u32> = self.owned.keys().map(|tier| (tier.clone(), 0)).collect();
        counts.extend(memory::owned_per_tier(self.last_inventories().values()));
        for (tier, count) in counts {
            let samples = self.owned.entry(tier).or_default();
            if samples.last_key_value().map(|(_, latest)| *latest) != Some(count) {
                samples.insert(now.as_second(), count);
            }
        }
    }

    fn owned_at(&self, window: i64) -> BTreeMap<TierName, u32> {
        let count = |samples: &BTreeMap<i64, u32>| {
            samples.range(..=window).next_back().or_else(|| samples.first_key_value()).map(|(_, count)| *count)
        };
        self.owned.iter().filter_map(|(tier, samples)| Some((tier.clone(), count(samples)?))).collect()
    }

    fn forget_old(&mut self, now: Timestamp) {
        let old = now.as_second() - KEPT;
        self.intents.retain(|noted| noted.ended.is_none() || noted.intent.at.as_second() >= old);
        self.destroys.retain(|destroyed| destroyed.at.as_second() >= old);
        for samples in self.owned.values_mut() {
            let latest = samples.last_key_value().map(|(at, _)| *at);
            samples.retain(|at, _| *at >= old || Some(*at) == latest);
        }
    }
}
