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
        /// What answered, as it calls itself; `None`: nothing did.
        product: Option<String>,
        /// Why not, or why not whole.
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

/// Where events go; clones share it. Nobody listening is fine.
#[derive(Debug, Clone, Default)]
pub struct EventSink(Option<tokio::sync::mpsc::UnboundedSender<Event>>);

/// The other end of an [`EventSink`]: `recv().await` until `None`, which comes when every sink is gone.
pub type EventStream = tokio::sync::mpsc::UnboundedReceiver<Event>;

impl EventSink {
    /// A sink and the stream of what is sent to it. Unbounded: a slow terminal never holds up a step, and a run sends a
    /// few events per VM.
    pub fn channel() -> (Self, EventStream) {
        let (sender, stream) = tokio::sync::mpsc::unbounded_channel();
        (Self(Some(sender)), stream)
    }

    /// Nobody listens.
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// Sends one; a listener that is gone is not an error.
    pub fn send(&self, event: Event) {
        if let Some(sender) = &self.0 {
            let _ = sender.send(event);
        }
    }
}

/// An error with everything that caused it, on one line: how events and reports tell it.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        // Transparent wrappers say the same again.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}
