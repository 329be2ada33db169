//! Recorded traffic of real vCenters (6.0, 6.5, 8.0.3), read by the code that reads it in earnest.
//!
//! The recordings stand beside the project (`../shared/reference`, or `$TIERWRIGHT_REFERENCE`) and are not part of it;
//! without them the tests say what they skip.

use std::path::PathBuf;

use bytes::Bytes;
use serde_yaml::Value;

use super::convert;
use super::device;
use super::fault::Failure;
use super::node::Node;
use super::pages::{Each, Page};
use super::session::Content;
use super::soap::Answer;
use crate::model;
use crate::xml::{Element, Limits, Writer, XSI};

/// The folder of recordings.
fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("TIERWRIGHT_REFERENCE")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference")), PathBuf::from);
    let folder = root.join("vsphere/recorded");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("TIERWRIGHT_PEERS").as_deref() != Ok("required"), "no recordings at {}", folder.display());
    eprintln!("skipped: no recorded vCenter traffic at {}", folder.display());
    None
}

/// A recorder of 2015 wrote `!!python/unicode` before its texts.
fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Tagged(tagged) => text(&tagged.value),
        _ => None,
    }
}

/// Bodies of the answers in one recording, in order.
fn answers(name: &str) -> Option<Vec<Vec<u8>>> {
    let yaml = std::fs::read_to_string(folder()?.join(name)).unwrap();
    let recording: Value = serde_yaml::from_str(&yaml).unwrap();
    let interactions = recording["interactions"].as_sequence().unwrap();
    let bodies = interactions.iter().map(|one| text(&one["response"]["body"]["string"]).unwrap());
    Some(bodies.map(|body| body.as_bytes().to_vec()).collect())
}

/// Reads one answer to its end.
fn read_whole(name: &str, body: Vec<u8>) {
    // Service versions come as plain XML; everything else is SOAP.
    if !body.windows(9).any(|window| window == b":Envelope") {
        let tree = Element::parse(&body, Limits::ANSWER);
        drop(tree.unwrap_or_else(|error| panic!("{name}: {error}")));
        return;
    }
    match Answer::judge(body) {
        Ok(answer) => drop(answer.tree().unwrap_or_else(|failure| panic!("{name}: {failure}"))),
        Err(Failure::Fault(fault)) => assert_ne!(fault.kind, "Fault", "{name}: {fault}"),
        Err(failure) => panic!("{name}: {failure}"),
    }
}

#[test]
fn every_recorded_answer_of_every_file_is_read_to_its_end() {
    let Some(folder) = folder() else { return };
    let mut read = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bodies = if path.extension().is_some_and(|extension| extension == "xml") {
            vec![std::fs::read(&path).unwrap()]
        } else {
            answers(&name).unwrap()
        };
        for body in bodies {
            read_whole(&name, body);
            *read.entry(name.clone()).or_insert(0) += 1;
        }
    }
    let files = std::fs::read_dir(folder).unwrap().count();
    println!("{} recorded answers in {files} files are read to their end", read.values().sum::<u32>());
    assert_eq!(read.len(), files, "each file holds an answer: {read:?}");
    assert!(read.values().sum::<u32>() > 100, "{read:?}");
}

#[test]
fn a_vcenter_says_what_it_is() {
    let Some(answers) = answers("basic_connection.yaml") else { return };
    let tree = Answer::judge(answers[0].clone()).unwrap();
    let tree = tree.tree().unwrap();
    let content = Content::of(tree.child("returnval").unwrap()).unwrap();
    assert!(content.is_vcenter);
    assert_eq!(content.api_version, "8.0.2.0");
    assert_eq!(content.product, "VMware vCenter Server 8.0.3 build-69507950");
    assert_eq!(&*content.root_folder.value, "group-d1");
}

#[test]
fn a_wrong_password_is_invalid_login_in_the_servers_words() {
    let Some(answers) = answers("basic_connection_bad_password.yaml") else { return };
    let Err(Failure::Fault(fault)) = Answer::judge(answers.last().unwrap().clone()) else { panic!("a fault") };
    assert_eq!(fault.error_kind(), crate::provider::ErrorKind::Denied);
    assert_eq!(fault.to_string(), "Cannot complete login due to an incorrect user name or password. (InvalidLogin)");
}

#[test]
fn the_devices_of_a_real_vm_are_understood() {
    let Some(answers) = answers("test_json_vm_explode_default.yaml") else { return };
    let mut seen = 0;
    for body in answers {
        let Ok(answer) = Answer::judge(body) else { continue };
        let tree = answer.tree().unwrap();
        let Some(hardware) = tree.child("returnval").and_then(|config| config.child("hardware")) else { continue };
        let disks = device::disks(hardware, &device::controllers(hardware), &mut model::Words::default());
        assert_eq!(disks.len(), 1);
        let disk = &disks[0];
        assert_eq!((&*disk.slot, disk.size), ("scsi0:0", model::Bytes::gib(2)));
        assert_eq!(disk.id.as_deref(), Some("6000C290-a113-6543-7d13-7363c08fe61d"));
        assert_eq!(disk.storage.as_deref(), Some("vsanDatastore"));
        assert!(!disk.shared && disk.parent.is_none());
        let mut hot = model::Hot::default();
        device::hot_devices(hardware, &device::controllers(hardware), &mut hot);
        assert!(hot.disks && hot.grow_disk);
        seen += 1;
    }
    assert_eq!(seen, 1);
}

/// A network card as a real server describes one; the recorded VM has none.
const CARD: &str = "<VirtualDevice xsi:type=\"VirtualVmxnet3\"><key>4000</key><deviceInfo><label>Network adapter 1</label>\
    </deviceInfo><backing xsi:type=\"VirtualEthernetCardDistributedVirtualPortBackingInfo\"><port><switchUuid>50 1a</switchUuid>\
    <portgroupKey>dvportgroup-7</portgroupKey></port></backing><connectable><startConnected>true</startConnected>\
    <connected>false</connected></connectable><controllerKey>100</controllerKey><macAddress>00:50:56:9F:00:01</macAddress>\
    </VirtualDevice>";

/// A page of an inventory with one VM that has these devices, and a network card.
fn page(hardware: &Element<'_>) -> Vec<u8> {
    let mut writer = Writer::document();
    writer.open("Envelope").attribute("xmlns:xsi", XSI).open("Body").open("RetrievePropertiesExResponse");
    writer.open("returnval").open("objects").open("obj").attribute("type", "VirtualMachine").text("vm-1").close();
    for (name, value) in [("config.hardware.numCPU", "2"), ("config.hardware.memoryMB", "4096")] {
        writer.open("propSet").leaf("name", name).leaf("val", value).close();
    }
    writer.open("propSet").leaf("name", "config.hardware.device").open("val");
    for device in hardware.children("device") {
        Node::from(device).write_as(&mut writer, "VirtualDevice");
    }
    writer.raw(CARD);
    writer.finish().unwrap().into_bytes()
}

#[test]
fn an_inventory_reads_of_a_real_vms_devices_all_that_matters() {
    let Some(answers) = answers("test_json_vm_explode_default.yaml") else { return };
    let mut seen = 0;
    for body in answers {
        let Ok(answer) = Answer::judge(body) else { continue };
        let tree = answer.tree().unwrap();
        let Some(hardware) = tree.child("returnval").and_then(|config| config.child("hardware")) else { continue };
        let bytes = Bytes::from(page(hardware));
        let [whole, facts] = [Each::whole(convert::heavy), Each::facts(convert::heavy)].map(|each| {
            let mut page = Page::new(each);
            page.add(std::slice::from_ref(&bytes)).unwrap();
            format!("{:?}", page.finish().unwrap())
        });
        for fact in ["6000C290-a113-6543-7d13-7363c08fe61d", "00:50:56:9f:00:01", "dvportgroup-7", "grow_disk: true"] {
            assert!(whole.contains(fact), "{fact}: {whole}");
        }
        assert_eq!(facts, whole);
        seen += 1;
    }
    assert_eq!(seen, 1);
}
