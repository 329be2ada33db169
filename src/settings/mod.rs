//! Settings: what the administrator decides and a Git committer must not be able to change.
//!
//! File, environment and flags are merged once into one value ([`Settings`]); nobody looks at the environment afterwards.
//! Paths are relative to the file. Passwords are read when an endpoint connects, never kept in `Debug` or output.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::model::{EndpointName, HypervisorType, Secret};
use crate::plan::{EndpointPolicy, EndpointState, Limits, Manage, Policy};

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

/// Where a password comes from; read at each login, so that a rotated one is taken up.
#[derive(Debug, Clone)]
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

/// Finds, reads and checks the settings: `flag` (`--config`), else `$TIERWRIGHT_CONFIG`, else
/// `/etc/tierwright/tierwright.yaml`; the environment overrides single fields.
pub fn load(flag: Option<&Path>) -> Result<Settings, SettingsError> {
    let _ = flag;
    todo!()
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
