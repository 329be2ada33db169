//! What wakes the loop, and what it takes in each time before it thinks of planning.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinError;
use tokio::time::Instant;

use super::runs::Ended;
use super::{Reconciler, Watch, reload};
use crate::apply::StepOutcome;
use crate::collect;
use crate::events::{Event, chain};
use crate::inventory::View;
use crate::model::EndpointName;
use crate::pause;
use crate::plan::{Manage, SourceTrust};
use crate::session::{Asked, SessionError, Wanted};
use crate::settings::Settings;

/// Never longer without a look at the STOP file and at the times at which something is due.
const PULSE: Duration = Duration::from_secs(5);

/// What woke the loop.
enum Woken {
    Answered(Result<(Asked, View), JoinError>),
    Ended(Ended),
    Read(Result<Wanted, SessionError>),
    Reload,
    Hint,
    Time,
}

impl Reconciler {
    /// Turns for ever.
    pub(super) async fn turn(&mut self) {
        loop {
            self.look_at_pause();
            self.ask_whom_is_due().await;
            let now = crate::clock::instant();
            if now >= self.read_at {
                self.begin_reading(now);
            }
            if self.plan_at.is_some_and(|at| now >= at) {
                self.plan_at = None;
                self.plan_wanted = true;
            }
            if self.plan_wanted {
                self.plan_wanted = false;
                self.cycle().await;
                continue;
            }
            self.systemd.alive();
            let said = self.in_a_line();
            self.systemd.status(&said);
            let woken = self.wake().await;
            self.take(woken).await;
        }
    }

    /// Waits for whatever comes first. Nothing is lost of the others: each may be dropped while it waits.
    async fn wake(&mut self) -> Woken {
        let until = self.wake_at();
        tokio::select! {
            Some(answered) = self.asks.join_next(), if !self.asks.is_empty() => Woken::Answered(answered),
            ended = self.runs.ended() => Woken::Ended(ended),
            read = self.reading.done() => Woken::Read(read),
            () = self.reload.asked() => Woken::Reload,
            () = self.watch.hinted() => Woken::Hint,
            () = tokio::time::sleep_until(until) => Woken::Time,
        }
    }

    fn wake_at(&self) -> Instant {
        let now = crate::clock::instant();
        let pulse = now + self.systemd.alive_every().unwrap_or(PULSE).min(PULSE);
        [Some(pulse), self.fleet.next_due(), Some(self.read_at), self.plan_at]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(pulse)
    }

    async fn take(&mut self, woken: Woken) {
        match woken {
            Woken::Answered(answered) => {
                self.take_answer(answered).await;
                // Those that came at the same time are planned with together.
                while let Some(answered) = self.asks.try_join_next() {
                    self.take_answer(answered).await;
                }
            }
            Woken::Ended(ended) => self.take_ended(&ended),
            Woken::Read(read) => self.take_reading(read).await,
            Woken::Reload => self.reload_settings().await,
            Woken::Hint => self.begin_reading(crate::clock::instant()),
            Woken::Time => {}
        }
    }

    fn look_at_pause(&mut self) {
        let paused = pause::paused(&self.session.settings().state_dir);
        if self.status.borrow().paused == paused {
            return;
        }
        match &paused {
            Some(why) => tracing::warn!(why, "paused: nothing is changed until resumed"),
            None => tracing::info!("resumed"),
        }
        self.plan_wanted = true;
        self.status.send_modify(|status| status.paused = paused);
    }

    /// Begins to ask every endpoint that is due, each in a task of its own.
    async fn ask_whom_is_due(&mut self) {
        let now = crate::clock::instant();
        for name in self.fleet.take_due(now) {
            match self.session.prepare(&name).await {
                Ok(Some(asked)) => {
                    self.events.send(Event::CollectStarted { endpoint: name });
                    self.asks.spawn(ask(asked));
                }
                Ok(None) => self.fleet.not_asked(&name, (now, self.interval())),
                Err(error) => {
                    self.fleet.not_asked(&name, (now, self.interval()));
                    self.stall(&chain(&error));
                }
            }
        }
    }

    async fn take_answer(&mut self, answered: Result<(Asked, View), JoinError>) {
        // Aborted at the end; panics are caught within.
        let Ok((asked, view)) = answered else { return };
        if !self.session.has(&asked.endpoint) {
            return;
        }
        let name = asked.endpoint.name().clone();
        let told = collect::collected(&name, &view);
        let session = Arc::clone(&self.session);
        let taken = session.take_in(&asked, view).await;
        let when = (crate::clock::instant(), self.interval());
        match taken {
            Ok(answer) => self.fleet.answered(&name, answer, when),
            Err(error) => {
                self.fleet.not_asked(&name, when);
                self.stall(&chain(&error));
            }
        }
        // Told once it counts.
        self.events.send(told);
        self.plan_wanted = true;
    }

    fn take_ended(&mut self, ended: &Ended) {
        let (now, at) = self.moment();
        match &ended.report {
            Ok(report) => {
                for (step, told) in ended.steps.iter().zip(&report.steps) {
                    match &told.outcome {
                        StepOutcome::Done => self.backoff.done(&step.key),
                        StepOutcome::Failed(why) => self.backoff.failed(step, why, at),
                        _ => {}
                    }
                }
            }
            Err(why) => {
                tracing::error!(endpoint = %ended.endpoint, why, "a run failed as a whole");
                for step in &ended.steps {
                    self.backoff.failed(step, why, at);
                    let (key, action) = (step.key.clone(), step.action);
                    self.events.send(Event::StepFailed { key, action, why: why.clone() });
                }
            }
        }
        let interval = self.interval();
        self.fleet.ended(&ended.endpoint, (now, at), interval);
    }

    /// Begins to read the source, looking first whether another folder stands there by now.
    pub(super) fn begin_reading(&mut self, now: Instant) {
        self.watch.ensure();
        self.reading.begin(&self.session, now);
        self.read_at = now + self.interval();
    }

    /// Takes in what the source says: what is in force now, and how far it may be trusted.
    pub(super) async fn take_reading(&mut self, read: Result<Wanted, SessionError>) {
        let wanted = match read {
            Ok(wanted) => wanted,
            Err(error) => return self.stall(&chain(&error)),
        };
        let now = crate::clock::instant();
        let in_force = if wanted.in_progress.is_some() {
            self.settling.take_nothing()
        } else {
            self.settling.take(wanted.desired.clone(), now)
        };
        if let (true, Some(desired)) = (in_force.is_new, &in_force.desired) {
            let at = self.session.clock().now();
            let kept = match self.session.journal().await {
                Ok(journal) => journal.keep_revision(desired, &wanted.texts, at).await,
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                self.stall(&chain(&error));
            }
            tracing::info!(revision = %desired.revision, "in force");
            self.fleet.new_revision(self.moment());
            self.disturbed.clear();
        }
        self.plan_wanted |= in_force.is_new || in_force.trust != self.in_force.trust;
        self.read_at = now + in_force.read_again_in.map_or(self.interval(), |again| again.min(self.interval()));
        let problems = if in_force.trust == SourceTrust::Broken { wanted.diagnostics.len() } else { 0 };
        self.telling.tell_problems(problems);
        self.in_force = in_force;
        self.tell_of_source(problems, wanted.in_progress);
    }

    /// Says in status and log how the source is.
    pub(super) fn tell_of_source(&self, problems: usize, waits: Option<String>) {
        let told = |status: &crate::status::Status| status.source_problems == problems && status.source_waits == waits;
        if told(&self.status.borrow()) {
            return;
        }
        if let Some(why) = waits.as_ref().filter(|_| self.status.borrow().source_waits != waits) {
            tracing::info!(why, "the source is not taken up yet");
        }
        self.status.send_modify(|status| {
            status.source_problems = problems;
            status.source_waits = waits;
        });
    }

    async fn reload_settings(&mut self) {
        tracing::info!("reading the settings again");
        self.systemd.reloading(crate::clock::monotonic_usec());
        let session = Arc::clone(&self.session);
        let problem = match self.reload.read(session.settings()).await {
            Ok(next) => {
                self.put_in_force(next);
                None
            }
            Err(why) => {
                tracing::warn!(why, "the settings file is not taken up: the old settings stay in force");
                Some(format!("the settings file as it stands now is not in force: {why}"))
            }
        };
        self.status.send_modify(|status| status.settings_problem = problem);
        self.systemd.ready();
    }

    fn put_in_force(&mut self, next: Settings) {
        let told = reload::told(self.session.settings(), &next);
        for line in &told {
            tracing::info!("settings: {line}");
        }
        if told.is_empty() {
            tracing::info!("settings: nothing that matters was changed");
            return;
        }
        let moved = next.source != self.session.settings().source;
        let next = Arc::new(self.session.under(next));
        let old = std::mem::replace(&mut self.session, next);
        // Whoever may not be changed any more is not, from the next call on.
        let lost: Vec<EndpointName> = old.endpoint_names().filter(|name| !self.goes_on(&old, name)).cloned().collect();
        lost.iter().for_each(|name| self.runs.halt(name));
        old.log_out_of_others(&self.session, |name| !lost.contains(name) || self.runs.is_running(name));
        let session = Arc::clone(&self.session);
        self.fleet.set(session.endpoint_names(), |name| old.shares(&session, name), self.moment());
        self.status
            .send_modify(|status| status.endpoints.retain(|name, _| session.settings().endpoint(name).is_some()));
        if moved {
            self.watch = Watch::new(&session.settings().source);
            self.reading.restart();
        }
        self.read_at = crate::clock::instant();
        self.disturbed.clear();
        self.plan_wanted = true;
    }

    /// May a run that was begun on this endpoint under the old settings go on under the new?
    fn goes_on(&self, old: &crate::session::Session, name: &EndpointName) -> bool {
        let enforced = self.session.policy().endpoints.get(name).is_some_and(|it| it.manage == Manage::Enforce);
        enforced && old.shares(&self.session, name)
    }
}

/// Asks one endpoint; a panic in its provider is its own `Unreachable`.
async fn ask(asked: Asked) -> (Asked, View) {
    let answer = AssertUnwindSafe(collect::ask_one(&asked.endpoint, &asked.known, collect::DEADLINE)).catch_unwind();
    let view = answer.await;
    let view = view.unwrap_or_else(|_| View::Unreachable("asking it failed inside tierwright (a bug)".to_owned()));
    (asked, view)
}
