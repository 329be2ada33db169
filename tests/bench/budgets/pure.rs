//! What needs no server: manifests, plans, and the memory both sides take.

use std::hint::black_box;
use std::time::Instant;

use tierwright::manifest::compile;
use tierwright::model::Revision;
use tierwright::plan::plan;
use tierwright::source;

use crate::fleet::Fleet;
use crate::lab::resident;
use crate::{Measure, Row, median, ms, texts};

const RUNS: usize = 7;

/// All of it.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(memory());
    rows.push(manifests());
    rows.push(planned(10_000, 15.0));
    rows.push(planned(100_000, 150.0));
    rows
}

/// From a folder on disk to what is wanted.
fn manifests() -> Row {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for text in texts::fleet(10_000) {
        let path = dir.path().join(&*text.path);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder is ours");
        std::fs::write(path, &text.bytes).expect("the folder is ours");
    }
    let row = timed("parse, check and resolve 10,000 VM manifests".into(), 600.0, || {
        let loaded = source::load(dir.path());
        assert!(loaded.desired.is_some_and(|desired| desired.vms.len() == 10_000));
    });
    let note = format!("{}; a file each, read from disk", row.note);
    row.note(note)
}

fn planned(vms: u32, limit: f64) -> Row {
    let fleet = Fleet::of(vms);
    timed(format!("diff and plan {vms} VMs"), limit, || {
        let plan = plan(&fleet.input());
        assert_eq!(plan.in_sync, vms);
    })
}

/// The median of several runs; the note says how much of it was spent on the processor, which a busy machine leaves as
/// it is.
fn timed(what: String, limit: f64, run: impl Fn()) -> Row {
    let (mut times, mut own) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (start, before) = (Instant::now(), on_processor());
        run();
        times.push(ms(start.elapsed()));
        own.extend(before.zip(on_processor()).map(|(before, after)| after - before));
    }
    let row = Row::new(what, Measure::Milliseconds(limit), median(times));
    if own.is_empty() { row } else { row.note(format!("{:.1} ms of this thread on the processor", median(own))) }
}

/// What this thread had of a processor so far, in milliseconds; `None` where the system does not say.
fn on_processor() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e6)
}

/// Resident memory that one more of the same takes, so that what an allocator keeps of the work itself does not count.
fn memory() -> Option<Row> {
    const VMS: usize = 100_000;
    let texts = texts::fleet(VMS);
    let mut held = Vec::new();
    let mut after = Vec::new();
    for _ in 0..3 {
        held.push(compile(Revision("bench".into()), &texts).desired.expect("the manifests are good"));
        after.push(resident("self")?);
    }
    black_box(&held);
    let each = (after[2] - after[1]).max(0.0) / VMS as f64;
    Some(Row::new("memory per VM, desired", Measure::Bytes(1200.0), each).note("resident, of 100,000 more"))
}
