//! The journal: what was recorded is there after the process is gone, and comes back as history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{Span, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tierwright::gate::Who;
use tierwright::journal::{Intent, Journal, JournalError, ReadFrom, Volatile};
use tierwright::manifest::SourceText;
use tierwright::model::{CloudInit, Desired, Revision, Secret};
use tierwright::plan::{Because, LastInventory, LastOwned, LastVm, Step};
use tierwright::provider::{Call, IntentId, Outcome};

use crate::fixtures::{delete, endpoint, grow, key, noon, own_id, tier};

fn call(name: &'static str, destroys: bool) -> Call {
    Call { name, operation: 0, target: "vm".into(), destroys, detail: "a detail".into() }
}

async fn intend(journal: &Journal, step: &Step, call: &Call, at: Timestamp) -> tierwright::provider::IntentId {
    journal.intend(&Intent { run: "run", step, call, at }).await.unwrap()
}

fn hours(n: i64) -> Span {
    Span::new().hours(n)
}

fn last(generation: u64, at: Timestamp, keys: &[&str]) -> LastInventory {
    let vm = |text: &&str| LastVm {
        handle: "".into(),
        id: own_id(text),
        name: key(text).name().to_string(),
        owned: Some(LastOwned {
            key: key(text),
            identity: tierwright::mark::identity("test", &key(text), 0),
            tier: tier(),
            generation: 1,
            disks: Vec::new(),
            image: None,
            uncounted: false,
        }),
        missing_once: false,
    };
    LastInventory { generation, taken_at: at, vms: Arc::new(keys.iter().map(vm).collect()) }
}

#[tokio::test]
async fn an_intent_without_an_outcome_is_open_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).await.unwrap();
    let done = intend(&journal, &grow("vc", "a"), &call("ReconfigVM_Task", false), noon()).await;
    journal.settle(done, &Outcome::Done, noon()).await.unwrap();
    let refused = intend(&journal, &grow("vc", "b"), &call("ReconfigVM_Task", false), noon()).await;
    journal.settle(refused, &Outcome::Refused("no".into()), noon()).await.unwrap();
    intend(&journal, &grow("vc", "c"), &call("CloneVM_Task", false), noon()).await;
    // Dropped as a killed process drops it: nothing is closed or flushed.
    std::mem::forget(journal);

    let journal = Journal::open(dir.path()).await.unwrap();
    let open = journal.history(noon()).await.unwrap().open_intents;
    let told: Vec<_> = open.iter().map(|intent| (intent.key.to_string(), intent.call.as_str())).collect();
    assert_eq!(told, [("default/c".to_owned(), "CloneVM_Task")]);
    assert_eq!(journal.close_seen(&endpoint("vc"), &key("c"), "seen", noon()).await.unwrap(), 1);
    assert!(journal.history(noon()).await.unwrap().open_intents.is_empty());
}

#[tokio::test]
async fn a_destroy_counts_once_per_vm_and_from_before_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).await.unwrap();
    let step = delete("vc", "a");
    intend(&journal, &step, &call("ReconfigVM_Task", false), noon()).await;
    let begun = journal.history(noon()).await.unwrap().destroys;
    assert!(!begun[0].deleted, "it is being retired, and there still");
    intend(&journal, &step, &call("Destroy_Task", true), noon()).await;
    intend(&journal, &step, &call("Destroy_Task", true), noon() + hours(1)).await;
    let destroys = journal.history(noon() + hours(2)).await.unwrap().destroys;
    assert_eq!(destroys.len(), 1);
    assert!(destroys[0].deleted && !destroys[0].after_retire);
    assert_eq!((&destroys[0].own_id, destroys[0].at), (&own_id("a"), noon()));
}

/// With graceDays 0 a delete includes the retire; what is left of one that was cut short looks like a delete after a
/// retire that was counted long ago.
#[tokio::test]
async fn a_delete_cut_short_before_its_destroying_call_counts_toward_the_limits() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).await.unwrap();
    intend(&journal, &delete("vc", "a"), &call("ReconfigVM_Task", false), noon()).await;
    let mut rest = delete("vc", "a");
    rest.reasons[0].because = Because::GraceOver;
    intend(&journal, &rest, &call("ShutdownGuest", false), noon() + hours(1)).await;
    intend(&journal, &rest, &call("Destroy_Task", true), noon() + hours(1)).await;
    let destroys = journal.history(noon() + hours(2)).await.unwrap().destroys;
    let counted: Vec<_> = destroys.iter().filter(|destroyed| !destroyed.after_retire).collect();
    assert_eq!((destroys.len(), counted.len(), destroys[0].deleted), (1, 1, true), "{destroys:?}");
}

/// Simulations keep their journal in memory, and prove nothing unless it answers as the file does.
#[tokio::test]
async fn a_journal_in_memory_answers_as_the_file_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = Journal::open(dir.path()).await.unwrap();
    let memory = Journal::in_memory(dir.path(), &Volatile::default());
    let mut rng = StdRng::seed_from_u64(20_261_126);
    let (mut now, mut open) = (noon(), Vec::new());
    for round in 0..300 {
        // Mostly forward, at times back, at times by months: old entries are forgotten.
        let by = [1, 5, 30, -3, 24 * 40][rng.random_range(0..100usize) / 24];
        now += Span::new().hours(by);
        if by > 24 {
            // What ended months ago is forgotten, and nobody settles it any more.
            open.clear();
        }
        for journal in [&file, &memory] {
            let mut rng = StdRng::seed_from_u64(round);
            act(journal, now, &mut rng, &mut open).await;
        }
        assert_eq!(file.history(now).await.unwrap(), memory.history(now).await.unwrap(), "in round {round}");
        let unsettled = async |journal: &Journal| journal.is_unsettled(&endpoint("vc"), &key("a")).await.unwrap();
        assert_eq!(unsettled(&file).await, unsettled(&memory).await, "in round {round}");
    }
    assert!(!file.history(now).await.unwrap().open_intents.is_empty(), "there was something to compare");
}

/// Something at random; the same for the same generator.
async fn act(journal: &Journal, now: Timestamp, rng: &mut StdRng, open: &mut Vec<IntentId>) {
    let keys = ["a", "b", "c", "d"];
    let (at, name) = (["vc", "hv"][rng.random_range(0..2)], keys[rng.random_range(0..4)]);
    let mut step = if rng.random_bool(0.5) { delete(at, name) } else { grow(at, name) };
    if rng.random_bool(0.3) {
        step.reasons[0].because = Because::GraceOver;
    }
    match rng.random_range(0..7) {
        0 | 1 => open.push(intend(journal, &step, &call("Destroy_Task", rng.random_bool(0.5)), now).await),
        2 if !open.is_empty() => {
            let intent = open[rng.random_range(0..open.len())];
            journal.settle(intent, &Outcome::Done, now).await.unwrap();
        }
        3 => drop(journal.close_seen(&endpoint(at), &key(name), "seen", now).await.unwrap()),
        4 => {
            let mut vm = last(1, now, &[name]).vms[0].clone();
            let owned = vm.owned.as_mut().unwrap();
            (owned.generation, owned.uncounted) = (rng.random_range(1..9), rng.random_bool(0.3));
            journal.witness(&endpoint(at), &vm).await.unwrap();
        }
        5 => journal.memory_is_whole(now).await.unwrap(),
        _ => {
            let generation = journal.next_generation(&endpoint(at)).await.unwrap();
            let generation = generation.saturating_sub(rng.random_range(0..3));
            let some: Vec<&str> = keys.into_iter().filter(|_| rng.random_bool(0.6)).collect();
            let kept = BTreeMap::from([(endpoint(at), last(generation, now, &some))]);
            journal.remember(&kept, now).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_last_inventory_of_each_endpoint_is_kept_and_an_older_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).await.unwrap();
    assert_eq!(journal.next_generation(&endpoint("vc")).await.unwrap(), 1);
    assert_eq!(journal.next_generation(&endpoint("vc")).await.unwrap(), 2);
    assert_eq!(journal.next_generation(&endpoint("hv")).await.unwrap(), 1);
    let newer = last(2, noon(), &["a", "b"]);
    journal.remember(&BTreeMap::from([(endpoint("vc"), newer.clone())]), noon()).await.unwrap();
    let older = last(1, noon(), &[]);
    journal.remember(&BTreeMap::from([(endpoint("vc"), older)]), noon()).await.unwrap();
    assert_eq!(journal.history(noon()).await.unwrap().last, BTreeMap::from([(endpoint("vc"), newer)]));
}

#[tokio::test]
async fn owned_counts_are_those_of_the_window_start() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).await.unwrap();
    let keep = async |generation, at, keys: &[&str]| {
        journal.remember(&BTreeMap::from([(endpoint("vc"), last(generation, at, keys))]), at).await.unwrap();
    };
    keep(1, noon(), &["a", "b", "c"]).await;
    keep(2, noon() + hours(20), &["a"]).await;
    let at = async |time: Timestamp| journal.history(time).await.unwrap().owned_at_window_start[&tier()];
    assert_eq!(at(noon() + hours(1)).await, 3, "the first count stands for the time before it");
    assert_eq!(at(noon() + hours(30)).await, 3);
    assert_eq!(at(noon() + hours(45)).await, 1);
}

#[tokio::test]
async fn a_journal_of_a_newer_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Journal::open(dir.path()).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("journal.db"));
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut connection).await.unwrap();
    let error = Journal::open(dir.path()).await.unwrap_err();
    assert!(matches!(error, JournalError::Newer { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn two_processes_may_open_a_new_journal_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let opened = futures_util::future::join_all((0..4).map(|_| Journal::open(dir.path()))).await;
    for journal in opened {
        journal.unwrap();
    }
}

#[tokio::test]
async fn what_another_process_writes_is_seen_though_the_inventories_are_held_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Journal::open(dir.path()).await.unwrap(), Journal::open(dir.path()).await.unwrap());
    let names = async |journal: &Journal| -> Vec<String> {
        let last = journal.last_inventories().await.unwrap().remove(&endpoint("vc"));
        last.iter().flat_map(|last| last.vms.iter()).map(|vm| vm.name.clone()).collect()
    };
    one.next_generation(&endpoint("vc")).await.unwrap();
    one.remember(&BTreeMap::from([(endpoint("vc"), last(1, noon(), &["a", "b"]))]), noon()).await.unwrap();
    assert_eq!((names(&one).await, names(&two).await), (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()]));
    two.witness(&endpoint("vc"), &last(1, noon(), &["c"]).vms[0]).await.unwrap();
    assert_eq!(names(&one).await.len(), 3, "what a step of the other made");
    two.remember(&BTreeMap::from([(endpoint("vc"), last(2, noon(), &["c"]))]), noon()).await.unwrap();
    assert_eq!((names(&one).await, names(&two).await), (vec!["c".to_owned()], vec!["c".to_owned()]));
}

#[tokio::test]
async fn only_the_vms_that_moved_are_written_and_all_of_them_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path()).await.unwrap();
    let mut rng = StdRng::seed_from_u64(7);
    for generation in 1..60 {
        let some: Vec<&str> = ["a", "b", "c", "d", "e"].into_iter().filter(|_| rng.random_bool(0.6)).collect();
        let mut now = last(generation, noon(), &some);
        Arc::make_mut(&mut now.vms).sort_by(|a, b| a.id.cmp(&b.id));
        for vm in Arc::make_mut(&mut now.vms) {
            vm.missing_once = rng.random_bool(0.3);
        }
        // Two entries of one id, as a replica has them.
        let twin = now.vms.first().filter(|_| rng.random_bool(0.3)).cloned();
        Arc::make_mut(&mut now.vms).splice(0..0, twin.map(|vm| LastVm { owned: None, ..vm }));
        journal.remember(&BTreeMap::from([(endpoint("vc"), now.clone())]), noon()).await.unwrap();
        if rng.random_bool(0.3) {
            journal.close().await;
            journal = Journal::open(dir.path()).await.unwrap();
        }
        assert_eq!(journal.last_inventories().await.unwrap()[&endpoint("vc")], now);
    }
}

#[tokio::test]
async fn intents_that_wait_for_each_other_are_in_one_commit_and_all_of_them_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&commits);
    let watch = Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let journal = Journal::open_watched(dir.path(), watch).await.unwrap();
    let other = Journal::open(dir.path()).await.unwrap();
    let before = commits.load(Ordering::Relaxed);
    let steps: Vec<_> = (0..50).map(|n| grow("vc", &format!("app/vm-{n}"))).collect();
    let intents = steps.iter().map(|step| async {
        let id = intend(&journal, step, &call("ReconfigVM_Task", false), noon()).await;
        // Whoever looks after the answer finds it there.
        let open = other.history(noon()).await.unwrap().open_intents;
        assert!(open.iter().any(|intent| intent.key == step.key), "{:?} was answered and is not on disk", step.key);
        id
    });
    let ids: BTreeSet<IntentId> = futures_util::future::join_all(intents).await.into_iter().collect();
    assert_eq!(ids.len(), 50);
    let spent = commits.load(Ordering::Relaxed) - before;
    assert!(spent < 25, "{spent} commits");
    let settled = ids.iter().map(|id| journal.settle(*id, &Outcome::Done, noon()));
    futures_util::future::join_all(settled).await.into_iter().for_each(|settled| settled.unwrap());
    assert!(other.history(noon()).await.unwrap().open_intents.is_empty());
}

#[tokio::test]
async fn of_a_revision_the_texts_that_changed_are_written_and_all_of_them_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path()).await.unwrap();
    let mut rng = StdRng::seed_from_u64(11);
    for number in 0..40 {
        let some = (0..5).filter(|_| rng.random_bool(0.7)).collect::<Vec<_>>();
        let text = |n: &i32| SourceText {
            path: format!("{n}.yaml").into(),
            bytes: format!("# {}\n", number / (n + 2)).into_bytes().into(),
        };
        let texts: Arc<[SourceText]> = some.iter().map(text).collect();
        let desired = Desired { revision: Revision(format!("r{number}")), ..Desired::default() };
        journal.keep_revision(&desired, &texts, &read_from("/manifests", Who::Serve)).await.unwrap();
        if number % 3 == 0 {
            journal.close().await;
            journal = Journal::open(dir.path()).await.unwrap();
        }
        let good = journal.good_revision().await.unwrap().unwrap();
        assert_eq!((good.revision, good.texts), (desired.revision, texts));
    }
}

#[tokio::test]
async fn the_last_good_revision_is_kept_unless_it_holds_user_data() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).await.unwrap();
    let texts = [SourceText { path: "vms.yaml".into(), bytes: (*b"kind: Tier\n# canary-secret\n").into() }];
    let none: Arc<[SourceText]> = Arc::new([]);
    let plain = Desired { revision: Revision("r1".into()), ..Desired::default() };
    journal.keep_revision(&plain, &none, &read_from("/manifests", Who::Serve)).await.unwrap();
    assert_eq!(journal.good_revision().await.unwrap().unwrap().revision, plain.revision);

    let mut vm = crate::fixtures::spec("a");
    vm.cloud_init = Some(CloudInit::Inline(Secret::new("canary-secret".into())));
    let mut inline = Desired { revision: Revision("r2".into()), ..Desired::default() };
    inline.vms.insert(vm.key.clone(), Arc::new(vm));
    journal.keep_revision(&inline, &Arc::from(texts), &read_from("/manifests", Who::Serve)).await.unwrap();
    assert!(journal.good_revision().await.unwrap().is_none());
    journal.close().await;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(13).any(|window| window == b"canary-secret"));
    }
}

fn read_from(source: &str, by: Who) -> ReadFrom {
    ReadFrom { source: source.to_owned(), at: noon(), by }
}

/// In a file, and in memory as the simulations have it.
#[tokio::test]
async fn an_apply_does_not_put_its_revision_in_place_of_another_sources() {
    let dir = tempfile::tempdir().unwrap();
    for journal in [Journal::open(dir.path()).await.unwrap(), Journal::in_memory(dir.path(), &Volatile::default())] {
        let keep = async |revision: &str, from: ReadFrom| {
            let desired = Desired { revision: Revision(revision.into()), ..Desired::default() };
            let text = SourceText { path: "a.yaml".into(), bytes: revision.as_bytes().to_vec().into() };
            journal.keep_revision(&desired, &Arc::from([text]), &from).await.unwrap();
            let good = journal.good_revision().await.unwrap().unwrap();
            assert_eq!(*good.revision.0.as_bytes(), *good.texts[0].bytes);
            good.revision.0
        };
        assert_eq!(keep("first", read_from("/manifests", Who::Apply)).await, "first");
        assert_eq!(keep("served", read_from("/manifests", Who::Serve)).await, "served");
        assert_eq!(keep("elsewhere", read_from("/elsewhere/manifests", Who::Apply)).await, "served");
        assert_eq!(keep("applied", read_from("/manifests", Who::Apply)).await, "applied");
        assert_eq!(keep("moved", read_from("/srv/manifests", Who::Serve)).await, "moved");
    }
}

#[tokio::test]
async fn a_last_good_revision_that_another_process_wrote_is_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (serve, apply) = (Journal::open(dir.path()).await.unwrap(), Journal::open(dir.path()).await.unwrap());
    let keep = async |journal: &Journal, revision: &str, files: &[&str]| {
        let desired = Desired { revision: Revision(revision.into()), ..Desired::default() };
        let texts = files.iter().map(|path| SourceText { path: (*path).into(), bytes: (*b"same").into() });
        journal.keep_revision(&desired, &texts.collect(), &read_from("/manifests", Who::Serve)).await.unwrap();
    };
    keep(&serve, "r1", &["a.yaml", "b.yaml"]).await;
    keep(&apply, "r2", &["a.yaml", "c.yaml"]).await;
    keep(&serve, "r3", &["a.yaml", "b.yaml"]).await;
    let good = apply.good_revision().await.unwrap().unwrap();
    let files: Vec<&str> = good.texts.iter().map(|text| &*text.path).collect();
    assert_eq!((good.revision.0.as_str(), files), ("r3", vec!["a.yaml", "b.yaml"]));
}
