//! SIGHUP: what of new settings comes into force while `serve` runs, and what does not.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tierwright::diagnostic::{Diagnostic, Severity};
use tierwright::model::{Bytes, Origin};
use tierwright::plan::Manage;
use tierwright::reconciler::Reload;
use tierwright::settings::{Settings, SettingsError};
use tierwright::status::Status;
use tokio::sync::mpsc;

use crate::fixtures::{endpoint, memory_of, own_id};
use crate::provider::{Memory, config, shared};
use crate::serve::{Serve, in_sync, two_vms};
use crate::session::{session, settings, settings_of};

type File = Arc<Mutex<Result<Settings, SettingsError>>>;

/// A `serve` whose settings file is a value, and what sends it SIGHUP.
async fn start(dir: &Path, vc: &Arc<Memory>) -> (Serve, File, mpsc::Sender<()>) {
    let file: File = Arc::new(Mutex::new(Ok(settings(dir, Manage::Enforce))));
    let (hangup, asked) = mpsc::channel(1);
    let read = Arc::clone(&file);
    let reload = Reload::when(asked, move || read.lock().unwrap().clone());
    let serve = Serve::with(session(dir, vc, Manage::Enforce), |reconciler| reconciler.reloading(reload)).await;
    (serve, file, hangup)
}

fn problem(status: &Status) -> &str {
    status.settings_problem.as_deref().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_bad_file_keeps_the_old_settings_and_says_so_until_it_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let (mut serve, file, hangup) = start(dir.path(), &vc).await;
    serve.until("both made", in_sync(2)).await;
    let diagnostic = Diagnostic {
        origin: Origin { path: "/etc/tierwright/tierwright.yaml".into(), line: 7, column: 3 },
        length: 1,
        severity: Severity::Error,
        code: "TW0001",
        summary: "`manage` must be a word".into(),
        hint: None,
        source_line: String::new(),
        related: Vec::new(),
    };
    *file.lock().unwrap() = Err(SettingsError { diagnostics: vec![diagnostic] });
    hangup.send(()).await.unwrap();
    let status = serve.until("told", |status| !problem(status).is_empty()).await;
    assert!(problem(&status).contains("tierwright.yaml:7:3: `manage` must be a word"), "{}", problem(&status));
    config(vc.vms.lock().unwrap().get_mut(&own_id("web")).unwrap()).memory = Bytes::gib(1);
    serve.cycles(4).await;
    assert_eq!(memory_of(&vc.vm(&own_id("web")).unwrap()), Bytes::gib(4), "the old settings are in force");
    *file.lock().unwrap() = Ok(settings(dir.path(), Manage::Enforce));
    hangup.send(()).await.unwrap();
    serve.until("mended", |status| problem(status).is_empty()).await;
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_may_no_longer_be_changed_is_not() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let (mut serve, file, hangup) = start(dir.path(), &vc).await;
    serve.until("both made", in_sync(2)).await;
    *file.lock().unwrap() = Ok(settings(dir.path(), Manage::Observe));
    let cycles = serve.status.borrow().cycles;
    hangup.send(()).await.unwrap();
    serve.until("planned under the new settings", |status| status.cycles > cycles).await;
    let calls = vc.calls().len();
    config(vc.vms.lock().unwrap().get_mut(&own_id("web")).unwrap()).memory = Bytes::gib(1);
    serve.until("the drift is seen", |status| status.plan.is_some_and(|plan| plan.blocked == 1)).await;
    serve.cycles(3).await;
    assert_eq!(vc.calls().len(), calls);
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let (mut serve, file, hangup) = start(dir.path(), &vc).await;
    serve.until("both made", in_sync(2)).await;
    *file.lock().unwrap() = Ok(settings_of(dir.path(), &["vc", "new"], Manage::Enforce));
    hangup.send(()).await.unwrap();
    // Nothing answers under that name, which is told as of any endpoint.
    let status = serve
        .until("asked", |status| status.endpoints.get(&endpoint("new")).is_some_and(|endpoint| endpoint.why.is_some()));
    assert_eq!(status.await.endpoints.len(), 2);
    *file.lock().unwrap() = Ok(settings(dir.path(), Manage::Enforce));
    hangup.send(()).await.unwrap();
    serve.until("gone", |status| status.endpoints.len() == 1).await;
    serve.until("in sync all the time", in_sync(2)).await;
    serve.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_change_while_it_runs_is_said_and_nothing_of_that_file_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    two_vms(dir.path());
    let vc = shared(Memory::new("vc"));
    let (mut serve, file, hangup) = start(dir.path(), &vc).await;
    serve.until("both made", in_sync(2)).await;
    let elsewhere = dir.path().join("elsewhere");
    *file.lock().unwrap() =
        Ok(Settings { state_dir: elsewhere, ..settings_of(dir.path(), &["vc", "new"], Manage::Observe) });
    hangup.send(()).await.unwrap();
    let status = serve.until("told", |status| problem(status).contains("`stateDir` cannot change")).await;
    assert_eq!(status.endpoints.len(), 1);
    *file.lock().unwrap() = Ok(Settings { installation: "another".into(), ..settings(dir.path(), Manage::Enforce) });
    hangup.send(()).await.unwrap();
    serve.until("told", |status| problem(status).contains("`installation` cannot change")).await;
    serve.end().await;
}
