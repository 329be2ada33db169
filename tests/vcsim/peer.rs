//! Starts vcsim and pyvmomi scripts for one test each; both end with it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::OnceLock;

use tierwright::model::{EndpointName, HypervisorType, Secret};
use tierwright::plan::{EndpointState, Manage};
use tierwright::provider::{self, Provider};
use tierwright::settings::{Auth, EndpointSettings, PasswordFrom, Trust};

/// A running vcsim.
pub struct Vcsim {
    child: Child,
    pub url: String,
    pub pin: [u8; 32],
}

impl Vcsim {
    /// Starts one with these flags, or says what is skipped.
    pub fn start(flags: &[&str]) -> Option<Self> {
        static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
        let Some(binary) = BINARY.get_or_init(binary) else {
            absent("vcsim", "every test against VMware's simulator");
            return None;
        };
        let mut child = Command::new(binary)
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("vcsim starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("vcsim says where it is");
        let (url, pin) = line.trim().split_once(' ').expect("URL and digest");
        Some(Self { child, url: url.to_owned(), pin: bytes(pin) })
    }

    /// Settings of an endpoint that is this one.
    pub fn settings(&self) -> EndpointSettings {
        EndpointSettings {
            name: EndpointName::new("vcsim").expect("a name"),
            hypervisor: HypervisorType::Vsphere,
            urls: vec![self.url.clone()],
            auth: Auth::default(),
            username: "user".to_owned(),
            password: PasswordFrom::Given(Secret::new("pass".to_owned())),
            trust: Trust::Pins(vec![self.pin]),
            manage: Manage::Enforce,
            state: EndpointState::Active,
            parallel: 8,
        }
    }

    /// The provider, by the door everybody uses.
    pub fn connect(&self) -> Arc<dyn Provider> {
        provider::connect(&self.settings()).expect("settings are good")
    }
}

impl Drop for Vcsim {
    fn drop(&mut self) {
        // It ends, and removes its files, once nobody holds its standard input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Says what is skipped, or fails where peers are required.
pub fn absent(what: &str, skipped: &str) {
    assert!(std::env::var("TIERWRIGHT_PEERS").as_deref() != Ok("required"), "{what} is not there");
    eprintln!("skipped: {what} is not there, and with it {skipped}");
}

/// `$TIERWRIGHT_VCSIM`, or built once where Go and govmomi are installed.
fn binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("TIERWRIGHT_VCSIM") {
        return Some(path.into());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vcsim");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/vcsim");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&target)
        .arg(".")
        .current_dir(source)
        .env("GO111MODULE", "off")
        .env("GOPATH", "/usr/share/gocode")
        .status();
    built.is_ok_and(|status| status.success()).then_some(target)
}

fn bytes(hex: &str) -> [u8; 32] {
    let mut out = [0; 32];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hex");
    }
    out
}
