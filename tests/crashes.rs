//! kill -9 at every journal write and around every mutating call, replies lost, calls refused; then start again: it
//! converges, nothing twice, nothing lost. A real process dies each time, over the wire, TLS included.
//!
//! ```text
//! this binary                                        the child: this binary again (--child)
//!   lab (hypervisor) <------- https ----------------   Session: look, apply, until nothing is left to do
//!     record.listen: call n --> SIGKILL                  |
//!   "commit" <---------------- pipe ----------------   journal.open_watched: before each commit
//!     commit n --> SIGKILL, else "go" ------------->
//! ```
//!
//! A dry run of each scenario finds the points; then each point is a case of its own with a lab and a stateDir of its
//! own. `cargo test --test crashes` runs a seeded share of the cases, `cargo test --test crashes -- --all` (or
//! `TIERWRIGHT_CRASHES=all`) each of them; both print the table. Words are filters on `KIND: SCENARIO`; `--seed N` draws
//! another share. No libtest here: the child must be this very program and nothing else of it.

#[path = "crashes/case.rs"]
mod case;
#[path = "crashes/child.rs"]
mod child;
#[path = "crashes/judge.rs"]
mod judge;
#[path = "crashes/kinds.rs"]
mod kinds;
#[path = "crashes/scenarios.rs"]
mod scenarios;
#[path = "crashes/stage.rs"]
mod stage;
#[path = "crashes/table.rs"]
mod table;

use std::process::ExitCode;

use futures_util::stream::{self, StreamExt as _};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use case::{Case, Result};
use kinds::Kind;
use scenarios::Scenario;
use table::Row;

/// Cases of each scenario that a plain `cargo test` runs.
const SHARE: usize = 4;

/// What is run.
struct Wanted {
    all: bool,
    seed: u64,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, settings, now] = args.as_slice()
        && flag == "--child"
    {
        return child::main(settings, now);
    }
    if args.iter().any(|arg| arg == "--list") {
        println!("killed_anywhere_and_started_again_it_converges: test");
        return ExitCode::SUCCESS;
    }
    let wanted = wanted(&args);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be made");
    let rows = runtime.block_on(run(&wanted));
    table::print(&rows, &wanted.seed.to_string());
    if rows.iter().all(Row::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Flags of libtest that cargo or an editor may add are passed over.
fn wanted(args: &[String]) -> Wanted {
    let all = std::env::var("TIERWRIGHT_CRASHES").is_ok_and(|share| share == "all");
    let mut wanted = Wanted { all, seed: 1, filters: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--all" => wanted.all = true,
            "--seed" => wanted.seed = args.next().and_then(|seed| seed.parse().ok()).expect("--seed N"),
            "--test-threads" | "--color" | "--format" | "-Z" => drop(args.next()),
            flag if flag.starts_with('-') => {}
            filter => wanted.filters.push(filter.to_owned()),
        }
    }
    wanted
}

async fn run(wanted: &Wanted) -> Vec<Row> {
    let scenarios: Vec<(&Kind, &Scenario)> = kinds::KINDS
        .iter()
        .flat_map(|kind| scenarios::SCENARIOS.iter().map(move |scenario| (kind, scenario)))
        .filter(|(kind, scenario)| kind.can(scenario))
        .filter(|(kind, scenario)| {
            let name = format!("{}: {}", kind.name, scenario.name);
            wanted.filters.is_empty() || wanted.filters.iter().any(|filter| name.contains(filter))
        })
        .collect();
    // A case waits for its child most of the time; twice the processors keeps them busy.
    let at_once = std::thread::available_parallelism().map_or(2, usize::from) * 2;
    let dry: Vec<_> = stream::iter(scenarios)
        .map(|(kind, scenario)| async move { (kind, scenario, case::dry_run(kind, scenario).await) })
        .buffered(at_once)
        .collect()
        .await;
    let mut rows: Vec<Row> = Vec::new();
    let mut cases: Vec<(usize, Case)> = Vec::new();
    for (at, (kind, scenario, dry)) in dry.iter().enumerate() {
        let all = dry.cases();
        rows.push(Row::new(kind.name, scenario.name, dry.points(), all.len()));
        rows[at].problems.extend(dry.problem.iter().map(|problem| ("dry run".to_owned(), problem.clone())));
        cases.extend(share(wanted, at, all).into_iter().map(|case| (at, case)));
    }
    let dry = &dry;
    let results: Vec<(usize, String, Result)> = stream::iter(cases)
        .map(|(at, case)| async move {
            let (kind, scenario, dry) = &dry[at];
            (at, case.to_string(), case::run(kind, scenario, dry, &case).await)
        })
        .buffer_unordered(at_once)
        .collect()
        .await;
    for (at, case, result) in results {
        rows[at].add(case, result);
    }
    rows
}

/// All of them, or as many as a plain `cargo test` has time for, drawn from the seed.
fn share(wanted: &Wanted, scenario: usize, mut cases: Vec<Case>) -> Vec<Case> {
    if !wanted.all {
        let mut dice = StdRng::seed_from_u64(wanted.seed.rotate_left(17) ^ u64::try_from(scenario).unwrap_or_default());
        // One draw more keeps neighbouring seeds apart.
        let _: u64 = dice.random();
        cases.shuffle(&mut dice);
        cases.truncate(SHARE);
    }
    cases
}
