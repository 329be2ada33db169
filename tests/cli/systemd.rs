//! `serve` under systemd: what it tells and when, SIGHUP, the status that others read; and the
//! unit of `examples/systemd`.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tierwright::lab::LabOptions;
use tierwright::model::HypervisorType;

use crate::harness::{LabBench, Ran};

/// What is not told by then is not told at all; nothing here takes a second when it works.
const NEVER: Duration = Duration::from_mins(1);

/// A running `serve` and the socket that it tells systemd on.
pub struct Service {
    manager: UnixDatagram,
    child: Child,
}

impl Service {
    pub fn start(bench: &mut LabBench) -> Self {
        let socket = bench.path().join("notify");
        let manager = UnixDatagram::bind(&socket).expect("a socket in a folder of ours");
        manager.set_read_timeout(Some(NEVER)).expect("a time-out above zero");
        bench.var("NOTIFY_SOCKET", &socket);
        bench.var("WATCHDOG_USEC", "200000");
        let child = bench.command(&["serve"]).stderr(Stdio::null()).spawn().expect("the binary was built");
        Self { manager, child }
    }

    /// Reads on until something is told that begins so; being alive is told ten times a second.
    pub fn told(&self, beginning: &str) -> String {
        let mut buffer = [0; 1024];
        let mut others = Vec::new();
        for _ in 0..1_000 {
            let length = self.manager.recv(&mut buffer).unwrap_or_else(|error| panic!("never {beginning}: {error}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with(beginning) {
                return text;
            }
            others.push(text);
        }
        others.dedup();
        panic!("never {beginning}: {others:#?}")
    }

    /// What nobody has read yet fills the socket within a second, and more cannot be told then.
    fn forget_unread(&self) {
        self.manager.set_nonblocking(true).expect("a socket");
        while self.manager.recv(&mut [0; 1024]).is_ok() {}
        self.manager.set_nonblocking(false).expect("a socket");
    }

    fn signal(&self, name: &str) {
        self.forget_unread();
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().expect("kill is part of the system");
        assert!(sent.success());
    }

    pub fn end(&mut self) -> Option<i32> {
        self.signal("-TERM");
        self.told("STOPPING=1");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // After a failed assertion; one that has ended needs none.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One vCenter and nothing else.
pub fn bench() -> LabBench {
    LabBench::with(LabOptions { vms: 3, only: vec![HypervisorType::Vsphere], ..LabOptions::default() })
}

#[test]
fn systemd_is_told_of_the_start_of_being_alive_of_a_reload_and_of_the_end() {
    let mut bench = bench();
    let settings = bench.path().join("tierwright.yaml");
    let mut service = Service::start(&mut bench);
    service.told("READY=1");
    service.told("WATCHDOG=1");
    service.told("STATUS=3 in sync, 0 to do, 0 held back; 1 of 1 endpoints answer");
    service.told("WATCHDOG=1");

    let good = std::fs::read_to_string(&settings).expect("the lab wrote it");
    std::fs::write(&settings, good.replace("endpoints:", "endpoint:")).expect("the folder is ours");
    service.signal("-HUP");
    let reloading = service.told("RELOADING=1");
    let usec = reloading.split_once("MONOTONIC_USEC=").expect("both in one datagram").1;
    assert!(usec.parse::<u64>().expect("a number") > 0);
    service.told("READY=1");
    std::fs::write(&settings, &good).expect("the folder is ours");
    let status = settled(&bench, "not in force");
    assert!(status.contains("`endpoint`"), "{status}");

    service.signal("-HUP");
    service.told("RELOADING=1");
    service.told("READY=1");
    assert_eq!(service.end(), Some(0));
}

/// The status once it is so: the file follows within a second, and a look takes a few milliseconds.
fn status_when(bench: &LabBench, holds: impl Fn(&Ran) -> bool) -> Ran {
    let mut ran = bench.run(&["get", "status"]);
    for _ in 0..2_000 {
        if holds(&ran) {
            return ran;
        }
        ran = bench.run(&["get", "status"]);
    }
    panic!("never as expected:\n{}{}", ran.stdout, ran.stderr)
}

fn settled(bench: &LabBench, text: &str) -> String {
    status_when(bench, |ran| ran.stderr.contains(text)).stderr
}

#[test]
fn get_status_tells_of_endpoints_tiers_and_vms_and_whether_anybody_serves() {
    let mut bench = bench();
    let before = bench.run(&["get", "status"]).expect(1);
    assert!(before.stderr.contains("`tierwright serve` does not run"), "{}", before.stderr);
    let mut service = Service::start(&mut bench);
    service.told("STATUS=3 in sync");
    let status = settled(&bench, "said");
    assert!(status.contains("ready"), "{status}");
    // The file may be one writing behind what systemd was told.
    settled_rows(&bench);
    service.forget_unread();
    bench.run(&["pause", "--reason", "audit"]).expect(0);
    service.told("STATUS=paused (audit)");
    settled(&bench, "paused: audit");
    assert_eq!(service.end(), Some(0));

    let after = bench.run(&["get", "status", "-o", "json"]).expect(1);
    let json: serde_json::Value = serde_json::from_str(&after.stdout).expect("JSON");
    assert_eq!((&json["serving"], &json["formatVersion"]), (&false.into(), &1.into()));
    assert_eq!(json["vms"]["shop/shop-web-01"]["is"], "inSync");
    assert!(bench.run(&["get", "status"]).expect(1).stderr.starts_with("NO serve runs"));
}

/// Returns once the status file has all of them in sync.
pub fn settled_rows(bench: &LabBench) {
    let expected = [
        ["endpoint", "vc-prod", "complete, 6 VMs"],
        ["tier", "tier-1", "3 of 3 in sync"],
        ["vm", "shop/shop-db-01", "in sync"],
        ["vm", "shop/shop-report", "in sync"],
        ["vm", "shop/shop-web-01", "in sync"],
    ];
    status_when(bench, |ran| {
        let rows: Vec<&str> = ran.stdout.lines().skip(1).collect();
        let is = |(row, cells): (&&str, &[&str; 3])| cells.iter().all(|cell| row.contains(cell));
        rows.len() == expected.len() && rows.iter().zip(&expected).all(is)
    });
}

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd/tierwright.service")
}

/// `systemd-analyze`, or `None` with a word on what is not tested; required where the peers are.
fn systemd_analyze(args: &[&str]) -> Option<std::process::Output> {
    match Command::new("systemd-analyze").args(args).output() {
        Ok(output) => Some(output),
        Err(error) => {
            let required = std::env::var("TIERWRIGHT_PEERS").is_ok_and(|value| value == "required");
            assert!(!required, "systemd-analyze is required and missing: {error}");
            eprintln!("skipped: systemd-analyze is not there, the unit was not judged");
            None
        }
    }
}

#[test]
fn the_unit_is_exposed_to_no_more_than_1_5() {
    let path = unit();
    let judged = systemd_analyze(&["security", "--offline=true", "--threshold=15", path.to_str().expect("UTF-8")]);
    let Some(judged) = judged else { return };
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("tierwright.service");
    let text = std::fs::read_to_string(unit()).expect("part of the crate");
    // The one thing that is wrong with it here: nothing is installed.
    std::fs::write(&copy, text.replace("/usr/local/bin/tierwright", env!("CARGO_BIN_EXE_tierwright"))).expect("ours");
    let Some(judged) = systemd_analyze(&["verify", copy.to_str().expect("UTF-8")]) else { return };
    let said = String::from_utf8_lossy(&judged.stderr).into_owned();
    let of_ours: Vec<&str> = said.lines().filter(|line| line.contains("tierwright.service")).collect();
    assert!(of_ours.is_empty(), "{of_ours:#?}");
}

#[test]
fn the_unit_tells_and_is_told_what_serve_knows() {
    let text = std::fs::read_to_string(unit()).expect("part of the crate");
    for line in ["Type=notify", "WatchdogSec=60", "ExecReload=kill -HUP $MAINPID", "StateDirectory=tierwright"] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    // The bench of the service measures its memory so.
    assert!(text.lines().any(|found| found == "Environment=MALLOC_ARENA_MAX=1"));
    // The name under which README and the unit hand a password over.
    assert!(text.contains("LoadCredential=vc-prod:") && text.contains("${CREDENTIALS_DIRECTORY}/vc-prod"));
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("part of it");
    assert!(readme.contains("passwordFile: ${CREDENTIALS_DIRECTORY}/vc-prod"));
}
