//! No secret anywhere: canaries stand in passwords and user data, then everything that is written or said is searched
//! for them, at the most talkative log level, when things go well and when they fail.

use std::path::Path;

use base64::Engine as _;
use tierwright::lab::{Effect, FaultRule, LabOptions, NamedFault};

use crate::harness::LabBench;

const INLINE: &str = "canary-inline-6b1f0e";
const FILE: &str = "canary-file-93c2d7";
const WRONG_PASSWORD: &str = "canary-wrong-password-51aa";
/// Makes the lab's password one that nothing else contains: `lab-vc-prod-73915`.
const SEED: u64 = 73915;
const RIGHT_PASSWORD: &str = "lab-vc-prod-73915";

struct Search {
    needles: Vec<Vec<u8>>,
    said: Vec<(String, Vec<u8>)>,
}

impl Search {
    fn new() -> Self {
        let canaries = [INLINE, FILE, WRONG_PASSWORD, RIGHT_PASSWORD];
        Self { needles: canaries.iter().flat_map(|canary| disguises(canary)).collect(), said: Vec::new() }
    }

    fn run(&mut self, bench: &LabBench, line: &str, code: i32) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ran = bench.run(&words).expect(code);
        self.said.push((format!("stdout of {line}"), ran.stdout.into_bytes()));
        self.said.push((format!("stderr of {line}"), ran.stderr.into_bytes()));
    }

    fn files(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).expect("it is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                self.files(&path);
            } else {
                self.said.push((path.display().to_string(), std::fs::read(&path).expect("it can be read")));
            }
        }
    }

    fn nothing_found(&self) {
        let total: usize = self.said.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(total > 100_000, "only {total} bytes were searched: is the trace log on?");
        for (place, bytes) in &self.said {
            for needle in &self.needles {
                let found = bytes.windows(needle.len()).position(|window| window == needle.as_slice());
                if let Some(at) = found {
                    let around = &bytes[at.saturating_sub(200)..(at + needle.len() + 50).min(bytes.len())];
                    panic!("{} in {place}: …{}…", String::from_utf8_lossy(needle), String::from_utf8_lossy(around));
                }
            }
        }
    }
}

/// The text itself, and what stands for it in base64 wherever it begins within three bytes.
fn disguises(text: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![text.as_bytes().to_vec()];
    for before in 0..3 {
        let padded = format!("{}{text}", &"   "[..before]);
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(padded);
        // Without the characters that neighbours share.
        forms.push(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
    }
    forms
}

fn bench() -> LabBench {
    let mut bench = LabBench::with(LabOptions { vms: 2, seed: SEED, ..LabOptions::default() });
    let user_data = |text: &str| format!("#cloud-config\npassword: {text}\n");
    bench.write("user-data/report.cfg", &user_data(FILE));
    let inline = format!("  power: running\n  cloudInit: {{userData: \"#cloud-config\\npassword: {INLINE}\\n\"}}");
    bench.edit("shop.yaml", "  power: running", &inline);
    let file = "  memory: 4GiB\n  cloudInit: {userDataFile: report.cfg}";
    bench.edit("report.yaml", "  memory: 4GiB", file);
    bench.var("TIERWRIGHT_LOG", "trace");
    bench
}

#[test]
fn secrets_stand_nowhere_but_on_the_wire() {
    let bench = bench();
    let mut search = Search::new();
    search.run(&bench, "validate manifests", 0);
    search.run(&bench, "check", 0);
    for format in ["text", "json", "yaml", "markdown", "diff"] {
        search.run(&bench, &format!("plan -o {format}"), 0);
    }
    // A server that fails in the middle: its words are shown, ours are not.
    let fault = NamedFault { fault: "GenericVmConfigFault".into(), message: Some("disk on fire".into()) };
    bench.lab.faults().add(FaultRule::nth("CloneVM_Task", None, 1, Effect::FailTask(fault)));
    search.run(&bench, "plan --out plan.json", 0);
    search.run(&bench, "apply --yes", 1);
    search.run(&bench, "apply --yes", 0);
    search.run(&bench, "drift", 0);
    for kind in ["vms", "tiers", "endpoints", "inventory"] {
        search.run(&bench, &format!("get {kind} -o json"), 0);
    }
    let there = bench
        .lab
        .world()
        .with(|world| world.vm_named("shop-report").and_then(|vm| vm.setting("guestinfo.userdata").map(str::to_owned)));
    let sent = base64::engine::general_purpose::STANDARD.decode(there.expect("user data reached the VM"));
    assert!(String::from_utf8_lossy(&sent.expect("base64")).contains(FILE), "the canary was really used");

    // A mistake on the very line that holds a secret: problems are shown with their source lines.
    bench.edit("shop.yaml", "cloudInit: {", "cloudInit: {userDta: x, ");
    for line in ["validate manifests", "validate manifests -o json", "plan", "apply --yes", "get tiers"] {
        search.run(&bench, line, 1);
    }
    bench.edit("shop.yaml", "userDta: x, ", "");
    bench.edit("shop.yaml", "  power: running\n  cloudInit", "  power: sideways\n  cloudInit");
    search.run(&bench, "validate manifests -o json", 1);
    bench.edit("shop.yaml", "sideways", "running");

    bench.write("secrets/vc-prod", WRONG_PASSWORD);
    search.run(&bench, "check", 1);
    search.run(&bench, "plan", 4);
    search.run(&bench, "get inventory -o json", 4);
    search.files(&bench.path().join("state"));
    search.said.push(("plan.json".into(), std::fs::read(bench.path().join("plan.json")).expect("saved")));
    search.nothing_found();
}

#[test]
fn the_search_finds_a_canary_plain_and_in_base64() {
    for before in ["", "a", "ab", "abc"] {
        let hidden = base64::engine::general_purpose::STANDARD.encode(format!("{before}{FILE}\n"));
        for text in [format!("x{FILE}y"), format!("<value>{hidden}</value>")] {
            let mut search = Search::new();
            search.said.push(("padding".into(), vec![b'-'; 100_001]));
            search.said.push(("here".into(), text.clone().into_bytes()));
            let searched = std::panic::catch_unwind(|| search.nothing_found());
            assert!(searched.is_err(), "not found in {text}");
        }
    }
}
