//! Which files need not be read again: those that nobody can have written since.
//!
//! A stamp (which file, how long, written when) says so, as it does for Git's index. Times are as coarse as the clock of a
//! file system: a write in the same moment as the one before leaves the stamp as it was. So a stamp counts only once the
//! file was read again a while after it was first seen; whoever writes later leaves another. Our clock is compared with
//! itself alone, and it is the machine's own, since the files' is.
//!
//! Only file systems of this machine are believed: others answer from a cache, and opening a file is what makes them ask.
//! And nothing is believed for ever.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::manifest::SourceText;
use crate::model::Revision;

/// Coarser than the clock of any file system: FAT counts in two seconds.
const GRAIN: u64 = 2_000_000;

/// All files are read at least so often, whatever their stamps: writing through a memory map moves a stamp late.
const DOUBTED_AFTER: u64 = 600_000_000;

/// Which file stands there, how long it is, and when it was last written or changed in any way; the second time cannot be
/// set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    pub(super) fn device(&self) -> u64 {
        self.device
    }

    /// How long the file is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// What was seen of one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    stamp: Stamp,
    /// When it was first seen with this stamp.
    since: u64,
    counts: bool,
}

impl Mark {
    /// Of a file that was opened no earlier than `opened`, had this stamp by `stamped`, and was read then.
    pub(super) fn new(stamp: Stamp, (opened, stamped): (u64, u64), before: Option<Self>, is_local: bool) -> Self {
        let since = before.filter(|before| before.stamp == stamp).map_or(stamped, |before| before.since);
        Self { stamp, since, counts: is_local && opened.saturating_sub(since) >= GRAIN }
    }

    /// A file that has this stamp still holds what was read of it.
    pub(super) fn vouches_for(&self, stamp: Stamp) -> bool {
        self.counts && self.stamp == stamp
    }
}

/// All files of a source as they were last read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// In the order of their paths.
    pub(super) texts: Arc<[SourceText]>,
    /// One for each text.
    pub(super) marks: Vec<Mark>,
    pub(super) revision: Revision,
    /// When all of them were last read.
    pub(super) all_at: u64,
}

impl Seen {
    /// The same with no stamp that counts: everything is read the next time.
    #[must_use]
    pub fn doubted(mut self) -> Self {
        self.marks.iter_mut().for_each(|mark| mark.counts = false);
        self
    }

    /// The same a good while later.
    #[cfg(test)]
    pub(super) fn believed(mut self) -> Self {
        self.marks.iter_mut().for_each(|mark| mark.counts = true);
        self
    }

    /// Does any stamp count still?
    pub(super) fn is_believed(&self, now: u64) -> bool {
        now.saturating_sub(self.all_at) < DOUBTED_AFTER && self.marks.iter().any(|mark| mark.counts)
    }

    /// Looks files up one after another in the order of paths.
    pub(super) fn in_order(&self) -> InOrder<'_> {
        InOrder { texts: &self.texts, marks: &self.marks }
    }
}

/// What is left of the files seen.
pub(super) struct InOrder<'s> {
    texts: &'s [SourceText],
    marks: &'s [Mark],
}

impl<'s> InOrder<'s> {
    /// What was seen under this path; every path is greater than the one before.
    pub(super) fn find(&mut self, path: &Path) -> Option<(&'s SourceText, Mark)> {
        let of = |text: &'s SourceText| Path::new(&*text.path);
        while self.texts.first().is_some_and(|text| of(text) < path) {
            (self.texts, self.marks) = (&self.texts[1..], &self.marks[1..]);
        }
        let (text, mark) = (self.texts.first()?, self.marks.first()?);
        (of(text) == path).then_some((text, *mark))
    }
}

/// Is this path on a file system that only this machine writes, and that therefore always knows?
#[cfg(target_os = "linux")]
pub(super) fn is_local(path: &Path) -> bool {
    /// ext4, XFS, Btrfs, tmpfs, ZFS, F2FS (`linux/magic.h`).
    const LOCAL: [i64; 6] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x2FC1_2FC1, 0xF2F5_2010];
    #[expect(clippy::useless_conversion, reason = "its type differs between machines")]
    rustix::fs::statfs(path).is_ok_and(|found| i64::try_from(found.f_type).is_ok_and(|kind| LOCAL.contains(&kind)))
}

/// Other systems tell the kind of a file system otherwise.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_local(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(changed: i64) -> Stamp {
        Stamp { device: 1, inode: 2, bytes: 3, modified: (4, 0), changed: (changed, 0) }
    }

    #[test]
    fn a_stamp_counts_once_the_file_was_read_a_while_after_it_was_first_seen() {
        let first = Mark::new(stamp(1), (0, 10), None, true);
        assert!(!first.vouches_for(stamp(1)));
        let early = Mark::new(stamp(1), (GRAIN + 9, GRAIN + 9), Some(first), true);
        assert!(!early.vouches_for(stamp(1)), "a write in the same moment may have come after the first reading");
        let later = Mark::new(stamp(1), (GRAIN + 10, GRAIN + 10), Some(early), true);
        assert!(later.vouches_for(stamp(1)) && !later.vouches_for(stamp(2)));
        let written = Mark::new(stamp(2), (GRAIN * 9, GRAIN * 9), Some(later), true);
        assert!(!written.vouches_for(stamp(2)), "another stamp begins anew");
        let remote = Mark::new(stamp(1), (GRAIN * 9, GRAIN * 9), Some(first), false);
        assert!(!remote.vouches_for(stamp(1)));
    }

    #[test]
    fn nothing_is_believed_for_ever_nor_when_it_is_doubted() {
        let mark = Mark { stamp: stamp(1), since: 0, counts: true };
        let seen = Seen { marks: vec![mark], all_at: 5, ..Seen::default() };
        assert!(seen.is_believed(6) && !seen.is_believed(5 + DOUBTED_AFTER));
        assert!(!seen.doubted().is_believed(6));
    }
}
