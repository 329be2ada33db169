//! Where the demo plays: a temporary folder with manifests and settings, the lab, and a session with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::examples::EXAMPLES;
use crate::apply::ApplyReport;
use crate::cli::progress::{self, Progress};
use crate::clock::Clock;
use crate::events::EventSink;
use crate::ids;
use crate::lab::{Lab, LabOptions};
use crate::plan::Plan;
use crate::session::{Look, LookRequest, Session};
use crate::settings;
use crate::shutdown::Shutdown;

/// The stage.
pub struct Stage {
    folder: PathBuf,
    settings: PathBuf,
    /// The simulated data centre.
    pub lab: Lab,
    session: Session,
}

impl Stage {
    /// Writes the folder and starts the lab.
    pub async fn set_up() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("tierwright-demo-{}", ids::run_id()));
        // Fails when it exists: nobody else's folder is written to.
        std::fs::create_dir(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
        match Self::fill(&folder).await {
            Ok((settings, lab, session)) => Ok(Self { folder, settings, lab, session }),
            Err(error) => {
                remove(&folder);
                Err(error)
            }
        }
    }

    async fn fill(folder: &Path) -> anyhow::Result<(PathBuf, Lab, Session)> {
        let manifests = folder.join("manifests");
        for (name, text) in EXAMPLES {
            let path = manifests.join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(&manifests)).context("making the folder of manifests")?;
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        // All fronts: one plan goes over three tiers.
        let options = LabOptions { only: Vec::new(), vms: 4, ..LabOptions::default() };
        let lab = Lab::start(options).await.context("starting the lab")?;
        let file = lab.write_settings(folder, &manifests).context("writing the settings")?;
        let session = Session::open(settings::load(Some(&file))?, Clock::Real).await?;
        Ok((file, lab, session))
    }

    /// The settings file, for commands in another terminal.
    pub fn settings(&self) -> &Path {
        &self.settings
    }

    /// A manifest file of the demo's source.
    pub fn manifest(&self, name: &str) -> PathBuf {
        self.folder.join("manifests").join(name)
    }

    /// The text of a manifest file.
    pub fn read(&self, name: &str) -> anyhow::Result<String> {
        std::fs::read_to_string(self.manifest(name)).with_context(|| format!("reading {name}"))
    }

    /// Writes a manifest file.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        std::fs::write(self.manifest(name), text).with_context(|| format!("writing {name}"))
    }

    /// Changes a manifest file, as a person with an editor.
    pub fn edit(&self, name: &str, old: &str, new: &str) -> anyhow::Result<()> {
        let text = self.read(name)?;
        anyhow::ensure!(text.contains(old), "{name} has no `{old}`");
        self.write(name, &text.replacen(old, new, 1))
    }

    /// What `plan` does.
    pub async fn look(&self, approvals: &[&str]) -> anyhow::Result<Look> {
        let (events, stream) = EventSink::channel();
        let approvals: BTreeSet<String> = approvals.iter().map(ToString::to_string).collect();
        let request = LookRequest { approvals, events, ..LookRequest::default() };
        Ok(progress::shown(Progress::reading(), stream, self.session.look(&request)).await?)
    }

    /// What `plan` makes; the demo's manifests have no errors.
    pub async fn plan(&self, approvals: &[&str]) -> anyhow::Result<(Look, Plan)> {
        let look = self.look(approvals).await?;
        crate::cli::edge::say_diagnostics(&look.diagnostics);
        let plan = look.plan.clone().context("the demo's manifests have errors")?;
        Ok((look, plan))
    }

    /// What `apply` does after the question.
    pub async fn apply(&self, look: &Look) -> anyhow::Result<ApplyReport> {
        let (events, stream) = EventSink::channel();
        let steps = look.plan.as_ref().map_or(0, |plan| plan.steps.len());
        let shutdown = Shutdown::new();
        let work = self.session.apply(look, &events, &shutdown);
        Ok(progress::shown(Progress::applying(steps), stream, work).await?)
    }

    /// The drift, as `drift` shows it.
    pub fn drift(&self, look: &Look) -> Vec<crate::diff::DriftLine> {
        crate::cli::drift::of(look, self.session.policy())
    }

    /// How many calls were let through that change something.
    pub fn changes(&self) -> u64 {
        self.lab.record().mutating_counts().values().sum()
    }

    /// Stops everything and removes the folder.
    pub async fn tear_down(self) {
        self.session.close().await;
        self.lab.stop().await;
        remove(&self.folder);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), %error, "the demo's folder could not be removed");
    }
}
