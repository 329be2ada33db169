//! Traffic recorded with a real xapi, read by the code that reads it in earnest.
//!
//! The recordings stand beside the project (`../shared/reference`, or `$TIERWRIGHT_REFERENCE`) and are not part of it;
//! without them the tests say what they skip.

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;

use super::convert;
use super::fault::Failure;
use super::places;
use super::record::{Vbd, Vdi, Vif, Vm};
use super::rpc::{Answer, Ref};
use super::store::{Batch, Store, get};
use crate::model::{self, GuestAgent, PowerState};

/// The folder of recordings.
fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("TIERWRIGHT_REFERENCE")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference")), PathBuf::from);
    let folder = root.join("xenserver/recorded");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("TIERWRIGHT_PEERS").as_deref() != Ok("required"), "no recordings at {}", folder.display());
    eprintln!("skipped: no recorded XAPI traffic at {}", folder.display());
    None
}

/// The answer of one recording, as it stood on the wire.
fn answer(name: &str) -> Option<Result<Answer, Failure>> {
    let text = std::fs::read_to_string(folder()?.join(name)).unwrap();
    let recording: Value = serde_json::from_str(&text).unwrap();
    Some(Answer::judge(&Bytes::from(recording["response"].to_string())))
}

fn store(names: &[&str]) -> Option<Store> {
    let mut store = Store::default();
    for name in names {
        let answer = answer(name)?.unwrap();
        store.apply(&answer.read::<Batch<'_>>().unwrap());
    }
    Some(store)
}

#[test]
fn every_recorded_answer_is_a_result_or_a_fault() {
    let Some(folder) = folder() else { return };
    let mut faults = Vec::new();
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        match answer(&name).unwrap() {
            Ok(_) => {}
            Err(Failure::Fault(fault)) => faults.push(fault.code),
            Err(other) => panic!("{name}: {other}"),
        }
        read += 1;
    }
    faults.sort();
    faults.dedup();
    assert!(read > 40, "{read}");
    for code in [
        "EVENT_FROM_TOKEN_PARSE_FAILURE",
        "HANDLE_INVALID",
        "MAP_DUPLICATE_KEY",
        "MESSAGE_METHOD_UNKNOWN",
        "SESSION_AUTHENTICATION_FAILED",
        "SESSION_INVALID",
        "VDI_IN_USE",
        "VM_BAD_POWER_STATE",
    ] {
        assert!(faults.iter().any(|found| found == code), "{code} is not among {faults:?}");
    }
}

#[test]
fn a_snapshot_holds_as_many_objects_as_the_server_counts() {
    let Some(answer) = answer("09-event.from-snapshot.json") else { return };
    let answer = answer.unwrap();
    let batch: Batch<'_> = answer.read().unwrap();
    let mut store = Store::default();
    store.apply(&batch);
    // The recording asked for fewer classes than we do: those it asked for agree.
    let mut counts = batch.valid_ref_counts.clone();
    for class in ["pbd", "pif", "host_metrics", "vm_guest_metrics"] {
        counts.insert(class.to_owned(), 0);
    }
    assert_eq!(store.gaps(&counts), None);
    *counts.get_mut("vm").unwrap() += 1;
    assert_eq!(store.gaps(&counts).as_deref(), Some("the listing has 2 of 3 objects of class vm"));
}

#[test]
fn control_domains_are_no_vms_and_a_template_is_an_image() {
    let Some(store) = store(&["09-event.from-snapshot.json"]) else { return };
    let vms: Vec<_> = store.vms.iter().filter_map(|(at, vm)| convert::observe(&store, "p", at, vm)).collect();
    assert_eq!(vms, []);
    let catalog = places::catalog(&store);
    let images: Vec<_> = catalog.images.iter().map(|image| &*image.source).collect();
    assert_eq!(images, ["tmpl"]);
    assert_eq!(catalog.networks.len(), 1, "the hosts' own network is not offered");
}

#[test]
fn a_delta_brings_a_vm_with_its_disks_and_nics() {
    let Some(store) = store(&["09-event.from-snapshot.json", "17-event.from-delta.json"]) else { return };
    let (at, vm) = store.vms.iter().find(|(_, vm)| vm.as_ref().is_ok_and(|vm| &*vm.name == "erp-db-01")).unwrap();
    let vm = convert::observe(&store, "pool", at, vm).unwrap();
    assert_eq!(vm.id.as_str(), "c5402ed3-4b9a-d51f-4b3d-eed3a0a13c3f");
    assert!(vm.handle.starts_with("pool/OpaqueRef:"));
    let config = vm.readable().unwrap();
    assert_eq!((config.cpus, config.memory, config.power), (2, model::Bytes::gib(1), PowerState::Stopped));
    assert_eq!(config.firmware, model::Firmware::Bios);
    assert_eq!(config.disks.len(), 1);
    assert_eq!((&*config.disks[0].slot, config.disks[0].storage.as_deref()), ("vbd0", Some("dummy1")));
    assert_eq!((&*config.nics[0].slot, &*config.nics[0].mac), ("vif0", "56:df:fe:18:6d:06"));
    assert_eq!(config.nics[0].network.as_ref().unwrap().name, "net0");
    assert!(!config.snapshots && config.mark.is_none() && !config.hot.disks);
}

#[test]
fn a_deletion_takes_the_vm_away() {
    let Some(mut store) = store(&["09-event.from-snapshot.json", "17-event.from-delta.json"]) else { return };
    let before = store.vms.len();
    let answer = answer("38-event.from-idle.json").unwrap().unwrap();
    store.apply(&answer.read::<Batch<'_>>().unwrap());
    assert_eq!(store.vms.len(), before - 1);
}

#[test]
fn a_running_vm_that_the_server_would_shut_down_can_be_asked() {
    let Some(answer) = answer("24-VM.get_record-running.json") else { return };
    let vm: Vm = answer.unwrap().read().unwrap();
    assert_eq!(vm.power, PowerState::Running);
    assert!(vm.may_shut_down && vm.operations.is_empty());
    let store = Store::default();
    let parts = convert::Parts::default();
    assert_eq!(convert::config(&store, &vm, &parts).guest_agent, GuestAgent::Running);
}

#[test]
fn records_of_devices_are_read() {
    let Some(vbds) = answer("31-VBD.get_all_records.json") else { return };
    let vbds: std::collections::BTreeMap<Ref, Vbd> = vbds.unwrap().read().unwrap();
    assert!(vbds.values().any(|vbd| &*vbd.userdevice == "1" && vbd.vdi.is_some()));
    let vdis = answer("32-VDI.get_all_records.json").unwrap().unwrap();
    let vdis: std::collections::BTreeMap<Ref, Vdi> = vdis.read().unwrap();
    assert!(vdis.values().any(|vdi| vdi.size == 1 << 30));
    let vifs = answer("33-VIF.get_all_records.json").unwrap().unwrap();
    let vifs: std::collections::BTreeMap<Ref, Vif> = vifs.read().unwrap();
    assert!(vifs.values().all(|vif| !vif.disabled && vif.mac.len() == 17));
    let store = Store::default();
    assert!(get(&store.vifs, vifs.keys().next().unwrap()).is_none());
}
