//! kill -9 at every point around every call, then start again: it converges, nothing twice, nothing lost.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tierwright::events::EventSink;
use tierwright::model::{Bytes, PowerState};
use tierwright::plan::Manage;
use tierwright::session::{LookRequest, Session};
use tierwright::shutdown::Shutdown;

use crate::fixtures::{memory_of, own_id};
use crate::provider::{Memory, config, shared};
use crate::session::{TIER, session, vm, write};

/// One look and one apply; true when nothing was left to do.
async fn once(session: &Session) -> bool {
    let look = session.look(&LookRequest::default()).await.unwrap();
    let plan = look.plan.as_ref().unwrap();
    let converged = plan.steps.is_empty() && plan.blocked.is_empty();
    let _ = session.apply(&look, &EventSink::nowhere(), &Shutdown::new()).await.unwrap();
    converged
}

async fn until_converged(dir: &Path, vc: &Arc<Memory>, why: &str) {
    let session = session(dir, vc, Manage::Suggest);
    for _ in 0..5 {
        if once(&session).await {
            return session.close().await;
        }
    }
    let look = session.look(&LookRequest::default()).await.unwrap();
    panic!("never converged {why}: {:#?}", look.plan.map(|plan| (plan.steps, plan.blocked)));
}

/// Runs until the program dies at the n-th point; true when it came to its end before that.
async fn dies(dir: &Path, vc: &Arc<Memory>, n: usize) -> bool {
    *vc.dies_at.lock().unwrap() = Some(n);
    let session = session(dir, vc, Manage::Suggest);
    let ended = tokio::select! {
        _ = once(&session) => true,
        () = vc.died.notified() => false,
    };
    *vc.dies_at.lock().unwrap() = None;
    ended
}

/// What was made is known of by its id, or by a call without an outcome: a listing without it leads to no twin.
async fn is_remembered(dir: &Path, vc: &Arc<Memory>, n: usize) {
    if vc.vm(&own_id("new")).is_none() {
        return;
    }
    let session = session(dir, vc, Manage::Suggest);
    let history = session.journal().await.unwrap().history(session.clock().now()).await.unwrap();
    let is_open = history.open_intents.iter().any(|intent| intent.key.name().as_str() == "new");
    let is_known = history.last.values().flat_map(|last| last.vms.iter()).any(|vm| vm.id == own_id("new"));
    assert!(is_open || is_known, "at point {n}: {:?}", vc.calls());
    session.close().await;
}

/// Three VMs: one to be grown by way of a shutdown, one to be removed, one to come.
async fn before(dir: &Path) -> Arc<Memory> {
    write(dir, "tier.yaml", TIER);
    write(dir, "grown.yaml", &vm("grown", "4GiB", ""));
    write(dir, "gone.yaml", &vm("gone", "4GiB", ""));
    let vc = shared(Memory::new("vc"));
    until_converged(dir, &vc, "at first").await;
    write(dir, "grown.yaml", &vm("grown", "8GiB", ""));
    write(dir, "new.yaml", &vm("new", "4GiB", "").replace("name: root", "name: other"));
    fs::remove_file(dir.join("manifests/gone.yaml")).unwrap();
    vc.calls.lock().unwrap().clear();
    vc
}

#[tokio::test]
async fn killed_anywhere_and_started_again_it_converges() {
    for n in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let vc = before(dir.path()).await;
        let ended = dies(dir.path(), &vc, n).await;
        is_remembered(dir.path(), &vc, n).await;
        until_converged(dir.path(), &vc, &format!("after dying at point {n}")).await;

        assert_eq!(vc.vms.lock().unwrap().len(), 2, "at point {n}");
        let mut grown = vc.vm(&own_id("grown")).unwrap();
        assert_eq!((memory_of(&grown), config(&mut grown).power), (Bytes::gib(8), PowerState::Running), "at point {n}");
        assert!(vc.vm(&own_id("new")).is_some() && vc.vm(&own_id("gone")).is_none(), "at point {n}");
        let made = vc.calls().iter().filter(|call| *call == "default/new Create").count();
        assert_eq!(made, 1, "at point {n}: {:?}", vc.calls());
        let session = session(dir.path(), &vc, Manage::Suggest);
        let history = session.journal().await.unwrap().history(session.clock().now()).await.unwrap();
        assert!(history.open_intents.is_empty(), "at point {n}: {:?}", history.open_intents);
        assert_eq!(history.destroys.len(), 1, "at point {n}");
        if ended {
            assert!(n > 12, "there are more points than {n}");
            return;
        }
    }
    panic!("the run never came to its end");
}
