//! Cloud-init user data of one revision, at hand for a plan and again for each create.
//!
//! Read once for a plan (its salted digest goes into the mark) and again just before a create, so that what is sent is
//! what stands there now. Never kept: not in a plan, not in the journal, not in a log. How it is read is `source`'s
//! business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::model::{Desired, Secret, VmKey};
use crate::source;

/// Where the user data of one revision comes from.
#[derive(Debug, Clone)]
pub struct UserData {
    desired: Arc<Desired>,
    secrets_dir: PathBuf,
}

impl UserData {
    /// Of a revision.
    pub fn new(desired: Arc<Desired>, secrets_dir: &Path) -> Self {
        Self { desired, secrets_dir: secrets_dir.to_owned() }
    }

    /// Of one VM; `None` when its manifest has none. Reads a file: call it where blocking is allowed.
    pub fn read(&self, key: &VmKey) -> Result<Option<Secret>, Box<Diagnostic>> {
        let Some(vm) = self.desired.vms.get(key) else { return Ok(None) };
        source::user_data_of(vm, &self.secrets_dir)
    }

    /// Of all VMs, with what could not be read. Reads files: call it where blocking is allowed.
    pub fn read_all(&self) -> (BTreeMap<VmKey, Secret>, Vec<Diagnostic>) {
        let mut found = BTreeMap::new();
        let mut problems = Vec::new();
        for (key, vm) in &self.desired.vms {
            match source::user_data_of(vm, &self.secrets_dir) {
                Ok(Some(secret)) => drop(found.insert(key.clone(), secret)),
                Ok(None) => {}
                Err(problem) => problems.push(*problem),
            }
        }
        (found, problems)
    }
}
