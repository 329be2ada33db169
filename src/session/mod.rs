//! One run of a command, or of `serve`: settings, journal, endpoints and clock held together, and the one call that
//! preview, apply and serve all use to make a plan.
//!
//! ```text
//! source (reading.rs) --> Desired ----------+
//! journal ------------------> History ------+--> plan::plan() --> Look --> apply() --> ApplyReport
//! endpoints (observing.rs) --> Inventory ---+
//! ```
//!
//! Preview stops at [`Look`]. The journal is opened when it is first needed, so that an offline plan needs no stateDir.

mod observing;
mod reading;
mod running;
mod settling;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

pub use reading::Wanted;

use crate::apply::{ApplyReport, Backoff};
use crate::clock::Clock;
use crate::diagnostic::Diagnostic;
use crate::endpoints::Endpoints;
use crate::events::EventSink;
use crate::gate::Who;
use crate::ids;
use crate::inventory::Inventory;
use crate::journal::{Journal, JournalError};
use crate::model::{Desired, EndpointName, Secret, VmKey};
use crate::plan::{self, History, Plan, PlanInput, Policy, SourceTrust};
use crate::provider::{Provider, ProviderError};
use crate::settings::Settings;
use crate::shutdown::Shutdown;
use crate::userdata::UserData;

/// Why a session could not do what was asked. Problems of the source are no error here: see [`Look::diagnostics`].
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The journal or a lock.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A saved plan that cannot be run.
    #[error("the plan {0}")]
    SavedPlan(String),
    /// A task of ours died; nothing was changed by it.
    #[error("{0} failed inside tierwright (a bug)")]
    Internal(&'static str),
}

/// See the module.
pub struct Session {
    settings: Settings,
    policy: Policy,
    clock: Clock,
    endpoints: Endpoints,
    journal: OnceCell<Journal>,
    /// The configured source as last read.
    source: Mutex<Option<Wanted>>,
    /// Names this run in the log and the journal.
    run: String,
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
    /// Ask each endpoint once, even when a VM of ours is newly missing: the next look will be the second answer.
    pub ask_once: bool,
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
    /// Digests a person approved for this.
    pub approvals: BTreeSet<String>,
    /// User data of the desired VMs.
    pub user_data: BTreeMap<VmKey, Secret>,
    /// What is there; empty when the source has an error (nothing was asked then).
    pub inventory: Inventory,
    /// What was there.
    pub history: History,
    /// The plan; `None` when the source has an error.
    pub plan: Option<Plan>,
}

/// How to run a plan, beyond what it says.
#[derive(Clone, Copy)]
pub(crate) struct Running<'a> {
    pub(crate) by: Who,
    pub(crate) held: Option<&'a Backoff>,
    pub(crate) events: &'a EventSink,
    pub(crate) shutdown: &'a Shutdown,
}

impl Session {
    /// For these settings. Endpoints are connected to, and the journal opened, when they are first needed.
    #[expect(clippy::unused_async, reason = "callers should not care whether opening waits for anything")]
    pub async fn open(settings: Settings, clock: Clock) -> Result<Self, SessionError> {
        let endpoints = Endpoints::new(&settings.endpoints);
        Ok(Self::with_endpoints(settings, clock, endpoints))
    }

    /// With endpoints at hand: for tests and embedders.
    pub fn with_endpoints(settings: Settings, clock: Clock, endpoints: Endpoints) -> Self {
        let policy = settings.policy();
        Self {
            settings,
            policy,
            clock,
            endpoints,
            journal: OnceCell::new(),
            source: Mutex::new(None),
            run: ids::run_id(),
        }
    }

    /// With a journal at hand, which must be that of the settings' stateDir: for tests and embedders.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = OnceCell::new_with(Some(journal));
        self
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The part of the settings that decides something.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Its journal, opened now if it was not.
    pub async fn journal(&self) -> Result<&Journal, JournalError> {
        self.journal.get_or_try_init(|| Journal::open(&self.settings.state_dir)).await
    }

    /// The provider of an endpoint, connected on first use; for `check`. `None`: no such endpoint.
    pub async fn provider(&self, endpoint: &EndpointName) -> Option<Result<Arc<dyn Provider>, ProviderError>> {
        Some(self.endpoints.get(endpoint)?.provider().await)
    }

    /// Asks all endpoints, for `get`.
    pub async fn inventory(&self, events: &EventSink) -> Result<Inventory, SessionError> {
        let history = self.journal().await?.history(self.clock.now()).await?;
        Ok(self.ask(&history, None, events).await?)
    }

    /// Asks one endpoint, for `import`; with what was there before. Nothing of the answer is kept.
    pub async fn inventory_of(
        &self,
        endpoint: &EndpointName,
        events: &EventSink,
    ) -> Result<(Inventory, History), SessionError> {
        let history = self.journal().await?.history(self.clock.now()).await?;
        let inventory = self.ask(&history, Some(std::slice::from_ref(endpoint)), events).await?;
        Ok((inventory, history))
    }

    /// Reads the source, asks the endpoints and plans. The one call behind `plan`, `drift`, `apply` and `serve`.
    pub async fn look(&self, request: &LookRequest) -> Result<Look, SessionError> {
        let wanted = self.read_source(request.manifests.as_deref()).await?;
        self.look_for(wanted, request).await
    }

    /// The same for a source that was read already.
    pub(crate) async fn look_for(&self, wanted: Wanted, request: &LookRequest) -> Result<Look, SessionError> {
        let Wanted { desired, diagnostics, trust, .. } = wanted;
        let mut look = Look {
            desired,
            diagnostics,
            trust,
            approvals: request.approvals.clone(),
            user_data: BTreeMap::new(),
            inventory: Inventory::default(),
            history: History::default(),
            plan: None,
        };
        let Some(desired) = look.desired.clone() else { return Ok(look) };
        look.user_data = self.read_user_data(&desired, &mut look.diagnostics).await?;
        (look.inventory, look.history) = self.observe(request).await?;
        let plan = plan::plan(&PlanInput {
            now: self.clock.now(),
            desired: &desired,
            source: look.trust,
            inventory: &look.inventory,
            history: &look.history,
            policy: &self.policy,
            approvals: &look.approvals,
            user_data: &look.user_data,
        });
        look.plan = Some(plan);
        if request.inventory.is_none() {
            self.remember(&look.inventory, &look.history, &look.approvals).await?;
        }
        Ok(look)
    }

    /// Executes the plan of a look for a person, holding the change lock (waits 30 s for another's).
    pub async fn apply(
        &self,
        look: &Look,
        events: &EventSink,
        shutdown: &Shutdown,
    ) -> Result<ApplyReport, SessionError> {
        self.run_look(look, Running { by: Who::Apply, held: None, events, shutdown }).await
    }

    /// Executes exactly a saved plan (`apply FILE`): its hash is verified, its installation and settings must be these,
    /// and a touched object that has changed refuses its step.
    pub async fn apply_saved(
        &self,
        plan: &Plan,
        events: &EventSink,
        shutdown: &Shutdown,
    ) -> Result<ApplyReport, SessionError> {
        self.run_saved(plan, Running { by: Who::Apply, held: None, events, shutdown }).await
    }

    /// Logs out everywhere and closes the journal.
    pub async fn close(self) {
        self.endpoints.close().await;
        if let Some(journal) = self.journal.into_inner() {
            journal.close().await;
        }
    }

    fn user_data_of(&self, desired: Arc<Desired>) -> UserData {
        UserData::new(desired, &self.settings.secrets_dir)
    }
}
