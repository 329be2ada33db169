//! From the source to what is wanted: manifests and user data, read where blocking is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Session, SessionError};
use crate::diagnostic::{Diagnostic, Severity};
use crate::gate::Who;
use crate::journal::{GoodRevision, JournalError, Lock, ReadFrom};
use crate::manifest::again::Earlier;
use crate::manifest::{self, SourceText};
use crate::model::{Desired, Revision, Secret, VmKey};
use crate::plan::SourceTrust;
use crate::source::{self, Seen};

/// What a source says.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Names the contents.
    pub revision: Revision,
    /// `None`: it has an error.
    pub desired: Option<Arc<Desired>>,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// How far it may be trusted with destroys.
    pub trust: SourceTrust,
    /// Its files as they were read: for the last good revision.
    pub texts: Arc<[SourceText]>,
    /// Why it may be half of something, whatever it looks like: Git is at work in it.
    pub in_progress: Option<String>,
    /// When its files were read.
    pub read: ReadAt,
}

/// When the files of a source were read, one after another; what was made of them took its time afterwards.
#[derive(Debug, Clone, Copy)]
pub struct ReadAt {
    /// The first of them, no earlier than this.
    pub from: Instant,
    /// The last of them, no later than this.
    pub to: Instant,
    /// Which of them.
    pub reread: Reread,
}

/// Which files of a source are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reread {
    /// All of them.
    All,
    /// Those that somebody may have written since they were read.
    Unvouched,
}

/// The configured source as it was last read.
#[derive(Debug)]
pub(super) struct Remembered {
    wanted: Wanted,
    seen: Seen,
    /// Everything that stands there could be read.
    whole: bool,
    /// Files that declare tiers or instance types.
    common: BTreeSet<Arc<str>>,
}

impl Remembered {
    /// What the next revision can be compiled from.
    fn earlier(&self) -> Option<Earlier<'_>> {
        let Wanted { desired, diagnostics, texts, .. } = &self.wanted;
        let desired = desired.as_ref().filter(|_| diagnostics.is_empty())?;
        Some(Earlier { texts, desired, common: &self.common })
    }
}

impl Session {
    /// Reads the configured source, or other manifests (`-f`).
    pub(crate) async fn read_source(&self, other: Option<&Path>) -> Result<Wanted, SessionError> {
        match other {
            None => self.read_configured(Reread::Unvouched).await,
            Some(path) => {
                let path = path.to_owned();
                in_background(move || read(&path, SourceTrust::Elsewhere, Reread::All, None))
                    .await
                    .map(|read| read.wanted)
            }
        }
    }

    /// Reads the configured source, of each file no more than it must.
    pub(crate) async fn read_configured(&self, reread: Reread) -> Result<Wanted, SessionError> {
        let path = self.settings.source.clone();
        let mut remembered = self.source.lock().await;
        let last = remembered.take();
        let read = in_background(move || read(&path, SourceTrust::Settled, reread, last.as_ref())).await?;
        Ok(remembered.insert(read).wanted.clone())
    }

    /// The last good revision of this source that the journal kept, compiled again. One that no longer compiles (a newer
    /// program reads manifests more strictly) is none.
    pub(crate) async fn last_good(&self) -> Result<Option<Arc<Desired>>, SessionError> {
        let good = self.journal().await?.good_revision().await?;
        let ours = self.source_name();
        let of_ours = |good: &GoodRevision| good.source.as_ref().is_none_or(|source| *source == ours);
        let Some(good) = good.filter(of_ours) else { return Ok(None) };
        let compiled = tokio::task::spawn_blocking(move || compile(good))
            .await
            .map_err(|_| SessionError::Internal("reading the last good revision"))?;
        Ok(compiled)
    }

    /// Keeps a revision of the configured source as the last good one.
    pub(crate) async fn keep_good(
        &self,
        desired: &Desired,
        texts: &Arc<[SourceText]>,
        by: Who,
    ) -> Result<(), JournalError> {
        let from = ReadFrom { source: self.source_name(), at: self.clock.now(), by };
        self.journal().await?.keep_revision(desired, texts, &from).await
    }

    /// After a person's apply: what was applied is the last good revision for the next `serve`, which would else go on
    /// with an older one while the source is broken, and undo it. Only what stands in the configured source still, and is
    /// committed where that is a work tree of Git; a `serve` that runs keeps its own.
    pub(super) async fn keep_applied(&self, applied: &Desired) -> Result<(), SessionError> {
        if Lock::is_serving(&self.settings.state_dir) {
            return Ok(());
        }
        let now = self.read_source(None).await?;
        let stands = now.in_progress.is_none() && now.revision == applied.revision && now.desired.is_some();
        let (source, texts) = (self.settings.source.clone(), Arc::clone(&now.texts));
        let committed = tokio::task::spawn_blocking(move || stands && source::is_committed(&source, &texts));
        if committed.await.map_err(|_| SessionError::Internal("asking Git"))? {
            self.keep_good(applied, &now.texts, Who::Apply).await?;
        } else {
            tracing::debug!(revision = %applied.revision, "not kept: it is not what stands committed in the source");
        }
        Ok(())
    }

    /// The configured source, by a name that stays when it is gone.
    fn source_name(&self) -> String {
        let source = &self.settings.source;
        let absolute = std::path::absolute(source).unwrap_or_else(|_| source.clone());
        absolute.to_string_lossy().into_owned()
    }

    /// All user data that can be read. What cannot is a warning: it refuses the create that needs it, and VMs that exist
    /// need theirs no more.
    pub(crate) async fn read_user_data(
        &self,
        desired: &Arc<Desired>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<BTreeMap<VmKey, Secret>, SessionError> {
        let source = self.user_data_of(Arc::clone(desired));
        let (read, problems) = tokio::task::spawn_blocking(move || source.read_all())
            .await
            .map_err(|_| SessionError::Internal("reading user data"))?;
        diagnostics.extend(problems.into_iter().map(|problem| Diagnostic { severity: Severity::Warning, ..problem }));
        Ok(read)
    }
}

async fn in_background(read: impl FnOnce() -> Remembered + Send + 'static) -> Result<Remembered, SessionError> {
    tokio::task::spawn_blocking(read).await.map_err(|_| SessionError::Internal("reading the manifests"))
}

/// Reads a source; one that has not changed since `last` is not looked into again. Without an error it may be trusted so far.
fn read(path: &Path, trust: SourceTrust, reread: Reread, last: Option<&Remembered>) -> Remembered {
    // Before and after: one that began or ended meanwhile changed what was read.
    let before = source::in_progress(path);
    let from = crate::clock::instant();
    let found = match last {
        Some(last) if reread == Reread::Unvouched => source::read_again(path, &last.seen),
        Some(last) => source::read_again(path, &last.seen.clone().doubted()),
        None => source::read(path),
    };
    let read = ReadAt { from, to: crate::clock::instant(), reread };
    let in_progress = before.or_else(|| source::in_progress(path));
    let reading = read.to.saturating_duration_since(from);
    let whole = found.diagnostics.is_empty();
    let is_same = |last: &Remembered| whole && last.whole && last.wanted.revision == *found.revision();
    if let Some(Remembered { wanted, common, .. }) = last.filter(|last| is_same(last)) {
        tracing::debug!(?reading, "the source is as it was");
        let wanted = Wanted { in_progress, read, ..wanted.clone() };
        return Remembered { wanted, seen: found.seen, whole, common: common.clone() };
    }
    let seen = found.seen.clone();
    let loaded = source::resolve(path, found, last.and_then(Remembered::earlier));
    let source::Loaded { revision, desired, diagnostics, texts, common, files, .. } = loaded;
    let resolving = crate::clock::instant().saturating_duration_since(read.to);
    tracing::debug!(files, ?reading, ?resolving, "the source is another");
    let trust = if desired.is_some() || trust == SourceTrust::Elsewhere { trust } else { SourceTrust::Broken };
    let desired = desired.map(Arc::new);
    let wanted = Wanted { revision, desired, diagnostics, trust, texts, in_progress, read };
    Remembered { wanted, seen, whole, common }
}

/// A revision as it was kept; the paths are as they were shown then.
fn compile(good: GoodRevision) -> Option<Arc<Desired>> {
    manifest::compile(good.revision, &good.texts).desired.map(Arc::new)
}
