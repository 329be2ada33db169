//! SIGHUP: the settings are read again. A bad file changes nothing and says why; neither does one that asks for what
//! cannot be changed while the service runs.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Reconciler, Watch};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::EndpointName;
use crate::plan::Manage;
use crate::session::Session;
use crate::settings::{EndpointSettings, Settings, SettingsError};

/// Reads the settings as at the start.
type Load = Arc<dyn Fn() -> Result<Settings, SettingsError> + Send + Sync>;

/// Asks for a reload, and how one is done.
pub struct Reload {
    asked: mpsc::Receiver<()>,
    load: Load,
}

impl Reload {
    /// One that each message asks for: for tests and embedders.
    pub fn when(
        asked: mpsc::Receiver<()>,
        load: impl Fn() -> Result<Settings, SettingsError> + Send + Sync + 'static,
    ) -> Self {
        Self { asked, load: Arc::new(load) }
    }

    /// One that SIGHUP asks for. Needs a tokio runtime; where the signal cannot be listened to, it keeps its effect.
    pub fn on_sighup(load: impl Fn() -> Result<Settings, SettingsError> + Send + Sync + 'static) -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        // One that comes while another is under way asks for one more; further ones add nothing.
        let (ask, asked) = mpsc::channel(1);
        if let Ok(mut hangup) = signal(SignalKind::hangup()) {
            tokio::spawn(async move {
                while hangup.recv().await.is_some() && !ask.is_closed() {
                    let _ = ask.try_send(());
                }
            });
        }
        Self::when(asked, load)
    }

    /// Never.
    pub(super) fn never() -> Self {
        let (_, asked) = mpsc::channel(1);
        let nothing = || Err(SettingsError { diagnostics: Vec::new() });
        Self::when(asked, nothing)
    }

    /// Returns when a reload is asked for.
    pub(super) async fn asked(&mut self) {
        if self.asked.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Reads the settings; the text says why they do not come into force.
    pub(super) async fn read(&self, now: &Settings) -> Result<Settings, String> {
        let load = Arc::clone(&self.load);
        let read = tokio::task::spawn_blocking(move || load()).await;
        let next = match read {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => return Err(summary(&error.diagnostics)),
            Err(_) => return Err("reading them failed inside tierwright (a bug)".to_owned()),
        };
        match fixed(now, &next) {
            Some(field) => Err(format!(
                "`{field}` cannot change while serve runs: restart it, or put the old value back; until then none of the \
                 file is in force"
            )),
            None => Ok(next),
        }
    }
}

/// The first field that a running service cannot change. All of its marks carry the installation, and its lock and
/// journal are in stateDir; half of a new file would be worse than none of it.
fn fixed(now: &Settings, next: &Settings) -> Option<&'static str> {
    if now.installation != next.installation {
        Some("installation")
    } else if now.state_dir != next.state_dir {
        Some("stateDir")
    } else {
        None
    }
}

/// The first problem with its place, and how many there are; all of them are logged.
fn summary(diagnostics: &[Diagnostic]) -> String {
    let line = |diagnostic: &Diagnostic| {
        let origin = &diagnostic.origin;
        format!("{}:{}:{}: {}", origin.path, origin.line, origin.column, diagnostic.summary)
    };
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    for problem in errors.clone() {
        tracing::warn!(code = problem.code, problem = line(problem), hint = problem.hint.as_deref(), "settings");
    }
    let first = errors.clone().next().map(line).unwrap_or_default();
    match errors.count() {
        0 | 1 => first,
        many => format!("{first} (and {} more)", many - 1),
    }
}

/// What a reload changes, for the log.
pub(super) fn told(now: &Settings, next: &Settings) -> Vec<String> {
    let mut told = Vec::new();
    for endpoint in &next.endpoints {
        match now.endpoint(&endpoint.name) {
            None => told.push(format!("endpoint {} was added", endpoint.name)),
            Some(old) => told.extend(changed(old, endpoint)),
        }
    }
    let gone = now.endpoints.iter().filter(|endpoint| next.endpoint(&endpoint.name).is_none());
    told.extend(gone.map(|endpoint| format!("endpoint {} was taken out", endpoint.name)));
    let fields = [
        ("source", now.source != next.source),
        ("secretsDir", now.secrets_dir != next.secrets_dir),
        ("interval", now.interval != next.interval),
        ("limits", now.limits != next.limits),
    ];
    told.extend(fields.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| format!("{field} was changed")));
    told
}

fn changed(old: &EndpointSettings, new: &EndpointSettings) -> Option<String> {
    let mut what = Vec::new();
    if !old.connects_like(new) {
        what.push("its connection".to_owned());
    }
    if old.manage != new.manage {
        what.push(format!("manage: {:?} -> {:?}", old.manage, new.manage).to_lowercase());
    }
    if old.state != new.state {
        what.push(format!("state: {:?} -> {:?}", old.state, new.state).to_lowercase());
    }
    (!what.is_empty()).then(|| format!("endpoint {} was changed: {}", new.name, what.join(", ")))
}

impl Reconciler {
    pub(super) async fn reload_settings(&mut self) {
        tracing::info!("reading the settings again");
        self.systemd.reloading(crate::clock::monotonic_usec());
        let session = Arc::clone(&self.session);
        let problem = match self.reload.read(session.settings()).await {
            Ok(next) => {
                self.put_in_force(next);
                None
            }
            Err(why) => {
                tracing::warn!(why, "the settings file is not taken up: the old settings stay in force");
                Some(format!("the settings file as it stands now is not in force: {why}"))
            }
        };
        self.status.send_modify(|status| status.settings_problem = problem);
        self.systemd.ready();
    }

    fn put_in_force(&mut self, next: Settings) {
        let lines = told(self.session.settings(), &next);
        for line in &lines {
            tracing::info!("settings: {line}");
        }
        if lines.is_empty() {
            tracing::info!("settings: nothing that matters was changed");
            return;
        }
        let moved = next.source != self.session.settings().source;
        let next = Arc::new(self.session.under(next));
        let old = std::mem::replace(&mut self.session, next);
        // Whoever may not be changed any more is not, from the next call on.
        let lost: Vec<EndpointName> = old.endpoint_names().filter(|name| !self.goes_on(&old, name)).cloned().collect();
        for name in &lost {
            self.runs.halt(name);
        }
        old.log_out_of_others(&self.session, |name| !lost.contains(name) || self.runs.is_running(name));
        let session = Arc::clone(&self.session);
        self.fleet.set(session.endpoint_names(), |name| old.shares(&session, name), self.moment());
        self.status
            .send_modify(|status| status.endpoints.retain(|name, _| session.settings().endpoint(name).is_some()));
        if moved {
            self.watch = Watch::new(&session.settings().source);
            self.reading.restart();
        }
        self.read_at = crate::clock::instant();
        self.disturbed.clear();
        self.standing = None;
        self.plan_wanted = true;
    }

    /// May a run that was begun on this endpoint under the old settings go on under the new?
    fn goes_on(&self, old: &Session, name: &EndpointName) -> bool {
        let enforced = self.session.policy().endpoints.get(name).is_some_and(|it| it.manage == Manage::Enforce);
        enforced && old.shares(&self.session, name)
    }
}
