//! Simulations: seeded lives of an installation over three endpoints, with edits, outages, faults, drift, crashes and
//! clock steps, and the rules of DESIGN sections 5 and 6 asked after each step.
//!
//! ```text
//! life.rs       one life        invariants/   the rules, each by name, judged by the truth of the worlds
//! git.rs        what is in Git  edits.rs      what teams change there
//! people.rs     what is done at a console        site.rs  an endpoint and what goes wrong at it
//! over_world/   a provider over the lab's world, without a wire
//! watched.rs    notes every call; the point of death   figures.rs  counts
//! ```
//!
//! `cargo test --release --test simulation -- --nocapture` runs 10,000 lives and prints the figures; a debug build, as in
//! CI, runs fewer. `TIERWRIGHT_SIMULATIONS=N` sets how many, `TIERWRIGHT_SEED=N` runs that one life and tells it.

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
#[path = "simulation/over_world/mod.rs"]
mod over_world;
#[path = "simulation/people.rs"]
mod people;
#[path = "simulation/site.rs"]
mod site;
#[path = "simulation/watched.rs"]
mod watched;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use figures::Figures;
use git::{VSPHERE, XENSERVER};
use invariants::Violation;
use life::Life;
use over_world::{OverWorld, Scheme};
use site::Site;
use tierwright::lab::{ClockMode, Faults, LabClock, WorldHandle, world};
use tierwright::model::{EndpointName, HypervisorType};

/// How many lives a run has.
fn how_many() -> u64 {
    let asked = std::env::var("TIERWRIGHT_SIMULATIONS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(if cfg!(debug_assertions) { 300 } else { 10_000 })
}

/// Three endpoints over worlds: two of one tier whose ids are ours to choose, one whose VMs are born under another name.
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let mut life = Life::new(seed, over_worlds(seed));
        let holds = life.live().await;
        (life, holds)
    })
}

/// What to do about a broken rule.
fn tell(seed: u64, life: &Life, broken: &Violation) -> String {
    format!(
        "seed {seed} broke {}\n  \"{}\"\n  {}\n\n{}\n\nagain: TIERWRIGHT_SEED={seed} cargo test --test simulation one_life -- --nocapture",
        broken.rule,
        broken.sentence,
        broken.what,
        life.trace.join("\n")
    )
}

#[test]
fn every_rule_holds_in_every_life() {
    let (next, all) = (AtomicU64::new(0), Mutex::new(Figures::default()));
    let failed: Mutex<Vec<(u64, String, String)>> = Mutex::default();
    let began = std::time::Instant::now();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut figures = Figures::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= how_many() {
                        break;
                    }
                    let (life, holds) = live(seed);
                    figures.add(&life.figures);
                    if let Err(broken) = holds {
                        failed.lock().unwrap().push((seed, tell(seed, &life, &broken), format!("{}: {}", broken.rule, broken.what)));
                    }
                }
                all.lock().unwrap().add(&figures);
            });
        }
    });
    all.lock().unwrap().print(began.elapsed());
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    println!("  violations          {}", failed.len());
    for (seed, _, rule) in &failed {
        println!("    seed {seed}: {rule:.300}");
    }
    if let Some((_, told, _)) = failed.first() {
        panic!("{told}");
    }
}

#[test]
fn one_life() {
    let seed = std::env::var("TIERWRIGHT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (life, holds) = live(seed);
    let (again, _) = live(seed);
    assert_eq!(life.trace, again.trace, "the same seed is the same life");
    if std::env::var("TIERWRIGHT_SEED").is_ok() {
        println!("{}", life.trace.join("\n"));
    }
    if let Err(broken) = holds {
        panic!("{}", tell(seed, &life, &broken));
    }
}
