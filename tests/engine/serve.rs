//! `serve`: settles, applies where it may, keeps the last good revision, ends in time.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tierwright::events::EventSink;
use tierwright::journal::{Journal, Lock};
use tierwright::model::Bytes;
use tierwright::plan::Manage;
use tierwright::reconciler::Reconciler;
use tierwright::session::{LookRequest, Session};
use tierwright::settings::Settings;
use tierwright::shutdown::Shutdown;
use tierwright::status::{Condition, Status};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fixtures::{memory_of, noon, own_id};
use crate::provider::{Fault, Memory, config, shared};
use crate::session::{TIER, session, session_of, settings, vm, write};

/// A running `serve`.
pub struct Serve {
    pub status: watch::Receiver<Status>,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Serve {
    pub async fn start(dir: &Path, vc: &Arc<Memory>, manage: Manage) -> Self {
        Self::with(session(dir, vc, manage), |reconciler| reconciler).await
    }

    pub async fn with(session: Session, more: impl FnOnce(Reconciler) -> Reconciler) -> Self {
        let lock = Lock::serve(&session.settings().state_dir).unwrap();
        let reconciler = more(Reconciler::with_session(session, lock).await.unwrap());
        let (status, shutdown) = (reconciler.status(), Shutdown::new());
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { reconciler.run(shutdown).await.unwrap() }
        });
        Self { status, shutdown, task }
    }

    /// Waits until the loop says so, for a hundred cycles at most: paused time runs on whenever nothing else does, so a
    /// time limit would pass while SQLite's thread is at work.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        let last = self.status.borrow().cycles + 100;
        let reached = self.status.wait_for(|status| holds(status) || status.cycles > last).await.unwrap().clone();
        assert!(holds(&reached), "never {what}: {reached:#?}");
        reached
    }

    /// Waits for so many more cycles.
    pub async fn cycles(&mut self, more: u64) -> Status {
        let now = self.status.borrow().cycles;
        self.until("more cycles", |status| status.cycles >= now + more).await
    }

    pub async fn end(self) {
        self.shutdown.request();
        self.task.await.unwrap();
    }
}

pub fn in_sync(n: u32) -> impl Fn(&Status) -> bool {
    move |status| status.plan.is_some_and(|plan| plan.steps == 0 && plan.blocked == 0 && plan.in_sync == n)
}

pub fn two_vms(dir: &Path) {
    write(dir, "tier.yaml", TIER);
    write(dir, "keep.yaml", &vm("keep", "4GiB", ""));
    write(dir, "web.yaml", &vm("web", "4GiB", ""));
}

#[tokio::test(start_paused = true)]
async fn enforce_creates_and_heals_drift_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    serve.until("both made", in_sync(2)).await;
    config(vc.vms.lock().unwrap().get_mut(&own_id("web")).unwrap()).memory = Bytes::gib(1);
    serve.cycles(3).await;
    serve.until("healed", in_sync(2)).await;
    assert_eq!(memory_of(&vc.vm(&own_id("web")).unwrap()), Bytes::gib(4));
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn suggest_only_plans() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let mut serve = Serve::start(dir.path(), &vc, Manage::Suggest).await;
    let status = serve.until("a plan", |status| status.plan.is_some_and(|plan| plan.steps == 2)).await;
    assert_eq!(status.condition, Condition::Ready);
    serve.cycles(2).await;
    assert!(vc.calls().is_empty());
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_waits_until_the_source_was_quiet_for_30_seconds() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    serve.until("both made", in_sync(2)).await;
    fs::remove_file(dir.path().join("manifests/web.yaml")).unwrap();
    let removed = Instant::now();
    serve.until("removed", in_sync(1)).await;
    assert!(removed.elapsed() >= Duration::from_secs(30), "{:?}", removed.elapsed());
    assert!(vc.vm(&own_id("web")).is_none() && vc.vm(&own_id("keep")).is_some());
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_source_leaves_the_last_good_revision_in_force_and_removes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    serve.until("both made", in_sync(2)).await;
    write(dir.path(), "web.yaml", "kind: VirtualMachine\nspec: {tier: [}\n");
    let status = serve.until("told", |status| status.source_problems > 0).await;
    assert!(status.revision.is_some());
    // Even so, what is wanted is kept true.
    config(vc.vms.lock().unwrap().get_mut(&own_id("web")).unwrap()).memory = Bytes::gib(1);
    serve.cycles(3).await;
    assert_eq!(memory_of(&vc.vm(&own_id("web")).unwrap()), Bytes::gib(4));
    fs::remove_dir_all(dir.path().join("manifests")).unwrap();
    serve.cycles(3).await;
    assert_eq!(vc.vms.lock().unwrap().len(), 2);
    serve.end().await;
}

/// What a serve leaves that made both and ended.
async fn both_made(dir: &Path) -> Arc<Memory> {
    two_vms(dir);
    let vc = shared(Memory::new("vc"));
    let mut serve = Serve::start(dir, &vc, Manage::Enforce).await;
    serve.until("both made", in_sync(2)).await;
    serve.end().await;
    vc
}

#[tokio::test(start_paused = true)]
async fn a_serve_that_starts_while_the_source_is_broken_knows_the_last_good_revision() {
    let dir = tempfile::tempdir().unwrap();
    let vc = both_made(dir.path()).await;

    fs::remove_dir_all(dir.path().join("manifests")).unwrap();
    config(vc.vms.lock().unwrap().get_mut(&own_id("web")).unwrap()).memory = Bytes::gib(1);
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    serve.cycles(3).await;
    assert_eq!(memory_of(&vc.vm(&own_id("web")).unwrap()), Bytes::gib(4));
    assert_eq!(vc.vms.lock().unwrap().len(), 2);
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_serve_that_starts_while_the_source_is_broken_goes_on_with_what_a_person_applied_since() {
    let dir = tempfile::tempdir().unwrap();
    let vc = both_made(dir.path()).await;
    write(dir.path(), "web.yaml", &vm("web", "8GiB", ""));
    apply(&session(dir.path(), &vc, Manage::Enforce), LookRequest::default()).await;
    assert_eq!(memory_of(&vc.vm(&own_id("web")).unwrap()), Bytes::gib(8));
    // Other manifests are no word on this source: of what they brought, the next serve knows nothing.
    write(&dir.path().join("other"), "tier.yaml", TIER);
    write(&dir.path().join("other"), "web.yaml", &vm("web", "16GiB", ""));
    let other = dir.path().join("other/manifests");
    apply(
        &session(dir.path(), &vc, Manage::Enforce),
        LookRequest { manifests: Some(other.clone()), ..LookRequest::default() },
    )
    .await;
    assert_eq!(memory_of(&vc.vm(&own_id("web")).unwrap()), Bytes::gib(16));

    fs::remove_dir_all(dir.path().join("manifests")).unwrap();
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    serve.cycles(3).await;
    assert_eq!(memory_of(&vc.vm(&own_id("web")).unwrap()), Bytes::gib(8));
    serve.end().await;

    // And a serve of another source knows no good revision of it.
    fs::remove_dir_all(&other).unwrap();
    let settings = Settings { source: other, ..settings(dir.path(), Manage::Enforce) };
    let mut serve = Serve::with(session_of(settings, &[&vc]), |reconciler| reconciler).await;
    let no_good = |status: &Status| matches!(&status.condition, Condition::Stalled(why) if why.contains("no good"));
    serve.until("stalled", no_good).await;
    serve.end().await;
}

async fn apply(session: &Session, request: LookRequest) {
    let look = session.look(&request).await.unwrap();
    let report = session.apply(&look, &EventSink::nowhere(), &Shutdown::new()).await.unwrap();
    assert_eq!(report.steps.len(), 1, "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn without_any_good_revision_it_waits_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let vc = shared(Memory::new("vc"));
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    serve
        .until(
            "stalled",
            |status| matches!(&status.condition, Condition::Stalled(why) if why.contains("no good revision")),
        )
        .await;
    two_vms(dir.path());
    serve.until("both made", in_sync(2)).await;
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_an_open_intent_and_the_end_comes_within_ten_seconds() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc").faulty("web", Fault::Hang));
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    serve.until("it hangs", |status| status.running.len() == 1 && vc.calls().len() == 2).await;
    let asked = Instant::now();
    serve.end().await;
    assert!(asked.elapsed() <= Duration::from_secs(10), "{:?}", asked.elapsed());
    let history = Journal::open(&dir.path().join("state")).await.unwrap().history(noon()).await.unwrap();
    let open: Vec<String> = history.open_intents.iter().map(|intent| intent.key.to_string()).collect();
    assert_eq!(open, ["default/web"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_step_is_tried_again_ever_more_rarely() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc").faulty("web", Fault::Refuse("no licence")));
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    let status = serve.until("failing", |status| !status.failing.is_empty()).await;
    assert!(status.failing.values().all(|why| why.contains("no licence")));
    // The clock of the session stands still, so the back-off never ends: one try only.
    serve.cycles(5).await;
    assert_eq!(vc.calls().iter().filter(|call| *call == "default/web Create").count(), 1);
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_fleet_at_rest_is_planned_once_and_again_as_soon_as_anything_moves() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Enforce);
    let clock = session.clock().clone();
    let mut serve = Serve::with(session, |reconciler| reconciler).await;
    serve.until("both made", in_sync(2)).await;
    // The source settles, and what is known before the answers becomes the same as the answers.
    let rest = serve.cycles(5).await;
    clock.advance(Duration::from_secs(10));
    let later = serve.cycles(4).await;
    assert!(later.last_cycle > rest.last_cycle && later.planned_at == rest.planned_at, "{later:#?}");

    config(vc.vms.lock().unwrap().get_mut(&own_id("web")).unwrap()).memory = Bytes::gib(1);
    let moved = serve.until("planned again", |status| status.planned_at > rest.planned_at).await;
    assert!(moved.planned_at > rest.planned_at);
    serve.until("healed", |status| in_sync(2)(status) && status.running.is_empty()).await;
    assert_eq!(memory_of(&vc.vm(&own_id("web")).unwrap()), Bytes::gib(4));

    let rest = serve.cycles(5).await;
    clock.advance(Duration::from_hours(2));
    serve.until("planned again after an hour at most", |status| status.planned_at > rest.planned_at).await;
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn grace_days_end_though_nothing_else_has_moved_for_days() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    write(dir.path(), "tier.yaml", &TIER.replace("graceDays: 0", "graceDays: 7"));
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Enforce);
    let clock = session.clock().clone();
    let mut serve = Serve::with(session, |reconciler| reconciler).await;
    serve.until("both made", in_sync(2)).await;
    fs::remove_file(dir.path().join("manifests/web.yaml")).unwrap();
    let held = |status: &Status| status.plan.is_some_and(|plan| (plan.steps, plan.blocked, plan.in_sync) == (0, 1, 1));
    serve.until("retired", |status| held(status) && status.running.is_empty()).await;
    let rest = serve.cycles(6).await;
    assert!(vc.vm(&own_id("web")).is_some(), "{rest:#?}");
    // Less than the hour after which all is planned again.
    clock.advance(Duration::from_hours(7 * 24) - Duration::from_mins(20));
    let waiting = serve.cycles(3).await;
    assert!(held(&waiting) && vc.vm(&own_id("web")).is_some());
    clock.advance(Duration::from_mins(30));
    serve.until("deleted", in_sync(1)).await;
    assert!(vc.vm(&own_id("web")).is_none());
    serve.end().await;
}
