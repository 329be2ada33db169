//! The status as a file in stateDir: for monitoring, and for `get status`, which must not ask a hypervisor.
//!
//! Replaced as a whole by rename, so that a reader never sees half of one. Not synced to the disk: after
//! a power failure the next start writes another. It says who wrote it and when; whether that process
//! still runs, serve.lock says.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Conditions, Status, TierStatus};
use crate::model::TierName;

/// Its name in stateDir.
pub const FILE: &str = "status.json";

/// The form that this program writes; a reader refuses a later one.
const VERSION: u32 = 1;

/// What stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusFile {
    /// 1.
    pub format_version: u32,
    /// Whose.
    pub installation: String,
    /// The process that wrote it.
    pub process: u32,
    /// When.
    pub written_at: Timestamp,
    /// Ready, Reconciling, Stalled.
    pub conditions: Conditions,
    /// By tier.
    pub tiers: BTreeMap<TierName, TierStatus>,
    /// Everything else.
    #[serde(flatten)]
    pub status: Status,
}

/// Only what every version of it has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versioned {
    format_version: u32,
}

impl StatusFile {
    /// Of a status, after the one that was written last.
    pub fn of(status: Status, installation: &str, last: Option<&Conditions>, now: Timestamp) -> Self {
        Self {
            format_version: VERSION,
            installation: installation.to_owned(),
            process: std::process::id(),
            written_at: now,
            conditions: Conditions::of(&status, last, now),
            tiers: status.tiers(),
            status,
        }
    }

    /// Puts it in place of the last one.
    pub fn write(&self, state_dir: &Path) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let new = state_dir.join(format!("{FILE}.new"));
        let mut options = std::fs::OpenOptions::new();
        // Names of VMs and what is wrong with them: not for everybody on the machine, as the rest of stateDir is not.
        let file = options.write(true).create(true).truncate(true).mode(0o640).open(&new)?;
        let mut buffered = io::BufWriter::new(file);
        serde_json::to_writer_pretty(&mut buffered, self)?;
        io::Write::flush(&mut buffered)?;
        std::fs::rename(&new, state_dir.join(FILE))
    }

    /// The one that stands in a state directory; `None`: no `serve` has written any.
    pub fn read(state_dir: &Path) -> io::Result<Option<Self>> {
        let bytes = match std::fs::read(state_dir.join(FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Versioned { format_version } = serde_json::from_slice(&bytes)?;
        if format_version != VERSION {
            return Err(io::Error::other(format!(
                "it has format version {format_version}, and this program knows {VERSION}: use the newer program"
            )));
        }
        Ok(Some(serde_json::from_slice(&bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> StatusFile {
        StatusFile::of(Status::default(), "test", None, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(StatusFile::read(dir.path()).unwrap(), None);
        file().write(dir.path()).unwrap();
        assert_eq!(StatusFile::read(dir.path()).unwrap(), Some(file()));
        file().write(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_later_form_is_refused_by_its_number_whatever_else_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), r#"{"formatVersion": 2, "somethingElse": true}"#).unwrap();
        assert!(StatusFile::read(dir.path()).unwrap_err().to_string().contains("newer program"));
    }
}
