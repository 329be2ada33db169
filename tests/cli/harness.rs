//! Runs the binary with nothing of this machine's environment, and makes its output comparable.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of its own for one test, and commands run in it.
pub struct Bench {
    dir: tempfile::TempDir,
    vars: Vec<(String, String)>,
}

/// What a command did.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The output as a script shows it: stdout, then stderr if there was any, then the exit code if it is not 0.
    pub fn transcript(&self) -> String {
        let mut text = self.stdout.clone();
        let mut said: Vec<&str> = self.stderr.lines().collect();
        // Steps of one endpoint run at the same time: which is done first is chance.
        for run in said.chunk_by_mut(|a, b| is_step(a) && is_step(b)) {
            run.sort_unstable();
        }
        for line in said {
            text.push_str("stderr: ");
            text.push_str(without_duration(line));
            text.push('\n');
        }
        match self.code {
            Some(0) => {}
            Some(code) => {
                let _ = writeln!(text, "exit {code}");
            }
            None => text.push_str("killed by a signal\n"),
        }
        text
    }

    /// Fails with everything said unless the exit code is this.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// Is this the line that progress prints for a step?
fn is_step(line: &str) -> bool {
    ["  done ", "  held ", "  FAILED "].iter().any(|word| line.starts_with(word))
}

/// A step that takes long says how long, and on a busy machine any does.
fn without_duration(line: &str) -> &str {
    let is_duration = |tail: &str| {
        let number = tail.strip_suffix(" s").or_else(|| tail.strip_suffix(" min"));
        number.is_some_and(|number| number.parse::<f64>().is_ok())
    };
    match line.rsplit_once("  ") {
        Some((told, tail)) if is_step(line) && is_duration(tail) => told,
        _ => line,
    }
}

impl Bench {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder"), vars: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Sets an environment variable for all commands.
    pub fn var(&mut self, name: &str, value: impl AsRef<Path>) {
        self.vars.push((name.to_owned(), value.as_ref().to_string_lossy().into_owned()));
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file in the folder")).expect("the folder is ours");
        std::fs::write(&path, text).expect("the folder is ours");
        path
    }

    /// The binary, with these arguments and no terminal.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tierwright"));
        command.args(args).current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&self.command(args).output().expect("the binary was built"))
    }

    /// The text with what differs from run to run replaced.
    pub fn filtered(&self, text: &str) -> String {
        let folder = self.dir.path().to_string_lossy().into_owned();
        filter(&text.replace(&folder, "<dir>"))
    }
}

pub fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Ports, times, ids and digests become words; everything else is compared to the letter.
pub fn filter(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word_before = out.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric());
        let (replacement, length) = match () {
            () if rest.strip_prefix("retired-").is_some_and(|date| leading(date, "d") == 8) => {
                (Some("retired-<date>"), 16)
            }
            () if word_before => (None, c.len_utf8()),
            () if shape(rest, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") => (Some("<uuid>"), 36),
            () if shape(rest, "dddd-dd-ddTdd:dd:ddZ") => (Some("<time>"), 20),
            () if rest.starts_with("127.0.0.1 port ") => {
                (Some("127.0.0.1 port <port>"), 15 + leading(&rest[15..], "d"))
            }
            () if rest.starts_with("127.0.0.1:") => (Some("127.0.0.1:<port>"), 10 + leading(&rest[10..], "d")),
            () if leading(rest, "x") >= 12 => (Some("<digest>"), leading(rest, "x")),
            () => (None, c.len_utf8()),
        };
        out.push_str(replacement.unwrap_or(&rest[..length]));
        rest = &rest[length..];
    }
    out
}

/// How many characters at the start are of a kind: `d` digits, `x` lower-case hex digits.
fn leading(text: &str, kind: &str) -> usize {
    text.bytes().take_while(|b| is(*b, kind.as_bytes()[0])).count()
}

fn shape(text: &str, shape: &str) -> bool {
    text.len() >= shape.len() && text.bytes().zip(shape.bytes()).all(|(b, kind)| is(b, kind))
}

fn is(byte: u8, kind: u8) -> bool {
    match kind {
        b'd' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        other => byte == other,
    }
}

#[test]
fn filters_replace_what_differs_and_nothing_else() {
    let text = "at 2026-11-22T11:08:00Z https://127.0.0.1:43210/sdk 4fe0d3f2-90ab-4cde-8f01-23456789abcd hash 0123456789abcdef. facade 48GiB a.retired-20261122\n";
    let expected = "at <time> https://127.0.0.1:<port>/sdk <uuid> hash <digest>. facade 48GiB a.retired-<date>\n";
    assert_eq!(filter(text), expected);
}

/// Compares with a file beside the tests; `UPDATE_SCRIPTS=1` writes it instead.
#[track_caller]
pub fn as_reviewed(file: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(file);
    if std::env::var_os("UPDATE_SCRIPTS").is_some() {
        std::fs::write(&path, actual).expect("the source folder can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected != actual {
        let diff = similar::TextDiff::from_lines(expected.as_str(), actual)
            .unified_diff()
            .header("expected", "actual")
            .to_string();
        panic!("{} is not what it was; accept with UPDATE_SCRIPTS=1\n{diff}", path.display());
    }
}

/// A bench with the fleet of `tests/cli/fleet`, a lab that answers for `vc-prod`, and settings for both.
pub struct LabBench {
    bench: Bench,
    pub lab: tierwright::lab::Lab,
    _runtime: tokio::runtime::Runtime,
}

impl LabBench {
    pub fn new() -> Self {
        Self::with(tierwright::lab::LabOptions { vms: 3, ..Default::default() })
    }

    pub fn with(options: tierwright::lab::LabOptions) -> Self {
        let mut bench = Bench::new();
        let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/fleet");
        for entry in std::fs::read_dir(fleet).expect("the fleet is part of the crate") {
            let path = entry.expect("it can be listed").path();
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            bench.write(&format!("manifests/{name}"), &std::fs::read_to_string(&path).expect("a text"));
        }
        let runtime = tokio::runtime::Runtime::new().expect("threads can be made");
        let lab = runtime.block_on(tierwright::lab::Lab::start(options)).expect("the lab starts");
        let settings = lab.write_settings(bench.path(), &bench.path().join("manifests")).expect("the folder is ours");
        bench.var("TIERWRIGHT_CONFIG", settings);
        Self { bench, lab, _runtime: runtime }
    }

    /// Changes a manifest; the text to be changed must be there.
    #[track_caller]
    pub fn edit(&self, manifest: &str, old: &str, new: &str) {
        let path = self.path().join("manifests").join(manifest);
        let text = std::fs::read_to_string(&path).expect("the manifest is there");
        assert!(text.contains(old), "{manifest} has no `{old}`");
        std::fs::write(&path, text.replace(old, new)).expect("the folder is ours");
    }

    pub fn rename(&self, from: &str, to: &str) {
        let folder = self.path().join("manifests");
        std::fs::rename(folder.join(from), folder.join(to)).expect("the manifest is there");
    }
}

impl std::ops::Deref for LabBench {
    type Target = Bench;
    fn deref(&self) -> &Bench {
        &self.bench
    }
}

impl std::ops::DerefMut for LabBench {
    fn deref_mut(&mut self) -> &mut Bench {
        &mut self.bench
    }
}
