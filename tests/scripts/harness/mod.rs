//! Runs one script: a lab, a folder of manifests, the binary, and the whole output compared.

mod lab;
mod mask;
mod source;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tierwright::lab::Lab;

/// One script's world.
struct Stage {
    runtime: tokio::runtime::Runtime,
    lab: Lab,
    dir: tempfile::TempDir,
    settings: PathBuf,
    /// The digest that the last output asked to approve.
    approval: String,
    /// A mark kept by `lab keep-mark`.
    kept_mark: Option<String>,
    /// How many mutating calls earlier `calls` lines have printed.
    calls_seen: usize,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// The names of all scripts there are, sorted.
pub fn script_files() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the scripts' folder is there")
        .map(|entry| entry.expect("a folder entry").file_name().to_string_lossy().into_owned())
        .filter(|name| std::path::Path::new(name).extension().is_some_and(|kind| kind == "txt"))
        .collect();
    names.sort();
    names
}

/// Runs a script and compares it with what it should print.
pub fn run(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let wanted = std::fs::read_to_string(&path).expect("the script is there");
    let mut stage = Stage::new();
    let mut got = String::new();
    for line in wanted.lines() {
        if line.is_empty() || line.starts_with("    ") || line.starts_with('[') {
            continue; // what an earlier run printed
        }
        got.push_str(line);
        got.push('\n');
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            stage.line(line, &mut got);
        }
    }
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, &got).expect("the script can be rewritten");
    } else if got != wanted {
        let diff = similar::TextDiff::from_lines(&wanted, &got);
        panic!("{name}: the output differs\n{}", diff.unified_diff().context_radius(4).header("wanted", "got"));
    }
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime for the lab");
        let lab = runtime.block_on(lab::start());
        source::write_tier(dir.path(), &[]);
        let settings = lab::write_settings(&lab, dir.path());
        Self { runtime, lab, dir, settings, approval: String::new(), kept_mark: None, calls_seen: 0 }
    }

    fn line(&mut self, line: &str, out: &mut String) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        let root = self.dir.path().to_owned();
        match word {
            "$" => drop(self.tierwright(rest, out)),
            "brief" => {
                let mut whole = String::new();
                self.tierwright(rest, &mut whole);
                out.push_str(&shortened(&whole));
            }
            "into" => {
                let (name, args) = rest.split_once(' ').expect("into NAME ARGS");
                let stdout = self.tierwright(args, out);
                source::write_text(&root, name, stdout.trim_end());
            }
            "edit" => {
                let (name, change) = rest.split_once(' ').expect("edit NAME OLD => NEW");
                let (old, new) = change.split_once(" => ").expect("edit NAME OLD => NEW");
                source::edit(&root, name, old, &new.replace("\\n", "\n"));
            }
            "adopt" => {
                let id = lab::own_id(&self.lab, words[1]);
                source::append(&root, words[0], &format!("  adopt: {{endpoint: vc-prod, id: \"{id}\"}}"));
            }
            "vm" => source::write_vm(&root, words[0], &words[1..]),
            "vms" => {
                for n in 1..=words[1].parse::<u32>().expect("a count") {
                    source::write_vm(&root, &format!("{}-{n:03}", words[0]), &words[2..]);
                }
            }
            "tier" => source::write_tier(&root, &words),
            "text" => source::write_text(&root, words[0], rest.split_once(' ').map_or("", |(_, text)| text)),
            "rm" => source::remove(&root, &words),
            "rm-all" => source::remove_all(&root),
            "rm-source" => source::remove_source(&root),
            "lab" => self.change_lab(&words, out),
            "fault" => lab::fault(&self.lab, &words),
            "calls" => self.print_calls(out),
            "calls-count" => self.count_calls(out),
            _ => panic!("unknown line `{line}`"),
        }
    }

    /// Runs it, tells what it says, and gives what it printed on stdout.
    fn tierwright(&mut self, rest: &str, out: &mut String) -> String {
        let rest = rest.replace("$APPROVAL", &self.approval);
        let output = Command::new(env!("CARGO_BIN_EXE_tierwright"))
            .args(rest.split_whitespace())
            .current_dir(self.dir.path())
            .env_clear()
            .env("TIERWRIGHT_CONFIG", &self.settings)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TIERWRIGHT_LOG", "error")
            .output()
            .expect("the binary runs");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        for text in [&stdout, &stderr] {
            if let Some(digest) = mask::digest_asked_for(text) {
                self.approval = digest;
            }
        }
        let root = self.dir.path().to_string_lossy().into_owned();
        let lines = stdout.lines().chain(stderr.lines()).map(|line| mask::mask(&line.replace(&root, "$DIR")));
        for line in in_order(lines.collect()) {
            out.push_str(format!("    {line}").trim_end());
            out.push('\n');
        }
        match output.status.code() {
            Some(0) => {}
            code => {
                let _ = writeln!(out, "[{}]", code.map_or_else(|| "killed".into(), |code| code.to_string()));
            }
        }
        stdout.into_owned()
    }

    fn change_lab(&mut self, words: &[&str], out: &mut String) {
        for line in lab::change(&self.lab, words, &mut self.kept_mark) {
            let _ = writeln!(out, "    {line}");
        }
    }

    /// The order of calls on different VMs depends on the scheduler, so they are printed by VM.
    fn print_calls(&mut self, out: &mut String) {
        let all = self.lab.record().mutating();
        let mut lines: Vec<(String, usize, String)> = all[self.calls_seen.min(all.len())..]
            .iter()
            .enumerate()
            .map(|(n, call)| (call.vm.clone().unwrap_or_else(|| "-".into()), n, call.operation.clone()))
            .collect();
        self.calls_seen = all.len();
        lines.sort();
        if lines.is_empty() {
            out.push_str("    none\n");
        }
        for (vm, _, operation) in lines {
            let _ = writeln!(out, "    {}: {operation}", mask::mask(&vm));
        }
    }
}

/// The first ten lines and the last eight of a long output.
fn shortened(whole: &str) -> String {
    let lines: Vec<&str> = whole.lines().collect();
    if lines.len() <= 20 {
        return whole.to_owned();
    }
    let (first, last) = (&lines[..10], &lines[lines.len() - 8..]);
    format!("{}\n    ... {} lines ...\n{}\n", first.join("\n"), lines.len() - 18, last.join("\n"))
}

/// Steps on different VMs end in any order; what is told of them is sorted.
fn in_order(mut lines: Vec<String>) -> Vec<String> {
    let is_end = |line: &String| line.starts_with("  done ");
    let mut from = 0;
    while let Some(start) = lines[from..].iter().position(is_end).map(|at| from + at) {
        let end = lines[start..].iter().position(|line| !is_end(line)).map_or(lines.len(), |at| start + at);
        lines[start..end].sort();
        from = end;
    }
    lines
}

impl Stage {
    /// How often each mutating call was made since the last `calls`.
    fn count_calls(&mut self, out: &mut String) {
        let all = self.lab.record().mutating();
        let mut counts = std::collections::BTreeMap::<String, u32>::new();
        for call in &all[self.calls_seen.min(all.len())..] {
            *counts.entry(call.operation.clone()).or_default() += 1;
        }
        self.calls_seen = all.len();
        if counts.is_empty() {
            out.push_str("    none\n");
        }
        for (operation, count) in counts {
            let _ = writeln!(out, "    {count} x {operation}");
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _guard = self.runtime.enter(); // the lab's fronts end inside their runtime
    }
}
