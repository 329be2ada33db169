//! What happens, as it happens: the stream that apply and the reconciler send and `status.rs` folds.

use crate::model::{EndpointName, VmKey};
use crate::plan::Action;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// An endpoint is being asked.
    CollectStarted {
        /// Which.
        endpoint: EndpointName,
    },
    /// An endpoint answered, or was given up.
    Collected {
        /// Which.
        endpoint: EndpointName,
        /// How many VMs it listed.
        vms: usize,
        /// Why not, if it did not.
        why: Option<String>,
    },
    /// A step began.
    StepStarted {
        /// For which VM.
        key: VmKey,
        /// What.
        action: Action,
    },
    /// Something to show while a step waits.
    StepProgress {
        /// For which VM.
        key: VmKey,
        /// What it waits for.
        text: String,
        /// How far, if told.
        percent: Option<u8>,
    },
    /// A step is done and its promise was seen kept.
    StepDone {
        /// For which VM.
        key: VmKey,
        /// What.
        action: Action,
    },
    /// A step failed.
    StepFailed {
        /// For which VM.
        key: VmKey,
        /// What.
        action: Action,
        /// The whole chain.
        why: String,
    },
    /// A step was not begun or was halted: a normal outcome.
    StepSkipped {
        /// For which VM.
        key: VmKey,
        /// What.
        action: Action,
        /// Why.
        why: String,
    },
}
