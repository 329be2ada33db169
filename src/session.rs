//! One run of a command or of `serve`: journal, providers and clock held together, and the one call that preview, apply
//! and serve all use to make a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::apply::ApplyReport;
use crate::clock::Clock;
use crate::diagnostic::Diagnostic;
use crate::events::EventSink;
use crate::inventory::Inventory;
use crate::journal::{Journal, JournalError};
use crate::model::{Desired, EndpointName, Secret, VmKey};
use crate::plan::{History, Plan, SourceTrust};
use crate::provider::{Provider, ProviderError};
use crate::settings::Settings;
use crate::shutdown::Shutdown;

/// Why a session could not do what was asked. Problems of the source are no error here: see [`Look::diagnostics`].
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The journal or a lock.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A saved plan that cannot be run.
    #[error("the plan {0}")]
    SavedPlan(String),
}

/// See the module.
pub struct Session {
    settings: Settings,
    clock: Clock,
    journal: Journal,
}

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct LookRequest {
    /// `-f`: other manifests than the configured source.
    pub manifests: Option<PathBuf>,
    /// `--inventory`: plan offline against this one; no endpoint is asked.
    pub inventory: Option<Inventory>,
    /// `--approve`: digests a person approved.
    pub approvals: BTreeSet<String>,
    /// Progress.
    pub events: EventSink,
}

/// What was seen, and what it leads to.
#[derive(Debug)]
pub struct Look {
    /// What is wanted; `None` when the source has an error.
    pub desired: Option<Arc<Desired>>,
    /// Errors and warnings of the source.
    pub diagnostics: Vec<Diagnostic>,
    /// How far the source may be trusted with destroys.
    pub trust: SourceTrust,
    /// User data of the desired VMs.
    pub user_data: BTreeMap<VmKey, Secret>,
    /// What is there; empty when the source has an error (nothing was asked then).
    pub inventory: Inventory,
    /// What was there.
    pub history: History,
    /// The plan; `None` when the source has an error.
    pub plan: Option<Plan>,
}

impl Session {
    /// Opens the journal in stateDir. Endpoints are connected to when they are first asked.
    pub async fn open(settings: Settings, clock: Clock) -> Result<Self, SessionError> {
        let journal = Journal::open(&settings.state_dir).await?;
        Ok(Self { settings, clock, journal })
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Its journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The provider of an endpoint, connected on first use; for `check`. `None`: no such endpoint.
    pub async fn provider(&self, endpoint: &EndpointName) -> Option<Result<Arc<dyn Provider>, ProviderError>> {
        let _ = endpoint;
        todo!()
    }

    /// Asks all endpoints, for `get`.
    pub async fn inventory(&self, events: &EventSink) -> Result<Inventory, SessionError> {
        let _ = events;
        todo!()
    }

    /// Reads the source, asks the endpoints and plans. The one call behind `plan`, `drift`, `apply` and `serve`.
    pub async fn look(&self, request: &LookRequest) -> Result<Look, SessionError> {
        let _ = request;
        todo!()
    }

    /// Executes the plan of a look, holding the change lock (waits 30 s for another's).
    pub async fn apply(
        &self,
        look: &Look,
        events: &EventSink,
        shutdown: &Shutdown,
    ) -> Result<ApplyReport, SessionError> {
        let _ = (look, events, shutdown);
        todo!()
    }

    /// Executes exactly a saved plan (`apply FILE`): its hash is verified, its installation and settings must be these,
    /// and a touched object that has changed refuses its step.
    pub async fn apply_saved(
        &self,
        plan: &Plan,
        events: &EventSink,
        shutdown: &Shutdown,
    ) -> Result<ApplyReport, SessionError> {
        let _ = (plan, events, shutdown);
        todo!()
    }

    /// Logs out everywhere.
    pub async fn close(self) {}
}
