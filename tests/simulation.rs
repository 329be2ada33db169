//! Simulations: seeded lives of an installation over three endpoints, with edits, outages, faults, drift, crashes and
//! clock steps, and the rules of DESIGN sections 5 and 6 asked after each step.
//!
//! ```text
//! life.rs       one life        beginning.rs  what it begins with     acting.rs  what may happen in it
//! invariants/   the rules, each by name, judged by the truth of the worlds
//! git.rs        what is in Git  edits.rs      what teams change there
//! people.rs     what is done at a console        site.rs  an endpoint and what goes wrong at it
//! over_world/   a provider over the lab's world, without a wire
//! wire.rs       endpoints over the wire, each a lab and the real provider
//! serving.rs    a stretch of it in which serve's own loop runs
//! marks.rs      our mark on a VM of a world
//! watched.rs    notes every call; the point of death   figures.rs  counts
//! ```
//!
//! `cargo test --release --test simulation -- --nocapture` runs 10,000 lives, 200 more over the wire, and prints the
//! figures; a debug build, as in CI, runs fewer. `TIERWRIGHT_SIMULATIONS=N`, `TIERWRIGHT_SERVE_SIMULATIONS=N` and
//! `TIERWRIGHT_WIRE_SIMULATIONS=N` set how many, `TIERWRIGHT_FIRST_SEED=N` from which seed on, `TIERWRIGHT_SEED=N`
//! lives that one life again and tells it.

#[path = "simulation/acting.rs"]
mod acting;
#[path = "simulation/beginning.rs"]
mod beginning;
#[path = "simulation/edits.rs"]
mod edits;
#[path = "simulation/figures.rs"]
mod figures;
#[path = "simulation/git.rs"]
mod git;
#[path = "simulation/invariants/mod.rs"]
mod invariants;
#[path = "simulation/life.rs"]
mod life;
#[path = "simulation/marks.rs"]
mod marks;
#[path = "simulation/over_world/mod.rs"]
mod over_world;
#[path = "simulation/people.rs"]
mod people;
#[path = "simulation/serving.rs"]
mod serving;
#[path = "simulation/site.rs"]
mod site;
#[path = "simulation/watched.rs"]
mod watched;
#[path = "simulation/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;

use figures::Figures;
use git::{VSPHERE, XENSERVER};
use invariants::Violation;
use life::Life;
use over_world::{OverWorld, Scheme};
use site::Site;
use tierwright::lab::{ClockMode, Faults, LabClock, WorldHandle, world};
use tierwright::model::{EndpointName, HypervisorType};

/// How many lives a run has: as asked, or so many in a release build and so many in a debug one, as in CI.
fn how_many(variable: &str, [release, debug]: [u64; 2]) -> u64 {
    let asked = std::env::var(variable).ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(if cfg!(debug_assertions) { debug } else { release })
}

/// The first seed of a run: other lives than those of every day.
fn first_seed() -> u64 {
    std::env::var("TIERWRIGHT_FIRST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Three endpoints over worlds: two of one tier whose ids are ours to choose, one whose VMs
/// are born under another name.
fn over_worlds(seed: u64) -> Vec<Site> {
    let site = |(n, (name, scheme)): (u64, (&str, Scheme))| {
        let clock = LabClock::new(ClockMode::Virtual);
        let world = world::seed::world(seed * 3 + n, 2, false, clock.now_ms());
        let world = WorldHandle::new(world, clock.clone(), Faults::default());
        let name = EndpointName::new(name).expect("a name");
        let provider = Arc::new(OverWorld::new(name.clone(), scheme, world.clone(), clock));
        let chosen = scheme == Scheme::Chosen;
        let connected = Arc::clone(&provider);
        Site {
            name,
            hypervisor: if chosen { HypervisorType::Vsphere } else { HypervisorType::Xenserver },
            places: if chosen { VSPHERE } else { XENSERVER },
            world,
            switch: provider,
            connect: Box::new(move || Arc::clone(&connected) as _),
            unseen: std::collections::BTreeSet::new(),
            dark: false,
        }
    };
    let kinds = [("vc-a", Scheme::Chosen), ("vc-b", Scheme::Chosen), ("xs", Scheme::Born)];
    (0..).zip(kinds).map(site).collect()
}

/// Lives one life on a runtime whose time passes at once; what it did, or how it broke a rule.
fn live(seed: u64) -> (Life, Result<(), Violation>) {
    live_one(seed, false)
}

/// The same, with `serve` mostly in a person's place.
fn live_served(seed: u64) -> (Life, Result<(), Violation>) {
    live_one(seed, true)
}

fn live_one(seed: u64, serves: bool) -> (Life, Result<(), Violation>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let mut life = Life::new(seed, 8..=16, over_worlds(seed));
        life.serves = serves;
        let holds = life.live().await;
        (life, holds)
    })
}

/// What all lives of a run came to.
#[derive(Default)]
struct Sum {
    figures: Figures,
    /// By seed: in one line, and all there is to tell.
    broken: BTreeMap<u64, (String, String)>,
}

impl Sum {
    fn add(&mut self, seed: u64, life: &Life, holds: Result<(), Violation>, again: &str) {
        self.figures.add(&life.figures);
        let Err(Violation { rule, sentence, what }) = holds else { return };
        let told = format!(
            "seed {seed} broke {rule}\n  \"{sentence}\"\n  {what}\n\n{}\n\nagain: {again}",
            life.trace.join("\n")
        );
        self.broken.insert(seed, (format!("{rule}: {what:.300}"), told));
    }

    /// Prints the figures; panics with the first life that broke a rule.
    fn conclude(self, wall: Duration) {
        println!("{}  wall time           {:.1} s", self.figures, wall.as_secs_f64());
        println!("  violations          {}", self.broken.len());
        for (seed, (line, _)) in &self.broken {
            println!("    seed {seed}: {line}");
        }
        if let Some((_, told)) = self.broken.into_values().next() {
            panic!("{told}");
        }
    }
}

#[test]
fn every_rule_holds_in_every_life() {
    let lives = how_many("TIERWRIGHT_SIMULATIONS", [10_000, 600]);
    all(first_seed()..first_seed() + lives, live, "TIERWRIGHT_SEED=# cargo test --test simulation one_life");
}

/// Lives in which, most of the time, `serve` is what acts.
#[test]
fn every_rule_holds_where_serve_runs() {
    let lives = how_many("TIERWRIGHT_SERVE_SIMULATIONS", [1_000, 40]);
    let only = std::env::var("TIERWRIGHT_SERVE_SEED").ok().and_then(|text| text.parse().ok());
    let seeds = only.map_or(first_seed()..first_seed() + lives, |seed: u64| seed..seed + 1);
    all(seeds, live_served, "TIERWRIGHT_SERVE_SEED=# cargo test --test simulation where_serve_runs");
}

/// Lives them all, on as many threads as there are processors.
fn all(seeds: Range<u64>, one: fn(u64) -> (Life, Result<(), Violation>), again: &str) {
    let (next, sum) = (AtomicU64::new(seeds.start), Mutex::new(Sum::default()));
    let began = tierwright::clock::instant();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let (life, holds) = one(seed);
                    let again = format!("{} -- --nocapture", again.replace('#', &seed.to_string()));
                    sum.lock().unwrap().add(seed, &life, holds, &again);
                }
            });
        }
    });
    sum.into_inner().unwrap().conclude(began.elapsed());
}

/// Lives of fewer steps: what a provider makes of its protocol is what is added here.
#[test]
fn every_rule_holds_over_the_wire() {
    let lives = how_many("TIERWRIGHT_WIRE_SIMULATIONS", [200, 4]);
    let only = std::env::var("TIERWRIGHT_WIRE_SEED").ok().and_then(|text| text.parse().ok());
    let began = tierwright::clock::instant();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let sum = runtime.block_on(async {
        let mut sum = Sum::default();
        // Many at a time: most of a life over the wire is waiting.
        let seeds = only.map_or(first_seed()..first_seed() + lives, |seed: u64| seed..seed + 1);
        let mut lives =
            futures_util::stream::iter(seeds.map(|seed| tokio::spawn(live_over_the_wire(seed)))).buffer_unordered(16);
        while let Some(ended) = lives.next().await {
            let (seed, life, holds) = ended.expect("a life does not panic");
            let again =
                format!("TIERWRIGHT_WIRE_SEED={seed} cargo test --test simulation over_the_wire -- --nocapture");
            sum.add(seed, &life, holds, &again);
        }
        sum
    });
    sum.conclude(began.elapsed());
}

async fn live_over_the_wire(seed: u64) -> (u64, Life, Result<(), Violation>) {
    let mut sites = Vec::new();
    for (n, one) in (0..).zip(wire::kinds(seed).into_iter().zip(["a", "b", "c"])) {
        sites.push(wire::site(one, seed * 3 + n).await);
    }
    let mut life = Life::new(seed, 4..=8, sites);
    let holds = life.live().await;
    (seed, life, holds)
}

#[test]
fn one_life() {
    let asked = std::env::var("TIERWRIGHT_SEED").ok().and_then(|text| text.parse().ok());
    let seed = asked.unwrap_or(0);
    let (life, holds) = live(seed);
    let (again, _) = live(seed);
    assert_eq!(life.trace, again.trace, "the same seed is the same life");
    if asked.is_some() {
        println!("{}", life.trace.join("\n"));
    }
    if let Err(Violation { rule, sentence, what }) = holds {
        panic!("seed {seed} broke {rule}\n  \"{sentence}\"\n  {what}");
    }
}
