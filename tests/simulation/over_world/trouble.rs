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
    pub fn next_call(&mut self) -> Option<CallTrouble> {
        let due = self.calls.remove(&0);
        self.calls = std::mem::take(&mut self.calls).into_iter().map(|(n, trouble)| (n - 1, trouble)).collect();
        due
    }

    /// All is well again. What will be done late still will be.
    pub fn heal(&mut self) {
        *self = Self { late: std::mem::take(&mut self.late), ..Self::default() };
    }
}
