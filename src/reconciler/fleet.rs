//! Each endpoint at its own pace: when it is asked, whether its answer may be planned with,
//! whether steps may begin there.
//!
//! ```text
//!             +---- its interval ----+
//!             v                      |
//!   due --> asking --> answered: may be planned with --> steps begin: running --> ended --> due at once
//!             |                      |
//!             |                      +--> somebody changed something there: out of date --> due at once
//!             +--> given up at its deadline: Unreachable, which is an answer too
//! ```
//!
//! Invariants. An answer is planned with only while nothing was changed on its endpoint since it was asked for, by us
//! or by another process; until the next one comes the endpoint is *awaited*: unreachable so far, never empty. It is
//! judged against what was known before it, however often it is planned with. What one endpoint does moves no other's
//! times. Told what happened and when; asks nobody itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::inventory::{EndpointInventory, Inventory, View};
use crate::model::{EndpointName, VmKey};
use crate::plan::{History, LastInventory};
use crate::session::{Answer, Earlier};

/// Before asking again an endpoint that somebody else is changing just now: at once would be a storm.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// An answer older than this leads to no step for a revision that has just come into force: the endpoint is asked
/// first. With a long interval an answer may be hours old, and although each step looks at its VM again, what it was
/// planned from should be of the same day's mind.
const FRESH: Duration = Duration::from_mins(2);

/// What is going on with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    Asking,
    Running,
}

/// One endpoint.
#[derive(Debug)]
struct Pace {
    doing: Doing,
    /// When to ask next, if nothing else goes on.
    due: Instant,
    /// The answer that may be planned with: when it came, and how often the endpoint had been changed by then.
    answer: Option<(Instant, u64)>,
    /// It listed everything.
    is_whole: bool,
    /// Steps begin no earlier.
    rests_until: Instant,
    last_run: Option<Instant>,
    /// Keys that steps were begun for since the last whole answer: where their VMs are, only such an answer tells.
    touched: BTreeSet<VmKey>,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            doing: Doing::Nothing,
            due: now,
            answer: None,
            is_whole: false,
            rests_until: now,
            last_run: None,
            touched: BTreeSet::new(),
        }
    }
}

/// All endpoints.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    paces: BTreeMap<EndpointName, Pace>,
    inventory: Inventory,
    /// What was known of an endpoint before its answer.
    before: BTreeMap<EndpointName, Option<LastInventory>>,
    /// Moves whenever any of this says something else than before: answers that say the same again do not count.
    version: u64,
}

impl Fleet {
    /// Takes up endpoints that are new, and again those whose connection is another (`kept` says no); lets go
    /// of those that are no more.
    pub(super) fn set<'n>(
        &mut self,
        names: impl Iterator<Item = &'n EndpointName>,
        kept: impl Fn(&EndpointName) -> bool,
        (now, at): (Instant, Timestamp),
    ) {
        let names: BTreeSet<&EndpointName> = names.collect();
        self.paces.retain(|name, _| names.contains(name));
        self.inventory.endpoints.retain(|name, _| names.contains(name));
        self.before.retain(|name, _| names.contains(name));
        self.version += 1;
        for name in names {
            if !self.paces.contains_key(name) {
                self.paces.insert(name.clone(), Pace::new(now));
                self.await_answer(name, "its first answer is awaited", at);
            } else if !kept(name) {
                self.outdate(name, "its settings changed, and it is asked again", (now, at));
                if let Some(pace) = self.paces.get_mut(name).filter(|pace| pace.doing == Doing::Asking) {
                    pace.doing = Doing::Nothing;
                }
            }
        }
    }

    /// Whom to ask now; each is being asked from then on.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<EndpointName> {
        let mut due = Vec::new();
        for (name, pace) in self.paces.iter_mut().filter(|(_, pace)| pace.doing == Doing::Nothing && pace.due <= now) {
            pace.doing = Doing::Asking;
            due.push(name.clone());
        }
        due
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.paces.values().filter(|pace| pace.doing == Doing::Nothing).map(|pace| pace.due).min()
    }

    /// Takes an answer in.
    pub(super) fn answered(&mut self, name: &EndpointName, answer: Answer, (now, interval): (Instant, Duration)) {
        let Some(pace) = self.paces.get_mut(name).filter(|pace| pace.doing == Doing::Asking) else { return };
        pace.doing = Doing::Nothing;
        if !answer.is_current {
            let at = answer.inventory.taken_at;
            self.outdate(name, "it was changed while it was asked, and is asked again", (now + AGAIN, at));
            return;
        }
        if answer.is_whole {
            pace.touched.clear();
        }
        pace.due = now + interval;
        let is_first = pace.answer.replace((now, answer.changes)).is_none();
        pace.is_whole = answer.is_whole;
        let known = |before: &Option<LastInventory>| before.as_ref().map(|last| Arc::clone(&last.vms));
        let knew = self.before.insert(name.clone(), answer.before.clone());
        let is_known = knew.is_some_and(|knew| known(&knew) == known(&answer.before));
        let standing = self.inventory.endpoints.get_mut(name).filter(|_| answer.is_same && !is_first);
        if let Some(standing) = standing {
            // One of two equal values is enough, and the older one is where everybody has it.
            (standing.generation, standing.taken_at) = (answer.inventory.generation, answer.inventory.taken_at);
            self.version += u64::from(!is_known);
        } else {
            self.inventory.endpoints.insert(name.clone(), answer.inventory);
            self.version += 1;
        }
    }

    /// The answer that an endpoint's next one is compared with.
    pub(super) fn earlier(&self, name: &EndpointName) -> Option<Earlier<'_>> {
        let pace = self.paces.get(name).filter(|pace| pace.answer.is_some())?;
        Some(Earlier { inventory: self.inventory.endpoints.get(name)?, is_whole: pace.is_whole })
    }

    /// Stays while everything here says what it said.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Asking could not even begin, or its answer not be kept: again after the interval. What
    /// was answered before stands.
    pub(super) fn not_asked(&mut self, name: &EndpointName, (now, interval): (Instant, Duration)) {
        if let Some(pace) = self.paces.get_mut(name).filter(|pace| pace.doing == Doing::Asking) {
            pace.doing = Doing::Nothing;
            pace.due = now + interval;
        }
    }

    /// Compares with how often each endpoint has been changed by now. An answer that is older than the last change
    /// is no longer planned with.
    pub(super) fn notice_changes(&mut self, changes: &BTreeMap<EndpointName, u64>, (now, at): (Instant, Timestamp)) {
        let outdated = self.paces.iter().filter(|(name, pace)| {
            pace.answer.is_some_and(|(_, then)| changes.get(*name).copied().unwrap_or(0) != then)
        });
        let outdated: Vec<EndpointName> = outdated.map(|(name, _)| name.clone()).collect();
        for name in &outdated {
            self.outdate(name, "it was changed since its last answer, and is asked again", (now, at));
        }
    }

    /// Another revision is in force: nobody rests from the work of the last one, and answers that are old are asked for
    /// again before anything is done for this one.
    pub(super) fn new_revision(&mut self, (now, at): (Instant, Timestamp)) {
        for pace in self.paces.values_mut() {
            pace.rests_until = now;
        }
        let is_old = |pace: &Pace| pace.answer.is_some_and(|(then, _)| now.saturating_duration_since(then) > FRESH);
        let old: Vec<EndpointName> =
            self.paces.iter().filter(|(_, pace)| is_old(pace)).map(|(name, _)| name.clone()).collect();
        for name in &old {
            self.outdate(name, "its last answer is old, and it is asked again", (now, at));
        }
    }

    /// May steps begin there? Only from an answer, and not while the next is on its way: what
    /// that changes is not known.
    pub(super) fn is_free(&self, name: &EndpointName, now: Instant) -> bool {
        self.paces
            .get(name)
            .is_some_and(|pace| pace.doing == Doing::Nothing && pace.answer.is_some() && pace.rests_until <= now)
    }

    /// Steps begin there.
    pub(super) fn begun(&mut self, name: &EndpointName, keys: impl IntoIterator<Item = VmKey>, at: Timestamp) {
        if let Some(pace) = self.paces.get_mut(name) {
            pace.doing = Doing::Running;
            pace.touched.extend(keys);
        }
        self.await_answer(name, "steps are running there; it is asked again when they have ended", at);
    }

    /// They ended. It is asked at once; but when that leads to steps again, those are the last for an interval: a step
    /// that is planned again each time it was done must not turn the loop into a storm.
    pub(super) fn ended(&mut self, name: &EndpointName, (now, at): (Instant, Timestamp), interval: Duration) {
        let Some(pace) = self.paces.get_mut(name) else { return };
        pace.doing = Doing::Nothing;
        pace.due = now;
        let in_a_row = pace.last_run.is_some_and(|last| now.saturating_duration_since(last) < interval);
        pace.rests_until = if in_a_row { now + interval } else { now };
        pace.last_run = if in_a_row { None } else { Some(now) };
        self.await_answer(name, "it was changed, and is asked again", at);
    }

    /// Endpoints without an answer that may be planned with.
    pub(super) fn awaited(&self) -> BTreeSet<EndpointName> {
        self.paces.iter().filter(|(_, pace)| pace.answer.is_none()).map(|(name, _)| name.clone()).collect()
    }

    /// Were steps begun for this key elsewhere since that endpoint's last whole answer? Then nobody knows
    /// whether its VM is there by now.
    pub(super) fn may_be_elsewhere(&self, key: &VmKey, than: &EndpointName) -> bool {
        self.paces.iter().any(|(name, pace)| name != than && pace.touched.contains(key))
    }

    /// What is there, as far as anybody knows.
    pub(super) fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Puts what was known before each answer into a history in place of what the journal holds since.
    pub(super) fn judge_by_before(&self, history: &mut History) {
        for (name, _) in self.paces.iter().filter(|(_, pace)| pace.answer.is_some()) {
            match self.before.get(name) {
                Some(Some(before)) => history.last.insert(name.clone(), before.clone()),
                Some(None) | None => history.last.remove(name),
            };
        }
    }

    fn outdate(&mut self, name: &EndpointName, why: &str, (due, at): (Instant, Timestamp)) {
        if let Some(pace) = self.paces.get_mut(name) {
            pace.due = due;
        }
        self.await_answer(name, why, at);
    }

    fn await_answer(&mut self, name: &EndpointName, why: &str, at: Timestamp) {
        if let Some(pace) = self.paces.get_mut(name) {
            pace.answer = None;
        }
        self.before.remove(name);
        self.version += 1;
        let awaited = EndpointInventory { generation: 0, taken_at: at, view: View::Unreachable(why.to_owned()) };
        self.inventory.endpoints.insert(name.clone(), awaited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_mins(1);
    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn name(text: &str) -> EndpointName {
        EndpointName::new(text).unwrap()
    }

    fn web() -> VmKey {
        VmKey::parse("app/web").unwrap()
    }

    fn answer(is_whole: bool) -> Answer {
        let view = View::Unreachable("what it says matters nothing here".to_owned());
        let inventory = EndpointInventory { generation: 1, taken_at: AT, view };
        Answer { inventory, before: None, changes: 7, is_current: true, is_whole, is_same: false }
    }

    /// Two endpoints, of which `vc` has just answered.
    fn fleet(now: Instant) -> Fleet {
        let mut fleet = Fleet::default();
        fleet.set([name("vc"), name("other")].iter(), |_| true, (now, AT));
        assert_eq!(fleet.take_due(now).len(), 2);
        fleet.answered(&name("vc"), answer(true), (now, INTERVAL));
        fleet
    }

    /// Steps that begin and end at once, and the answer that follows.
    fn run(fleet: &mut Fleet, now: Instant, is_whole: bool) {
        fleet.begun(&name("vc"), [web()], AT);
        assert!(!fleet.is_free(&name("vc"), now) && fleet.awaited().contains(&name("vc")));
        fleet.ended(&name("vc"), (now, AT), INTERVAL);
        assert_eq!(fleet.take_due(now), [name("vc")], "asked at once");
        fleet.answered(&name("vc"), answer(is_whole), (now, INTERVAL));
    }

    #[tokio::test(start_paused = true)]
    async fn steps_that_lead_to_steps_again_are_the_last_for_an_interval() {
        let now = crate::clock::instant();
        let mut fleet = fleet(now);
        run(&mut fleet, now, true);
        assert!(fleet.is_free(&name("vc"), now));
        run(&mut fleet, now, true);
        assert!(!fleet.is_free(&name("vc"), now) && fleet.is_free(&name("vc"), now + INTERVAL));
        fleet.new_revision((now, AT));
        assert!(fleet.is_free(&name("vc"), now), "another revision is other work");
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_whole_answer_tells_where_a_vm_is_that_steps_were_begun_for() {
        let now = crate::clock::instant();
        let mut fleet = fleet(now);
        run(&mut fleet, now, false);
        assert!(fleet.may_be_elsewhere(&web(), &name("other")));
        assert!(!fleet.may_be_elsewhere(&web(), &name("vc")), "there it may go on");
        run(&mut fleet, now, true);
        assert!(!fleet.may_be_elsewhere(&web(), &name("other")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_awaited_again_once_anything_was_changed_there() {
        let now = crate::clock::instant();
        let mut fleet = fleet(now);
        fleet.notice_changes(&BTreeMap::from([(name("vc"), 7)]), (now, AT));
        assert!(fleet.is_free(&name("vc"), now));
        fleet.notice_changes(&BTreeMap::from([(name("vc"), 8)]), (now, AT));
        assert!(!fleet.is_free(&name("vc"), now));
        assert_eq!(fleet.take_due(now), [name("vc")]);
        let during = Answer { is_current: false, ..answer(true) };
        fleet.answered(&name("vc"), during, (now, INTERVAL));
        assert!(!fleet.is_free(&name("vc"), now), "it was changed while it was asked");
        assert!(fleet.take_due(now).is_empty() && fleet.take_due(now + AGAIN) == [name("vc")]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_leads_to_nothing_for_a_new_revision() {
        let now = crate::clock::instant();
        let mut fleet = fleet(now);
        fleet.new_revision((now + FRESH, AT));
        assert!(fleet.is_free(&name("vc"), now + FRESH));
        let later = now + FRESH + Duration::from_secs(1);
        fleet.new_revision((later, AT));
        assert!(!fleet.is_free(&name("vc"), later) && fleet.take_due(later) == [name("vc")]);
    }
}
