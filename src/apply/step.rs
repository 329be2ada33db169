//! One step from gate to promise.
//!
//! ```text
//! gate --> settle --> preconditions --> user data --> execute (recorder) --> promise
//!   |         |           |               |              |                    |
//! Gated    Failed      Changed     Failed/Changed   Failed, EndpointLost   Failed
//! ```

use std::time::Duration;

use super::checks;
use super::recorder::StepRecorder;
use super::{ApplyRun, StepOutcome};
use crate::endpoints::Endpoint;
use crate::events::{Event, chain};
use crate::gate::{Conditions, Verdict, gate};
use crate::ids;
use crate::model::Secret;
use crate::plan::safety::Progress;
use crate::plan::{Operation, Step, memory};
use crate::provider::{ErrorKind, Found, Halt, Next, Order, Provider, ProviderError, StepError};

/// Attempts at a step whose endpoint was busy or out of reach for a moment. More would hold a slot that other VMs need;
/// `serve` comes back anyway.
const ATTEMPTS: u32 = 3;

/// Before the second attempt; doubles.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// Runs one step and says how it ended. Never panics on what an endpoint answers; never decides what to do.
pub(super) async fn run_step(run: &ApplyRun<'_>, step: &Step, endpoint: &Endpoint) -> StepOutcome {
    if let Some(outcome) = held_back(run, step) {
        return outcome;
    }
    run.events.send(Event::StepStarted { key: step.key.clone(), action: step.action });
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let failure = match attempt_once(run, step, endpoint).await {
            Ok(()) => return StepOutcome::Done,
            Err(failure) => failure,
        };
        let again = attempt < ATTEMPTS && failure.may_try_again;
        if !again || run.shutdown.requested() {
            return failure.outcome;
        }
        run.events.send(Event::StepProgress {
            key: step.key.clone(),
            text: format!("{}; trying again", failure.outcome.why()),
            percent: None,
        });
        tokio::select! {
            () = tokio::time::sleep(ids::jittered(wait)) => {}
            () = run.shutdown.wait() => return failure.outcome,
        }
        wait *= 2;
    }
    unreachable!("the range of attempts has no end")
}

/// Conditions of the moment, before anything is asked of the endpoint.
fn held_back(run: &ApplyRun<'_>, step: &Step) -> Option<StepOutcome> {
    if run.shutdown.requested() {
        return Some(StepOutcome::Stopped("it was asked to stop".into()));
    }
    let Some(policy) = run.policy.endpoints.get(&step.endpoint) else {
        return Some(StepOutcome::Gated(format!("endpoint {} is not in the settings", step.endpoint)));
    };
    let paused = crate::pause::paused(run.journal.state_dir());
    match gate(step, &Conditions { manage: policy.manage, by: run.by, paused }) {
        Verdict::Go => None,
        Verdict::Wait(why) | Verdict::Refuse(why) => Some(StepOutcome::Gated(why)),
    }
    .or_else(|| run.held.and_then(|held| held.holds(step, run.clock.now())).map(StepOutcome::Gated))
    .or_else(|| run.no_destroys.filter(|_| step.action.is_destroy()).map(|why| StepOutcome::Gated(why.to_owned())))
}

/// How an attempt failed.
struct Failure {
    outcome: StepOutcome,
    may_try_again: bool,
}

impl From<StepOutcome> for Failure {
    fn from(outcome: StepOutcome) -> Self {
        Self { outcome, may_try_again: false }
    }
}

async fn attempt_once(run: &ApplyRun<'_>, step: &Step, endpoint: &Endpoint) -> Result<(), Failure> {
    let provider = endpoint.provider().await.map_err(|error| refused(&error, false))?;
    let provider = provider.as_ref();
    settle(run, step, provider).await?;
    let found = checks::look(provider, step).await.map_err(|error| refused(&error, false))?;
    let start = Progress { operation: 0, begun: false };
    checks::still_safe(run, step, start, found).map_err(StepOutcome::Changed)?;
    let user_data = user_data(run, step).await?;
    let order = Order { step, user_data: user_data.as_ref() };
    let recorder = StepRecorder::new(run, step, provider);
    provider.execute(&order, &recorder).await.map_err(|error| match error {
        StepError::Provider(error) => refused(&error, recorder.sent_any()),
        StepError::Halted(halt) => halted(&halt).into(),
    })?;
    keep_promise(run, step, provider).await
}

/// A call of an earlier run whose end nobody recorded may be at work still: what it does must be there when the VM is
/// looked at next.
async fn settle(run: &ApplyRun<'_>, step: &Step, provider: &dyn Provider) -> Result<(), Failure> {
    let unsettled = run.journal.is_unsettled(&step.endpoint, &step.key).await;
    if !unsettled.map_err(|error| StepOutcome::Failed(chain(&error)))? {
        return Ok(());
    }
    let (key, text) = (step.key.clone(), "waiting for what an earlier run may have begun".to_owned());
    run.events.send(Event::StepProgress { key, text, percent: None });
    tokio::select! {
        settled = provider.settle(step) => settled.map_err(|error| refused(&error, false)),
        () = run.shutdown.wait() => Err(halted(&Halt::Stopping).into()),
    }
}

/// The promise is looked at just after. When it cannot be read now, the step is not called done: the next collect sees.
async fn keep_promise(run: &ApplyRun<'_>, step: &Step, provider: &dyn Provider) -> Result<(), Failure> {
    let found = checks::look(provider, step).await.map_err(|error| Failure {
        outcome: StepOutcome::Failed(format!("done, but the result could not be read: {}", chain(&error))),
        may_try_again: false,
    })?;
    if let Found::Vm(vm) = &found
        && let Some(seen) = memory::witness(vm, &run.policy.installation)
    {
        // Known from now on, so that a listing which lacks it makes it unknown, never absent.
        let kept = run.journal.witness(&step.endpoint, &seen).await;
        kept.map_err(|error| StepOutcome::Failed(chain(&error)))?;
    }
    checks::promise_kept(step, found)
        .map_err(|why| StepOutcome::Failed(format!("done, but it did not become what was asked: {why}")))?;
    // Whatever earlier run left open on this VM is settled by what was just seen.
    let closed = run.journal.close_seen(&step.endpoint, &step.key, "a later step was done", run.clock.now()).await;
    closed.map_err(|error| StepOutcome::Failed(chain(&error)))?;
    Ok(())
}

fn refused(error: &ProviderError, sent: bool) -> Failure {
    let why = chain(error);
    let lost = error.kind == ErrorKind::Unreachable;
    let outcome = if lost { StepOutcome::EndpointLost(why) } else { StepOutcome::Failed(why) };
    // Once something was sent the VM may no longer be as the plan saw it: the next plan looks first.
    Failure { outcome, may_try_again: !sent && error.kind.next() == Next::Retry }
}

fn halted(halt: &Halt) -> StepOutcome {
    match halt {
        Halt::Paused(why) => StepOutcome::Gated(format!("changes are paused: {why}")),
        Halt::Stopping => StepOutcome::Stopped("it was asked to stop".into()),
        Halt::Changed(why) => StepOutcome::Changed(why.clone()),
        Halt::Journal(_) => StepOutcome::Failed(halt.to_string()),
    }
}

/// Read again just before a create. A plan's mark holds the digest of what it was made with: other text now is another
/// VM than the one that was shown.
async fn user_data(run: &ApplyRun<'_>, step: &Step) -> Result<Option<Secret>, StepOutcome> {
    let create = step.operations.iter().find_map(|operation| match operation {
        Operation::Create(create) if create.cloud_init => Some(create),
        _ => None,
    });
    let Some(create) = create else { return Ok(None) };
    let (source, key) = (run.user_data.clone(), step.key.clone());
    let read = tokio::task::spawn_blocking(move || source.read(&key)).await;
    let secret = match read {
        Ok(Ok(secret)) => secret,
        Ok(Err(problem)) => return Err(StepOutcome::Failed(problem.summary)),
        Err(error) => return Err(StepOutcome::Failed(format!("its user data: {error}"))),
    };
    checks::same_user_data(create, secret.as_ref()).map_err(StepOutcome::Changed)?;
    Ok(secret)
}
