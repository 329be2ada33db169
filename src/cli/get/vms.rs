//! `get vms`: every VM that is desired or there, and how it stands.

use crate::model::PowerState;

/// Power as a word.
pub(super) const fn power_word(power: PowerState) -> &'static str {
    match power {
        PowerState::Running => "running",
        PowerState::Stopped => "stopped",
        PowerState::Suspended => "suspended",
        PowerState::Unknown => "unknown",
    }
}

pub(super) async fn list(session: &super::Session, args: &super::Args) -> anyhow::Result<u8> {
    let _ = (session, args);
    todo!()
}
