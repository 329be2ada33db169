//! Scripts: commands with the whole output expected of them, run by the real binary against the lab.
//!
//! ```text
//! ; told to the reader
//! $ tierwright plan                        run; everything up to the next such line is its expected output
//! $ tierwright apply --approve $DIGEST     the digest that the last output showed to approve
//! > edit shop.yaml: 16GiB => 32GiB         changes a manifest
//! > away report.yaml                       takes a manifest away        > back report.yaml
//! > lab move shop-db-01 to VM Network      changes the VM behind tierwright's back
//! > lab off shop-web-01                    > lab gone, > lab back: it drops every connection, or no longer
//! > lab deny VirtualMachine.Config.Memory  the account may not        > password TEXT: another password
//! > lab changes                            prints the changing calls since it was last asked
//! ```

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tierwright::lab::world::Power;
use tierwright::lab::{Effect, FaultRule};

use crate::harness::{LabBench, as_reviewed};

struct Stage {
    bench: LabBench,
    last: String,
    counted: u64,
}

/// Runs every script below `tests/cli/scripts`; one that differs does not hide the others.
#[test]
fn scripts_run_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/scripts");
    let entries = std::fs::read_dir(&folder).expect("the folder of scripts is part of the crate");
    let mut scripts: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 3, "{} scripts", scripts.len());
    let mut broken = Vec::new();
    for script in scripts {
        let name = script.file_name().expect("a file").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&script).expect("a text");
        let played = play(&text);
        let compared = std::panic::catch_unwind(|| as_reviewed(&format!("scripts/{name}"), &played));
        if compared.is_err() {
            broken.push(name);
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}

/// The script as it would have to be written for what happens now.
fn play(script: &str) -> String {
    let mut stage = Stage { bench: LabBench::new(), last: String::new(), counted: 0 };
    let mut played = String::new();
    for line in script.lines() {
        if line.starts_with("; ") || line.starts_with("$ ") {
            paragraph(&mut played);
        }
        if line.starts_with("; ") {
            let _ = writeln!(played, "{line}");
        } else if let Some(command) = line.strip_prefix("$ tierwright ") {
            let _ = writeln!(played, "{line}");
            played.push_str(&stage.run(command));
        } else if let Some(action) = line.strip_prefix("> ") {
            let _ = writeln!(played, "{line}");
            played.push_str(&stage.act(action));
        }
    }
    played
}

/// A blank line before what begins, unless only comments and actions lead to it.
fn paragraph(played: &mut String) {
    if played.lines().last().is_some_and(|line| !line.starts_with("; ") && !line.starts_with("> ")) {
        played.push('\n');
    }
}

impl Stage {
    fn run(&mut self, command: &str) -> String {
        let command = command.replace("$DIGEST", &self.digest());
        let (command, file) = command.split_once(" > ").unwrap_or((&command, ""));
        let words: Vec<&str> = command.split_whitespace().collect();
        let mut ran = self.bench.run(&words);
        self.last.clone_from(&ran.stdout);
        if !file.is_empty() {
            self.bench.write(file, &std::mem::take(&mut ran.stdout));
        }
        self.bench.filtered(&ran.transcript())
    }

    /// What the last output said to approve.
    fn digest(&self) -> String {
        let hex = |word: &&str| word.len() >= 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let after = self.last.rsplit("--approve").next().unwrap_or_default();
        after.split_whitespace().find(hex).unwrap_or("000000000000").to_owned()
    }

    fn act(&mut self, action: &str) -> String {
        let (verb, rest) = action.split_once(' ').unwrap_or((action, ""));
        match verb {
            "edit" => {
                let (file, change) = rest.split_once(": ").expect("> edit FILE: OLD => NEW");
                let (old, new) = change.split_once(" => ").expect("> edit FILE: OLD => NEW");
                self.bench.edit(file, old, &new.replace("\\n", "\n"));
            }
            "away" => self.bench.rename(rest, &format!("{rest}.away")),
            "back" => self.bench.rename(&format!("{rest}.away"), rest),
            "password" => {
                self.bench.write("secrets/vc-prod", rest);
            }
            "lab" => return self.lab(rest),
            other => panic!("no such action: {other}"),
        }
        String::new()
    }

    fn lab(&mut self, action: &str) -> String {
        if action == "changes" {
            let total: u64 = self.bench.lab.record().mutating_counts().values().sum();
            let since = total - self.counted;
            self.counted = total;
            return format!("{since}\n");
        }
        match action {
            "gone" => {
                self.bench.lab.faults().add(FaultRule::always(None, None, Effect::Drop));
            }
            "back" => self.bench.lab.faults().clear(),
            _ if action.starts_with("deny ") => {
                let right = action.trim_start_matches("deny ").to_owned();
                self.bench.lab.faults().add(FaultRule::always(None, None, Effect::Deny(right)));
            }
            _ => self.by_hand(action),
        }
        String::new()
    }

    /// What a person does at the console.
    fn by_hand(&self, action: &str) {
        let world = self.bench.lab.world();
        let done = match action.split_once(' ') {
            Some(("off", name)) => world.with(|world| {
                let id = world.vm_named(name).map(|vm| vm.id);
                id.is_some_and(|id| world.set_power(id, Power::Off))
            }),
            Some(("move", rest)) => {
                let (name, network) = rest.split_once(" to ").expect("> lab move VM to NETWORK");
                world.with(|world| {
                    let id = world.networks.values().find(|there| *there.name == *network).map(|there| there.id);
                    id.is_some() && world.edit_named(name, |vm| vm.nics[0].network = id)
                })
            }
            _ => panic!("no such action: lab {action}"),
        };
        assert!(done, "lab {action}");
    }
}
