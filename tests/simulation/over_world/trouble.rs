//! What goes wrong at one endpoint.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tierwright::lab::world::Work;
use tierwright::model::OwnId;

/// All of it; the default is none.
#[derive(Debug, Default)]
pub struct Trouble {
    /// No answer to anything.
    pub out: bool,
    /// A listing ends after so many VMs and says so.
    pub cut: Option<usize>,
    /// It does not list its own hosts, and nothing else either.
    pub blind: bool,
    /// Left out of listings without a word; there when asked for.
    pub hidden: BTreeSet<OwnId>,
    /// Not to be seen for want of rights, listed or asked for.
    pub denied: BTreeSet<OwnId>,
    /// Listed without a configuration.
    pub unset: BTreeSet<OwnId>,
    /// Guests that acknowledge a shutdown and do nothing, by VM.
    pub deaf: BTreeSet<OwnId>,
    /// What befalls the n-th mutating call from now on (the next is 0).
    pub calls: BTreeMap<usize, CallTrouble>,
    /// Work that will be done although its caller was not told so.
    pub late: VecDeque<Work>,
    /// What befell calls, for the trace.
    pub befallen: Vec<String>,
}

/// What befalls one mutating call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallTrouble {
    /// It is done, and the reply is lost; the provider can look.
    LoseReply,
    /// It is done, the reply is lost, and the endpoint is out from then on.
    LoseReplyAndEndpoint,
    /// It is not done, and nobody says so.
    Drop,
    /// It is done later, after the next listing, and nobody says so.
    Late,
    /// The server refuses it.
    Refuse,
    /// Its task is begun and fails.
    FailTask,
    /// The connection breaks before it is sent.
    Unsent,
    /// The server has too much to do.
    Busy,
}

impl Trouble {
    /// What befalls the call that is about to be made.
    pub fn next_call(&mut self, call: &str) -> Option<CallTrouble> {
        let due = self.calls.remove(&0);
        self.befallen.extend(due.map(|trouble| format!("{trouble:?} befell {call}")));
        self.calls = std::mem::take(&mut self.calls).into_iter().map(|(n, trouble)| (n - 1, trouble)).collect();
        due
    }

    /// In words, for the trace.
    pub fn in_force(&self) -> Vec<String> {
        let Self { out, cut, blind, hidden, denied, unset, deaf, calls, late, befallen: _ } = self;
        let mut words = Vec::new();
        words.extend(out.then(|| "out".to_owned()));
        words.extend(cut.map(|most| format!("listing cut after {most}")));
        words.extend(blind.then(|| "hosts not listed".to_owned()));
        for (what, ids) in [("hidden", hidden), ("denied", denied), ("config unset", unset), ("deaf guest", deaf)] {
            words.extend(ids.iter().map(|id| format!("{what} {id}")));
        }
        words.extend(calls.iter().map(|(n, trouble)| format!("in {n} calls {trouble:?}")));
        words.extend(late.iter().map(|work| format!("still to be done {}", summary(work))));
        words
    }

    /// All is well again. What will be done late still will be.
    pub fn heal(&mut self) {
        let (late, befallen) = (std::mem::take(&mut self.late), std::mem::take(&mut self.befallen));
        *self = Self { late, befallen, ..Self::default() };
    }
}

/// The first words of what a call would do.
pub(super) fn summary(work: &Work) -> String {
    format!("{work:?}").chars().take(60).collect()
}
