//! From what is written, the environment and the defaults to one value. Pure: the environment is handed in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Written, WrittenEndpoint, WrittenLimits};
use super::{EndpointSettings, PasswordFrom, Settings, Trust};
use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::codes::{self, Code};
use crate::model::{Origin, VmKey};
use crate::plan::Limits;

/// Where state is kept unless told otherwise.
const STATE_DIR: &str = "/var/lib/tierwright";

/// Where `userDataFile` is looked for unless told otherwise; relative to the file.
const SECRETS_DIR: &str = "secrets";

/// Between two cycles of `serve` unless told otherwise.
const INTERVAL: Duration = Duration::from_mins(1);

/// Names the folder of a service's credentials (systemd.exec(5)); set by systemd, or by hand for a command.
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The `TIERWRIGHT_*` variables that are set, and `CREDENTIALS_DIRECTORY`.
pub type Environment = BTreeMap<String, String>;

/// Merges. Problems of the file are told already; those of the environment and what neither gives are added here.
/// `None` where there is any.
pub(super) fn resolve(
    path: &Path,
    written: Written,
    environment: &Environment,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Settings> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut outside = Outside { environment, diagnostics, path };
    let installation = outside.installation(written.installation, written.unclear);
    let source = outside.path("TIERWRIGHT_SOURCE", written.source.as_deref(), &folder);
    if source.is_none() && !written.unclear {
        outside.missing("source", "such as `source: {path: ./manifests}`");
    }
    let interval = outside.interval(written.interval);
    let state_dir = outside.path("TIERWRIGHT_STATE_DIR", written.state_dir.as_deref(), &folder);
    let secrets_dir = outside.path("TIERWRIGHT_SECRETS_DIR", written.secrets_dir.as_deref(), &folder);
    let limits = limits(&written.limits);
    let password_file = |text: &str| password_file(text, &folder, environment);
    let endpoint = |endpoint| resolve_endpoint(endpoint, (&folder, &password_file), limits);
    let endpoints: Option<Vec<_>> = written.endpoints.into_iter().map(endpoint).collect();
    let settings = Settings {
        path: path.to_owned(),
        installation: installation?,
        source: source?,
        state_dir: state_dir.unwrap_or_else(|| STATE_DIR.into()),
        secrets_dir: secrets_dir.unwrap_or_else(|| folder.join(SECRETS_DIR)),
        interval: interval?,
        endpoints: endpoints?,
        limits,
    };
    diagnostics.is_empty().then_some(settings)
}

/// What overrides the file, and where to tell what is wrong with it.
struct Outside<'a> {
    environment: &'a Environment,
    diagnostics: &'a mut Vec<Diagnostic>,
    path: &'a Path,
}

impl Outside<'_> {
    fn installation(&mut self, written: Option<String>, unclear: bool) -> Option<String> {
        if let Some(text) = self.environment.get("TIERWRIGHT_INSTALLATION") {
            // The same form as a project's.
            return match VmKey::new(text, "vm") {
                Ok(_) => Some(text.clone()),
                Err(error) => self.refuse("TIERWRIGHT_INSTALLATION", error.why),
            };
        }
        if written.is_none() && !unclear {
            self.missing("installation", "a name of your own for this installation, such as `prod`");
        }
        written
    }

    /// A path of the environment is relative to where the program was started, one of the file to the file.
    fn path(&mut self, variable: &str, written: Option<&str>, folder: &Path) -> Option<PathBuf> {
        match self.environment.get(variable) {
            Some(text) if text.is_empty() => self.refuse(variable, "is empty"),
            Some(text) => match std::path::absolute(text) {
                Ok(path) => Some(path),
                Err(_) => self.refuse(variable, "is not a path"),
            },
            None => written.map(|text| join(folder, text)),
        }
    }

    fn interval(&mut self, written: Option<u32>) -> Option<Duration> {
        let Some(text) = self.environment.get("TIERWRIGHT_INTERVAL") else {
            return Some(written.map_or(INTERVAL, |seconds| Duration::from_secs(seconds.into())));
        };
        match crate::manifest::read::seconds(text) {
            Some(seconds) => Some(Duration::from_secs(seconds.into())),
            None => self.refuse("TIERWRIGHT_INTERVAL", "must be a whole number with s, m or h, such as 60s"),
        }
    }

    fn refuse<T>(&mut self, variable: &str, why: &str) -> Option<T> {
        self.diagnostics.push(whole(Path::new(variable), codes::ENVIRONMENT, format!("${variable} {why}"), None));
        None
    }

    fn missing(&mut self, field: &str, hint: &str) {
        let summary = format!("the settings need `{field}`");
        self.diagnostics.push(whole(self.path, codes::MISSING_FIELD, summary, Some(hint)));
    }
}

/// A problem with something as a whole.
pub(super) fn whole(path: &Path, code: &'static Code, summary: String, hint: Option<&str>) -> Diagnostic {
    Diagnostic {
        origin: Origin { path: path.to_string_lossy().into(), line: 0, column: 0 },
        length: 1,
        severity: Severity::Error,
        code: code.id,
        summary,
        hint: hint.map(str::to_owned),
        source_line: String::new(),
        related: Vec::new(),
    }
}

/// Without `.` parts, so that messages show what a person would write.
fn join(folder: &Path, text: &str) -> PathBuf {
    folder.join(text).components().collect()
}

/// Outside the service there is no such folder, and commands that log in nowhere are none the worse for it: the path
/// stays as it is written, and so does what is said when it cannot be read.
fn password_file(text: &str, folder: &Path, environment: &Environment) -> PathBuf {
    let credential =
        ["${CREDENTIALS_DIRECTORY}/", "$CREDENTIALS_DIRECTORY/"].iter().find_map(|it| text.strip_prefix(it));
    match (credential, environment.get(CREDENTIALS)) {
        (Some(name), Some(directory)) => Path::new(directory).join(name),
        (Some(_), None) => PathBuf::from(text),
        (None, _) => join(folder, text),
    }
}

fn limits(written: &WrittenLimits) -> Limits {
    let WrittenLimits { destroys_per_day, destroy_percent, disruptions_per_run, parallel } = written;
    let default = Limits::default();
    Limits {
        destroys_per_day: destroys_per_day.unwrap_or(default.destroys_per_day),
        destroy_percent_per_tier_per_day: destroy_percent.unwrap_or(default.destroy_percent_per_tier_per_day),
        disruptions_per_run: disruptions_per_run.unwrap_or(default.disruptions_per_run),
        parallel_per_endpoint: parallel.unwrap_or(default.parallel_per_endpoint),
    }
}

/// `None` where something could not be read; that is told already.
fn resolve_endpoint(
    written: WrittenEndpoint,
    (folder, password_file): (&Path, &dyn Fn(&str) -> PathBuf),
    limits: Limits,
) -> Option<EndpointSettings> {
    let credentials = written.credentials;
    let password = match (credentials.password_file, credentials.password_env) {
        (Some(file), _) => PasswordFrom::File(password_file(&file)),
        (None, Some(name)) => PasswordFrom::Env(name),
        (None, None) => return None,
    };
    let trust = match written.ca_file {
        _ if !written.pins.is_empty() => Trust::Pins(written.pins),
        Some(file) => Trust::CaFile(join(folder, &file)),
        None => Trust::SystemRoots,
    };
    Some(EndpointSettings {
        name: written.name?.value,
        hypervisor: written.hypervisor?,
        urls: written.urls,
        auth: written.auth.unwrap_or_default(),
        username: credentials.username?,
        password,
        trust,
        manage: written.manage.unwrap_or_default(),
        state: written.state.unwrap_or_default(),
        parallel: usize::try_from(limits.parallel_per_endpoint).unwrap_or(1),
    })
}
