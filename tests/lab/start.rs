//! Starting a lab: what it holds, what it writes, what it refuses.

use std::net::{IpAddr, Ipv4Addr};

use tierwright::lab::{Lab, LabError, LabOptions};

use crate::support::{Soap, lab, over_view, ready, vm_view};

#[tokio::test]
async fn the_inventory_is_the_one_the_examples_name() {
    let (lab, _) = lab(LabOptions::default()).await;
    lab.world().with(|world| {
        assert!(world.datacenters.values().any(|datacenter| datacenter.name == "dc1"));
        let gold = world.clusters.values().find(|cluster| cluster.name == "gold").expect("gold").id;
        assert_eq!(world.hosts_of(gold).count(), 3);
        assert!(world.vm_folder("Prod").is_some());
        assert!(world.datastore_named("flash-repl").is_some() && world.datastore_named("nvme-01").is_some());
        assert!(world.network_named("PG-APP-10").is_some_and(|network| network.distributed.is_none()));
        assert!(world.network_named("PG-DB-20").is_some_and(|network| network.distributed.is_some()));
        let debian = world.vm_named("tmpl-debian-12").expect("debian");
        assert!(debian.template && debian.hot_add_memory && debian.disks[0].capacity == 8 << 30);
        let windows = world.vm_named("tmpl-windows-2022").expect("windows");
        assert!(windows.template && !windows.hot_add_memory && windows.disks[0].capacity == 40 << 30);
        assert_eq!(world.vms().filter(|vm| !vm.template).count(), 12);
        assert!(world.vms().any(|vm| !vm.snapshots.is_empty()));
        assert!(world.vms().any(|vm| !vm.annotation.is_empty() && !vm.template));
    });
}

#[tokio::test]
async fn equal_seeds_give_equal_worlds_and_others_do_not() {
    let ids = async |seed| {
        let (lab, _) = lab(LabOptions { seed, ..LabOptions::default() }).await;
        lab.world()
            .with(|world| world.vms().map(|vm| (vm.name.clone(), vm.instance_uuid, vm.memory_mib)).collect::<Vec<_>>())
    };
    assert_eq!(ids(7).await, ids(7).await);
    assert_ne!(ids(7).await, ids(8).await);
}

#[tokio::test]
async fn a_hundred_thousand_vms_are_listed_by_pages_alone() {
    let (lab, soap) = ready(LabOptions { vms: 100_000, ..LabOptions::default() }).await;
    assert_eq!(lab.world().with(|world| world.vms().count()), 100_002);
    let view = vm_view(&soap).await;
    let spec = format!("{}<options></options>", over_view(&view, &["config.changeVersion"]));
    let mut reply = soap.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &spec).await;
    let mut listed = reply.text.matches("<objects>").count();
    while let Some(token) = reply.value("token") {
        let inside = format!("<token>{token}</token>");
        reply = soap.call("ContinueRetrievePropertiesEx", "PropertyCollector", "propertyCollector", &inside).await;
        listed += reply.text.matches("<objects>").count();
    }
    assert_eq!(listed, 100_002);
    assert_eq!(lab.record().count("ContinueRetrievePropertiesEx"), 100);
}

#[tokio::test]
async fn the_settings_file_points_at_the_lab_and_keeps_passwords_apart() {
    let (lab, endpoint) = lab(LabOptions { esxi: true, ..LabOptions::default() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file =
        lab.write_settings(&folder.path().join("deep/er"), std::path::Path::new("../manifests")).expect("written");
    let text = std::fs::read_to_string(&file).expect("readable");
    assert!(!text.contains(&endpoint.password));
    for part in ["vc-prod", "esx-lab", "manage: enforce", endpoint.url(), &endpoint.pins[0], "passwordFile"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let settings = tierwright::settings::load(Some(&file)).expect("settings that load");
    assert_eq!(settings.endpoints.len(), 2);
    let secret = file.parent().expect("a folder").join("secrets/vc-prod");
    assert_eq!(std::fs::read_to_string(&secret).expect("readable").trim(), endpoint.password);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&secret).expect("there").permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn addresses_of_the_network_and_taken_ports_are_refused() {
    let open = Lab::start(LabOptions { bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..LabOptions::default() }).await;
    assert!(matches!(open, Err(LabError::NotLoopback(_))));
    let (first, _) = lab(LabOptions::default()).await;
    let port = first.endpoints()[0].url().split(':').nth(2).and_then(|rest| rest.split('/').next()?.parse().ok());
    let second = Lab::start(LabOptions { port: port.expect("a port"), ..LabOptions::default() }).await;
    assert!(matches!(second, Err(LabError::Listen { .. })));
}

#[tokio::test]
async fn another_certificate_is_not_taken_for_the_labs() {
    let (_lab, endpoint) = lab(LabOptions::default()).await;
    let wrong = tierwright::lab::LabEndpoint { pins: vec!["00".repeat(32)], ..endpoint };
    let soap = Soap::new(&wrong);
    assert!(soap.try_call("RetrieveServiceContent", "ServiceInstance", "ServiceInstance", "").await.is_err());
}

#[tokio::test]
async fn user_and_password_can_be_chosen() {
    let login = Some(("ops@corp.example".to_owned(), "s3cret & more".to_owned()));
    let (_lab, endpoint) = lab(LabOptions { login, ..LabOptions::default() }).await;
    assert_eq!((endpoint.username.as_str(), endpoint.password.as_str()), ("ops@corp.example", "s3cret & more"));
    let soap = Soap::new(&endpoint);
    assert_eq!(soap.login("OPS@corp.example", "s3cret &amp; more").await.status, 200);
    assert_eq!(soap.login("ops@corp.example", "S3CRET &amp; more").await.status, 500);
}
