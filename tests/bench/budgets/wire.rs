//! Inventories of a lab in another process, beside a bare HTTP client; and that lab's own start.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tierwright::inventory::Observed;
use tierwright::provider::{self, Provider};
use tierwright::settings::EndpointSettings;

use crate::bare;
use crate::lab::{LabProcess, processor_time, resident};
use crate::{Measure, Row, median, ms};

const RUNS: usize = 7;

/// All of it.
pub async fn rows() -> Vec<Row> {
    let mut rows = vec![binary()];
    rows.extend(hundred_thousand().await);
    for vms in [1_000, 10_000] {
        rows.extend(inventory(vms).await);
    }
    rows
}

fn binary() -> Row {
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_tierwright")).expect("the binary is there").len();
    Row::new("the binary", Measure::Bytes(40e6), size as f64)
}

/// The lab's start with 100,000 VMs, and the memory that their inventory takes.
async fn hundred_thousand() -> Vec<Row> {
    const VMS: usize = 100_000;
    let lab = LabProcess::start(VMS);
    let mut rows = vec![Row::new("lab with 100,000 VMs ready", Measure::Milliseconds(3000.0), ms(lab.ready_after))];
    // What three more take, so that what an allocator keeps of the work itself does not count, nor which of its arenas
    // had room.
    let mut held = Vec::new();
    let mut after = Vec::new();
    for _ in 0..5 {
        let provider = connect(&lab.endpoint());
        let observed = collect(provider.as_ref(), VMS).await;
        held.push((provider, observed));
        after.extend(resident("self"));
    }
    if let [_, second, _, _, fifth] = after[..] {
        rows.push(
            Row::new("memory per VM, observed", Measure::Bytes(1200.0), (fifth - second).max(0.0) / (3 * VMS) as f64)
                .note("resident, of 300,000 more, with what the provider remembers"),
        );
    }
    rows
}

/// Wall time and our own processor time of several runs, in milliseconds.
#[derive(Default)]
struct Runs {
    wall: Vec<f64>,
    own: Vec<f64>,
}

impl Runs {
    /// Runs and notes; gives what came of it.
    async fn note<T>(&mut self, work: impl Future<Output = T>) -> T {
        let (start, before) = (Instant::now(), processor_time(std::process::id()));
        let outcome = work.await;
        self.wall.push(ms(start.elapsed()));
        let after = processor_time(std::process::id());
        self.own.extend(before.zip(after).map(|(before, after)| ms(after.saturating_sub(before))));
        outcome
    }

    /// Such as `290 ms, 120 of them on the processor here`.
    fn said(&self) -> String {
        let wall = median(self.wall.clone());
        if self.own.is_empty() {
            return format!("{wall:.0} ms");
        }
        format!("{wall:.0} ms ({:.0} on our processor)", median(self.own.clone()))
    }

    fn to(&self, other: &Self) -> f64 {
        median(self.wall.iter().zip(&other.wall).map(|(ours, theirs)| ours / theirs).collect())
    }
}

async fn inventory(vms: usize) -> Vec<Row> {
    let lab = LabProcess::start(vms);
    let endpoint = lab.endpoint();
    let calls = bare::record(&endpoint).await;
    let (mut full, mut bare, mut again) = (Runs::default(), Runs::default(), Runs::default());
    let mut bytes = 0;
    for _ in 0..RUNS {
        let provider = connect(&endpoint);
        full.note(collect(provider.as_ref(), vms)).await;
        again.note(collect(provider.as_ref(), vms)).await;
        provider.close().await;
        bytes = bare.note(calls.replay(&endpoint)).await;
    }
    let (mib, count) = (bytes as f64 / f64::from(1 << 20), calls.count());
    vec![
        Row::new(format!("full inventory of {vms} VMs, to a bare HTTP client"), Measure::Times(1.1), full.to(&bare))
            .note(format!("{} to {}; {count} calls, {mib:.1} MiB", full.said(), bare.said())),
        Row::new(format!("nothing changed, to the full one, {vms} VMs"), Measure::Times(0.3), again.to(&full))
            .note(again.said()),
    ]
}

fn connect(endpoint: &EndpointSettings) -> Arc<dyn Provider> {
    provider::connect(endpoint).expect("the settings are good")
}

async fn collect(provider: &dyn Provider, vms: usize) -> Observed {
    let observed = provider.collect(&[]).await.expect("the lab answers");
    assert_eq!((observed.incomplete.as_deref(), observed.vms.len()), (None, vms));
    observed
}
