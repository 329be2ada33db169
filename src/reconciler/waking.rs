//! What wakes the loop, and what it takes in each time before it thinks of planning.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinError;
use tokio::time::Instant;

use super::Reconciler;
use super::runs::Ended;
use crate::apply::StepOutcome;
use crate::collect;
use crate::events::{Event, chain};
use crate::inventory::View;
use crate::pause;
use crate::session::{Asked, SessionError, Wanted};

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
            Woken::Hint => self.read_at = self.read_at.min(self.reading.after_hint(crate::clock::instant())),
            Woken::Time => {}
        }
    }

    fn look_at_pause(&mut self) {
        let paused = pause::paused(&self.session.settings().state_dir);
        if self.status.borrow().paused == paused {
            return;
        }
        if let Some(why) = &paused {
            tracing::warn!(why, "paused: nothing is changed until resumed");
        } else {
            tracing::info!("resumed");
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
        let taken = session.take_in(&asked, view, self.fleet.earlier(&name)).await;
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
}

/// Asks one endpoint; a panic in its provider is its own `Unreachable`.
async fn ask(asked: Asked) -> (Asked, View) {
    let answer = AssertUnwindSafe(collect::ask_one(&asked.endpoint, &asked.known, collect::DEADLINE)).catch_unwind();
    let view = answer.await;
    let view = view.unwrap_or_else(|_| View::Unreachable("asking it failed inside tierwright (a bug)".to_owned()));
    (asked, view)
}
