//! Pause: a file `STOP` in stateDir, looked at before every mutating call. A person may make it by hand.

use std::io;
use std::path::Path;

/// The file's name in stateDir.
pub const STOP_FILE: &str = "STOP";

/// Pauses every change until [`resume`]; the reason is what previews and skipped steps show.
pub fn pause(state_dir: &Path, reason: Option<&str>) -> io::Result<()> {
    std::fs::create_dir_all(state_dir)?;
    std::fs::write(state_dir.join(STOP_FILE), reason.unwrap_or_default())
}

/// Lets changes go on; false when nothing was paused.
pub fn resume(state_dir: &Path) -> io::Result<bool> {
    match std::fs::remove_file(state_dir.join(STOP_FILE)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Why changes are paused, if they are. A file that is there and cannot be read pauses too: when in doubt, stop.
pub fn paused(state_dir: &Path) -> Option<String> {
    let text = match std::fs::read(state_dir.join(STOP_FILE)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(format!("the STOP file cannot be read: {error}")),
    };
    let line: String = text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    Some(if line.trim().is_empty() { "no reason given".to_owned() } else { line.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_has_its_reason_until_it_is_resumed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(paused(dir.path()), None);
        pause(dir.path(), Some("storage migration\nsecond line")).unwrap();
        assert_eq!(paused(dir.path()).as_deref(), Some("storage migration"));
        assert!(resume(dir.path()).unwrap());
        assert!(!resume(dir.path()).unwrap());
        assert_eq!(paused(dir.path()), None);
    }

    #[test]
    fn an_empty_stop_file_made_by_hand_pauses() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(STOP_FILE), "").unwrap();
        assert_eq!(paused(dir.path()).as_deref(), Some("no reason given"));
    }
}
