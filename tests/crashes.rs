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
//! `TIERWRIGHT_CRASHES=all`) each of them; both print the table. Words are filters on `KIND: SCENARIO`; `--seed N`
//! draws another share. No libtest here: the child must be this very program and nothing else of it.

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
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use case::{Case, Dry, Result};
use kinds::Kind;
use scenarios::{SCENARIOS, Scenario};
use table::Row;

/// What is run.
struct Wanted {
    all: bool,
    seed: u64,
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, settings, endpoint, now] = args.as_slice()
        && flag == "--child"
    {
        return child::main((settings, endpoint), now);
    }
    if args.iter().any(|arg| arg == "--list") {
        println!("killed_anywhere_and_started_again_it_converges: test");
        return ExitCode::SUCCESS;
    }
    let wanted = wanted(&args);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be made");
    let rows = runtime.block_on(run(&wanted));
    table::print(&rows, wanted.seed);
    if rows.iter().all(|row| row.clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
    // A case waits for its child most of the time; twice the processors keeps them busy.
    let at_once = std::thread::available_parallelism().map_or(2, usize::from) * 2;
    let dry: Vec<Arc<Dry>> = stream::iter(chosen(wanted))
        .map(|(kind, scenario)| async move {
            let ran = tokio::spawn(case::dry_run(kind, scenario)).await;
            Arc::new(ran.unwrap_or_else(|panic| Dry::failed((kind, scenario), &panic)))
        })
        .buffered(at_once)
        .collect()
        .await;
    let mut rows: Vec<Row> = dry.iter().map(|dry| Row::of(dry)).collect();
    let drawn = (0..).zip(&dry).flat_map(|(at, dry)| {
        share(wanted, (at, dry.kind.share), dry.cases()).into_iter().map(move |case| (at, dry.clone(), case))
    });
    let mut results = stream::iter(drawn)
        .map(|(at, dry, case)| async move {
            let name = case.to_string();
            let ran = tokio::spawn(async move { case::run(&dry, &case).await }).await;
            (at, name, ran.unwrap_or_else(|panic| Result::failed(&panic)))
        })
        .buffer_unordered(at_once);
    while let Some((at, case, result)) = results.next().await {
        rows[at].add(&case, result);
    }
    drop(results);
    rows
}

/// Scenarios by kind, as far as the filters let them through.
fn chosen(wanted: &Wanted) -> Vec<(&'static Kind, &'static Scenario)> {
    let all = kinds::KINDS.iter().flat_map(|kind| SCENARIOS.iter().map(move |scenario| (kind, scenario)));
    all.filter(|(kind, scenario)| kind.can(scenario))
        .filter(|(kind, scenario)| {
            let name = format!("{}: {}", kind.name, scenario.name);
            wanted.filters.is_empty() || wanted.filters.iter().any(|filter| name.contains(filter))
        })
        .collect()
}

/// All of them, or as many as a plain `cargo test` has time for, drawn from the seed.
fn share(wanted: &Wanted, (scenario, share): (usize, usize), mut cases: Vec<Case>) -> Vec<Case> {
    if !wanted.all {
        let mut dice = StdRng::seed_from_u64(wanted.seed.rotate_left(17) ^ u64::try_from(scenario).unwrap_or_default());
        // One draw more keeps neighbouring seeds apart.
        let _: u64 = dice.random();
        cases.shuffle(&mut dice);
        cases.truncate(share);
    }
    cases
}
