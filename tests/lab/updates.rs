//! Waiting for changes: filters, versions, truncation, time.

use std::time::Duration;

use tierwright::lab::{ClockMode, LabOptions, world::Power};

use crate::support::{Reply, Soap, moref, over_view, ready, vm_view};

async fn filter(soap: &Soap, spec: &str) -> String {
    let inside = format!(
        "{}<partialUpdates>false</partialUpdates>",
        spec.replace("<specSet>", "<spec>").replace("</specSet>", "</spec>")
    );
    let reply = soap.call("CreateFilter", "PropertyCollector", "propertyCollector", &inside).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.value("returnval").expect("a filter")
}

async fn wait(soap: &Soap, version: &str, options: &str) -> Reply {
    let inside = format!("<version>{version}</version><options>{options}</options>");
    soap.call("WaitForUpdatesEx", "PropertyCollector", "propertyCollector", &inside).await
}

#[tokio::test]
async fn first_everything_then_only_what_changed() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let view = vm_view(&soap).await;
    filter(&soap, &over_view(&view, &["name", "runtime.powerState", "config.hardware.memoryMB", "config.annotation"]))
        .await;
    let all = wait(&soap, "", "<maxWaitSeconds>0</maxWaitSeconds>").await;
    assert_eq!(all.text.matches("<kind>enter</kind>").count(), 14);
    let version = all.value("version").expect("a version");
    let none = wait(&soap, &version, "<maxWaitSeconds>0</maxWaitSeconds>").await;
    assert!(!none.text.contains("returnval"), "{}", none.text);
    // What vcsim says nothing of: memory and notes.
    let gone = lab.world().with(|world| {
        world.edit_named("legacy-003", |vm| vm.memory_mib = 1024);
        let id = world.vm_named("legacy-006").expect("it").id;
        world.set_power(id, Power::Suspended);
        world.remove(world.vm_named("legacy-008").expect("it").id, true).expect("removed").id
    });
    let some = wait(&soap, &version, "<maxWaitSeconds>0</maxWaitSeconds>").await;
    assert_eq!(some.text.matches("<kind>modify</kind>").count(), 2, "{}", some.text);
    assert_eq!(some.text.matches("<changeSet>").count(), 2);
    assert!(
        some.text.contains("<name>config.hardware.memoryMB</name><op>assign</op><val xsi:type=\"xsd:int\">1024</val>")
    );
    assert!(some.text.contains(&format!("<kind>leave</kind><obj type=\"VirtualMachine\">vm-{}</obj>", gone.0)));
    let old = wait(&soap, &version, "<maxWaitSeconds>0</maxWaitSeconds>").await;
    assert_eq!(old.fault(), Some("InvalidCollectorVersion"));
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_the_next_answer() {
    let (_lab, soap) = ready(LabOptions { vms: 23, ..LabOptions::default() }).await;
    let view = vm_view(&soap).await;
    filter(&soap, &over_view(&view, &["name"])).await;
    let mut version = String::new();
    let mut counts = Vec::new();
    loop {
        let reply =
            wait(&soap, &version, "<maxWaitSeconds>0</maxWaitSeconds><maxObjectUpdates>10</maxObjectUpdates>").await;
        counts.push(reply.text.matches("<kind>enter</kind>").count());
        version = reply.value("version").expect("a version");
        if !reply.text.contains("<truncated>true</truncated>") {
            break;
        }
    }
    assert_eq!(counts, [10, 10, 5]);
}

#[tokio::test]
async fn a_task_is_waited_for_in_virtual_time() {
    let (lab, soap) =
        ready(LabOptions { clock: ClockMode::Virtual, pace_percent: 1_000_000, ..LabOptions::default() }).await;
    let vm = moref(&lab, "legacy-000");
    let before = lab.clock().now_ms();
    let started =
        soap.call("ReconfigVM_Task", "VirtualMachine", &vm, "<spec><annotation>slow</annotation></spec>").await;
    let task = started.value("returnval").expect("a task");
    filter(
        &soap,
        &format!(
            "<specSet><propSet><type>Task</type><pathSet>info.state</pathSet><pathSet>info.error</pathSet></propSet>\
             <objectSet><obj type=\"Task\">{task}</obj></objectSet></specSet>"
        ),
    )
    .await;
    let first = wait(&soap, "", "").await;
    assert!(first.text.contains(">running<"), "{}", first.text);
    let version = first.value("version").expect("a version");
    let second = wait(&soap, &version, "<maxWaitSeconds>120</maxWaitSeconds>").await;
    assert!(second.text.contains(">success<"), "{}", second.text);
    assert_eq!(lab.clock().now_ms() - before, 80_000);
}

#[tokio::test]
async fn a_waiting_call_is_woken_by_a_change_a_cancel_and_the_end_of_its_session() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let soap = std::sync::Arc::new(soap);
    let view = vm_view(&soap).await;
    filter(&soap, &over_view(&view, &["runtime.powerState"])).await;
    let version = wait(&soap, "", "").await.value("version").expect("a version");
    let long = |version: String| {
        let soap = soap.clone();
        tokio::spawn(async move { wait(&soap, &version, "<maxWaitSeconds>300</maxWaitSeconds>").await })
    };
    let waiting = long(version);
    lab.world().with(|world| {
        let id = world.vm_named("legacy-000").expect("it").id;
        world.set_power(id, Power::Off);
    });
    let woken = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("woken").expect("joined");
    assert!(woken.text.contains("poweredOff"), "{}", woken.text);
    let version = woken.value("version").expect("a version");

    let waiting = long(version.clone());
    // The cancel must not come before the call it cancels.
    while lab.record().count("CancelWaitForUpdates") < 1_000 && !waiting.is_finished() {
        soap.call("CancelWaitForUpdates", "PropertyCollector", "propertyCollector", "").await;
    }
    let cancelled = waiting.await.expect("joined");
    assert_eq!(cancelled.fault(), Some("RequestCanceled"));

    let waiting = long(version);
    while !waiting.is_finished() {
        lab.end_sessions();
        tokio::task::yield_now().await;
    }
    assert_eq!(waiting.await.expect("joined").fault(), Some("NotAuthenticated"));
}

#[tokio::test]
async fn stopping_the_lab_ends_calls_that_wait() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let view = vm_view(&soap).await;
    filter(&soap, &over_view(&view, &["name"])).await;
    let version = wait(&soap, "", "").await.value("version").expect("a version");
    let waiting = tokio::spawn(async move {
        let inside = format!("<version>{version}</version>");
        soap.try_call("WaitForUpdatesEx", "PropertyCollector", "propertyCollector", &inside)
            .await
            .map(|reply| reply.text)
    });
    let url = lab.endpoints()[0].url().to_owned();
    tokio::time::timeout(Duration::from_secs(20), lab.stop()).await.expect("stopped");
    assert!(waiting.await.expect("joined").is_err());
    let port = url.split(':').nth(2).and_then(|rest| rest.split('/').next()).expect("a port");
    let address = format!("127.0.0.1:{port}");
    assert!(tokio::net::TcpStream::connect(&address).await.is_err(), "{address} still answers");
}
