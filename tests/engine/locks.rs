//! Two lock files: a second serve fails at once, another apply waits.

use std::time::Duration;

use tierwright::journal::{CHANGE_WAIT, JournalError, Lock};
use tokio::time::Instant;

#[test]
fn a_second_serve_is_refused_at_once_and_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let held = Lock::serve(dir.path()).unwrap();
    let Err(JournalError::Locked(why)) = Lock::serve(dir.path()) else { panic!("two serves") };
    assert!(why.contains(&format!("process {}", std::process::id())), "{why}");
    drop(held);
    Lock::serve(dir.path()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_apply_waits_and_gives_up_after_30_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let held = Lock::change(dir.path()).await.unwrap();
    let start = Instant::now();
    assert!(matches!(Lock::change(dir.path()).await, Err(JournalError::Locked(_))));
    assert!(start.elapsed() >= CHANGE_WAIT && start.elapsed() < CHANGE_WAIT + Duration::from_secs(1));

    let waiting = Lock::change(dir.path());
    let release = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        drop(held);
    };
    let (taken, ()) = tokio::join!(waiting, release);
    taken.unwrap();
}
