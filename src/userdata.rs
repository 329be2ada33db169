//! Cloud-init user data: what a manifest gives inline, or names as a file in secretsDir.
//!
//! Read once for a plan (its salted digest goes into the mark) and again just before a create, so that what is sent is
//! what stands there now. Never kept: not in a plan, not in the journal, not in a log.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{CloudInit, Desired, Secret, VmKey, VmSpec};

/// More than this no hypervisor takes: guestinfo properties and config drives end well below.
const LIMIT: u64 = 1 << 20;

/// Why user data could not be read. The message names the file, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum UserDataError {
    /// The name leads out of secretsDir.
    #[error("`{0}` is not a plain file name")]
    NotPlain(String),
    /// It cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is too large.
    #[error("{path} is larger than 1 MiB", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not text.
    #[error("{path} is not UTF-8 text", path = path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

/// Where the user data of one revision comes from.
#[derive(Debug, Clone)]
pub struct UserData {
    desired: Arc<Desired>,
    secrets_dir: PathBuf,
}

/// What could be read, and what could not, by VM.
#[derive(Debug, Default)]
pub struct AllUserData {
    /// Read.
    pub read: BTreeMap<VmKey, Secret>,
    /// Not read.
    pub failed: BTreeMap<VmKey, UserDataError>,
}

impl UserData {
    /// Of a revision.
    pub fn new(desired: Arc<Desired>, secrets_dir: &Path) -> Self {
        Self { desired, secrets_dir: secrets_dir.to_owned() }
    }

    /// Of one VM; `None` when its manifest has none. Reads a file: call it where blocking is allowed.
    pub fn read(&self, key: &VmKey) -> Result<Option<Secret>, UserDataError> {
        self.desired.vms.get(key).map_or(Ok(None), |vm| self.of(vm))
    }

    /// Of all VMs. Reads files: call it where blocking is allowed.
    pub fn read_all(&self) -> AllUserData {
        let mut all = AllUserData::default();
        for (key, vm) in &self.desired.vms {
            match self.of(vm) {
                Ok(Some(secret)) => drop(all.read.insert(key.clone(), secret)),
                Ok(None) => {}
                Err(error) => drop(all.failed.insert(key.clone(), error)),
            }
        }
        all
    }

    fn of(&self, vm: &VmSpec) -> Result<Option<Secret>, UserDataError> {
        match &vm.cloud_init {
            None => Ok(None),
            Some(CloudInit::Inline(secret)) => Ok(Some(secret.clone())),
            Some(CloudInit::File(name)) => self.file(name).map(Some),
        }
    }

    fn file(&self, name: &str) -> Result<Secret, UserDataError> {
        // The manifest reader refuses such names already; a committer must not read other files through us even if it
        // did not.
        let mut parts = Path::new(name).components();
        let plain =
            matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(part)), None) if part == name);
        if !plain {
            return Err(UserDataError::NotPlain(name.to_owned()));
        }
        let path = self.secrets_dir.join(name);
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
        if let Err(source) = read {
            return Err(UserDataError::Unreadable { path, source });
        }
        if bytes.len() as u64 > LIMIT {
            return Err(UserDataError::TooLarge { path });
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Secret::new(text)),
            Err(_) => Err(UserDataError::NotText { path }),
        }
    }
}
