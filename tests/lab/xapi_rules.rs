//! The rules of a pool, as recorded, and what stands on the world behind it.

use serde_json::{Value, json};
use tierwright::lab::world::Power;
use tierwright::lab::{ClockMode, LabOptions};

use crate::xapi::{card, disk, options, ready, slot, text, texts};

#[tokio::test]
async fn a_wrong_password_and_a_made_up_session_are_refused_with_what_was_given() {
    let (_lab, mut xapi) = ready(options()).await;
    let refused = xapi.login("root", "wrong").await;
    let code = |code: &str| code.to_owned();
    assert_eq!(
        refused,
        Err((code("SESSION_AUTHENTICATION_FAILED"), vec!["root".into(), "Authentication failure".into()]))
    );
    "OpaqueRef:nope".clone_into(&mut xapi.session);
    assert_eq!(xapi.refused("VM.get_all", json!([])).await, (code("SESSION_INVALID"), vec!["OpaqueRef:nope".into()]));
}

#[tokio::test]
async fn the_inventory_is_the_one_the_examples_name() {
    let (_lab, xapi) = ready(options()).await;
    for (class, names) in [
        ("SR", vec!["sr-hosted", "sr-nvme"]),
        ("network", vec!["hosted-public", "hosted-private"]),
        ("VM", vec!["tmpl-debian-12", "Other install media", "legacy-000", "legacy-011"]),
    ] {
        for name in names {
            let found = xapi.ok(&format!("{class}.get_by_name_label"), json!([name])).await;
            assert_eq!(found.as_array().map(Vec::len), Some(1), "{class} {name}");
        }
    }
    let template = xapi.vm("tmpl-debian-12").await;
    assert_eq!(xapi.get("VM.is_a_template", &template).await, true);
    let records = xapi.ok("VM.get_all_records", json!([])).await;
    let count = |field: &str| records.as_object().expect("records").values().filter(|vm| vm[field] == true).count();
    assert_eq!((count("is_control_domain"), count("is_default_template"), count("is_a_snapshot")), (3, 2, 2));
}

#[tokio::test]
async fn sizes_of_a_running_vm_are_refused_or_land_at_its_next_boot() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.started("sized").await;
    let bad =
        |wanted: &str| ("VM_BAD_POWER_STATE".to_owned(), vec![vm.clone(), wanted.to_owned(), "running".to_owned()]);
    assert_eq!(xapi.refused("VM.set_VCPUs_max", json!([vm, 8])).await, bad("halted"));
    let limits = json!([vm, "268435456", "1073741824", "536870912", "1073741824"]);
    assert_eq!(xapi.refused("VM.set_memory_limits", limits.clone()).await, bad("halted"));
    assert_eq!(xapi.refused("VM.destroy", json!([vm])).await, bad("halted, suspended"));
    xapi.ok("VM.clean_shutdown", json!([vm])).await;
    xapi.ok("VM.set_VCPUs_max", json!([vm, 8])).await;
    xapi.ok("VM.set_memory_limits", limits).await;
    xapi.ok("VM.start", json!([vm, false, false])).await;
    xapi.ok("VM.set_VCPUs_at_startup", json!([vm, 4])).await;
    let metrics = text(&xapi.get("VM.metrics", &vm).await);
    assert_eq!(xapi.get("VM_metrics.VCPUs_number", &metrics).await, 1);
    xapi.ok("VM.clean_reboot", json!([vm])).await;
    assert_eq!(xapi.get("VM_metrics.VCPUs_number", &metrics).await, 4);
    let world = lab.world().with(|world| world.vm_named("sized").map(|vm| (vm.cpus, vm.memory_mib)));
    assert_eq!(world, Some((4, 1024)));
}

#[tokio::test]
async fn a_disk_in_use_is_not_resized_and_none_shrinks() {
    let (_lab, xapi) = ready(options()).await;
    let vm = xapi.started("disks").await;
    let sr = xapi.ok("SR.get_by_name_label", json!(["sr-nvme"])).await[0].clone();
    let vdi = text(&xapi.ok("VDI.create", disk(&sr, "data", 4)).await);
    let vbd = text(&xapi.ok("VBD.create", slot(&vm, &vdi, "1")).await);
    assert_eq!(xapi.get("VBD.currently_attached", &vbd).await, false);
    assert_eq!(xapi.refused("VBD.create", slot(&vm, &vdi, "1")).await.0, "DEVICE_ALREADY_EXISTS");
    xapi.ok("VBD.plug", json!([vbd])).await;
    let size = (8_u64 << 30).to_string();
    let in_use = ("VDI_IN_USE".to_owned(), vec![vdi.clone(), "resize".to_owned()]);
    assert_eq!(xapi.refused("VDI.resize", json!([vdi, size])).await, in_use);
    assert_eq!(xapi.refused("VBD.destroy", json!([vbd])).await.0, "OPERATION_NOT_ALLOWED");
    xapi.ok("VBD.unplug", json!([vbd])).await;
    xapi.ok("VDI.resize", json!([vdi, size])).await;
    assert_eq!(xapi.refused("VDI.resize", json!([vdi, "1073741824"])).await.0, "SR_BACKEND_FAILURE_79");
    xapi.ok("VBD.destroy", json!([vbd])).await;
    assert_eq!(xapi.get("VDI.VBDs", &vdi).await, json!([]));
    xapi.ok("VDI.destroy", json!([vdi])).await;
    assert_eq!(xapi.refused("VDI.get_record", json!([vdi])).await, ("HANDLE_INVALID".into(), vec!["VDI".into(), vdi]));
}

#[tokio::test]
async fn a_destroyed_vm_leaves_its_disks_and_takes_its_devices() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.started("going").await;
    let vbd = text(&xapi.get("VM.VBDs", &vm).await[0]);
    let vdi = text(&xapi.get("VBD.VDI", &vbd).await);
    xapi.ok("VM.hard_shutdown", json!([vm])).await;
    xapi.ok("VM.destroy", json!([vm])).await;
    assert_eq!(xapi.refused("VBD.get_record", json!([vbd])).await.0, "HANDLE_INVALID");
    assert_eq!(xapi.get("VDI.VBDs", &vdi).await, json!([]));
    assert!(lab.world().with(|world| world.vm_named("going").is_none()));
}

#[tokio::test]
async fn a_clone_of_a_template_is_a_template_until_it_is_provisioned_with_the_disks_it_asks_for() {
    let (_lab, xapi) = ready(options()).await;
    let template = xapi.vm("Debian Bookworm 12").await;
    let vm = text(&xapi.ok("VM.clone", json!([template, "fresh"])).await);
    assert_eq!(xapi.get("VM.is_a_template", &vm).await, true);
    assert_eq!(xapi.get("VM.is_default_template", &vm).await, false);
    assert_eq!(xapi.refused("VM.start", json!([vm, false, false])).await.0, "VM_IS_TEMPLATE");
    xapi.ok("VM.provision", json!([vm])).await;
    assert_eq!(xapi.get("VM.VBDs", &vm).await.as_array().map(Vec::len), Some(1));
    let config = xapi.get("VM.other_config", &vm).await;
    assert_eq!((config["base_template_name"].as_str(), config.get("disks")), (Some("Debian Bookworm 12"), None));
    assert_eq!(xapi.refused("VM.provision", json!([vm])).await.0, "ONLY_PROVISION_TEMPLATE");
    assert_eq!(xapi.refused("VM.destroy", json!([template])).await.0, "VM_IS_TEMPLATE");
    // Two VMs may have one name here.
    xapi.ok("VM.clone", json!([template, "fresh"])).await;
    assert_eq!(xapi.ok("VM.get_by_name_label", json!(["fresh"])).await.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_a_person_blocked_stays_undone() {
    let (_lab, xapi) = ready(options()).await;
    let vm = xapi.started("kept").await;
    xapi.ok("VM.add_to_blocked_operations", json!([vm, "hard_shutdown", "because"])).await;
    let blocked = ("OPERATION_BLOCKED".to_owned(), vec![vm.clone(), "because".to_owned()]);
    assert_eq!(xapi.refused("VM.hard_shutdown", json!([vm])).await, blocked);
    assert!(!texts(&xapi.get("VM.allowed_operations", &vm).await).contains(&"hard_shutdown".to_owned()));
    xapi.ok("VM.remove_from_blocked_operations", json!([vm, "hard_shutdown"])).await;
    xapi.ok("VM.hard_shutdown", json!([vm])).await;
}

#[tokio::test]
async fn a_guest_that_does_not_listen_is_shut_down_hard_and_the_gentle_task_is_over() {
    let (lab, xapi) = ready(LabOptions { clock: ClockMode::Virtual, ..options() }).await;
    let vm = xapi.started("deaf").await;
    lab.world().with(|world| world.edit_named("deaf", |vm| vm.guest.shutdown_ms = None));
    let task = text(&xapi.ok("Async.VM.clean_shutdown", json!([vm])).await);
    lab.clock().advance(std::time::Duration::from_mins(1));
    assert_eq!(xapi.get("VM.current_operations", &vm).await, json!({ task.clone(): "clean_shutdown" }));
    assert_eq!(xapi.refused("VM.suspend", json!([vm])).await.0, "OTHER_OPERATION_IN_PROGRESS");
    xapi.ok("VM.hard_shutdown", json!([vm])).await;
    assert_eq!(xapi.get("VM.power_state", &vm).await, "Halted");
    assert_eq!(xapi.get("task.status", &task).await, "cancelled");
}

#[tokio::test]
async fn a_guest_without_tools_is_not_asked_and_its_devices_are_not_plugged() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.started("bare").await;
    lab.world().with(|world| world.edit_named("bare", |vm| vm.guest.tools_installed = false));
    assert_eq!(xapi.refused("VM.clean_shutdown", json!([vm])).await.0, "VM_LACKS_FEATURE_SHUTDOWN");
    let network = xapi.ok("network.get_by_name_label", json!(["hosted-private"])).await[0].clone();
    let vif = text(&xapi.ok("VIF.create", card(&vm, &network, "1", "")).await);
    assert_eq!(xapi.refused("VIF.plug", json!([vif])).await.0, "VM_MISSING_PV_DRIVERS");
    assert_eq!(xapi.refused("VIF.create", card(&vm, &network, "1", "")).await.0, "DEVICE_ALREADY_EXISTS");
    assert_eq!(xapi.refused("VIF.create", card(&vm, &network, "2", "01:00:00:00:00:01")).await.0, "MAC_INVALID");
}

#[tokio::test]
async fn a_card_that_is_shut_is_not_connected_now_and_at_the_next_start() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.started("shut").await;
    let connected = || {
        lab.world().with(|world| {
            let nic = &world.vm_named("shut").expect("the VM").nics[0];
            (nic.connected, nic.start_connected)
        })
    };
    assert_eq!(connected(), (true, true));
    let vif = text(&xapi.get("VM.VIFs", &vm).await[0]);
    xapi.ok("VIF.set_locking_mode", json!([vif, "disabled"])).await;
    assert_eq!(connected(), (false, false));
    assert_eq!(xapi.get("VIF.locking_mode", &vif).await, "disabled");
    xapi.ok("VIF.set_locking_mode", json!([vif, "network_default"])).await;
    assert_eq!(connected(), (true, true));
    let network = xapi.ok("network.get_by_name_label", json!(["hosted-private"])).await[0].clone();
    xapi.ok("VIF.move", json!([vif, network])).await;
    assert_eq!(xapi.get("VIF.network", &vif).await, network);
}

#[tokio::test]
async fn a_vms_disk_keeps_its_id_through_snapshots() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.started("snapped").await;
    let vbd = text(&xapi.get("VM.VBDs", &vm).await[0]);
    let vdi = xapi.get("VBD.VDI", &vbd).await;
    let snapshot = text(&xapi.ok("VM.snapshot", json!([vm, "before"])).await);
    assert_eq!(xapi.get("VBD.VDI", &vbd).await, vdi);
    assert_eq!(xapi.get("VM.snapshots", &vm).await, json!([snapshot]));
    let record = xapi.ok("VM.get_record", json!([snapshot])).await;
    assert_eq!((&record["is_a_snapshot"], &record["snapshot_of"]), (&json!(true), &json!(vm)));
    let old = xapi.get("VBD.VDI", &text(&record["VBDs"][0])).await;
    assert_ne!(old, vdi);
    assert_eq!(xapi.get("VDI.snapshot_of", &text(&old)).await, vdi);
    xapi.ok("VM.destroy", json!([snapshot])).await;
    assert_eq!(xapi.get("VBD.VDI", &vbd).await, vdi);
    assert_eq!(xapi.refused("VM.get_record", json!([snapshot])).await.0, "HANDLE_INVALID");
    lab.stop().await;
}

#[tokio::test]
async fn a_blank_vm_is_made_of_its_record_and_runs_where_there_is_room() {
    let (lab, xapi) = ready(options()).await;
    let args = json!([{"name_label": "blank", "name_description": "by hand", "user_version": 1, "is_a_template": false,
        "affinity": "OpaqueRef:NULL", "memory_static_max": (1_u64 << 30).to_string(), "memory_static_min": "268435456",
        "memory_dynamic_max": (1_u64 << 30).to_string(), "memory_dynamic_min": (1_u64 << 30).to_string(),
        "VCPUs_params": {}, "VCPUs_max": 4, "VCPUs_at_startup": "2", "HVM_boot_policy": "BIOS order",
        "HVM_boot_params": {"order": "cd", "firmware": "uefi"}, "platform": {"device-model": "qemu-upstream-uefi"},
        "other_config": {"tierwright:mark": "{}"}, "PV_args": "quiet"}]);
    let vm = text(&xapi.ok("VM.create", args).await);
    let record = xapi.ok("VM.get_record", json!([vm])).await;
    assert_eq!(record["other_config"]["tierwright:mark"], "{}");
    assert_eq!(
        (&record["VCPUs_max"], &record["VCPUs_at_startup"], &record["PV_args"]),
        (&json!(4), &json!(2), &json!("quiet"))
    );
    assert_eq!(record["HVM_boot_params"]["firmware"], "uefi");
    xapi.ok("VM.start", json!([vm, false, false])).await;
    let host = text(&xapi.get("VM.resident_on", &vm).await);
    assert!(texts(&xapi.get("host.resident_VMs", &host).await).contains(&vm));
    xapi.ok("VM.hard_shutdown", json!([vm])).await;
    lab.world().with(|world| world.hosts.values_mut().for_each(|host| host.memory_mib = 4096));
    assert_eq!(xapi.refused("VM.start", json!([vm, false, false])).await.0, "NO_HOSTS_AVAILABLE");
}

#[tokio::test]
async fn events_tell_what_came_changed_and_went_and_nothing_when_nothing_did() {
    let (lab, xapi) = ready(options()).await;
    let all = xapi.events(&["*"], "", 0.0).await;
    let token = text(&all["token"]);
    let vms =
        |batch: &Value| batch["events"].as_array().expect("events").iter().filter(|one| one["class"] == "vm").count();
    assert_eq!(
        Some(vms(&all)),
        all["valid_ref_counts"]["vm"].as_u64().map(|count| usize::try_from(count).expect("few"))
    );
    assert_eq!(xapi.events(&["*"], &token, 0.0).await["events"], json!([]));
    // Behind everybody's back, while a client waits.
    let world = lab.world();
    let edit = async {
        tokio::task::yield_now().await;
        world.with(|world| world.edit_named("legacy-003", |vm| vm.memory_mib += 1024));
    };
    let (batch, ()) = tokio::join!(xapi.events(&["vm"], &token, 60.0), edit);
    let events = batch["events"].as_array().expect("events");
    assert_eq!((events.len(), &events[0]["operation"]), (1, &json!("mod")));
    assert_eq!(events[0]["snapshot"]["name_label"], "legacy-003");
    let id = world.with(|world| world.vm_named("legacy-003").expect("the VM").id);
    world.with(|world| world.remove(id, true));
    let batch = xapi.events(&["vm", "vdi"], &text(&batch["token"]), 60.0).await;
    let went: Vec<_> = batch["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|one| (text(&one["class"]), text(&one["operation"])))
        .collect();
    assert_eq!(went, [("vm".into(), "del".into()), ("vdi".into(), "del".into())]);
    assert!(batch["events"][0].get("snapshot").is_none());
    let refused = xapi.refused("event.from", json!([["vm"], "nonsense", 1.0])).await;
    assert_eq!(refused, ("EVENT_FROM_TOKEN_PARSE_FAILURE".into(), vec!["nonsense".into()]));
}

#[tokio::test]
async fn ten_thousand_vms_come_in_one_answer_and_one_change_in_a_small_one() {
    let (lab, xapi) = ready(LabOptions { vms: 10_000, ..options() }).await;
    let classes = json!(["vm", "vbd", "vdi", "vif"]);
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "event.from", "params": [xapi.session, classes, "", 30.0]});
    // Counted as text: in a debug build, parsing this takes longer than all else.
    let all = xapi.send(ask.to_string()).await.expect("an answer");
    let count = |class: &str| all.matches(&format!("{{\"class\":\"{class}\",")).count();
    // Templates, control domains and snapshots are VMs too.
    assert_eq!(count("vm"), 10_000 + 3 + 3 + 1_666);
    assert_eq!(count("vdi"), 10_000 + 1 + 1_666);
    let token = &all[all.find("\"token\":\"").expect("a token") + 9..][..41];
    lab.world().with(|world| world.edit_named("legacy-5000", |vm| vm.annotation = "changed".into()));
    let delta = xapi.events(&["vm", "vbd", "vdi", "vif"], token, 30.0).await;
    let changed = delta["events"].as_array().expect("events");
    assert!((1..=4).contains(&changed.len()), "{delta}");
    assert_eq!(lab.record().counts().values().sum::<u64>(), 3);
}

#[tokio::test]
async fn a_raw_disk_of_known_length_is_imported_and_a_chunked_one_is_not() {
    let (lab, xapi) = ready(options()).await;
    let sr = xapi.ok("SR.get_by_name_label", json!(["sr-hosted"])).await[0].clone();
    let vdi = text(&xapi.ok("VDI.create", disk(&sr, "seed", 1)).await);
    assert_eq!(xapi.import(&vdi, "seed data").await.0, 200);
    let uuid = text(&xapi.get("VDI.uuid", &vdi).await).parse().expect("a uuid");
    let pool = lab.pool("xs-hosted").expect("a pool");
    assert_eq!(pool.imported(uuid).as_deref(), Some(&b"seed data"[..]));
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("seed"), Ok("data")]);
    assert_eq!(xapi.import(&vdi, reqwest::Body::wrap_stream(chunks)).await.0, 403);
    assert_eq!(xapi.import("OpaqueRef:nope", "x").await.0, 404);
    assert_eq!(lab.record().mutating_counts()["import_raw_vdi"], 1);
}

#[tokio::test]
async fn a_vm_powered_off_behind_our_back_is_seen_so() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.vm("legacy-000").await;
    assert_eq!(xapi.get("VM.power_state", &vm).await, "Running");
    lab.world().with(|world| {
        let id = world.vm_named("legacy-000").expect("the VM").id;
        world.set_power(id, Power::Off);
    });
    let record = xapi.ok("VM.get_record", json!([vm])).await;
    assert_eq!((&record["power_state"], &record["resident_on"]), (&json!("Halted"), &json!("OpaqueRef:NULL")));
}

#[tokio::test]
async fn an_asynchronous_call_is_a_task_until_it_is_taken_away() {
    let (_lab, xapi) = ready(options()).await;
    let vm = xapi.vm("legacy-007").await;
    let done = xapi.awaited("VM.start", json!([vm, false, false])).await;
    assert_eq!((&done["status"], &done["result"]), (&json!("success"), &json!("<value></value>")));
    let template = xapi.vm("tmpl-debian-12").await;
    let failed = xapi.awaited("VM.start", json!([template, false, false])).await;
    let why = json!(["VM_IS_TEMPLATE", template, "start"]);
    assert_eq!((&failed["status"], &failed["error_info"]), (&json!("failure"), &why));
    let made = xapi.awaited("VM.clone", json!([template, "later"])).await;
    assert_eq!(made["result"], format!("<value>{}</value>", xapi.vm("later").await));
}

#[tokio::test]
async fn a_vm_at_work_is_told_of_when_it_begins_and_when_it_is_done() {
    let (lab, xapi) = ready(LabOptions { clock: ClockMode::Virtual, ..options() }).await;
    let vm = xapi.vm("legacy-008").await;
    let token = text(&xapi.events(&["vm"], "", 0.0).await["token"]);
    lab.clock().hold(true);
    let task = text(&xapi.ok("Async.VM.start", json!([vm, false, false])).await);
    let batch = xapi.events(&["vm"], &token, 0.0).await;
    assert_eq!(batch["events"][0]["snapshot"]["current_operations"], json!({ task: "start" }));
    assert_eq!(batch["events"][0]["snapshot"]["allowed_operations"], json!([]));
    lab.clock().hold(false);
    let batch = xapi.events(&["vm"], &text(&batch["token"]), 60.0).await;
    let snapshot = &batch["events"][0]["snapshot"];
    assert_eq!((&snapshot["current_operations"], &snapshot["power_state"]), (&json!({}), &json!("Running")));
}

#[tokio::test]
async fn an_sr_takes_no_more_than_it_has_room_for() {
    let (lab, xapi) = ready(options()).await;
    let sr = xapi.ok("SR.get_by_name_label", json!(["sr-hosted"])).await[0].clone();
    lab.world().with(|world| {
        let sr = world.datastores.values_mut().find(|sr| sr.name == "sr-hosted").expect("the SR");
        sr.capacity = sr.used + (1 << 30);
    });
    let full = |size: u64| ("SR_FULL".to_owned(), vec![size.to_string(), (1_u64 << 30).to_string()]);
    let template = xapi.vm("tmpl-debian-12").await;
    assert_eq!(xapi.refused("VM.clone", json!([template, "big"])).await, full(8 << 30));
    assert_eq!(xapi.refused("VDI.create", disk(&sr, "big", 2)).await, full(2 << 30));
    assert!(lab.world().with(|world| world.vm_named("big").is_none()));
    // Elsewhere there is room.
    let other = xapi.ok("SR.get_by_name_label", json!(["sr-nvme"])).await[0].clone();
    let vm = text(&xapi.ok("VM.copy", json!([template, "big", other])).await);
    let vbd = text(&xapi.get("VM.VBDs", &vm).await[0]);
    let vdi = text(&xapi.get("VBD.VDI", &vbd).await);
    assert_eq!(xapi.get("VDI.SR", &vdi).await, other);
}

#[tokio::test]
async fn a_reverted_vm_is_what_it_was_and_stays_itself() {
    let (lab, xapi) = ready(options()).await;
    let vm = xapi.started("back").await;
    let uuid = xapi.get("VM.uuid", &vm).await;
    let snapshot = text(&xapi.ok("VM.snapshot", json!([vm, "before"])).await);
    xapi.ok("VM.add_to_other_config", json!([vm, "later", "yes"])).await;
    assert_eq!(xapi.refused("VM.revert", json!([vm])).await.0, "ONLY_REVERT_SNAPSHOT");
    xapi.ok("VM.revert", json!([snapshot])).await;
    let record = xapi.ok("VM.get_record", json!([vm])).await;
    assert_eq!((&record["uuid"], record["other_config"].get("later")), (&uuid, None));
    assert_eq!((&record["power_state"], &record["snapshots"]), (&json!("Halted"), &json!([snapshot])));
    assert!(lab.world().with(|world| world.vm_named("back").is_some_and(|vm| vm.snapshots.len() == 1)));
}

#[tokio::test]
async fn discs_and_cards_come_and_go_while_a_vm_runs() {
    let (_lab, xapi) = ready(options()).await;
    let vm = xapi.started("busy").await;
    let sr = xapi.ok("SR.get_by_name_label", json!(["sr-hosted"])).await[0].clone();
    let mut drive = slot(&vm, "OpaqueRef:NULL", "autodetect");
    (drive[0]["type"], drive[0]["mode"], drive[0]["empty"]) = (json!("CD"), json!("RO"), json!(true));
    let drive = text(&xapi.ok("VBD.create", drive).await);
    let disc = text(&xapi.ok("VDI.create", disk(&sr, "seed", 1)).await);
    let copied = text(&xapi.ok("VDI.copy", json!([disc, sr, "OpaqueRef:NULL", "OpaqueRef:NULL"])).await);
    assert_eq!(xapi.refused("VBD.eject", json!([drive])).await.0, "VBD_IS_EMPTY");
    xapi.ok("VBD.insert", json!([drive, copied])).await;
    assert_eq!(xapi.refused("VBD.insert", json!([drive, disc])).await.0, "VBD_NOT_EMPTY");
    assert_eq!(xapi.get("VDI.VBDs", &copied).await, json!([drive]));
    assert_eq!(xapi.get("VBD.empty", &drive).await, false);
    xapi.ok("VBD.eject", json!([drive])).await;
    let network = xapi.ok("network.get_by_name_label", json!(["hosted-private"])).await[0].clone();
    let vif = text(&xapi.ok("VIF.create", card(&vm, &network, "autodetect", "02:00:00:00:00:0A")).await);
    assert_eq!(xapi.get("VIF.MAC", &vif).await, "02:00:00:00:00:0a");
    xapi.ok("VIF.plug", json!([vif])).await;
    assert_eq!(xapi.refused("VIF.destroy", json!([vif])).await.0, "OPERATION_NOT_ALLOWED");
    xapi.ok("VIF.unplug", json!([vif])).await;
    xapi.ok("VIF.destroy", json!([vif])).await;
    xapi.ok("VM.suspend", json!([vm])).await;
    assert_eq!(xapi.get("VM.power_state", &vm).await, "Suspended");
    assert_eq!(xapi.refused("VM.start", json!([vm, false, false])).await.0, "VM_BAD_POWER_STATE");
    xapi.ok("VM.resume", json!([vm, false, false])).await;
    assert_eq!(xapi.get("VM.power_state", &vm).await, "Running");
}
