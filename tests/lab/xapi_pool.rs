//! Pools: slaves that point at their master, members that die, masters that change.

use serde_json::json;
use tierwright::lab::{ClockMode, LabOptions};

use crate::support::lab;
use crate::xapi::{Xapi, options, text};

const POOL: &str = "xs-hosted";

#[tokio::test]
async fn a_slave_does_nothing_but_name_its_master() {
    let (lab, endpoint) = lab(options()).await;
    assert_eq!((endpoint.urls.len(), endpoint.pins.len()), (3, 3));
    let master = Xapi::logged_in(&endpoint, 0).await;
    let mut slave = Xapi::new(&endpoint, 1);
    let pool = master.ok("pool.get_all_records", json!([])).await;
    let host = text(&pool.as_object().expect("a pool").values().next().expect("one")["master"]);
    let address = text(&master.get("host.address", &host).await);
    // As real pools have it: an address without a port.
    assert!(master.url.contains(&format!("//{address}:")), "{address} {}", master.url);
    let is_slave = ("HOST_IS_SLAVE".to_owned(), vec![address]);
    assert_eq!(slave.login(&endpoint.username, &endpoint.password).await, Err(is_slave.clone()));
    slave.session.clone_from(&master.session);
    assert_eq!(slave.refused("VM.get_all", json!([])).await, is_slave);
    assert_eq!(slave.refused("Async.VM.no_such", json!([])).await, is_slave);
    lab.stop().await;
}

#[tokio::test]
async fn a_promoted_member_leads_and_knows_no_session_and_no_task_of_the_old_master() {
    let (lab, endpoint) = lab(options()).await;
    let mut old = Xapi::logged_in(&endpoint, 0).await;
    let vm = old.vm("legacy-001").await;
    let token = text(&old.events(&["vm"], "", 0.0).await["token"]);
    let task = text(&old.ok("task.create", json!(["mine", ""])).await);
    lab.pool(POOL).expect("a pool").promote(1);
    assert_eq!(lab.pool(POOL).expect("a pool").master(), 1);
    assert_eq!(old.refused("VM.get_all", json!([])).await.0, "HOST_IS_SLAVE");
    let mut new = Xapi::new(&endpoint, 1);
    new.session.clone_from(&old.session);
    assert_eq!(new.refused("VM.get_all", json!([])).await.0, "SESSION_INVALID");
    new.login(&endpoint.username, &endpoint.password).await.expect("let in");
    // The database is the pool's: references and tokens hold.
    assert_eq!(new.get("VM.name_label", &vm).await, "legacy-001");
    assert_eq!(new.refused("task.get_record", json!([task])).await.0, "HANDLE_INVALID");
    let batch = new.events(&["vm", "pool"], &token, 5.0).await;
    let changed: Vec<_> = batch["events"].as_array().expect("events").iter().map(|one| text(&one["class"])).collect();
    assert_eq!(changed, ["pool"]);
    // By the API, and back.
    let host = text(&new.ok("host.get_by_name_label", json!(["xs01"])).await[0]);
    new.ok("pool.designate_new_master", json!([host])).await;
    assert_eq!(old.login(&endpoint.username, &endpoint.password).await.map(|_| ()), Ok(()));
}

#[tokio::test]
async fn a_dead_master_answers_nobody_and_its_members_point_at_it_until_one_is_promoted() {
    let (lab, endpoint) = lab(options()).await;
    let old = Xapi::logged_in(&endpoint, 0).await;
    let pool = lab.pool(POOL).expect("a pool");
    // A call that waits is cut off with everything else.
    let waiting =
        old.try_call("event.from", json!([["task"], text(&old.events(&["vm"], "", 0.0).await["token"]), 600.0]));
    let (answer, ()) = tokio::join!(waiting, pool.kill(0));
    assert!(answer.is_err());
    assert!(old.try_call("VM.get_all", json!([])).await.is_err());
    let mut second = Xapi::new(&endpoint, 1);
    let refused = second.login(&endpoint.username, &endpoint.password).await;
    assert_eq!(refused.map_err(|(code, _)| code), Err("HOST_IS_SLAVE".to_owned()));
    pool.promote(1);
    second.login(&endpoint.username, &endpoint.password).await.expect("let in");
    let host = text(&second.ok("host.get_by_name_label", json!(["xs01"])).await[0]);
    let metrics = text(&second.get("host.metrics", &host).await);
    assert_eq!(second.get("host_metrics.live", &metrics).await, false);
    // Back again it follows, with the certificate it had.
    pool.revive(0).await.expect("its port is free");
    assert_eq!(old.refused("VM.get_all", json!([])).await.0, "HOST_IS_SLAVE");
    assert_eq!(second.get("host_metrics.live", &metrics).await, true);
    lab.stop().await;
}

#[tokio::test]
async fn what_a_dying_master_had_not_done_is_not_done() {
    let (lab, endpoint) = lab(LabOptions { clock: ClockMode::Virtual, ..options() }).await;
    let xapi = Xapi::logged_in(&endpoint, 0).await;
    let template = xapi.vm("tmpl-debian-12").await;
    lab.clock().hold(true);
    xapi.ok("Async.VM.clone", json!([template, "never"])).await;
    lab.pool(POOL).expect("a pool").kill(0).await;
    lab.clock().hold(false);
    lab.clock().advance(std::time::Duration::from_secs(5));
    assert!(lab.world().with(|world| world.vm_named("never").is_none()));
}

#[tokio::test]
async fn the_settings_name_every_member_with_its_pin() {
    let (lab, endpoint) = lab(options()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = lab.write_settings(folder.path(), std::path::Path::new("../manifests")).expect("written");
    let settings = tierwright::settings::load(Some(&file)).expect("settings that load");
    assert_eq!(settings.endpoints.len(), 1);
    assert_eq!(settings.endpoints[0].urls, endpoint.urls);
    let tierwright::settings::Trust::Pins(pins) = &settings.endpoints[0].trust else { panic!("pins") };
    assert_eq!(pins.len(), 3);
}
