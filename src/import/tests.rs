use std::sync::Arc;

use super::*;
use crate::manifest::{SourceText, compile};
use crate::model::{Config, NetworkTarget, Placed, Revision};
use crate::plan::sample::{self, config_mut};

const TIER: &str = "apiVersion: tierwright.dev/v1
kind: Tier
metadata: {name: t1}
spec:
  endpoints: [vc]
  placement: {storage: flash}
  networks: {app: {portGroup: PG-APP}, db: {portGroup: PG-DB}}
  storage: {fast: {datastore: nvme}}
";

/// An unmanaged VM, as it would be if the manifest had been applied and the mark taken off.
fn unmanaged(name: &str, id: &str) -> ObservedVm {
    let bare = sample::bare(id, "any", &sample::spec("p/any"), &sample::tier("t1", &["vc"]));
    ObservedVm { name: name.into(), ..bare }
}

struct Site {
    observed: Observed,
    desired: Desired,
    history: History,
}

impl Site {
    fn of(vms: Vec<ObservedVm>) -> Self {
        Self { observed: sample::observed(vms), desired: compiled(TIER), history: History::default() }
    }

    fn import(&self, chosen: Option<&[&str]>) -> Imported {
        let chosen: Option<Vec<String>> = chosen.map(|chosen| chosen.iter().map(|&text| text.to_owned()).collect());
        import(&ImportRequest {
            endpoint: &sample::endpoint("vc"),
            observed: &self.observed,
            desired: &self.desired,
            history: &self.history,
            installation: sample::INSTALLATION,
            tier: None,
            project: "old",
            chosen: chosen.as_deref(),
        })
    }

    fn keys(&self) -> Vec<String> {
        self.import(None).vms.iter().map(|vm| vm.key.to_string()).collect()
    }

    fn why(&self) -> Vec<String> {
        self.import(None).left_out.into_iter().map(|left_out| left_out.why).collect()
    }
}

fn compiled(text: &str) -> Desired {
    let text = SourceText { path: Arc::from("a.yaml"), bytes: text.as_bytes().into() };
    let compiled = compile(Revision::default(), &[text]);
    compiled.desired.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

/// What is printed, read back.
fn read_back(imported: &Imported) -> Desired {
    compiled(&imported.vms.iter().fold(TIER.to_owned(), |text, vm| text + &write(vm)))
}

#[test]
fn a_manifest_says_the_vm_in_the_words_of_its_tier() {
    let mut vm = unmanaged("db-01", "id-1");
    let config = config_mut(&mut vm);
    config.firmware = Firmware::Bios;
    config.guest_os = GuestOs::Windows;
    let mut second = config.disks[0].clone();
    (second.slot, second.storage) = ("scsi0:1".into(), Some("nvme".into()));
    config.disks.push(second.clone());
    (second.slot, second.storage) = ("scsi0:2".into(), Some("slow tape".into()));
    config.disks.push(second);
    config.nics[0].connected = false;
    let imported = Site::of(vec![vm]).import(None);
    let text = write(&imported.vms[0]);
    let expected = "---
# db-01: on esx-1
# Disk disk2 lies on slow tape, for which t1 has no word.
apiVersion: tierwright.dev/v1
kind: VirtualMachine
metadata: {project: old, name: db-01}
spec:
  tier: t1
  cpus: 2
  memory: 4GiB
  guestOs: windows
  firmware: bios
  disks:
    - {name: root, size: 20GiB}
    - {name: disk1, size: 20GiB, storage: fast}
    - {name: disk2, size: 20GiB}
  nics:
    - {name: eth0, network: app}
  ignoreDrift: [nics/eth0/connected]
  adopt: {endpoint: vc, id: \"id-1\"}
";
    assert_eq!(text, expected);
    let desired = read_back(&imported);
    let spec = &desired.vms[&sample::key("old/db-01")];
    assert_eq!((spec.cpus, spec.disks.len(), spec.firmware), (2, 3, Firmware::Bios));
}

#[test]
fn the_value_says_what_the_text_says() {
    let imported = Site::of(vec![unmanaged("007", "id-1"), unmanaged("web: 01", "id-2")]).import(None);
    for vm in &imported.vms {
        let from_text: serde_json::Value = serde_yaml::from_str(&write(vm)).expect("YAML");
        assert_eq!(value(vm), from_text);
    }
}

#[test]
fn names_that_are_no_keys_become_keys_and_the_vm_keeps_its_name() {
    let names = ["Größe/1", "(old) web", "a\n---\nkind: Tier", "true", "\u{202e}x", "***", "ok name_1.x"];
    let vms = names.iter().enumerate().map(|(n, name)| unmanaged(name, &format!("id-{n}"))).collect();
    let imported = Site::of(vms).import(None);
    assert!(imported.left_out.is_empty());
    let desired = read_back(&imported);
    assert_eq!(desired.vms.len(), names.len());
    for vm in &imported.vms {
        let spec = &desired.vms[&vm.key];
        let is_key = ["true", "ok name_1.x"].contains(&spec.key.name().as_str());
        assert_eq!(spec.ignore_drift.contains("name"), !is_key, "{}", spec.key);
    }
    assert!(desired.vms.contains_key(&sample::key("old/Gr-e-1")));
}

#[test]
fn two_vms_of_one_name_get_the_same_keys_whatever_is_imported_with_them() {
    let site = Site::of(vec![unmanaged("web", "id-1"), unmanaged("WEB", "id-2"), unmanaged("db", "id-3")]);
    let all = site.import(None);
    assert_eq!(read_back(&all).vms.len(), 3);
    for vm in &all.vms {
        let alone = site.import(Some(&[vm.adopt.id.as_str()]));
        assert_eq!(alone.vms, std::slice::from_ref(vm));
    }
    assert!(
        site.keys()[2].starts_with("old/web-") && site.keys()[2].len() == "old/web-".len() + 6,
        "{:?}",
        site.keys()
    );
}

#[test]
fn a_key_that_is_taken_is_not_taken_again() {
    let mut site = Site::of(vec![unmanaged("web", "id-1")]);
    assert_eq!(site.keys(), ["old/web"]);
    site.desired = compiled(&format!(
        "{TIER}---\napiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {{project: other, name: Web}}\n\
         spec: {{tier: t1, cpus: 1, memory: 1GiB}}\n"
    ));
    assert_ne!(site.keys(), ["old/web"], "two VMs of one tier cannot have one name");
}

#[test]
fn what_is_not_nobodys_is_left_out() {
    let tier = sample::tier("t1", &["vc"]);
    let ours = sample::applied(&sample::spec("p/ours"), &tier);
    let mut clone = sample::applied(&sample::spec("p/ours"), &tier);
    clone.id = OwnId::new("copy");
    let mut foreign = sample::applied(&sample::spec("p/theirs"), &tier);
    let config = config_mut(&mut foreign);
    config.mark = config.mark.as_ref().map(|mark| mark.replace("\"prod\"", "\"test\""));
    let mut unreadable = unmanaged("unreadable", "id-3");
    unreadable.config = Config::Unreadable("no permission".into());
    let site = Site::of(vec![ours, clone, foreign, unreadable]);
    let imported = site.import(None);
    assert_eq!((imported.vms.len(), imported.managed, imported.left_out.len()), (0, 1, 3));
    let asked = site.import(Some(&["ours"]));
    assert_eq!(asked.left_out.len(), 2, "asked for by name it is told of: {asked:?}");
}

#[test]
fn what_a_manifest_cannot_say_is_told_with_the_reason() {
    let odd = |name: &str, change: &dyn Fn(&mut VmConfig)| {
        let mut vm = unmanaged(name, name);
        change(config_mut(&mut vm));
        vm
    };
    let site = Site::of(vec![
        odd("a", &|config| config.memory = Bytes::mib(1030)),
        odd("b", &|config| config.disks[0].size = Bytes(1_000_000)),
        odd("c", &|config| config.nics[0].network = None),
        odd("d", &|config| config.nics[0].network = Some(NetworkTarget { name: "PG-X".into(), vlan: Some(7) })),
        odd("e", &|config| config.template = true),
        odd("f", &|config| config.disks[0].shared = true),
    ]);
    let why = site.why();
    let parts = ["multiple of 4MiB", "multiple of 1MiB", "is not told", "PG-X (VLAN 7)", "template", "shared"];
    assert_eq!(why.len(), parts.len());
    for (why, part) in why.iter().zip(parts) {
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn the_tier_that_fits_best_is_taken_and_two_that_fit_alike_are_told() {
    let second = TIER.replace("name: t1", "name: t2").replace("{storage: flash}", "{cluster: silver, storage: flash}");
    let mut vm = unmanaged("web", "id-1");
    vm.placed = Placed { cluster: Some("silver".into()), ..Placed::default() };
    let mut site = Site::of(vec![vm]);
    site.desired = compiled(&format!("{TIER}---\n{second}"));
    assert_eq!(site.import(None).vms[0].tier.as_str(), "t2");
    site.observed.vms[0].placed.cluster = Some("gold".into());
    assert_eq!(site.import(None).vms[0].tier.as_str(), "t1");
    site.desired = compiled(&format!("{TIER}---\n{}", TIER.replace("name: t1", "name: t2")));
    assert!(site.why()[0].contains("it fits t1 and t2"), "{:?}", site.why());
}

#[test]
fn what_names_no_vm_is_told_with_what_was_meant() {
    let site = Site::of(vec![unmanaged("erp-db-01", "id-1")]);
    let imported = site.import(Some(&["erp-db-1", "ID-1"]));
    assert_eq!(imported.unmatched, [("erp-db-1".to_owned(), Some("erp-db-01".to_owned()))]);
    assert_eq!(imported.vms.len(), 1);
}
