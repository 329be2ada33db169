//! What manifests come to: defaults, instance types, normal forms.

use std::sync::Arc;

use tierwright::manifest::{Compiled, SourceText, compile};
use tierwright::model::{
    AllowReboot, Bytes, CloudInit, Firmware, GuestOs, HypervisorType, OnRemove, Prune, Revision, VmKey, VmSpec,
};

const TIER: &str = "apiVersion: tierwright.dev/v1
kind: Tier
metadata: {name: t}
spec:
  endpoints: [vc]
  images: {debian: {template: tmpl}}
  networks: {app: {portGroup: PG}}
  storage: {fast: {datastore: nvme}}
  defaults: {firmware: bios, allowReboot: always}
---
apiVersion: tierwright.dev/v1
kind: InstanceType
metadata: {name: big}
spec: {cpus: 8, memory: 32GiB, tiers: [t]}
---
";

fn compiled(text: &str) -> Compiled {
    compile(Revision("r".into()), &[SourceText { path: Arc::from("a.yaml"), bytes: text.as_bytes().into() }])
}

fn vm(spec: &str) -> VmSpec {
    let text = format!(
        "{TIER}apiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {{project: p, name: vm}}\nspec: {spec}\n"
    );
    let compiled = compiled(&text);
    let desired = compiled.desired.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    VmSpec::clone(&desired.vms[&VmKey::new("p", "vm").expect("a key")])
}

#[test]
fn a_vm_of_an_instance_type_takes_its_sizes_and_overrides_them() {
    let vm = vm("{tier: t, instanceType: big, memory: 48GiB}");
    assert_eq!((vm.cpus, vm.memory), (8, Bytes::gib(48)));
    assert_eq!(vm.instance_type.as_deref(), Some("big"));
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let vm = vm("{tier: t, cpus: 1, memory: 4MiB}");
    assert_eq!(vm.guest_os, GuestOs::Linux);
    assert_eq!(vm.on_remove, OnRemove::Delete);
    assert_eq!((vm.shutdown.timeout_seconds, vm.shutdown.force), (300, false));
    assert_eq!((vm.power, vm.image, vm.cloud_init), (None, None, None));
    assert!(!vm.prevent_destroy && !vm.delete_disks);
    assert!(vm.disks.is_empty() && vm.nics.is_empty());
}

#[test]
fn tier_defaults_hold_unless_the_vm_says_otherwise() {
    let by_tier = vm("{tier: t, cpus: 1, memory: 1GiB}");
    assert_eq!((by_tier.firmware, by_tier.allow_reboot), (Firmware::Bios, AllowReboot::Always));
    let own = vm("{tier: t, cpus: 1, memory: 1GiB, firmware: uefi, allowReboot: never}");
    assert_eq!((own.firmware, own.allow_reboot), (Firmware::Uefi, AllowReboot::Never));
}

#[test]
fn macs_and_ids_come_in_one_form() {
    let vm = vm("{tier: t, cpus: 1, memory: 1GiB, adopt: {endpoint: vc, id: ABC-DEF},
        nics: [{name: a, network: app, mac: 00-50-56-AA-BB-CC, addresses: [\"2001:DB8:0::5/64\"], gateway: \"2001:db8::1\"}]}");
    assert_eq!(vm.nics[0].mac.as_deref(), Some("00:50:56:aa:bb:cc"));
    assert_eq!(vm.nics[0].addresses, ["2001:db8::5/64"]);
    assert_eq!(vm.adopt.expect("adopted").id.as_str(), "abc-def");
}

#[test]
fn a_plain_mac_and_words_that_only_yaml_1_1_takes_for_something_else_are_text() {
    let vm = vm("{tier: t, cpus: 1, memory: 1GiB, nics: [{name: no, network: app, mac: 00:50:56:00:00:01}]}");
    assert_eq!(&*vm.nics[0].name, "no");
}

#[test]
fn user_data_is_kept_as_written_and_hidden() {
    let vm = vm("{tier: t, cpus: 1, memory: 1GiB, cloudInit: {userData: \"#cloud-config\\npassword: CANARY\\n\"}}");
    assert!(!format!("{vm:?}").contains("CANARY"));
    let Some(CloudInit::Inline(secret)) = vm.cloud_init else { panic!("inline user data") };
    assert_eq!(secret.expose(), "#cloud-config\npassword: CANARY\n");
}

#[test]
fn user_data_that_looks_like_a_number_is_still_text() {
    let vm = vm("{tier: t, cpus: 1, memory: 1GiB, cloudInit: {userData: 4711}}");
    let Some(CloudInit::Inline(secret)) = vm.cloud_init else { panic!("inline user data") };
    assert_eq!(secret.expose(), "4711");
}

#[test]
fn an_alias_stands_for_its_whole_value() {
    let vm = vm("{tier: t, cpus: 1, memory: &size 1GiB, disks: [{name: root, size: *size}]}");
    assert_eq!(vm.disks[0].size, Bytes::gib(1));
}

#[test]
fn the_tier_says_its_hypervisor_by_its_fields() {
    let desired = compiled(TIER).desired.expect("a valid tier");
    let tier = desired.tiers.values().next().expect("one tier");
    assert_eq!(tier.hypervisor, Some(HypervisorType::Vsphere));
    assert_eq!((tier.sync.prune, tier.sync.grace_days), (Prune::Confirm, 7));
    assert_eq!(tier.images["debian"].source, "tmpl");
    let bare = compiled("apiVersion: tierwright.dev/v1\nkind: Tier\nmetadata: {name: t}\nspec: {endpoints: [e]}\n");
    assert_eq!(bare.desired.expect("a valid tier").tiers.values().next().expect("one").hypervisor, None);
}

#[test]
fn byte_order_mark_and_crlf_change_nothing() {
    let crlf = format!("\u{feff}{}", TIER.replace('\n', "\r\n"));
    let (plain, windows) = (compiled(TIER), compiled(&crlf));
    assert_eq!(windows.diagnostics, plain.diagnostics);
    assert_eq!(windows.desired.expect("valid").tiers, plain.desired.expect("valid").tiers);
}

#[test]
fn an_origin_is_the_place_of_the_name() {
    let vm = vm("{tier: t, cpus: 1, memory: 1GiB}");
    assert_eq!((&*vm.origin.path, vm.origin.line, vm.origin.column), ("a.yaml", 18, 30));
}

#[test]
fn texts_without_a_document_are_no_manifest() {
    for text in ["", "\n\n", "# only a comment\n", "---\n---\n...\n", "\u{feff}"] {
        let compiled = compiled(text);
        assert_eq!((compiled.manifests, compiled.diagnostics.len()), (0, 0), "{text:?}");
    }
}
