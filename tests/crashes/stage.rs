//! A lab, a folder with settings and manifests, and the scenario's past played in it.

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use tierwright::clock::Clock;
use tierwright::endpoints::Endpoints;
use tierwright::lab::world::Id;
use tierwright::lab::{ClockMode, Lab, LabOptions, WorldHandle};
use tierwright::session::Session;

use crate::child;
use crate::judge::{self, Bystanders};
use crate::kinds::Kind;
use crate::scenarios::{KEEPER, Scenario, Wish};

/// When the past is played: 2026-06-01T12:00:00Z.
const THEN: i64 = 1_780_315_200;

/// See the module.
pub struct Stage {
    pub lab: Lab,
    pub settings: PathBuf,
    /// The time at which the program runs now.
    pub now: Timestamp,
    /// What was there and is none of the scenario's business.
    pub bystanders: Bystanders,
    pub kind: &'static Kind,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Sets it up to the moment before the program is started. Lab time stands still except where a call waits for it:
    /// what a dead program had begun is still running when the next one looks.
    pub async fn set(kind: &'static Kind, scenario: &Scenario) -> Self {
        let options = LabOptions { clock: ClockMode::Virtual, ..kind.lab() };
        let lab = Lab::start(options).await.expect("the lab starts");
        let images = lab.world_of(kind.endpoint).expect("the lab has it").with(|world| judge::unheld_files(world));
        let folder = tempfile::tempdir().expect("a folder");
        let settings = lab.write_settings(folder.path(), &folder.path().join("manifests")).expect("it is ours");
        let now = Timestamp::from_second(THEN + 3600 + scenario.days * 86_400).expect("a time");
        let mut stage = Self { lab, settings, now, bystanders: Bystanders::default(), kind, folder };
        stage.write("tier.yaml", &kind.tier(scenario.grace_days));
        let then = Timestamp::from_second(THEN).expect("a time");
        for wish in scenario.before {
            stage.write("keeper.yaml", KEEPER);
            stage.wish(wish.as_ref());
            let session = stage.session(then);
            let rest = child::until_done(&session).await;
            assert!(rest.steps.is_empty(), "{}: its past cannot be played: {rest:#?}", scenario.name);
            session.close().await;
            stage.by_hand(scenario);
        }
        let subject = stage.subject(scenario);
        stage.wish(scenario.left.wish());
        stage.bystanders = stage.world().with(|world| Bystanders::of(world, subject, images));
        stage.lab.record().clear();
        stage
    }

    /// The VM that it is about, under whatever name it has by now.
    fn subject(&self, scenario: &Scenario) -> Option<Id> {
        let name = scenario.before.iter().flatten().map(|wish| wish.name).next_back()?;
        self.world().with(|world| world.vms().find(|vm| vm.name.starts_with(name)).map(|vm| vm.id))
    }

    fn by_hand(&self, scenario: &Scenario) {
        if let Some(subject) = self.subject(scenario) {
            self.world().with(|world| world.edit(subject, scenario.by_hand));
        }
    }

    /// The world behind the endpoint.
    pub fn world(&self) -> WorldHandle {
        self.lab.world_of(self.kind.endpoint).expect("the lab has it")
    }

    /// A session in this process.
    pub fn session(&self, now: Timestamp) -> Session {
        let settings = child::settings(&self.settings, self.kind.endpoint);
        let endpoints = Endpoints::new(&settings.endpoints);
        Session::with_endpoints(settings, Clock::standing_at(now), endpoints)
    }

    /// Git says this from now on.
    fn wish(&self, wish: Option<&Wish>) {
        let id = self.world().with(|world| {
            let adopted = wish.and_then(|wish| world.vm_named(wish.name));
            adopted.map(|vm| vm.instance_uuid.to_string()).unwrap_or_default()
        });
        match wish {
            Some(wish) => self.write("vm.yaml", &wish.manifest(self.kind, &id)),
            None => drop(fs::remove_file(self.folder.path().join("manifests/vm.yaml"))),
        }
    }

    fn write(&self, name: &str, text: &str) {
        let folder = self.folder.path().join("manifests");
        fs::create_dir_all(&folder).expect("it is ours");
        fs::write(folder.join(name), text).expect("it is ours");
    }
}
