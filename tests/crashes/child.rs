//! The program that dies: both ends of it.
//!
//! It does what `apply` does, over and over until nothing is left to do. Before each commit of the journal it says
//! `commit` and waits for `go`; at its end it says `end` with what is left, as JSON.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tierwright::clock::Clock;
use tierwright::endpoints::Endpoints;
use tierwright::events::EventSink;
use tierwright::journal::Journal;
use tierwright::session::{Look, LookRequest, Session};
use tierwright::settings::{self, Settings};
use tierwright::shutdown::Shutdown;

/// Looks and applies of one run; more is going round in circles.
const ROUNDS: usize = 5;

/// What a run left to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// `ACTION KEY` of steps still planned.
    pub steps: Vec<String>,
    /// Codes of what is blocked.
    pub blocked: Vec<String>,
    /// Why, and whatever went wrong on the way: for the report of a failure.
    pub said: Vec<String>,
}

/// The lab's settings with one endpoint of them: the lab may have others, of the same world even.
pub fn settings(path: &Path, endpoint: &str) -> Settings {
    let mut settings = settings::load(Some(path)).expect("the lab writes good settings");
    settings.endpoints.retain(|entry| entry.name.as_str() == endpoint);
    settings
}

/// The child's `main`.
pub fn main((path, endpoint): (&str, &str), now: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let rest = runtime.expect("threads can be made").block_on(converge(settings(Path::new(path), endpoint), now));
    println!("end {}", serde_json::to_string(&rest).expect("plain text"));
    ExitCode::SUCCESS
}

async fn converge(settings: Settings, now: &str) -> Rest {
    let now = Timestamp::from_second(now.parse().expect("seconds")).expect("a time");
    let journal = Journal::open_watched(&settings.state_dir, Box::new(ask)).await.expect("the journal opens");
    let endpoints = Endpoints::new(&settings.endpoints);
    let session = Session::with_endpoints(settings, Clock::standing_at(now), endpoints).with_journal(journal);
    let rest = until_done(&session).await;
    session.close().await;
    rest
}

/// Says that a commit is about to happen and waits for leave. Whoever cannot ask any more is meant to be dead.
fn ask() {
    let mut answer = String::new();
    println!("commit");
    if std::io::stdin().lock().read_line(&mut answer).is_err() || answer != "go\n" {
        std::process::exit(1);
    }
}

/// Looks and applies until nothing is left to do. The stage uses it too, in peace.
pub async fn until_done(session: &Session) -> Rest {
    let mut said = Vec::new();
    for _ in 0..ROUNDS {
        let look = session.look(&LookRequest::default()).await.expect("the journal can be read");
        let rest = rest(&look);
        if rest.steps.is_empty() {
            return Rest { said: [said, rest.said].concat(), ..rest };
        }
        let report = session.apply(&look, &EventSink::nowhere(), &Shutdown::new()).await.expect("it can be written");
        said.extend(report.steps.iter().map(|step| format!("{:?} {}: {:?}", step.action, step.key, step.outcome)));
    }
    let last = rest(&session.look(&LookRequest::default()).await.expect("the journal can be read"));
    Rest { said: [said, last.said].concat(), ..last }
}

fn rest(look: &Look) -> Rest {
    let Some(plan) = &look.plan else {
        let said = look.diagnostics.iter().map(|diagnostic| format!("{diagnostic:?}")).collect();
        return Rest { steps: Vec::new(), blocked: vec!["sourceError".to_owned()], said };
    };
    let code = |code| serde_json::to_value(code).ok().and_then(|code| code.as_str().map(str::to_owned));
    Rest {
        steps: plan.steps.iter().map(|step| format!("{:?} {}", step.action, step.key)).collect(),
        blocked: plan.blocked.iter().filter_map(|blocked| code(blocked.code)).collect(),
        said: plan.blocked.iter().map(|blocked| format!("{}: {}", blocked.key, blocked.why)).collect(),
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::With(rest) => write!(f, "this left: {rest:#?}"),
            Self::Killed => f.write_str("SIGKILL"),
            Self::Badly(how) => f.write_str(how),
        }
    }
}

/// A child that runs; clones share it.
#[derive(Clone)]
pub struct Child(Arc<Mutex<std::process::Child>>);

/// How it ended.
pub enum Ended {
    /// By itself.
    With(Rest),
    /// By SIGKILL.
    Killed,
    /// In some other way, which it should not.
    Badly(String),
}

impl Child {
    /// Starts one. Follow it with [`Self::follow`], or it waits at its first commit.
    pub fn start(settings: &Path, endpoint: &str, now: Timestamp) -> (Self, Pipes) {
        let program = std::env::current_exe().expect("this very program");
        let mut command = Command::new(program);
        command.arg("--child").arg(settings).arg(endpoint).arg(now.as_second().to_string());
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a process can be made");
        let pipes = Pipes {
            go: child.stdin.take().expect("piped"),
            says: BufReader::new(child.stdout.take().expect("piped")),
            errors: child.stderr.take().expect("piped"),
        };
        (Self(Arc::new(Mutex::new(child))), pipes)
    }

    /// SIGKILL; returns once it is dead, so that whatever comes next comes after its death.
    pub fn kill(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }

    fn status(&self) -> ExitStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wait().expect("our own child")
    }

    /// Lets it go on at each commit after telling `commit` of it, which may kill it; waits for its end. Blocks.
    pub fn follow(&self, mut pipes: Pipes, mut commit: impl FnMut()) -> Ended {
        use std::os::unix::process::ExitStatusExt as _;
        let mut rest = None;
        let mut line = String::new();
        while pipes.says.read_line(&mut line).is_ok_and(|length| length > 0) {
            if let Some(json) = line.strip_prefix("end ") {
                rest = serde_json::from_str(json).ok();
            } else if line == "commit\n" {
                commit();
                // It may be dead by now, and then it does not listen.
                let _ = pipes.go.write_all(b"go\n");
            }
            line.clear();
        }
        let status = self.status();
        match rest {
            Some(rest) if status.success() => Ended::With(rest),
            _ if status.signal() == Some(9) => Ended::Killed,
            _ => {
                let mut said = String::new();
                let _ = pipes.errors.read_to_string(&mut said);
                Ended::Badly(format!("{status}: {said}"))
            }
        }
    }
}

/// How one talks with it.
pub struct Pipes {
    go: ChildStdin,
    says: BufReader<std::process::ChildStdout>,
    errors: std::process::ChildStderr,
}
