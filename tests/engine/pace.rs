//! `serve` with several endpoints: each at its own pace, whatever the others do; and what an answer may be used for.
//!
//! Where times matter, time moves only when the test moves it: see [`Time`].

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tierwright::journal::{Intent, Journal, Lock};
use tierwright::model::Bytes;
use tierwright::pause;
use tierwright::plan::{BlockCode, Manage};
use tierwright::provider::{Call, Outcome};
use tierwright::session::{LookRequest, Session};
use tierwright::settings::Settings;
use tierwright::status::{Status, StatusFile, VmIs};
use tokio::task::JoinHandle;

use crate::fixtures::{endpoint, grow, key, memory_of, noon, own_id};
use crate::provider::{Fault, Memory, config, shared};
use crate::serve::{Serve, in_sync, two_vms};
use crate::session::{TIER, session_of, settings, settings_of, vm, write};

/// Paused time that does not run on by itself while the journal's thread is at work: tokio leaves it alone as long as a
/// blocking task is there.
struct Time {
    _release: mpsc::Sender<()>,
    over: JoinHandle<()>,
}

impl Time {
    fn stopped() -> Self {
        let (release, released) = mpsc::channel::<()>();
        // Real time: what is awaited below is event by event, and only a bug makes one not come.
        let over = tokio::task::spawn_blocking(move || {
            let _ = released.recv_timeout(Duration::from_mins(1));
        });
        Self { _release: release, over }
    }

    /// Moves time on.
    async fn pass(&self, seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    /// Waits for the loop, while no time passes.
    async fn until(&mut self, serve: &mut Serve, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        tokio::select! {
            reached = serve.status.wait_for(|status| holds(status)) => return reached.unwrap().clone(),
            _ = &mut self.over => {}
        }
        panic!("never {what}: {:#?}", serve.status.borrow())
    }
}

/// Of one tier for each endpoint: `tier-1` on `vc`, `tier-2` on `other`.
fn two_tiers(dir: &Path) {
    two_vms(dir);
    let other = |text: &str| text.replace("tier-1", "tier-2");
    write(dir, "tier-2.yaml", &other(TIER).replace("[vc]", "[other]"));
    write(dir, "app.yaml", &other(&vm("app", "4GiB", "")));
}

fn two_endpoints(dir: &Path, vc: &Arc<Memory>, other: &Arc<Memory>) -> Session {
    session_of(settings_of(dir, &["vc", "other"], Manage::Enforce), &[vc, other])
}

async fn serve(dir: &Path, vc: &Arc<Memory>, other: &Arc<Memory>) -> Serve {
    Serve::with(two_endpoints(dir, vc, other), |reconciler| reconciler).await
}

fn asking(status: &Status, name: &str) -> bool {
    status.endpoints.get(&endpoint(name)).is_some_and(|endpoint| endpoint.asking)
}

/// Has that endpoint answered the `n`-th time, and the source been read?
fn answered(vc: &Arc<Memory>, n: usize) -> impl Fn(&Status) -> bool {
    let vc = Arc::clone(vc);
    move |status| vc.asked() == n && !asking(status, "vc") && status.cycles > 0
}

/// When `vc` is asked, in seconds, over five minutes in which the other endpoint answers or hangs.
async fn times_of_asking(hangs: bool) -> Vec<u64> {
    let dir = tempfile::tempdir().unwrap();
    two_tiers(dir.path());
    let (vc, other) = (shared(Memory::new("vc")), shared(Memory { hangs, ..Memory::new("other") }));
    let mut settings = settings_of(dir.path(), &["vc", "other"], Manage::Observe);
    settings.interval = Duration::from_secs(30);
    let mut time = Time::stopped();
    let mut serve = Serve::with(session_of(settings, &[&vc, &other]), |reconciler| reconciler).await;
    let mut times = Vec::new();
    for second in 0..300 {
        // An answer that is due has come before time goes on.
        let due = usize::try_from(second / 30 + 1).unwrap();
        time.until(&mut serve, "asked in time", answered(&vc, due)).await;
        if times.len() < due {
            times.push(second);
        }
        time.pass(1).await;
    }
    serve.end().await;
    times
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_moves_no_other_by_a_second() {
    let beside_a_healthy_one = times_of_asking(false).await;
    assert_eq!(beside_a_healthy_one, [0, 30, 60, 90, 120, 150, 180, 210, 240, 270]);
    assert_eq!(times_of_asking(true).await, beside_a_healthy_one);
}

#[tokio::test(start_paused = true)]
async fn what_is_made_on_one_endpoint_does_not_wait_for_one_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    two_tiers(dir.path());
    // Both were seen by an earlier run, and neither had a VM.
    let earlier = two_endpoints(dir.path(), &shared(Memory::new("vc")), &shared(Memory::new("other")));
    earlier.look(&LookRequest::default()).await.unwrap();
    earlier.close().await;
    let (vc, other) = (shared(Memory::new("vc")), shared(Memory { hangs: true, ..Memory::new("other") }));
    let mut time = Time::stopped();
    let mut serve = serve(dir.path(), &vc, &other).await;
    time.until(&mut serve, "a first answer", answered(&vc, 1)).await;
    time.pass(6).await;
    let made = time.until(&mut serve, "both made", |status| status.plan.is_some_and(|plan| plan.in_sync == 2)).await;
    assert!(asking(&made, "other") && made.endpoints[&endpoint("other")].at.is_none(), "{made:#?}");
    // Unreachable so far, never empty.
    assert_eq!(made.vms[&key("default/app")].is, VmIs::Held);
    assert_eq!(vc.vms.lock().unwrap().len(), 2);
    serve.end().await;
}

/// As after stateDir was lost: any VM might be on the endpoint that has yet to answer, however often the other one did.
#[tokio::test(start_paused = true)]
async fn nothing_is_made_while_an_endpoint_was_never_seen() {
    let dir = tempfile::tempdir().unwrap();
    two_tiers(dir.path());
    let (vc, other) = (shared(Memory::new("vc")), shared(Memory { hangs: true, ..Memory::new("other") }));
    let mut time = Time::stopped();
    let mut serve = serve(dir.path(), &vc, &other).await;
    time.until(&mut serve, "a first answer", answered(&vc, 1)).await;
    time.pass(6).await;
    time.until(&mut serve, "a plan", |status| status.plan.is_some()).await;
    for asked in 2..=4 {
        let cycles = serve.status.borrow().cycles;
        time.pass(60).await;
        let again = time.until(&mut serve, "asked again", answered(&vc, asked)).await;
        let again = if again.cycles > cycles {
            again
        } else {
            time.until(&mut serve, "planned again", |status| status.cycles > cycles).await
        };
        assert_eq!(again.vms[&key("default/web")].code, Some(BlockCode::EndpointUnknown), "{again:#?}");
    }
    assert!(vc.vms.lock().unwrap().is_empty());
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_on_one_endpoint_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    two_tiers(dir.path());
    let vc = shared(Memory::new("vc").faulty("web", Fault::Hang));
    let other = shared(Memory::new("other"));
    let mut serve = serve(dir.path(), &vc, &other).await;
    let made = serve.until("made where nothing hangs", |status| {
        let is = |name| status.vms.get(&key(name)).map(|vm| vm.is);
        status.running.contains_key(&key("default/web")) && is("default/app") == Some(VmIs::InSync)
    });
    made.await;
    config(other.vms.lock().unwrap().get_mut(&own_id("app")).unwrap()).memory = Bytes::gib(1);
    for _ in 0..50 {
        if memory_of(&other.vm(&own_id("app")).unwrap()) == Bytes::gib(4) {
            break;
        }
        serve.cycles(1).await;
    }
    assert_eq!(memory_of(&other.vm(&own_id("app")).unwrap()), Bytes::gib(4), "its drift is healed all the same");
    let status = serve.cycles(2).await;
    // A VM of the endpoint that is being changed keeps the line it had.
    assert_eq!(status.vms[&key("default/web")].is, VmIs::Planned, "{status:#?}");
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_waits_for_what_it_depends_on_elsewhere_and_its_neighbours_do_not() {
    let dir = tempfile::tempdir().unwrap();
    two_tiers(dir.path());
    let late = vm("late", "4GiB", ", dependsOn: [default/web]").replace("tier-1", "tier-2");
    write(dir.path(), "late.yaml", &late);
    let vc = shared(Memory::new("vc").faulty("web", Fault::Hang));
    let other = shared(Memory::new("other"));
    let mut serve = serve(dir.path(), &vc, &other).await;
    let is = |status: &Status, name: &str| status.vms.get(&key(name)).map(|vm| vm.is);
    serve.until("the neighbour made", |status| is(status, "default/app") == Some(VmIs::InSync)).await;
    serve.cycles(3).await;
    assert!(other.vm(&own_id("late")).is_none());
    serve.end().await;

    vc.faults.lock().unwrap().clear();
    let mut serve = self::serve(dir.path(), &vc, &other).await;
    serve.until("all made", in_sync(4)).await;
    assert!(other.vm(&own_id("late")).is_some());
    serve.end().await;
}

/// One VM, in sync, on an endpoint that is asked once an hour.
async fn hourly(dir: &Path, vc: &Arc<Memory>, time: &mut Time) -> Serve {
    write(dir, "tier.yaml", TIER);
    write(dir, "web.yaml", &vm("web", "4GiB", ""));
    let hourly = Settings { interval: Duration::from_hours(1), ..settings(dir, Manage::Enforce) };
    let mut serve = Serve::with(session_of(hourly, &[vc]), |reconciler| reconciler).await;
    time.until(&mut serve, "a first answer", answered(vc, 1)).await;
    time.pass(6).await;
    time.until(&mut serve, "made", in_sync(1)).await;
    time.pass(30).await;
    serve
}

/// A plan that nothing new is known for.
async fn plan_again(dir: &Path, serve: &mut Serve, time: &mut Time) -> Status {
    let cycles = serve.status.borrow().cycles;
    pause::pause(&dir.join("state"), None).unwrap();
    time.pass(6).await;
    time.until(serve, "paused", |status| status.paused.is_some() && status.cycles > cycles).await;
    let cycles = serve.status.borrow().cycles;
    pause::resume(&dir.join("state")).unwrap();
    time.pass(6).await;
    time.until(serve, "resumed", |status| status.paused.is_none() && status.cycles > cycles).await
}

#[tokio::test(start_paused = true)]
async fn one_listing_that_lacks_a_vm_proves_nothing_however_often_it_is_planned_with() {
    let dir = tempfile::tempdir().unwrap();
    let (vc, mut time) = (shared(Memory::new("vc")), Time::stopped());
    let mut serve = hourly(dir.path(), &vc, &mut time).await;
    let asked = vc.asked();
    vc.vms.lock().unwrap().clear();
    time.pass(3600).await;
    let missing = |status: &Status| status.vms[&key("default/web")].code == Some(BlockCode::VmUnknown);
    time.until(&mut serve, "missing once", missing).await;
    for _ in 0..3 {
        let status = plan_again(dir.path(), &mut serve, &mut time).await;
        assert!(missing(&status), "{status:#?}");
    }
    assert_eq!((vc.asked(), vc.calls().len()), (asked + 1, 1));
    time.pass(3600).await;
    time.until(&mut serve, "made again", in_sync(1)).await;
    assert_eq!(vc.calls(), ["default/web Create", "default/web Create"]);
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_older_than_somebody_elses_change_is_asked_for_again_and_not_planned_with() {
    let dir = tempfile::tempdir().unwrap();
    let (vc, mut time) = (shared(Memory::new("vc")), Time::stopped());
    let mut serve = hourly(dir.path(), &vc, &mut time).await;
    let asked = vc.asked();
    plan_again(dir.path(), &mut serve, &mut time).await;
    assert_eq!(vc.asked(), asked, "nothing was changed, so the answer stands");

    let another = Journal::open(&dir.path().join("state")).await.unwrap();
    let call = Call { name: "Test", operation: 0, target: String::new(), destroys: false, detail: String::new() };
    let step = grow("vc", "default/web");
    let id = another.intend(&Intent { run: "another", step: &step, call: &call, at: noon() }).await.unwrap();
    config(vc.vms.lock().unwrap().get_mut(&own_id("web")).unwrap()).memory = Bytes::gib(1);
    another.settle(id, &Outcome::Done, noon()).await.unwrap();

    plan_again(dir.path(), &mut serve, &mut time).await;
    // Well before the hour.
    let healed = |_: &Status| memory_of(&vc.vm(&own_id("web")).unwrap()) == Bytes::gib(4);
    time.until(&mut serve, "healed", |status| healed(status) && in_sync(1)(status)).await;
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn while_another_run_changes_things_nothing_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let lock = Lock::change(&dir.path().join("state")).await.unwrap();
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    let status = serve.until("it waits", |status| status.waits_for.is_some()).await;
    assert!(status.waits_for.unwrap().contains(&format!("process {}", std::process::id())));
    serve.cycles(2).await;
    assert!(vc.calls().is_empty());
    drop(lock);
    let status = serve.until("both made", in_sync(2)).await;
    assert_eq!(status.waits_for, None);
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_git_is_at_work_on_is_not_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let mut serve = Serve::start(dir.path(), &vc, Manage::Enforce).await;
    serve.until("both made", in_sync(2)).await;
    let lock = dir.path().join(".git/index.lock");
    fs::create_dir(dir.path().join(".git")).unwrap();
    fs::write(&lock, "").unwrap();
    // Half of a checkout: one file is gone, and its successor is not there yet.
    fs::remove_file(dir.path().join("manifests/web.yaml")).unwrap();
    let status = serve.until("it says so", |status| status.source_waits.is_some()).await;
    assert!(status.source_waits.unwrap().contains("index.lock"));
    serve.cycles(4).await;
    assert_eq!(vc.vms.lock().unwrap().len(), 2);
    write(dir.path(), "web.yaml", &vm("web", "8GiB", ""));
    fs::remove_file(&lock).unwrap();
    serve.until("taken up", |status| status.source_waits.is_none() && status.plan.is_some()).await;
    let grown = || vc.vm(&own_id("web")).is_some_and(|vm| memory_of(&vm) == Bytes::gib(8));
    serve.until("grown", |_| grown()).await;
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_file_says_how_each_endpoint_tier_and_vm_stands() {
    let dir = tempfile::tempdir().unwrap();
    two_tiers(dir.path());
    let (vc, other) = (shared(Memory::new("vc")), shared(Memory::new("other")));
    let mut serve = serve(dir.path(), &vc, &other).await;
    serve.until("all made", in_sync(3)).await;
    *other.fails.lock().unwrap() = Some("no route to host");
    serve.until("one lost", |status| status.endpoints[&endpoint("other")].why.is_some()).await;
    serve.cycles(1).await;
    assert!(Lock::is_serving(&dir.path().join("state")));
    serve.end().await;

    assert!(!Lock::is_serving(&dir.path().join("state")));
    let file = StatusFile::read(&dir.path().join("state")).unwrap().unwrap();
    assert_eq!(file.format_version, 1);
    assert_eq!(file.conditions.ready.why, "serve has ended");
    assert!(file.status.endpoints[&endpoint("other")].why.as_ref().unwrap().contains("no route to host"));
    let tiers: Vec<_> = file.tiers.iter().map(|(name, tier)| (name.as_str(), tier.in_sync, tier.held)).collect();
    assert_eq!(tiers, [("tier-1", 2, 0), ("tier-2", 0, 1)]);
    assert_eq!(file.status.vms[&key("default/web")].endpoint, Some(endpoint("vc")));
    assert_eq!(file.status.vms[&key("default/app")].code, Some(BlockCode::EndpointUnknown));
}
