//! Settings: what the administrator decides and a Git committer must not be able to change.
//!
//! File, environment and flags are merged once into one value ([`Settings`]); nobody looks at the environment afterwards.
//! Paths are relative to the file. Passwords are read when an endpoint connects, never kept in `Debug` or output.

mod file;
mod resolve;
pub mod schema;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use resolve::Environment;

use crate::diagnostic::Diagnostic;
use crate::manifest::read::{Reader, Slot};
use crate::manifest::report::Report;
use crate::manifest::tree::{self, Spot};
use crate::manifest::{SourceText, codes, guard};
use crate::model::{EndpointName, HypervisorType, Secret};
use crate::plan::{EndpointPolicy, EndpointState, Limits, Manage, Policy};
use file::Written;

/// All settings, resolved: paths absolute, defaults filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file they came from.
    pub path: PathBuf,
    /// Part of every mark; `[a-z0-9-]{1,63}`.
    pub installation: String,
    /// The folder of manifests.
    pub source: PathBuf,
    /// Journal, last inventories, last good revision.
    pub state_dir: PathBuf,
    /// What `userDataFile` names.
    pub secrets_dir: PathBuf,
    /// Between two cycles of `serve`.
    pub interval: Duration,
    /// In file order.
    pub endpoints: Vec<EndpointSettings>,
    /// The caps.
    pub limits: Limits,
}

/// One endpoint.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// Its name.
    pub name: EndpointName,
    /// Its type.
    pub hypervisor: HypervisorType,
    /// One, or several of one cluster or pool.
    pub urls: Vec<String>,
    /// How it is logged in to, where its hypervisor knows several ways.
    pub auth: Auth,
    /// The account.
    pub username: String,
    /// Where its password comes from.
    pub password: PasswordFrom,
    /// What its certificate must be.
    pub trust: Trust,
    /// Who may change it.
    pub manage: Manage,
    /// Whether it is counted on.
    pub state: EndpointState,
    /// Steps at a time.
    pub parallel: usize,
}

/// How a Hyper-V endpoint is logged in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, schemars::JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Auth {
    /// NTLMv2: sealed over HTTP, bound to the certificate over HTTPS.
    #[default]
    Ntlm,
    /// Basic, over TLS only.
    Basic,
}

/// Where a password comes from; read at each login, so that a rotated one is taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordFrom {
    /// The first line of a file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// Given in code, for tests.
    Given(Secret),
}

/// What an endpoint's certificate must be. There is no "insecure".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// SHA-256 of the leaf certificate's DER; enough on its own. One per host of a cluster or pool.
    Pins(Vec<[u8; 32]>),
    /// Certificates of a PEM file.
    CaFile(PathBuf),
    /// The system's roots.
    SystemRoots,
}

/// Why the settings were refused: every problem at once, each as a [`Diagnostic`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings have {} problem(s)", diagnostics.len())]
pub struct SettingsError {
    /// Never empty.
    pub diagnostics: Vec<Diagnostic>,
}

/// Where the settings are when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/tierwright/tierwright.yaml";

/// Finds, reads and checks the settings: `flag` (`--config`), else `$TIERWRIGHT_CONFIG`, else [`DEFAULT_PATH`]; the
/// environment (`TIERWRIGHT_INSTALLATION`, `_SOURCE`, `_STATE_DIR`, `_SECRETS_DIR`, `_INTERVAL`) overrides single fields. A
/// `passwordFile` may begin with `${CREDENTIALS_DIRECTORY}/`, where systemd puts the credentials of a service.
pub fn load(flag: Option<&Path>) -> Result<Settings, SettingsError> {
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("TIERWRIGHT_") || name == resolve::CREDENTIALS)
        .collect();
    let named = flag.map(Path::to_owned).or_else(|| environment.get("TIERWRIGHT_CONFIG").map(PathBuf::from));
    let shown = named.unwrap_or_else(|| DEFAULT_PATH.into());
    let refuse = |error: &io::Error| SettingsError {
        diagnostics: vec![resolve::whole(
            &shown,
            codes::NO_SETTINGS,
            format!("the settings cannot be read: {error}"),
            Some(
                "name the file with --config or $TIERWRIGHT_CONFIG; `tierwright lab --settings FILE` writes one to try",
            ),
        )],
    };
    let bytes = read_bounded(&shown).map_err(|error| refuse(&error))?;
    // Absolute, so that a later change of the working directory moves nothing.
    let path = std::path::absolute(&shown).map_err(|error| refuse(&error))?;
    parse(&path, &bytes, &environment)
}

/// The settings of a file's bytes; `path` is where they stand. Pure: environment and file are handed in.
pub fn parse(path: &Path, bytes: &[u8], environment: &Environment) -> Result<Settings, SettingsError> {
    let shown = SourceText { path: path.to_string_lossy().into(), bytes: bytes.into() };
    let mut report = Report::new();
    let written = document(bytes, &mut report);
    let mut diagnostics = report.into_diagnostics(&[&shown]);
    let broken = !diagnostics.is_empty();
    // What only follows from a file that could not be read at all is left out.
    let settings = written.and_then(|written| resolve::resolve(path, written, environment, &mut diagnostics));
    match settings {
        Some(settings) if !broken => Ok(settings),
        _ => Err(SettingsError { diagnostics: diagnostics.into_iter().map(without_account).collect() }),
    }
}

fn document(bytes: &[u8], report: &mut Report) -> Option<Written> {
    let text = guard::admit(0, bytes, report)?;
    let tree = tree::parse(0, text, report);
    let mut reader = Reader { file: 0, report };
    match tree.documents.as_slice() {
        [node] => Some(file::read(&mut reader, Slot { name: "the settings file", key: node.spot, node })),
        // Cut short by a syntax error: that is told.
        [] if tree.cut => None,
        [] => {
            let start = Spot { line: 1, column: 1, length: 1 };
            reader.error(start, codes::NO_SETTINGS, "the settings are empty");
            None
        }
        [_, second, ..] => {
            reader.error(second.spot, codes::NO_SETTINGS, "the settings are one document, and a second begins here");
            None
        }
    }
}

/// The shown source lines without an account that somebody wrote into a URL.
fn without_account(mut diagnostic: Diagnostic) -> Diagnostic {
    let mask = |line: &mut String| {
        let Some(start) = line.find("://").map(|at| at + 3) else { return };
        let end = line[start..].find(['/', ' ', '"', '\'']).map_or(line.len(), |at| start + at);
        if let Some(at) = line[start..end].rfind('@') {
            line.replace_range(start..start + at, "***");
        }
    };
    mask(&mut diagnostic.source_line);
    diagnostic.related.iter_mut().for_each(|related| mask(&mut related.source_line));
    diagnostic
}

/// The bytes of a file, one more than the guard would admit at most.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(guard::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl EndpointSettings {
    /// Is it reached in the same way? Who may change it, and whether it is counted on, is no part of that.
    pub fn connects_like(&self, other: &Self) -> bool {
        let Self { name, hypervisor, urls, auth, username, password, trust, manage: _, state: _, parallel } = self;
        *name == other.name
            && *hypervisor == other.hypervisor
            && *urls == other.urls
            && *auth == other.auth
            && *username == other.username
            && *password == other.password
            && *trust == other.trust
            && *parallel == other.parallel
    }
}

impl Settings {
    /// The part that decides something.
    pub fn policy(&self) -> Policy {
        let endpoint = |endpoint: &EndpointSettings| {
            let policy =
                EndpointPolicy { hypervisor: endpoint.hypervisor, manage: endpoint.manage, state: endpoint.state };
            (endpoint.name.clone(), policy)
        };
        Policy {
            installation: self.installation.clone(),
            endpoints: self.endpoints.iter().map(endpoint).collect(),
            limits: self.limits,
        }
    }

    /// The endpoint of that name.
    pub fn endpoint(&self, name: &EndpointName) -> Option<&EndpointSettings> {
        self.endpoints.iter().find(|endpoint| endpoint.name == *name)
    }
}
