//! A lab in a process of its own, so that its work and memory are not taken for ours.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tierwright::settings::{EndpointSettings, Settings};

/// Ends with this value.
pub struct LabProcess {
    child: Child,
    dir: tempfile::TempDir,
    /// From its start to its word that every front answers.
    pub ready_after: Duration,
}

impl LabProcess {
    /// A vCenter with so many unmanaged VMs.
    pub fn start(vms: usize) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(dir.path().join("manifests")).expect("the folder is ours");
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tierwright"))
            .args(["lab", "--only", "vsphere", "--vms", &vms.to_string(), "--settings", "tierwright.yaml"])
            .args(["--source", "manifests"])
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let ready = lines.lines().map_while(Result::ok).any(|line| line == "ready");
        assert!(ready, "the lab did not come up");
        Self { child, dir, ready_after: started.elapsed() }
    }

    /// Its folder: settings, manifests, state.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Its settings file.
    pub fn settings_file(&self) -> PathBuf {
        self.dir.path().join("tierwright.yaml")
    }

    /// Its settings.
    pub fn settings(&self) -> Settings {
        tierwright::settings::load(Some(&self.settings_file())).expect("the lab writes good settings")
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the lab got no {name}");
    }

    /// Its one endpoint.
    pub fn endpoint(&self) -> EndpointSettings {
        self.settings().endpoints.remove(0)
    }
}

impl Drop for LabProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `/proc` says of a process: resident bytes; `None` where there is no such file.
pub fn resident(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// Processor time of a process so far.
pub fn processor_time(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // After the name in parentheses: state is field 3, utime and stime are 14 and 15, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
