//! The binary with a vcsim of its own: settings, a tier, manifests, commands.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::peer::Vcsim;
use crate::python::python;

const TIER: &str = r"
apiVersion: tierwright.dev/v1
kind: Tier
metadata: {name: tier-1}
spec:
  endpoints: [vcsim]
  placement: {datacenter: DC0, cluster: DC0_C0, folder: Prod/tierwright, createFolders: true, storage: LocalDS_0}
  images: {base: {template: DC0_H0_VM0}}
  networks: {app: {portGroup: DC0_DVPG0}, lan: {portGroup: VM Network}}
  storage: {other: {datastore: LocalDS_1}}
  sync: {prune: auto, graceDays: 0}
";

/// A folder with settings, a tier and manifests, for one vcsim.
pub struct Site<'a> {
    pub dir: tempfile::TempDir,
    vcsim: &'a Vcsim,
}

/// What a command did.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl<'a> Site<'a> {
    pub fn new(vcsim: &'a Vcsim) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let pin = vcsim.pin.iter().fold(String::new(), |mut pin, byte| {
            let _ = write!(pin, "{byte:02x}");
            pin
        });
        let settings = format!(
            "installation: e2e\nsource: {{path: ./manifests}}\nstateDir: ./state\nendpoints:\n  - name: vcsim\n    \
             type: vsphere\n    url: {}\n    credentials: {{username: user, passwordFile: password}}\n    \
             tls: {{pinSha256: \"{pin}\"}}\n",
            vcsim.url
        );
        std::fs::write(dir.path().join("tierwright.yaml"), settings).expect("the folder is ours");
        std::fs::write(dir.path().join("password"), "pass\n").expect("the folder is ours");
        std::fs::create_dir(dir.path().join("manifests")).expect("the folder is ours");
        let site = Self { dir, vcsim };
        site.write("tier.yaml", TIER);
        site
    }

    pub fn source(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("manifests").join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.source(name), text).expect("the folder is ours");
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.source(name)).expect("the file is there");
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_tierwright"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("TIERWRIGHT_CONFIG", Path::new("tierwright.yaml"))
            .output()
            .expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().expect("it ended by itself");
        Ran { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    #[track_caller]
    pub fn expect(&self, args: &[&str], code: i32) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "{args:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    #[track_caller]
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        serde_json::from_str(&self.expect(args, code)).expect("JSON")
    }

    /// Every property of every VM but these, by VMware's own client; `None` without it.
    pub fn dump(&self, but: &[&str]) -> Option<Value> {
        let text = python(self.vcsim, "dump.py", but)?;
        Some(serde_json::from_str(&text).expect("the dump is JSON"))
    }

    pub fn steps(&self) -> Vec<(String, String)> {
        let plan = self.json(&["plan", "-o", "json"], 0);
        let text = |step: &Value, field: &str| step[field].as_str().expect("a text").to_owned();
        plan["steps"].as_array().expect("steps").iter().map(|step| (text(step, "key"), text(step, "action"))).collect()
    }
}

/// The value of an extraConfig key in a dump.
pub fn setting<'v>(vm: &'v Value, key: &str) -> Option<&'v str> {
    let settings = vm["config"]["extraConfig"].as_array()?;
    settings.iter().find(|setting| setting["key"] == key).and_then(|setting| setting["value"].as_str())
}
