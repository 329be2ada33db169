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

mod asking;
mod observing;
mod reading;
mod running;
mod settling;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Mutex, OnceCell};

pub(crate) use asking::{Answer, Asked, Earlier};
pub use reading::{ReadAt, Reread, Wanted};

use crate::apply::{ApplyReport, Backoff};
use crate::clock::Clock;
use crate::diagnostic::Diagnostic;
use crate::endpoints::{Endpoint, Endpoints};
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
use reading::Remembered;

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
    /// Shared with the session that comes after a reload of the settings.
    journal: OnceCell<Arc<Journal>>,
    /// The configured source as last read.
    source: Mutex<Option<Remembered>>,
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

/// What a plan is made from, besides the settings and the time.
#[derive(Clone, Copy)]
pub(crate) struct Basis<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) trust: SourceTrust,
    pub(crate) inventory: &'a Inventory,
    pub(crate) history: &'a History,
    pub(crate) approvals: &'a BTreeSet<String>,
    pub(crate) user_data: &'a BTreeMap<VmKey, Secret>,
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

    /// With a journal at hand, in place of the one in the settings' stateDir: for tests and embedders.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = OnceCell::new_with(Some(Arc::new(journal)));
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
        let open = async || Journal::open(&self.settings.state_dir).await.map(Arc::new);
        Ok(self.journal.get_or_try_init(open).await?.as_ref())
    }

    /// The session that goes on under other settings: the same journal, clock and run, and the endpoints whose connection
    /// did not change. The installation and stateDir must be the same.
    pub(crate) fn under(&self, settings: Settings) -> Self {
        let policy = settings.policy();
        Self {
            endpoints: self.endpoints.under(&settings.endpoints),
            settings,
            policy,
            clock: self.clock.clone(),
            journal: self.journal.clone(),
            source: Mutex::new(None),
            run: self.run.clone(),
        }
    }

    /// Is this still the endpoint of its name, with the same connection?
    pub(crate) fn has(&self, endpoint: &Arc<Endpoint>) -> bool {
        self.endpoints.get(endpoint.name()).is_some_and(|ours| Arc::ptr_eq(ours, endpoint))
    }

    /// Do both have the same endpoint of this name, connection and all?
    pub(crate) fn shares(&self, other: &Self, name: &EndpointName) -> bool {
        self.endpoints.get(name).is_some_and(|ours| other.has(ours))
    }

    /// Logs out, in the background, of the endpoints that `other` does not have, those aside that are to be spared.
    pub(crate) fn log_out_of_others(&self, other: &Self, spared: impl Fn(&EndpointName) -> bool) {
        for endpoint in self.endpoints.iter().filter(|endpoint| !other.has(endpoint) && !spared(endpoint.name())) {
            let endpoint = Arc::clone(endpoint);
            tokio::spawn(async move { endpoint.close().await });
        }
    }

    /// Names of its endpoints.
    pub(crate) fn endpoint_names(&self) -> impl Iterator<Item = &EndpointName> {
        self.endpoints.iter().map(|endpoint| endpoint.name())
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
        let Look { trust, inventory, history, approvals, user_data, .. } = &look;
        let basis = Basis { desired: &desired, trust: *trust, inventory, history, approvals, user_data };
        look.plan = Some(self.plan(&basis));
        if request.inventory.is_none() {
            self.remember(&look.inventory, &look.history, &look.approvals).await?;
        }
        Ok(look)
    }

    /// The plan that all of this leads to: for preview, apply and serve alike.
    pub(crate) fn plan(&self, basis: &Basis<'_>) -> Plan {
        self.plan_for(basis).0
    }

    /// The same, and until when it stands if nothing but the time moves.
    pub(crate) fn plan_for(&self, basis: &Basis<'_>) -> (Plan, Option<Timestamp>) {
        let Basis { desired, trust, inventory, history, approvals, user_data } = *basis;
        let input = PlanInput {
            now: self.clock.now(),
            desired,
            source: trust,
            inventory,
            history,
            policy: &self.policy,
            approvals,
            user_data,
        };
        let plan = plan::plan(&input);
        let until = plan::lasts_until(&input, &plan);
        (plan, until)
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
        // One that a run still writes to closes with that.
        if let Some(journal) = self.journal.into_inner().and_then(Arc::into_inner) {
            journal.close().await;
        }
    }

    fn user_data_of(&self, desired: Arc<Desired>) -> UserData {
        UserData::new(desired, &self.settings.secrets_dir)
    }
}
