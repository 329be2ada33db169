//! A whole session: source, look, apply, look again; saved plans; what the journal adds.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tierwright::clock::Clock;
use tierwright::endpoints::Endpoints;
use tierwright::events::EventSink;
use tierwright::model::{EndpointName, HypervisorType, Secret, VmKey};
use tierwright::outcome;
use tierwright::plan::{Action, BlockCode, EndpointState, Limits, Manage, Plan};
use tierwright::session::{Look, LookRequest, Session};
use tierwright::settings::{Auth, EndpointSettings, PasswordFrom, Settings, Trust};
use tierwright::shutdown::Shutdown;

use crate::fixtures::{INSTALLATION, memory_of, noon, own_id, told};
use crate::provider::{Memory, config, shared};

pub const TIER: &str = "apiVersion: tierwright.dev/v1
kind: Tier
metadata: {name: tier-1}
spec:
  endpoints: [vc]
  placement: {host: host-1, storage: ssd}
  networks: {lan: {portGroup: lan}}
  sync: {prune: auto, graceDays: 0}
  defaults: {allowReboot: always}
";

pub fn vm(name: &str, memory: &str, more: &str) -> String {
    format!(
        "apiVersion: tierwright.dev/v1
kind: VirtualMachine
metadata: {{name: {name}}}
spec: {{tier: tier-1, cpus: 2, memory: {memory}, disks: [{{name: root, size: 10GiB}}], nics: [{{name: eth0, network: lan}}]{more}}}
"
    )
}

pub fn write(dir: &Path, file: &str, text: &str) {
    fs::create_dir_all(dir.join("manifests")).unwrap();
    fs::write(dir.join("manifests").join(file), text).unwrap();
}

pub fn settings(dir: &Path, manage: Manage) -> Settings {
    settings_of(dir, &["vc"], manage)
}

pub fn settings_of(dir: &Path, endpoints: &[&str], manage: Manage) -> Settings {
    let endpoint = |name: &&str| EndpointSettings {
        name: EndpointName::new(name).unwrap(),
        hypervisor: HypervisorType::Vsphere,
        urls: vec![format!("https://{name}.invalid/sdk")],
        auth: Auth::default(),
        username: "test".into(),
        password: PasswordFrom::Given(Secret::new("canary-password".into())),
        trust: Trust::SystemRoots,
        manage,
        state: EndpointState::Active,
        parallel: 4,
    };
    Settings {
        path: dir.join("tierwright.yaml"),
        installation: INSTALLATION.into(),
        source: dir.join("manifests"),
        state_dir: dir.join("state"),
        secrets_dir: dir.join("secrets"),
        interval: std::time::Duration::from_mins(1),
        endpoints: endpoints.iter().map(endpoint).collect(),
        limits: Limits { destroy_percent_per_tier_per_day: 100, ..Limits::default() },
    }
}

pub fn session(dir: &Path, vc: &Arc<Memory>, manage: Manage) -> Session {
    session_of(settings(dir, manage), &[vc])
}

pub fn session_of(settings: Settings, providers: &[&Arc<Memory>]) -> Session {
    let endpoints = providers.iter().fold(Endpoints::default(), |endpoints, provider| {
        endpoints.with(provider.name.clone(), Arc::clone(provider) as _, 4)
    });
    Session::with_endpoints(settings, Clock::standing_at(noon()), endpoints)
}

async fn look(session: &Session) -> Look {
    session.look(&LookRequest::default()).await.unwrap()
}

fn planned(look: &Look) -> &Plan {
    look.plan.as_ref().unwrap_or_else(|| panic!("no plan: {:#?}", look.diagnostics))
}

fn steps(look: &Look) -> Vec<String> {
    planned(look).steps.iter().map(|step| format!("{:?} {}", step.action, step.key)).collect()
}

fn blocked(look: &Look) -> Vec<(BlockCode, String)> {
    planned(look).blocked.iter().map(|blocked| (blocked.code, blocked.key.to_string())).collect()
}

async fn apply(session: &Session, look: &Look) -> Vec<String> {
    let report = session.apply(look, &EventSink::nowhere(), &Shutdown::new()).await.unwrap();
    told(&report)
}

#[tokio::test]
async fn from_a_yaml_file_to_a_running_vm_and_back() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "keep.yaml", &vm("keep", "4GiB", ""));
    write(dir.path(), "web.yaml", &vm("web", "4GiB", ""));
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Suggest);

    let first = look(&session).await;
    assert_eq!(steps(&first), ["Create default/keep", "Create default/web"], "{:?}", blocked(&first));
    assert_eq!(outcome::of_plan(first.plan.as_ref(), true), 2);
    assert_eq!(apply(&session, &first).await, ["default/keep: done", "default/web: done"]);
    assert_eq!(outcome::of_plan(look(&session).await.plan.as_ref(), true), 0);

    write(dir.path(), "web.yaml", &vm("web", "8GiB", ""));
    let grown = look(&session).await;
    assert_eq!(steps(&grown), ["Update default/web"]);
    apply(&session, &grown).await;
    assert_eq!(memory_of(&vc.vm(&own_id("web")).unwrap()).to_string(), "8GiB");

    fs::remove_file(dir.path().join("manifests/web.yaml")).unwrap();
    let removed = look(&session).await;
    assert_eq!(steps(&removed), ["Delete default/web"], "{:?}", blocked(&removed));
    assert_eq!(apply(&session, &removed).await, ["default/web: done"]);
    assert!(vc.vm(&own_id("web")).is_none());
    assert_eq!(outcome::of_plan(look(&session).await.plan.as_ref(), true), 0);
    session.close().await;
}

#[tokio::test]
async fn a_second_apply_makes_no_call() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", &vm("web", "4GiB", ""));
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Suggest);
    let first = look(&session).await;
    apply(&session, &first).await;
    let calls = vc.calls().len();
    let second = look(&session).await;
    assert!(apply(&session, &second).await.is_empty());
    // Even the first plan once more does nothing: its VM is there.
    assert_eq!(apply(&session, &first).await, ["default/web: changed"]);
    assert_eq!(vc.calls().len(), calls);
}

#[tokio::test]
async fn with_an_error_in_the_source_nothing_is_asked_or_done() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", "kind: VirtualMachine\n");
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Suggest);
    let broken = look(&session).await;
    assert!(broken.plan.is_none() && !broken.diagnostics.is_empty() && broken.inventory.endpoints.is_empty());
    assert!(apply(&session, &broken).await.is_empty());
    assert_eq!(outcome::of_apply(broken.plan.as_ref(), None), 1);
}

#[tokio::test]
async fn while_git_is_at_work_in_the_source_nothing_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", &vm("a", "4GiB", ""));
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Suggest);
    let made = look(&session).await;
    apply(&session, &made).await;
    // A rebase that stopped at a commit in which the VM is not there yet.
    fs::create_dir_all(dir.path().join("manifests/.git/rebase-merge")).unwrap();
    fs::remove_file(dir.path().join("manifests/vms.yaml")).unwrap();
    let half = look(&session).await;
    assert!(steps(&half).is_empty());
    assert_eq!(blocked(&half)[0].0, BlockCode::SourceNotTrusted);
    fs::remove_dir_all(dir.path().join("manifests/.git")).unwrap();
    assert_eq!(steps(&look(&session).await).len(), 1);
}

#[tokio::test]
async fn a_lost_reply_is_settled_by_looking_and_nothing_is_made_twice() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", &vm("web", "4GiB", ""));
    let vc = shared(Memory::new("vc").faulty("web", crate::provider::Fault::LoseReply));
    let session = session(dir.path(), &vc, Manage::Suggest);
    assert_eq!(apply(&session, &look(&session).await).await, ["default/web: failed"]);
    assert_eq!(session.journal().await.unwrap().history(noon()).await.unwrap().open_intents.len(), 1);
    vc.faults.lock().unwrap().clear();
    let second = look(&session).await;
    assert!(steps(&second).is_empty(), "{:?}", steps(&second));
    assert!(session.journal().await.unwrap().history(noon()).await.unwrap().open_intents.is_empty());
    assert_eq!(vc.vms.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_reply_to_a_release_is_settled_by_seeing_the_vm_without_its_mark() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", &vm("web", "4GiB", ", onRemove: release"));
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Suggest);
    apply(&session, &look(&session).await).await;
    look(&session).await;
    fs::remove_file(dir.path().join("manifests/vms.yaml")).unwrap();
    vc.faults.lock().unwrap().insert(VmKey::parse("web").unwrap(), crate::provider::Fault::LoseReply);
    assert_eq!(apply(&session, &look(&session).await).await, ["default/web: failed"]);
    assert!(config(&mut vc.vm(&own_id("web")).unwrap()).mark.is_none());
    assert_eq!(session.journal().await.unwrap().history(noon()).await.unwrap().open_intents.len(), 1);
    let second = look(&session).await;
    assert!(steps(&second).is_empty(), "{:?}", steps(&second));
    assert!(session.journal().await.unwrap().history(noon()).await.unwrap().open_intents.is_empty());
}

#[tokio::test]
async fn a_vm_that_vanished_is_asked_for_twice_by_one_command() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", &vm("web", "4GiB", ""));
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Suggest);
    apply(&session, &look(&session).await).await;
    look(&session).await;
    vc.vms.lock().unwrap().clear();
    let serve = session.look(&LookRequest { ask_once: true, ..LookRequest::default() }).await.unwrap();
    assert_eq!(steps(&serve), Vec::<String>::new(), "one answer is not enough");
    let person = look(&session).await;
    assert_eq!(steps(&person), ["Create default/web"], "{:?}", blocked(&person));
}

/// The VM may have been moved to this tier in Git, and be on the endpoint that is still to answer.
#[tokio::test]
async fn a_state_dir_that_was_lost_waits_for_every_endpoint_and_not_for_the_first_look_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", &vm("web", "4GiB", ""));
    let (vc, other) = (shared(Memory::new("vc")), shared(Memory::new("other")));
    *other.fails.lock().unwrap() = Some("down");
    let session = session_of(settings_of(dir.path(), &["vc", "other"], Manage::Suggest), &[&vc, &other]);
    for _ in 0..2 {
        let look = look(&session).await;
        assert_eq!(blocked(&look), [(BlockCode::EndpointUnknown, "default/web".to_owned())], "{:?}", steps(&look));
    }
    *other.fails.lock().unwrap() = None;
    assert_eq!(steps(&look(&session).await), ["Create default/web"]);
    *other.fails.lock().unwrap() = Some("down again");
    assert_eq!(steps(&look(&session).await), ["Create default/web"], "it was seen, and had none");
}

#[tokio::test]
async fn a_saved_plan_is_run_as_it_is_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", &[vm("a", "4GiB", ""), vm("b", "4GiB", "")].join("---\n"));
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Suggest);
    apply(&session, &look(&session).await).await;
    write(dir.path(), "vms.yaml", &[vm("a", "8GiB", ""), vm("b", "8GiB", "")].join("---\n"));
    let saved: Plan = serde_json::from_str(&serde_json::to_string(planned(&look(&session).await)).unwrap()).unwrap();
    let run = async |plan: &Plan| session.apply_saved(plan, &EventSink::nowhere(), &Shutdown::new()).await;

    let mut tampered = saved.clone();
    tampered.steps.truncate(1);
    assert!(run(&tampered).await.unwrap_err().to_string().contains("hash"));
    let mut foreign = saved.clone();
    foreign.installation = "other".into();
    assert!(run(&foreign).await.unwrap_err().to_string().contains("installation"));

    config(vc.vms.lock().unwrap().get_mut(&own_id("a")).unwrap()).cpus = 7;
    assert_eq!(told(&run(&saved).await.unwrap()), ["default/a: changed", "default/b: done"]);
}

#[tokio::test]
async fn user_data_that_changed_since_the_plan_refuses_the_create() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", &vm("web", "4GiB", ", cloudInit: {userDataFile: web.cfg}"));
    let vc = shared(Memory::new("vc"));
    let session = session(dir.path(), &vc, Manage::Suggest);
    let without = look(&session).await;
    assert_eq!(without.diagnostics.len(), 1, "{:?}", without.diagnostics);
    assert_eq!(apply(&session, &without).await, ["default/web: failed"]);

    fs::create_dir_all(dir.path().join("secrets")).unwrap();
    fs::write(dir.path().join("secrets/web.cfg"), "#cloud-config\npassword: canary-one\n").unwrap();
    let planned = look(&session).await;
    fs::write(dir.path().join("secrets/web.cfg"), "#cloud-config\npassword: canary-two\n").unwrap();
    assert_eq!(apply(&session, &planned).await, ["default/web: changed"]);
    let again = look(&session).await;
    assert_eq!(apply(&session, &again).await, ["default/web: done"]);
    let text = format!("{:?}{}", again, serde_json::to_string(&again.plan).unwrap());
    assert!(!text.contains("canary"));
    session.close().await;
    for file in fs::read_dir(dir.path().join("state")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
}

#[tokio::test]
async fn an_offline_plan_needs_no_state_and_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "tier.yaml", TIER);
    write(dir.path(), "vms.yaml", &vm("web", "4GiB", ""));
    let vc = shared(Memory::new("vc"));
    let online = session(dir.path(), &vc, Manage::Suggest);
    let inventory = online.inventory(&EventSink::nowhere()).await.unwrap();
    online.close().await;
    fs::remove_dir_all(dir.path().join("state")).unwrap();

    let offline = session(dir.path(), &vc, Manage::Suggest);
    let look = offline.look(&LookRequest { inventory: Some(inventory), ..LookRequest::default() }).await.unwrap();
    assert_eq!(planned(&look).steps[0].action, Action::Create);
    assert!(!dir.path().join("state").exists());
}
