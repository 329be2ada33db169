//! Watching the source folder: a hint to read it now, never the truth.
//!
//! Network file systems and container mounts often tell nothing, and a folder that does not exist cannot be watched; so
//! the loop polls at its interval whatever comes from here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify_debouncer_full::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::Notify;

/// Events closer together than this are one hint.
const TOGETHER: Duration = Duration::from_millis(100);

/// Hints about one folder.
pub(super) struct Watch {
    folder: PathBuf,
    hint: Arc<Notify>,
    watcher: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
}

impl Watch {
    /// Of a folder that may not be there yet.
    pub(super) fn new(folder: &Path) -> Self {
        let mut watch = Self { folder: folder.to_owned(), hint: Arc::new(Notify::new()), watcher: None };
        watch.ensure();
        watch
    }

    /// Watches if it does not yet; call it now and then, since the folder may have come.
    pub(super) fn ensure(&mut self) {
        if self.watcher.is_none() {
            self.watcher = self.begin().inspect_err(|error| tracing::debug!(%error, "not watched")).ok();
        } else if !self.folder.exists() {
            // The watch died with the folder; one that comes back under the same name is another.
            self.watcher = None;
        }
    }

    fn begin(&self) -> notify::Result<Debouncer<RecommendedWatcher, RecommendedCache>> {
        let hint = Arc::clone(&self.hint);
        let told = move |_: DebounceEventResult| hint.notify_one();
        let mut watcher = new_debouncer(TOGETHER, None, told)?;
        watcher.watch(&self.folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    }

    /// Returns when something may have changed.
    pub(super) async fn hinted(&self) {
        self.hint.notified().await;
    }
}
