//! One point at which something happens to a run, what happens, and how it ends.

use std::fmt;
use std::time::Duration;

use tierwright::lab::{CallOutcome, Effect, FaultRule};
use tierwright::model::EndpointName;
use tokio::task::JoinError;

use crate::child::{Child, Ended, Rest};
use crate::judge::{self, Finding, Scene};
use crate::kinds::Kind;
use crate::scenarios::Scenario;
use crate::stage::Stage;

/// Starts of the program until it must have converged.
const STARTS: usize = 3;

/// Lab time between two starts: every task is over by then.
const PAUSE: Duration = Duration::from_mins(5);

/// A mutating call of the run in peace.
#[derive(Debug, Clone)]
pub struct Call {
    operation: String,
    /// The how-manieth of that name.
    nth: u64,
}

/// What happens.
#[derive(Debug, Clone)]
pub enum Case {
    /// Killed before this commit of the journal.
    KilledAtCommit(usize),
    /// Killed before the server does this call.
    KilledBefore(Call),
    /// Killed when the server has begun it; it is still at it when the next program looks.
    KilledDuring(Call),
    /// Killed when the server has done it and not answered.
    KilledAfter(Call),
    /// Killed in this way, and the next program at that commit, should it come to it.
    KilledAgain(Box<Case>, usize),
    /// Done, and the answer lost.
    ReplyLost(Call),
    /// Refused, once.
    Refused(Call),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, call) = match self {
            Self::KilledAtCommit(n) => return write!(f, "killed at commit {n}"),
            Self::KilledBefore(call) => ("killed before", call),
            Self::KilledDuring(call) => ("killed during", call),
            Self::KilledAfter(call) => ("killed after", call),
            Self::KilledAgain(first, n) => return write!(f, "{first}, and at commit {n} of the next start"),
            Self::ReplyLost(call) => ("lost reply of", call),
            Self::Refused(call) => ("refused", call),
        };
        write!(f, "{what} {} {}", call.operation, call.nth)
    }
}

/// What a run in peace showed.
pub struct Dry {
    pub kind: &'static Kind,
    pub scenario: &'static Scenario,
    commits: usize,
    calls: Vec<Call>,
    scene: Option<Scene>,
    /// Why there is nothing to compare with.
    pub problem: Option<String>,
}

impl Dry {
    /// One that panicked.
    pub fn failed((kind, scenario): (&'static Kind, &'static Scenario), panic: &JoinError) -> Self {
        Self { kind, scenario, commits: 0, calls: Vec::new(), scene: None, problem: Some(panic.to_string()) }
    }

    /// Points at which the program may die: each commit, and each call before, during and after.
    pub fn points(&self) -> usize {
        self.commits + 3 * self.calls.len()
    }

    /// A case for each point, one more for each in which the next program dies too, and two more for each call.
    pub fn cases(&self) -> Vec<Case> {
        let around = |call: &Call| {
            let call = || call.clone();
            [Case::KilledBefore(call()), Case::KilledDuring(call()), Case::KilledAfter(call())]
        };
        let commits = (1..=self.commits).map(Case::KilledAtCommit);
        let points: Vec<Case> = commits.chain(self.calls.iter().flat_map(around)).collect();
        // Over all points each commit has its turn.
        let again =
            (0..).zip(&points).map(|(at, first)| Case::KilledAgain(first.clone().into(), 1 + at % self.commits));
        let answers = self.calls.iter().flat_map(|call| [Case::ReplyLost(call.clone()), Case::Refused(call.clone())]);
        points.iter().cloned().chain(again).chain(answers).collect()
    }
}

/// What came of a case.
#[derive(Debug, Default)]
pub struct Result {
    /// Was a process killed?
    pub killed: bool,
    pub findings: Vec<Finding>,
    /// It did not come to rest, or its point was not met.
    pub unsettled: Option<String>,
}

impl Result {
    /// Of a case that panicked.
    pub fn failed(panic: &JoinError) -> Self {
        Self { unsettled: Some(panic.to_string()), ..Self::default() }
    }
}

/// Runs a scenario in peace and takes down its points.
pub async fn dry_run(kind: &'static Kind, scenario: &'static Scenario) -> Dry {
    let stage = Stage::set(kind, scenario).await;
    let (ended, commits) = run_child(&stage, |child, pipes| {
        let mut commits = 0;
        let ended = child.follow(pipes, || commits += 1);
        (ended, commits)
    })
    .await;
    let mut calls: Vec<Call> = Vec::new();
    for record in stage.lab.record().mutating() {
        let before = calls.iter().filter(|call| call.operation == record.operation).count();
        calls.push(Call { operation: record.operation, nth: before as u64 + 1 });
    }
    let mut result = Result::default();
    let scene = match ended {
        Ended::With(rest) if settled(&rest, scenario) => end(&stage, scenario, None, &mut result).await,
        ended => {
            result.unsettled = Some(format!("a run in peace ended with {ended}"));
            None
        }
    };
    let problem = result.unsettled.or_else(|| (!result.findings.is_empty()).then(|| format!("{:#?}", result.findings)));
    Dry { kind, scenario, commits, calls, scene, problem }
}

/// Runs a case.
pub async fn run(dry: &Dry, case: &Case) -> Result {
    let scenario = dry.scenario;
    let stage = Stage::set(dry.kind, scenario).await;
    let mut result = Result::default();
    let (case, again) = match case {
        Case::KilledAgain(first, n) => (&**first, Some(*n)),
        case => (case, None),
    };
    let first = disturbed(&stage, case).await;
    let meant_to_die = !matches!(case, Case::ReplyLost(_) | Case::Refused(_));
    result.killed = matches!(first, Ended::Killed);
    if meant_to_die != result.killed {
        result.unsettled = Some(format!("the first run ended with {first}"));
        return result;
    }
    stage.lab.record().stop_listening();
    stage.lab.faults().clear();
    if !matches!(case, Case::KilledDuring(_)) {
        stage.lab.clock().advance(PAUSE);
    }
    let mut last = first;
    if let Some(n) = again {
        last = disturbed(&stage, &Case::KilledAtCommit(n)).await;
    }
    for _ in 0..STARTS {
        if matches!(&last, Ended::With(rest) if settled(rest, scenario)) {
            end(&stage, scenario, dry.scene.as_ref(), &mut result).await;
            return result;
        }
        last = run_child(&stage, |child, pipes| child.follow(pipes, || {})).await;
        // Whoever starts it again has let some time pass.
        stage.lab.clock().advance(PAUSE);
    }
    result.unsettled = Some(format!("after {STARTS} starts: {last}"));
    // Whatever else is wrong tells more.
    end(&stage, scenario, None, &mut result).await;
    result
}

/// The first run, with what the case does to it.
async fn disturbed(stage: &Stage, case: &Case) -> Ended {
    let (call, effect) = match case {
        Case::KilledAtCommit(n) => {
            let (n, mut at) = (*n, 0);
            return run_child(stage, move |child, pipes| {
                child.follow(pipes, || {
                    at += 1;
                    if at == n {
                        child.kill();
                    }
                })
            })
            .await;
        }
        Case::KilledAgain(first, _) => return Box::pin(disturbed(stage, first)).await,
        Case::KilledBefore(call) => (call, Effect::Drop),
        Case::KilledDuring(call) | Case::KilledAfter(call) | Case::ReplyLost(call) => (call, Effect::LoseReply),
        Case::Refused(call) => (call, Effect::Fail(stage.kind.refusal())),
    };
    stage.lab.faults().add(FaultRule::nth(&call.operation, None, call.nth, effect));
    let kills = matches!(case, Case::KilledBefore(_) | Case::KilledDuring(_) | Case::KilledAfter(_));
    let record = stage.lab.record();
    run_child(stage, move |child, pipes| {
        if kills {
            // Between the change, done or not, and the moment at which the program could notice the cut.
            let mortal = child.clone();
            record.listen(move |call| {
                if matches!(call.outcome, CallOutcome::Dropped | CallOutcome::ReplyLost) {
                    mortal.kill();
                }
            });
        }
        child.follow(pipes, || {})
    })
    .await
}

/// Starts the program and follows it on a thread of its own: it is followed by blocking reads.
async fn run_child<T: Send + 'static>(
    stage: &Stage,
    follow: impl FnOnce(&Child, crate::child::Pipes) -> T + Send + 'static,
) -> T {
    let (settings, endpoint, now) = (stage.settings.clone(), stage.kind.endpoint, stage.now);
    let followed = tokio::task::spawn_blocking(move || {
        let (child, pipes) = Child::start(&settings, endpoint, now);
        follow(&child, pipes)
    });
    followed.await.expect("following does not fail")
}

/// Nothing left to do, and blocked only what should be.
fn settled(rest: &Rest, scenario: &Scenario) -> bool {
    rest.steps.is_empty() && rest.blocked == scenario.blocked
}

/// Looks once more and judges: nothing is called, no intent is open, the world is as Git says.
async fn end(stage: &Stage, scenario: &Scenario, undisturbed: Option<&Scene>, result: &mut Result) -> Option<Scene> {
    stage.lab.record().clear();
    let session = stage.session(stage.now);
    let rest = crate::child::until_done(&session).await;
    let called: Vec<String> = stage.lab.record().mutating().into_iter().map(|call| call.operation).collect();
    if !settled(&rest, scenario) || !called.is_empty() {
        result.unsettled.get_or_insert(format!("one more look ended with {rest:#?} and called {called:?}"));
    }
    let journal = session.journal().await.expect("it opens");
    let open = journal.history(stage.now).await.expect("it can be read").open_intents;
    if !open.is_empty() {
        result.unsettled.get_or_insert(format!("intents are still open: {open:#?}"));
    }
    let inventory = session.inventory(&tierwright::events::EventSink::nowhere()).await.expect("it can be kept");
    let observed = inventory.observed(&EndpointName::new(stage.kind.endpoint).expect("a name"))?;
    let scene = stage.world().with(|world| {
        let scene = judge::scene(world, &stage.bystanders, &observed.vms);
        result.findings =
            judge::judge(world, &stage.bystanders, (scenario, stage.kind.kept_files(scenario)), (&scene, undisturbed));
        scene
    });
    session.close().await;
    Some(scene)
}
