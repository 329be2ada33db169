//! `serve` with 10,000 VMs of ours: from a file saved to its plan, from a change behind its back to the drift seen,
//! with one endpoint hanging, and with nothing to do.
//!
//! A settle time of five seconds lies between a saved file and its plan by design; it is taken off.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::bare;
use crate::lab::{LabProcess, processor_time, resident};
use crate::{Measure, Row, median, ms};

const VMS: usize = 10_000;
/// Between two looks while something is measured that a look must find.
const SHORT: &str = "2s";
/// As it is when nobody says otherwise.
const USUAL: &str = "60s";
/// A revision is used when it has been the same for so long.
const SETTLE: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_mins(5);

const TIER: &str = "apiVersion: tierwright.dev/v1
kind: Tier
metadata: {name: tier-1}
spec:
  endpoints: [vc-prod]
  placement: {cluster: gold, storage: flash-repl}
  networks: {app: {portGroup: PG-APP-10}}
";

/// All of it.
pub async fn rows() -> Vec<Row> {
    let (lab, other) = (LabProcess::start(0), LabProcess::start(0));
    let site = Site::new(&lab, &other);
    let mut rows = vec![site.apply_all()];
    site.set("manage: enforce", "manage: suggest");
    site.set("interval: 5s", &format!("interval: {SHORT}"));
    let mut serve = Serve::start(&site);
    rows.push(site.edits(&mut serve));
    rows.push(site.drift(&mut serve, &lab).await);
    rows.extend(site.hanging(&other));
    drop(serve);
    site.set(&format!("interval: {SHORT}"), &format!("interval: {USUAL}"));
    rows.extend(site.idle());
    rows
}

/// Settings and manifests of both labs.
struct Site<'a> {
    settings: PathBuf,
    folder: &'a Path,
}

impl<'a> Site<'a> {
    /// In the folder of the first lab; the second is an endpoint that no tier names.
    fn new(lab: &'a LabProcess, other: &LabProcess) -> Self {
        let site = Self { settings: lab.settings_file(), folder: lab.folder() };
        let second = std::fs::read_to_string(other.settings_file()).expect("the lab wrote it");
        let entry = second.split_once("endpoints:\n").expect("it has endpoints").1;
        let password = other.folder().join("secrets/vc-prod");
        let entry = entry
            .replace("name: vc-prod", "name: vc-other")
            .replace("passwordFile: secrets/vc-prod", &format!("passwordFile: {}", password.display()));
        let first = std::fs::read_to_string(&site.settings).expect("the lab wrote it");
        std::fs::write(&site.settings, first + &entry).expect("the folder is ours");
        site.write("tier.yaml", TIER);
        for number in 0..VMS {
            site.write(&file(number), &vm(number, 128));
        }
        site
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join("manifests").join(name), text).expect("the folder is ours");
    }

    fn set(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(&self.settings).expect("it is there");
        assert!(text.contains(old), "the settings do not say {old}");
        std::fs::write(&self.settings, text.replace(old, new)).expect("the folder is ours");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tierwright"));
        command.args(words).env("TIERWRIGHT_CONFIG", &self.settings).stdin(Stdio::null());
        command
    }

    fn apply_all(&self) -> Row {
        let start = Instant::now();
        let output = self.command(&["apply", "--yes"]).output().expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Row::new(format!("{VMS} VMs made by apply"), Measure::Told, ms(start.elapsed()))
    }

    /// Five files, one after another.
    fn edits(&self, serve: &mut Serve) -> Row {
        serve.planned(0);
        let times = (1..=5).map(|edit| {
            self.write(&file(edit), &vm(edit, 256));
            let saved = Instant::now();
            ms(serve.planned(edit).saturating_duration_since(saved).saturating_sub(SETTLE))
        });
        Row::new(format!("a file saved to its plan, {VMS} VMs"), Measure::Milliseconds(300.0), median(times.collect()))
            .note("settle time taken off")
    }

    /// A sixth VM gets more memory at the console.
    async fn drift(&self, serve: &mut Serve, lab: &LabProcess) -> Row {
        let output = self.command(&["get", "inventory", "-o", "json"]).output().expect("the binary runs");
        let inventory: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let vms = inventory.pointer("/endpoints/vc-prod/view/observed/vms").and_then(|vms| vms.as_array());
        let vm = vms.into_iter().flatten().find(|vm| vm["name"] == "vm-00006").expect("it was made");
        bare::reconfigure(&lab.endpoint(), vm["handle"].as_str().expect("a reference"), 256).await;
        let changed = Instant::now();
        let seen = serve.planned(6).saturating_duration_since(changed);
        Row::new(format!("a VM changed behind its back to the drift seen, {VMS} VMs"), Measure::Told, ms(seen))
            .note(format!("interval {SHORT}"))
    }

    /// How often the healthy endpoint was looked at, before and while the other hangs.
    fn hanging(&self, other: &LabProcess) -> Option<Row> {
        let before = self.looks(Duration::from_secs(30))?;
        other.signal("STOP");
        let meanwhile = self.looks(Duration::from_secs(30))?;
        other.signal("CONT");
        let cycle = |looks: u32| 30_000.0 / f64::from(looks.max(1));
        Some(
            Row::new(
                "cycle of an endpoint while another hangs, to before",
                Measure::Times(1.1),
                cycle(meanwhile) / cycle(before),
            )
            .note(format!("{:.0} ms to {:.0} ms, interval {SHORT}", cycle(meanwhile), cycle(before))),
        )
    }

    fn looks(&self, time: Duration) -> Option<u32> {
        let start = Instant::now();
        let mut last = None;
        let mut looks = 0;
        while start.elapsed() < time {
            let file = tierwright::status::StatusFile::read(&self.folder.join("state")).ok()??;
            let at = file.status.endpoints.iter().find(|(name, _)| name.as_str() == "vc-prod")?.1.at;
            looks += u32::from(last.is_some() && at != last);
            last = at;
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(looks)
    }

    fn idle(&self) -> Vec<Row> {
        let mut serve = Serve::start(self);
        serve.planned(6);
        let process = serve.child.id();
        let before = processor_time(process);
        std::thread::sleep(IDLE);
        let after = processor_time(process);
        let mut rows = Vec::new();
        if let Some(spent) = before.zip(after).map(|(before, after)| after.saturating_sub(before)) {
            let percent = spent.as_secs_f64() / IDLE.as_secs_f64() * 100.0;
            rows.push(Row::new(format!("idle service, {VMS} VMs"), Measure::Percent(1.0), percent).note(format!(
                "{:.0} ms of processor in {} s, interval {USUAL}",
                ms(spent),
                IDLE.as_secs()
            )));
        }
        if let Some(bytes) = resident(&process.to_string()) {
            let each = 2.0 * 1200.0 * f64::from(u32::try_from(VMS).unwrap_or(u32::MAX));
            rows.push(
                Row::new("its resident memory", Measure::Bytes(each + 60e6), bytes)
                    .note("60 MB and 1.2 KB a VM and side"),
            );
        }
        rows
    }
}

fn file(number: usize) -> String {
    format!("vm-{number:05}.yaml")
}

fn vm(number: usize, memory: u32) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "apiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {{project: bench, name: vm-{number:05}}}\nspec:\n  \
         tier: tier-1\n  cpus: 1\n  memory: {memory}MiB\n  disks: [{{name: root, size: 1GiB}}]\n  \
         nics: [{{name: eth0, network: app}}]\n  power: stopped\n"
    );
    text
}

/// The service, and what it logs.
struct Serve {
    child: Child,
    /// Steps of each plan it told of, and when.
    plans: Receiver<(usize, Instant)>,
}

impl Serve {
    fn start(site: &Site<'_>) -> Self {
        let mut child = site
            .command(&["serve", "--log-format", "json"])
            // As the systemd unit runs it.
            .env("MALLOC_ARENA_MAX", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let (tell, plans) = channel();
        let log = child.stderr.take().expect("it is piped");
        std::thread::spawn(move || follow(log, &tell));
        Self { child, plans }
    }

    /// Waits until a plan with so many steps is told of; gives when.
    fn planned(&mut self, wanted: usize) -> Instant {
        loop {
            let (steps, at) = self.plans.recv_timeout(Duration::from_mins(2)).expect("a plan is told of");
            if steps == wanted {
                return at;
            }
        }
    }
}

fn follow(log: impl Read, tell: &std::sync::mpsc::Sender<(usize, Instant)>) {
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        let at = Instant::now();
        let Ok(line) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
        let fields = line.get("fields").unwrap_or(&line);
        if fields["message"] == "planned"
            && let Some(steps) = fields["steps"].as_u64()
        {
            let _ = tell.send((usize::try_from(steps).unwrap_or(usize::MAX), at));
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
