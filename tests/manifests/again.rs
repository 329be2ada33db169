//! Compiled from an earlier revision or from nothing: the outcome is the same to the last byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tierwright::manifest::again::{Earlier, compile_from};
use tierwright::manifest::{Compiled, SourceText, compile};
use tierwright::model::Revision;

/// Sequences of edits, and edits in each.
const SEQUENCES: u64 = 60;
const EDITS: usize = 40;

/// Files by path.
type Files = BTreeMap<String, String>;

fn head(kind: &str, name: &str) -> String {
    format!("apiVersion: tierwright.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n")
}

/// A tier; edits change what it offers, and with it what its VMs are.
fn tier(name: &str, rng: &mut StdRng) -> String {
    let firmware = ["uefi", "bios"][rng.random_range(0..2)];
    let more = if rng.random_bool(0.8) { ", db: {portGroup: b}" } else { "" };
    let reboot = if rng.random_bool(0.5) { ", allowReboot: always" } else { "" };
    format!(
        "{}spec:\n  endpoints: [vc]\n  placement: {{cluster: gold}}\n  images: {{debian: {{template: d}}}}\n  \
         networks: {{app: {{portGroup: a}}{more}}}\n  storage: {{fast: {{datastore: f}}}}\n  \
         defaults: {{firmware: {firmware}{reboot}}}\n",
        head("Tier", name)
    )
}

fn instance_type(rng: &mut StdRng) -> String {
    let tiers = if rng.random_bool(0.8) { "[t0, t1]" } else { "[t0]" };
    format!(
        "{}spec: {{cpus: {}, memory: {}GiB, tiers: {tiers}}}\n",
        head("InstanceType", "small"),
        rng.random_range(1..9),
        rng.random_range(1..9)
    )
}

/// A VM; one in some names what is not there, or what another has.
fn vm(number: usize, rng: &mut StdRng) -> String {
    let rare = |rng: &mut StdRng| rng.random_bool(0.03);
    let name = if rare(rng) { rng.random_range(0..30) } else { number };
    let mut text = head("VirtualMachine", &format!("vm-{name}, project: p{}", name % 3));
    let tier = if rare(rng) { "t9" } else { ["t0", "t1"][number % 2] };
    let _ = writeln!(text, "spec:\n  tier: {tier}");
    let _ = match rng.random_range(0..3) {
        0 => writeln!(text, "  instanceType: small"),
        1 => writeln!(text, "  instanceType: small\n  cpus: 3"),
        _ => writeln!(text, "  cpus: {}\n  memory: 4GiB", rng.random_range(1..5)),
    };
    if rng.random_bool(0.4) {
        let _ = writeln!(
            text,
            "  image: debian\n  disks: [{{name: root, size: 10GiB, storage: fast}}, {{name: d{number}, size: 1GiB}}]"
        );
    }
    if rng.random_bool(0.6) {
        let network = ["app", "app", "db"][rng.random_range(0..3)];
        let host = if rare(rng) { rng.random_range(1..30) } else { number + 1 };
        let _ = writeln!(
            text,
            "  nics: [{{name: eth0, network: {network}, mac: \"00:50:56:00:00:{host:02x}\", addresses: [10.0.0.{host}/24]}}]"
        );
    }
    if rng.random_bool(0.3) {
        let other =
            if rare(rng) { 99 } else { number.saturating_sub(rng.random_range(0..3)).max(usize::from(number > 0)) };
        let other = if other == number && !rare(rng) { 0 } else { other };
        if other != number || rare(rng) {
            let _ = writeln!(text, "  dependsOn: [p{}/vm-{other}]", other % 3);
        }
    }
    if rng.random_bool(0.05) {
        let former = if rare(rng) { rng.random_range(0..30) } else { 100 + number };
        let _ = writeln!(text, "  renamedFrom: p0/vm-{former}");
    }
    if rng.random_bool(0.05) {
        let id = if rare(rng) { 1 } else { number };
        let _ = writeln!(text, "  adopt: {{endpoint: vc, id: \"id-{id}\"}}");
    }
    if rare(rng) {
        text.push_str(["  cpu: 2\n", "  [\n", "  power: off\n", "\t\n"][rng.random_range(0..4)]);
    }
    text
}

/// Two VMs a file, mostly.
fn file(number: usize, rng: &mut StdRng) -> String {
    let mut text = vm(number * 2, rng);
    if rng.random_bool(0.9) {
        let _ = write!(text, "---\n{}", vm(number * 2 + 1, rng));
    }
    text
}

fn begin(rng: &mut StdRng) -> Files {
    let mut files: Files = (0..12).map(|number| (format!("vms/{number:02}.yaml"), file(number, rng))).collect();
    files.insert("tiers.yaml".into(), format!("{}---\n{}", tier("t0", rng), tier("t1", rng)));
    files.insert("types.yaml".into(), instance_type(rng));
    files
}

fn edit(files: &mut Files, rng: &mut StdRng) {
    let number = rng.random_range(0..15);
    let path = format!("vms/{number:02}.yaml");
    match rng.random_range(0..40) {
        0 => drop(files.insert("tiers.yaml".into(), format!("{}---\n{}", tier("t0", rng), tier("t1", rng)))),
        1 => drop(files.insert("types.yaml".into(), instance_type(rng))),
        2 => drop(files.insert(path, format!("{}---\n{}", file(number, rng), tier("t2", rng)))),
        3 => drop(files.insert(path, "# nothing here\n".into())),
        4 => drop(files.remove("types.yaml")),
        5..9 => drop(files.remove(&path)),
        9..12 => {
            if let Some(text) = files.remove(&path) {
                files.insert(format!("vms/moved-{number}.yaml"), text);
            }
        }
        12..15 => {
            if let Some(text) = files.get_mut(&path) {
                text.insert_str(0, "# a line more, and every place below moves\n");
            }
        }
        _ => drop(files.insert(path, file(number, rng))),
    }
}

fn texts(files: &Files) -> Vec<SourceText> {
    let text =
        |(path, text): (&String, &String)| SourceText { path: path.as_str().into(), bytes: text.as_bytes().into() };
    files.iter().map(text).collect()
}

/// What the next one may be compiled from.
fn earlier<'c>(compiled: &'c Compiled, texts: &'c [SourceText]) -> Option<Earlier<'c>> {
    let desired = compiled.desired.as_ref().filter(|_| compiled.diagnostics.is_empty())?;
    Some(Earlier { texts, desired, common: &compiled.common })
}

#[test]
fn compiled_from_an_earlier_revision_it_is_what_it_is_from_nothing() {
    let (mut taken, mut good, mut bad) = (0, 0, 0);
    for seed in 0..SEQUENCES {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut files = begin(&mut rng);
        let mut before = (texts(&files), compile(Revision("r".into()), &texts(&files)));
        for number in 0..EDITS {
            let kept = files.clone();
            for _ in 0..rng.random_range(1..3) {
                edit(&mut files, &mut rng);
            }
            let now = texts(&files);
            let revision = Revision(format!("r{number}"));
            let whole = compile(revision.clone(), &now);
            // One after the other, so that what was taken over is taken over again.
            let again = earlier(&before.1, &before.0).and_then(|earlier| compile_from(earlier, revision, &now));
            if let Some(again) = &again {
                assert_eq!(*again, whole, "seed {seed}, edit {number}");
                taken += 1;
            }
            let is_good = whole.diagnostics.is_empty();
            (good, bad) = (good + usize::from(is_good), bad + usize::from(!is_good));
            if is_good {
                before = (now, again.unwrap_or(whole));
            } else if rng.random_bool(0.8) {
                // Most mistakes are mended at once; the others stay, and the earlier one is from before them.
                files = kept;
            }
        }
    }
    assert!(taken * 2 > good, "{taken} of {good} good revisions were compiled from an earlier one");
    assert!(bad > 200, "{bad} revisions with something wrong");
}

#[test]
fn a_vm_that_stands_is_the_very_same_one() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut files: Files = (0..12)
        .map(|n| {
            (
                format!("{n:02}.yaml"),
                format!("{}spec: {{tier: t0, cpus: 1, memory: 1GiB}}\n", head("VirtualMachine", &format!("vm-{n}"))),
            )
        })
        .collect();
    files.insert("tiers.yaml".into(), tier("t0", &mut rng));
    let old = texts(&files);
    let first = compile(Revision("1".into()), &old);
    files.get_mut("03.yaml").unwrap().push_str("# read again\n");
    let again = compile_from(earlier(&first, &old).unwrap(), Revision("2".into()), &texts(&files)).unwrap();
    let (first, again) = (first.desired.unwrap(), again.desired.unwrap());
    let shared = first.vms.iter().filter(|(key, vm)| Arc::ptr_eq(vm, &again.vms[*key])).count();
    assert_eq!((first.vms.len(), shared), (12, 11));
}
