//! Which revision is in force, and how far it may be trusted with destroys (safety rule 3). Pure: told what was read and
//! when.
//!
//! ```text
//! Git is at work in it ----------------> the last good one stays, Unsettled, and the wait begins again
//! read: an error ----------------------> the last good one stays, Broken
//! read: another revision, under 5 s ---> the last good one stays, Unsettled
//! the same for 5 s --------------------> it is in force, Unsettled
//! the same for 30 s, every byte of it --> it is in force, Settled
//! ```
//!
//! Stamps of files say what changed, and for a plan that is enough; a revision may destroy only once all of it was read
//! again after the wait.
//!
//! The last good one of an earlier process comes into force only by an error: a person may have applied a later one since,
//! and five seconds of an older one would undo that. It is asked for then ([`Settling::lacks_good`]), and not held before.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Desired, Revision};
use crate::plan::SourceTrust;
use crate::session::{ReadAt, Reread};

/// Unchanged for this long before anything is done: a `git pull` or an editor writes files one after another.
pub(super) const BEFORE_USE: Duration = Duration::from_secs(5);

/// And for this long before anything is destroyed.
pub(super) const BEFORE_DESTROY: Duration = Duration::from_secs(30);

/// What to go by now.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    /// `None`: no good revision is known yet.
    pub(super) desired: Option<Arc<Desired>>,
    pub(super) trust: SourceTrust,
    /// How long after the beginning of this reading to read again, even if nothing hints at a change.
    pub(super) read_again_in: Option<Duration>,
    /// It came into force with this reading.
    pub(super) is_new: bool,
}

/// The memory of it.
#[derive(Debug, Default)]
pub(super) struct Settling {
    in_force: Option<Arc<Desired>>,
    /// What was read.
    candidate: Option<Candidate>,
}

/// A revision that was read.
#[derive(Debug)]
struct Candidate {
    revision: Revision,
    /// When the last file of it was read for the first time.
    since: Instant,
    /// All of it was read again after the longer wait.
    settled: bool,
}

impl Settling {
    /// Would an error in the source leave nothing in force? Then what was good before this process began is to be told.
    pub(super) fn lacks_good(&self) -> bool {
        self.in_force.is_none()
    }

    /// This was good before this process began, and the source has an error now.
    pub(super) fn fall_back_on(&mut self, good: Arc<Desired>) {
        self.in_force.get_or_insert(good);
    }

    /// What to read at this time: a revision that may destroy from then on is read to the last byte.
    pub(super) fn reread(&self, at: Instant) -> Reread {
        match &self.candidate {
            Some(Candidate { since, settled: false, .. }) if at.saturating_duration_since(*since) >= BEFORE_DESTROY => {
                Reread::All
            }
            _ => Reread::Unvouched,
        }
    }

    /// Something is at work in the source: what was read may be half of one revision and half of another, an error too.
    pub(super) fn take_nothing(&mut self) -> InForce {
        self.candidate = None;
        self.answer(SourceTrust::Unsettled, Some(BEFORE_USE))
    }

    /// Takes what was read, and when; `None`: it has an error.
    ///
    /// Each file was seen between the beginning and the end of a reading. So it has stood unchanged at least from the end of
    /// the first reading to the beginning of this one; how long it took to make something of the files does not count.
    pub(super) fn take(&mut self, read: Option<Arc<Desired>>, at: ReadAt) -> InForce {
        let Some(read) = read else {
            self.candidate = None;
            return self.answer(SourceTrust::Broken, None);
        };
        let same = self.candidate.take().filter(|candidate| candidate.revision == read.revision);
        let new = || Candidate { revision: read.revision.clone(), since: at.to, settled: false };
        let candidate = self.candidate.insert(same.unwrap_or_else(new));
        let since = candidate.since;
        let age = at.from.saturating_duration_since(since);
        let until = |settled: Duration| Some((since + settled).saturating_duration_since(at.from));
        candidate.settled |= age >= BEFORE_DESTROY && at.reread == Reread::All;
        let settled = candidate.settled;
        if age < BEFORE_USE {
            return self.answer(SourceTrust::Unsettled, until(BEFORE_USE));
        }
        let is_new = self.in_force.as_ref().is_none_or(|old| old.revision != read.revision);
        self.in_force = Some(read);
        let answer = if settled {
            self.answer(SourceTrust::Settled, None)
        } else {
            self.answer(SourceTrust::Unsettled, until(BEFORE_DESTROY))
        };
        InForce { is_new, ..answer }
    }

    fn answer(&self, trust: SourceTrust, read_again_in: Option<Duration>) -> InForce {
        InForce { desired: self.in_force.clone(), trust, read_again_in, is_new: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(name: &str) -> Arc<Desired> {
        Arc::new(Desired { revision: Revision(name.into()), ..Desired::default() })
    }

    /// Read in no time.
    fn at(moment: Instant) -> ReadAt {
        ReadAt { from: moment, to: moment, reread: Reread::All }
    }

    /// An error in the source, with a revision at hand that was good before.
    fn fallen_back(start: Instant) -> (Settling, InForce) {
        let mut settling = Settling::default();
        assert!(settling.lacks_good());
        settling.fall_back_on(revision("good"));
        let broken = settling.take(None, at(start));
        (settling, broken)
    }

    fn name(in_force: &InForce) -> Option<&str> {
        in_force.desired.as_ref().map(|desired| desired.revision.0.as_str())
    }

    #[tokio::test(start_paused = true)]
    async fn a_revision_is_used_after_5_s_and_may_destroy_after_30() {
        let mut settling = Settling::default();
        let start = Instant::now();
        let first = settling.take(Some(revision("a")), at(start));
        assert_eq!((name(&first), first.trust, first.read_again_in), (None, SourceTrust::Unsettled, Some(BEFORE_USE)));
        let used = settling.take(Some(revision("a")), at(start + BEFORE_USE));
        assert_eq!((name(&used), used.trust, used.is_new), (Some("a"), SourceTrust::Unsettled, true));
        let settled = settling.take(Some(revision("a")), at(start + BEFORE_DESTROY));
        assert_eq!((name(&settled), settled.trust, settled.is_new), (Some("a"), SourceTrust::Settled, false));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_was_read_to_the_last_byte_after_the_wait_may_destroy() {
        let mut settling = Settling::default();
        let start = Instant::now();
        let stamps = |moment: Instant| ReadAt { reread: Reread::Unvouched, ..at(moment) };
        settling.take(Some(revision("a")), at(start));
        assert_eq!(settling.reread(start + BEFORE_USE), Reread::Unvouched);
        let by_stamps = settling.take(Some(revision("a")), stamps(start + BEFORE_DESTROY));
        assert_eq!((by_stamps.trust, by_stamps.read_again_in), (SourceTrust::Unsettled, Some(Duration::ZERO)));
        assert_eq!(settling.reread(start + BEFORE_DESTROY), Reread::All);
        let settled = settling.take(Some(revision("a")), at(start + BEFORE_DESTROY));
        assert_eq!(settled.trust, SourceTrust::Settled);
        assert_eq!(settling.reread(start + BEFORE_DESTROY * 2), Reread::Unvouched);
        let later = settling.take(Some(revision("a")), stamps(start + BEFORE_DESTROY * 2));
        assert_eq!(later.trust, SourceTrust::Settled, "it stands as it was read then");
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_source_leaves_the_last_good_revision_in_force() {
        let (settling, broken) = fallen_back(Instant::now());
        assert!(!settling.lacks_good());
        assert_eq!((name(&broken), broken.trust), (Some("good"), SourceTrust::Broken));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_good_for_an_earlier_process_is_not_used_while_a_later_one_settles() {
        let mut settling = Settling::default();
        let start = Instant::now();
        assert_eq!(name(&settling.take_nothing()), None);
        let first = settling.take(Some(revision("applied since")), at(start));
        assert_eq!((name(&first), first.trust), (None, SourceTrust::Unsettled));
        let used = settling.take(Some(revision("applied since")), at(start + BEFORE_USE));
        assert_eq!(name(&used), Some("applied since"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_checkout_in_progress_settles_nothing_and_the_wait_begins_after_it() {
        let start = Instant::now();
        let (mut settling, _) = fallen_back(start);
        settling.take(Some(revision("a")), at(start));
        let busy = settling.take_nothing();
        assert_eq!(
            (name(&busy), busy.trust, busy.read_again_in),
            (Some("good"), SourceTrust::Unsettled, Some(BEFORE_USE))
        );
        let after = settling.take(Some(revision("a")), at(start + BEFORE_DESTROY));
        assert_eq!((name(&after), after.trust), (Some("good"), SourceTrust::Unsettled));
        let used = settling.take(Some(revision("a")), at(start + BEFORE_DESTROY + BEFORE_USE));
        assert_eq!((name(&used), used.trust), (Some("a"), SourceTrust::Unsettled));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_starts_the_wait_again_and_the_old_revision_may_not_destroy_meanwhile() {
        let mut settling = Settling::default();
        let start = Instant::now();
        settling.take(Some(revision("a")), at(start));
        settling.take(Some(revision("a")), at(start + BEFORE_DESTROY));
        let changed = settling.take(Some(revision("b")), at(start + BEFORE_DESTROY * 2));
        assert_eq!((name(&changed), changed.trust), (Some("a"), SourceTrust::Unsettled));
        let mended = settling.take(None, at(start + BEFORE_DESTROY * 2 + BEFORE_USE));
        assert_eq!((name(&mended), mended.trust), (Some("a"), SourceTrust::Broken));
        let back = settling.take(Some(revision("b")), at(start + BEFORE_DESTROY * 3));
        assert_eq!((name(&back), back.trust), (Some("a"), SourceTrust::Unsettled));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_is_from_the_end_of_the_first_reading_to_the_beginning_of_the_last() {
        let mut settling = Settling::default();
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let slow = |from: Instant| ReadAt { from, to: from + second, reread: Reread::All };
        let first = settling.take(Some(revision("a")), slow(start));
        assert_eq!(first.read_again_in, Some(BEFORE_USE + second), "counted from where the reading began");
        let early = settling.take(Some(revision("a")), slow(start + BEFORE_USE));
        assert_eq!((name(&early), early.read_again_in), (None, Some(second)), "the last file was read a second later");
        let used = settling.take(Some(revision("a")), slow(start + BEFORE_USE + second));
        assert_eq!(name(&used), Some("a"));
    }
}
