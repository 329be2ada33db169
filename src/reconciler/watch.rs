//! Watching the source folder: a hint to read it now, never the truth.
//!
//! Network file systems and container mounts often tell nothing, and a folder that does not exist cannot be watched; so
//! the loop polls at its interval whatever comes from here. The folder's parent is watched beside it (not below it), so
//! that a folder which goes and comes back, as deployments by rename or by symbolic link do, is a hint too.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Which folder it is: one that was made anew under the same name is another, and a watch does not move to it. Numbers
/// of inodes are given out again, often at once; where the file system tells the time of birth, that tells them apart.
type Inode = (u64, u64, Option<SystemTime>);

/// Hints about one folder or file.
pub(super) struct Watch {
    source: PathBuf,
    hint: Arc<Notify>,
    /// The folder itself was removed or renamed since it was last begun to be watched.
    lost: Arc<AtomicBool>,
    watched: Option<(Option<Inode>, RecommendedWatcher)>,
}

impl Watch {
    /// Of a source that may not be there yet.
    pub(super) fn new(source: &Path) -> Self {
        let (hint, lost) = (Arc::default(), Arc::default());
        let mut watch = Self { source: source.to_owned(), hint, lost, watched: None };
        watch.ensure();
        watch
    }

    /// Watches what stands under the source's name now; call it after each reading, since another may have come. True
    /// when it has: what happened in it before it was watched, only another reading tells.
    pub(super) fn ensure(&mut self) -> bool {
        let found = std::fs::metadata(&self.source).ok();
        let now = found.map(|found| (found.dev(), found.ino(), found.created().ok()));
        let lost = self.lost.load(Ordering::Relaxed);
        if !lost && self.watched.as_ref().is_some_and(|(inode, _)| *inode == now) {
            return false;
        }
        // What the watch before this one tells late is of a folder that is given up.
        self.lost = Arc::default();
        // Where there is none its parent alone is watched, until it comes.
        self.watched = match self.begin(now.is_some()) {
            Ok(watcher) => Some((now, watcher)),
            Err(error) => {
                tracing::debug!(%error, "the source is not watched, only polled");
                None
            }
        };
        self.watched.is_some()
    }

    /// Each event is a hint at once, and hints that nobody took yet are one. What is still being written is read half,
    /// and again with the next hint: a revision that stands for a moment only is never used (`settle.rs`).
    fn begin(&self, exists: bool) -> notify::Result<RecommendedWatcher> {
        let (hint, lost, source) = (Arc::clone(&self.hint), Arc::clone(&self.lost), self.source.clone());
        let told = move |told: notify::Result<Event>| {
            // What cannot be told apart is a hint: reading once more costs little.
            let Ok(event) = told else { return hint.notify_one() };
            if !is_change(event.kind) {
                return;
            }
            if event.paths.contains(&source) {
                lost.store(true, Ordering::Relaxed);
            }
            if concerns(&source, &event.paths) {
                hint.notify_one();
            }
        };
        let mut watcher = notify::recommended_watcher(told)?;
        if exists {
            watcher.watch(&self.source, RecursiveMode::Recursive)?;
        }
        if let Some(parent) = self.source.parent() {
            let beside = watcher.watch(parent, RecursiveMode::NonRecursive);
            // The folder itself is watched: its parent is for the rare case.
            if let (Err(error), false) = (beside, exists) {
                return Err(error);
            }
        }
        Ok(watcher)
    }

    /// Returns when something may have changed.
    pub(super) async fn hinted(&self) {
        self.hint.notified().await;
    }
}

/// Opening and reading are told as well, and our own reading must not be a hint to read.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// The parent may hold the journal or anything else that changes all the time.
fn concerns(source: &Path, paths: &[PathBuf]) -> bool {
    paths.is_empty() || paths.iter().any(|path| path.starts_with(source))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Waits for a hint; the test's own time limit is the runner's.
    async fn hinted_by(watch: &Watch, change: impl FnOnce()) {
        change();
        watch.hinted().await;
    }

    /// Hints come late, so that one which is still on its way would pass for the next.
    async fn fresh(source: &Path) -> Watch {
        let watch = Watch::new(source);
        // The watch is in place once a change of ours comes through.
        hinted_by(&watch, || fs::write(source.join("probe.yaml"), "a").unwrap()).await;
        Watch::new(source)
    }

    #[tokio::test]
    async fn an_editor_that_renames_and_replaces_is_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("manifests");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("a.yaml"), "a").unwrap();
        let watch = fresh(&source).await;
        hinted_by(&watch, || {
            fs::write(source.join(".a.yaml.swp"), "b").unwrap();
            fs::rename(source.join(".a.yaml.swp"), source.join("a.yaml")).unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn a_folder_that_goes_and_comes_back_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("manifests");
        fs::create_dir(&source).unwrap();
        let mut watch = fresh(&source).await;
        hinted_by(&watch, || fs::remove_dir_all(&source).unwrap()).await;
        // Made anew between two looks: the name is the same, the folder is not.
        hinted_by(&watch, || fs::create_dir(&source).unwrap()).await;
        assert!(watch.ensure() && !watch.ensure());
        hinted_by(&watch, || fs::write(source.join("b.yaml"), "b").unwrap()).await;
    }

    #[test]
    fn reading_the_source_and_what_lies_beside_it_are_no_hint() {
        let source = Path::new("/srv/manifests");
        assert!(!is_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(!concerns(source, &["/srv/journal.db-wal".into()]));
        assert!(concerns(source, &["/srv/manifests/web.yaml".into()]));
        assert!(concerns(source, &["/srv/manifests".into()]));
    }
}
