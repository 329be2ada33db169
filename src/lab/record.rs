//! The record of what was asked of a lab: every call, and which of them changed something.
//!
//! In: one entry per call, written by the fronts when it was done (or deliberately not done) and before anything of the
//! answer leaves. Out: the entries in order, the counts by operation, and a listener that is told of each entry at that
//! very moment: a test that must act between a change and its reply does so there. Counts are kept for ever, entries up
//! to [`KEPT`], the newest.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// How many entries are kept; a lab under load must not grow without end.
pub const KEPT: usize = 50_000;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Counts from 1.
    pub number: u64,
    /// When it came, in lab time.
    pub at: Timestamp,
    /// Name of the endpoint it came to.
    pub endpoint: String,
    /// Wire name, such as `ReconfigVM_Task`.
    pub operation: String,
    /// The wire reference it was made on, such as `vm-42`.
    pub target: String,
    /// Name of the VM it concerns, as the world knew it then: the target's, or that of the VM to be made.
    pub vm: Option<String>,
    /// Does this operation change VMs, folders or other inventory?
    pub mutating: bool,
    /// How it was answered.
    pub outcome: CallOutcome,
}

/// How a call was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// With a result (for a task: the task was started).
    Answered,
    /// With this fault.
    Fault(String),
    /// It was done and the reply thrown away by a fault rule.
    ReplyLost,
    /// The connection was dropped before anything was done, by a fault rule.
    Dropped,
}

/// A shared handle on the record.
#[derive(Debug, Clone, Default)]
pub struct Record(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    calls: VecDeque<CallRecord>,
    counts: BTreeMap<String, u64>,
    mutating: BTreeMap<String, u64>,
    listener: Listener,
}

type Told = dyn Fn(&CallRecord) + Send + Sync;

/// Who is told of each entry.
#[derive(Clone, Default)]
struct Listener(Option<Arc<Told>>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.0.is_some()).finish()
    }
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call; its number is given here.
    pub(in crate::lab) fn add(&self, mut call: CallRecord) {
        let mut inner = self.lock();
        inner.last += 1;
        call.number = inner.last;
        *inner.counts.entry(call.operation.clone()).or_default() += 1;
        // A call dropped or refused changed nothing.
        if call.mutating && matches!(call.outcome, CallOutcome::Answered | CallOutcome::ReplyLost) {
            *inner.mutating.entry(call.operation.clone()).or_default() += 1;
        }
        if inner.calls.len() == KEPT {
            inner.calls.pop_front();
        }
        inner.calls.push_back(call.clone());
        let listener = inner.listener.clone();
        drop(inner);
        if let Listener(Some(listener)) = listener {
            listener(&call);
        }
    }

    /// From now on tells `listener` of each call: after it was done and before its reply, or the cut that stands for
    /// one, can be noticed by the client. The call waits for the listener, so it should be
    /// quick. Replaces the one before.
    pub fn listen(&self, listener: impl Fn(&CallRecord) + Send + Sync + 'static) {
        self.lock().listener = Listener(Some(Arc::new(listener)));
    }

    /// Tells nobody any more.
    pub fn stop_listening(&self) {
        self.lock().listener = Listener::default();
    }

    /// All kept calls, oldest first.
    pub fn all(&self) -> Vec<CallRecord> {
        self.lock().calls.iter().cloned().collect()
    }

    /// The calls that were meant to change something, refused ones included.
    pub fn mutating(&self) -> Vec<CallRecord> {
        self.lock().calls.iter().filter(|call| call.mutating).cloned().collect()
    }

    /// The mutating calls that concern the VM of this name.
    pub fn mutating_on(&self, vm: &str) -> Vec<CallRecord> {
        self.mutating().into_iter().filter(|call| call.vm.as_deref() == Some(vm)).collect()
    }

    /// How often an operation was called.
    pub fn count(&self, operation: &str) -> u64 {
        self.lock().counts.get(operation).copied().unwrap_or_default()
    }

    /// Counts of all operations.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }

    /// Counts of mutating operations that were let through.
    pub fn mutating_counts(&self) -> BTreeMap<String, u64> {
        self.lock().mutating.clone()
    }

    /// Forgets everything; numbers go on.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.calls.clear();
        inner.counts.clear();
        inner.mutating.clear();
    }
}
