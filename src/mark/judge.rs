//! Whose VM is this? The one place that decides what a mark, its absence, or its copy means for a single VM.

use uuid::Uuid;

use super::{Mark, Pending, identity, text};
use crate::model::{Config, ObservedVm};

/// What a VM's mark says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It carries none: unmanaged, never touched.
    NoMark,
    /// Ours: this installation, and the own id is this VM's.
    Ours(Box<Mark>),
    /// A create of ours that was cut short: the mark says so, has no own id yet, or there is only the birth name.
    Unfinished {
        /// The identity it was being made for.
        identity: Uuid,
        /// Its mark; `None`: only the birth name tells.
        mark: Option<Box<Mark>>,
    },
    /// Another installation's.
    Foreign(String),
    /// Our mark, copied to a VM it was not written for: not ours.
    Clone(Box<Mark>),
    /// There is a mark and it cannot be understood.
    Unreadable(String),
    /// The configuration could not be read, so nobody knows.
    Unknown(String),
}

/// Judges one VM.
pub fn judge(vm: &ObservedVm, installation: &str) -> Standing {
    let config = match &vm.config {
        Config::Readable(config) => config,
        Config::Unreadable(why) => return Standing::Unknown(why.clone()),
    };
    let Some(written) = config.mark.as_deref().filter(|written| !written.trim().is_empty()) else {
        return match identity::of_birth_name(&vm.name) {
            Some(identity) => Standing::Unfinished { identity, mark: None },
            None => Standing::NoMark,
        };
    };
    let mark = match text::parse(written) {
        Ok(mark) => Box::new(mark),
        Err(error) => return Standing::Unreadable(error.to_string()),
    };
    if mark.installation != installation {
        return Standing::Foreign(mark.installation);
    }
    match &mark.own_id {
        Some(own_id) if *own_id != vm.id => Standing::Clone(mark),
        Some(_) if mark.pending != Some(Pending::Create) => Standing::Ours(mark),
        _ => Standing::Unfinished { identity: mark.identity, mark: Some(mark) },
    }
}
