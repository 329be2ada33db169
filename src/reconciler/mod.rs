//! `serve`: the loop. Reads, looks, plans, and applies where the settings say `manage: enforce`.
//!
//! ```text
//!        +--> read source --> settle.rs: which revision is in force --> due? --> look --> apply (enforce) --+
//!        |                                                                                                  |
//!        +-- wait: interval, a settle time, a hint of the watched folder, or the end <----------------------+
//! ```
//!
//! One task owns all of it; readers get a [`Status`] through a watch channel. Where an endpoint is `suggest` or `observe`
//! the loop only plans there: the gate says so step by step. A broken source leaves the last good revision in force and
//! destroys nothing. Asked to end, it halts before the next call and is gone within ten seconds: a call in flight then is
//! an open intent in the journal, which the next start settles.

mod settle;
mod telling;
mod watch;

use std::time::Duration;

use tokio::sync::watch as channel;
use tracing::Instrument;

use crate::apply::{ApplyReport, Backoff, StepOutcome};
use crate::clock::Clock;
use crate::events::{EventSink, EventStream, chain};
use crate::gate::Who;
use crate::journal::Lock;
use crate::model::Revision;
use crate::plan::{Manage, Plan, SourceTrust};
use crate::session::{Look, LookRequest, Running, Session, SessionError, Wanted};
use crate::settings::Settings;
use crate::shutdown::Shutdown;
use crate::status::{Condition, PlanCounts, Status};
use settle::{InForce, Settling};
use telling::Telling;
use watch::Watch;

/// Between the request to end and giving up on what is in flight: the whole must be over within ten seconds.
const END_GRACE: Duration = Duration::from_secs(8);

/// For logging out at the end.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// A running loop.
pub struct Reconciler {
    session: Session,
    status: channel::Sender<Status>,
    settling: Settling,
    watch: Watch,
    backoff: Backoff,
    telling: Telling,
    _lock: Lock,
}

/// What a cycle leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cycled {
    /// Something was changed: the next look tells whether it is as wanted now.
    changed: bool,
}

impl Reconciler {
    /// Takes serve.lock (a second `serve` fails at once) and opens a session.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, SessionError> {
        let lock = Lock::serve(&settings.state_dir)?;
        Self::with_session(Session::open(settings, clock).await?, lock).await
    }

    /// With a session at hand: for tests and embedders.
    pub async fn with_session(session: Session, lock: Lock) -> Result<Self, SessionError> {
        let good = session.last_good().await?;
        let watch = Watch::new(&session.settings().source);
        let status = channel::Sender::new(Status::default());
        let settling = Settling::starting_with(good);
        Ok(Self {
            session,
            status,
            settling,
            watch,
            backoff: Backoff::default(),
            telling: Telling::default(),
            _lock: lock,
        })
    }

    /// What it sees and does, as it goes.
    pub fn status(&self) -> channel::Receiver<Status> {
        self.status.subscribe()
    }

    /// Runs until asked to end; what is in flight is finished or recorded first.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), SessionError> {
        let (events, stream) = EventSink::channel();
        let folding = tokio::spawn(fold(stream, self.status.clone(), self.session.clock().clone()));
        tokio::select! {
            () = self.cycles(&events, &shutdown) => {}
            () = overdue(&shutdown) => tracing::warn!("ending with calls in flight: the journal has them as open"),
        }
        drop(events);
        folding.abort();
        if tokio::time::timeout(CLOSE_GRACE, self.session.close()).await.is_err() {
            tracing::debug!("logging out took too long");
        }
        Ok(())
    }

    async fn cycles(&mut self, events: &EventSink, shutdown: &Shutdown) {
        let mut next_cycle = crate::clock::instant();
        let mut last: Option<(Option<Revision>, SourceTrust)> = None;
        let mut followed_up = false;
        while !shutdown.requested() {
            self.watch.ensure();
            let (wanted, in_force) = match self.read().await {
                Ok(read) => read,
                Err(error) => {
                    self.stall(&chain(&error));
                    wait(self.session.settings().interval, &self.watch, shutdown).await;
                    continue;
                }
            };
            let now_in_force = (in_force.desired.as_ref().map(|desired| desired.revision.clone()), in_force.trust);
            if crate::clock::instant() >= next_cycle || last.as_ref() != Some(&now_in_force) {
                let changed = self.cycle(wanted, &in_force, events, shutdown).await;
                // After a change, look again at once, but only once in a row: a step that is planned again each time it
                // was done must not turn the loop into a storm.
                followed_up = changed && !followed_up;
                let pause = if followed_up { Duration::ZERO } else { self.session.settings().interval };
                next_cycle = crate::clock::instant() + pause;
                last = Some(now_in_force);
            }
            let until_cycle = next_cycle.saturating_duration_since(crate::clock::instant());
            let pause = in_force.read_again_in.map_or(until_cycle, |read| read.min(until_cycle));
            wait(pause, &self.watch, shutdown).await;
        }
    }

    /// Reads the source and says what is in force.
    async fn read(&mut self) -> Result<(Wanted, InForce), SessionError> {
        let wanted = self.session.read_source(None).await?;
        let in_force = self.settling.take(wanted.desired.clone(), crate::clock::instant());
        if let (true, Some(desired)) = (in_force.is_new, &in_force.desired) {
            let journal = self.session.journal().await?;
            journal.keep_revision(desired, &wanted.texts, self.session.clock().now()).await?;
        }
        Ok((wanted, in_force))
    }

    /// One cycle in a span of its own; errors are told and the loop goes on. True when something was changed.
    async fn cycle(&mut self, wanted: Wanted, in_force: &InForce, events: &EventSink, shutdown: &Shutdown) -> bool {
        let revision = in_force.desired.as_ref().map(|desired| desired.revision.to_string());
        let number = self.status.borrow().cycles + 1;
        // Enough to tell revisions apart; all of it is in the status and in each plan.
        let short: String = revision.iter().flat_map(|revision| revision.chars()).take(19).collect();
        let span = tracing::info_span!("cycle", number, revision = short);
        let problems = wanted.diagnostics.len();
        let cycled = self.look_and_apply(wanted, in_force, events, shutdown).instrument(span).await;
        let now = self.session.clock().now();
        self.status.send_modify(|status| {
            status.cycles = number;
            status.last_cycle = Some(now);
            status.revision = revision;
            status.source_problems = if in_force.trust == SourceTrust::Broken { problems } else { 0 };
        });
        match cycled {
            Ok(Cycled { changed }) => changed,
            Err(error) => {
                self.stall(&chain(&error));
                false
            }
        }
    }

    async fn look_and_apply(
        &mut self,
        wanted: Wanted,
        in_force: &InForce,
        events: &EventSink,
        shutdown: &Shutdown,
    ) -> Result<Cycled, SessionError> {
        let problems = wanted.diagnostics.len();
        let Some(desired) = in_force.desired.clone() else {
            if in_force.trust == SourceTrust::Broken {
                self.stall("the source has errors, and no good revision of it is known");
            } else {
                tracing::info!("waiting for the source to settle");
            }
            return Ok(Cycled { changed: false });
        };
        let wanted = Wanted { desired: Some(desired), trust: in_force.trust, ..wanted };
        let request = LookRequest { ask_once: true, events: events.clone(), ..LookRequest::default() };
        let look = self.session.look_for(wanted, &request).await?;
        let Some(plan) = &look.plan else { return Ok(Cycled { changed: false }) };
        self.telling.tell(plan, problems, in_force.trust);
        self.backoff.keep_only(&plan.steps);
        let report = if self.may_change(plan) {
            self.apply(&look, plan, events, shutdown).await?
        } else {
            ApplyReport::default()
        };
        let changed = report.count(|outcome| *outcome == StepOutcome::Done) > 0;
        self.status.send_modify(|status| {
            status.plan = Some(PlanCounts::of(plan));
            status.condition = Condition::Ready;
            status.failing.retain(|key, _| plan.steps.iter().any(|step| step.key == *key));
        });
        Ok(Cycled { changed })
    }

    /// Is there anything to do where this service may change things?
    fn may_change(&self, plan: &Plan) -> bool {
        let endpoints = &self.session.policy().endpoints;
        plan.steps.iter().any(|step| endpoints.get(&step.endpoint).is_some_and(|it| it.manage == Manage::Enforce))
    }

    async fn apply(
        &mut self,
        look: &Look,
        plan: &Plan,
        events: &EventSink,
        shutdown: &Shutdown,
    ) -> Result<ApplyReport, SessionError> {
        let held = self.backoff.clone();
        let running = Running { by: Who::Serve, held: Some(&held), events, shutdown };
        let report = self.session.run_look(look, running).await?;
        let now = self.session.clock().now();
        for (step, ended) in plan.steps.iter().zip(&report.steps) {
            match &ended.outcome {
                StepOutcome::Done => self.backoff.done(&step.key),
                StepOutcome::Failed(why) => self.backoff.failed(step, why, now),
                _ => {}
            }
        }
        Ok(report)
    }

    fn stall(&self, why: &str) {
        let stalled = Condition::Stalled(why.to_owned());
        if self.status.borrow().condition != stalled {
            tracing::warn!(why, "stalled");
            self.status.send_modify(|status| status.condition = stalled);
        }
    }
}

/// Folds events into the status until the last sink is gone.
async fn fold(mut stream: EventStream, status: channel::Sender<Status>, clock: Clock) {
    while let Some(event) = stream.recv().await {
        let now = clock.now();
        status.send_modify(|status| status.fold(&event, now));
    }
}

async fn wait(pause: Duration, watch: &Watch, shutdown: &Shutdown) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = watch.hinted() => {}
        () = shutdown.wait() => {}
    }
}

/// Returns when the end was asked for and the grace for what is in flight is over.
async fn overdue(shutdown: &Shutdown) {
    shutdown.wait().await;
    tokio::time::sleep(END_GRACE).await;
}
