//! Two lock files in stateDir, held through the operating system: a process that dies lets go of its lock.
//!
//! `serve.lock` is held for serve's life: a second one fails at once. `change.lock` is held only while something is
//! changed: another waits up to 30 s. Readers (`plan`, `drift`, `get`) take neither.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::{JournalError, make_private};

/// How long an apply waits for another one.
pub const CHANGE_WAIT: Duration = Duration::from_secs(30);

/// Between two tries; the operating system has no wait with a time limit.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// Tries at serve.lock more, since a look at it (see [`Lock::is_serving`]) takes microseconds.
const LOOKS: usize = 3;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes `serve.lock`, or says at once who has it.
    pub fn serve(state_dir: &Path) -> Result<Self, JournalError> {
        let path = state_dir.join("serve.lock");
        let mut taken = try_take(state_dir, &path)?;
        for _ in 0..LOOKS {
            // Somebody may only be looking whether a serve runs.
            if taken.is_err() {
                taken = try_take(state_dir, &path)?;
            }
        }
        match taken {
            Ok(lock) => Ok(lock),
            Err(holder) => {
                Err(JournalError::Locked(format!("another serve{holder} already works with {}", state_dir.display())))
            }
        }
    }

    /// Takes `change.lock` if nobody has it; else says who.
    pub fn change_now(state_dir: &Path) -> Result<Result<Self, String>, JournalError> {
        let taken = try_take(state_dir, &state_dir.join("change.lock"))?;
        Ok(taken.map_err(|holder| format!("another run{holder} is changing things")))
    }

    /// Does a `serve` hold its lock now? Looks without taking it for long, so that one which starts meanwhile gets it.
    pub fn is_serving(state_dir: &Path) -> bool {
        Self::who_serves(state_dir).is_some()
    }

    /// The same, and which process it is, where that is known: one that took the lock this
    /// moment has yet to write it down.
    pub fn who_serves(state_dir: &Path) -> Option<Option<u32>> {
        let mut file = File::open(state_dir.join("serve.lock")).ok()?;
        let held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        held.then(|| written_in(&mut file)?.parse().ok())
    }

    /// Takes `change.lock`, waiting up to 30 s for whoever has it.
    pub async fn change(state_dir: &Path) -> Result<Self, JournalError> {
        let path = state_dir.join("change.lock");
        let deadline = crate::clock::instant() + CHANGE_WAIT;
        loop {
            let holder = match try_take(state_dir, &path)? {
                Ok(lock) => return Ok(lock),
                Err(holder) => holder,
            };
            if crate::clock::instant() >= deadline {
                let waited = CHANGE_WAIT.as_secs();
                return Err(JournalError::Locked(format!(
                    "another run{holder} has been changing things for over {waited} s: try again when it is done"
                )));
            }
            sleep(TRY_EVERY).await;
        }
    }
}

/// `Ok(Err(holder))` when somebody else has it; the text names the process where it is known.
fn try_take(state_dir: &Path, path: &Path) -> Result<Result<Lock, String>, JournalError> {
    make_private(state_dir)?;
    let failed = |what| move |source| JournalError::StateDir { what, path: path.to_owned(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed("open the lock file"))?;
    match file.try_lock() {
        Ok(()) => {
            // Who it is, for the message of the one that has to wait; no one depends on it.
            let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(Ok(Lock { _file: file }))
        }
        Err(TryLockError::WouldBlock) => {
            Ok(Err(written_in(&mut file).map(|process| format!(" (process {process})")).unwrap_or_default()))
        }
        Err(TryLockError::Error(source)) => Err(failed("take the lock")(source)),
    }
}

/// The process that a lock file names; not to be relied on but while its lock is held.
fn written_in(file: &mut File) -> Option<String> {
    let mut text = String::new();
    let _ = file.take(20).read_to_string(&mut text);
    let known = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    known.then_some(text)
}
