//! One simulation: an installation, its hypervisors and the people around it, from a seed.
//!
//! ```text
//! each step:  an action (Git, console, trouble, clock, process) -> perhaps a cycle
//! a cycle:    look -> rules of plans -> perhaps somebody acts in between -> apply, perhaps killed -> rules of runs
//! at the end: all trouble ends -> cycles until nothing is left to do -> rules of settling
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom, IteratorRandom};
use rand::{RngExt, SeedableRng};
use tierwright::clock::Clock;
use tierwright::endpoints::Endpoints;
use tierwright::events::EventSink;
use tierwright::journal::{Journal, Volatile};
use tierwright::lab::world;
use tierwright::model::{EndpointName, OwnId, Secret, TierName, VmKey};
use tierwright::plan::{BlockCode, EndpointState, Limits, Manage, Plan};
use tierwright::session::{Look, LookRequest, Session};
use tierwright::settings::{EndpointSettings, PasswordFrom, Settings, Trust};
use tierwright::shutdown::Shutdown;

use crate::edits::{self, Drawer};
use crate::figures::Figures;
use crate::git::{Git, Shape, TierFile, VmFile};
use crate::invariants::{self, Cycle, Holds, INSTALLATION, Owner, Past, Truth, own_id, owner, plans, settling, truth};
use crate::over_world::{CallTrouble, MARK};
use crate::people;
use crate::site::{Fault, Site};
use crate::watched::{Mortal, Watch, Watched};

/// Quiet cycles within which everything must be done.
const QUIET_CYCLES: usize = 12;

/// See the module.
pub struct Life {
    rng: StdRng,
    steps: u32,
    _dir: tempfile::TempDir,
    git: Git,
    drawer: Drawer,
    sites: Vec<Site>,
    clock: Clock,
    memory: Volatile,
    session: Option<Session>,
    settings: Settings,
    watch: Watch,
    past: Past,
    /// What the last preview showed, to be approved now or too late.
    shown: BTreeMap<String, BTreeSet<VmKey>>,
    /// Typed for the next cycle.
    typed: BTreeMap<String, BTreeSet<VmKey>>,
    paused: bool,
    forgot: bool,
    began: Timestamp,
    pub figures: Figures,
    pub trace: Vec<String>,
}

/// Whether a run came to its end.
enum Run {
    Ended,
    Died,
}

impl Life {
    /// With so many steps, and one for each endpoint to be.
    pub fn new(seed: u64, steps: RangeInclusive<u32>, sites: Vec<Site>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        tierwright::ids::seed_this_thread(seed);
        let dir = tempfile::tempdir().expect("a directory");
        let began: Timestamp = "2026-01-05T08:00:00Z".parse().expect("a time");
        let clock = Clock::standing_at(began);
        let settings = settings(&mut rng, dir.path().to_owned(), &sites);
        let mut life = Self {
            steps: rng.random_range(steps),
            git: git(&mut rng, &sites),
            drawer: Drawer::default(),
            watch: Watch { sent: Arc::default(), mortal: Arc::new(Mortal::default()), clock: clock.clone() },
            rng,
            _dir: dir,
            sites,
            clock,
            memory: Volatile::default(),
            session: None,
            settings,
            past: Past::default(),
            shown: BTreeMap::new(),
            typed: BTreeMap::new(),
            paused: false,
            forgot: false,
            began,
            figures: Figures { simulations: 1, ..Figures::default() },
            trace: Vec::new(),
        };
        for n in 1..=life.rng.random_range(2..=6) {
            let tier = life.git.tiers.keys().choose(&mut life.rng).expect("there are tiers").clone();
            life.git.vms.insert(format!("sim/vm-{n}"), VmFile::new(&tier, n));
            life.drawer.made = n;
        }
        life.git.write(&life.settings.source);
        life
    }

    /// All of it; a rule that did not hold ends it.
    pub async fn live(&mut self) -> Holds {
        // One quiet cycle, so that there is something to change.
        self.cycle(false).await?;
        for _ in 0..self.steps {
            self.figures.steps += 1;
            self.act();
            if self.rng.random_bool(0.75) {
                self.cycle(true).await?;
            }
        }
        let settled = self.settle().await;
        let lived = self.clock.now().duration_since(self.began).as_hours();
        self.figures.virtual_hours += lived;
        settled
    }

    fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.trace.push(format!("{} {what}", self.clock.now()));
    }

    // ---- actions --------------------------------------------------------------------------------------------------

    fn act(&mut self) {
        let done = match self.rng.random_range(0..100) {
            0..50 if self.paused => self.pause_or_resume(),
            0..32 => self.edit_git(),
            32..52 => self.act_at_console(),
            52..67 => self.strike(),
            67..75 => self.heal(),
            75..84 => self.pass_time(),
            84..92 => self.approve(),
            92..95 => self.pause_or_resume(),
            95..97 => self.restart(),
            97..99 => self.change_state(),
            _ => self.forget(),
        };
        if let Some((kind, what)) = done {
            self.figures.action(kind.clone());
            self.note(format!("{kind}: {what}"));
        }
    }

    fn edit_git(&mut self) -> Option<(String, String)> {
        if self.rng.random_bool(0.08) {
            return self.adopt();
        }
        let edit = edits::edit(&mut self.rng);
        let what = edits::make(edit, &mut self.git, &mut self.drawer, &mut self.rng)?;
        self.git.write(&self.settings.source);
        Some((format!("git {edit:?}"), what))
    }

    /// A manifest that takes over a VM which nobody manages, as `import` would write it.
    fn adopt(&mut self) -> Option<(String, String)> {
        let site = self.sites.choose(&mut self.rng)?;
        let tier = self.git.tiers.values().find(|tier| tier.endpoints.contains(&site.name.to_string()))?.name.clone();
        let (id, mut file) = site.world.with(|world| {
            let taken = |id: &OwnId| {
                self.git.vms.values().any(|vm| vm.adopt.as_ref().is_some_and(|(_, it)| *it == id.to_string()))
            };
            let free = world.vms().filter(|vm| !vm.template && owner(vm) == Owner::NotUs && !vm.disks.is_empty());
            let free = free.filter(|vm| !taken(&own_id(vm)));
            let vm = free.choose(&mut self.rng)?;
            Some((own_id(vm), people::as_manifest(world, vm, &tier)?))
        })?;
        self.drawer.made += 1;
        let key = format!("sim/taken-{}", self.drawer.made);
        let what = format!("{key} from {id} on {}", site.name);
        file.adopt = Some((site.name.to_string(), id.to_string()));
        self.git.vms.insert(key, file);
        self.git.write(&self.settings.source);
        Some(("git Adopt".to_owned(), what))
    }

    /// The administrator says that an endpoint is worked on, given up, or counted on again.
    fn change_state(&mut self) -> Option<(String, String)> {
        let endpoint = self.settings.endpoints.choose_mut(&mut self.rng)?;
        endpoint.state = match endpoint.state {
            EndpointState::Active => *[EndpointState::Maintenance, EndpointState::Retired].choose(&mut self.rng)?,
            EndpointState::Maintenance | EndpointState::Retired => EndpointState::Active,
        };
        self.session = None;
        Some((format!("endpoint {:?}", endpoint.state), endpoint.name.to_string()))
    }

    /// Somebody installs guest tools in most VMs that we made.
    fn install_tools(&mut self) {
        for site in &self.sites {
            site.world.with(|world| {
                let bare = |vm: &&world::Vm| vm.setting(MARK).is_some() && !vm.guest.tools_installed;
                let ids: Vec<world::Id> = world.vms().filter(bare).map(|vm| vm.id).collect();
                for id in ids.into_iter().filter(|_| self.rng.random_bool(0.6)) {
                    world.edit_runtime(id, |vm| vm.guest.tools_installed = true);
                }
            });
        }
    }

    fn act_at_console(&mut self) -> Option<(String, String)> {
        let deed = people::deed(&mut self.rng);
        let site = self.sites.choose(&mut self.rng)?;
        let what = people::act(deed, &site.world, &mut self.rng)?;
        Some((format!("console {deed:?}"), format!("{what} on {}", site.name)))
    }

    fn strike(&mut self) -> Option<(String, String)> {
        let at = self.rng.random_range(0..self.sites.len());
        let vms: Vec<OwnId> = self.sites[at]
            .world
            .with(|world| world.vms().filter(|vm| vm.setting(MARK).is_some()).map(own_id).collect());
        let some = vms.choose(&mut self.rng).cloned();
        let nth = self.rng.random_range(0..4);
        let fault = match (self.rng.random_range(0..16), some) {
            (0, _) => Fault::Outage,
            (1, _) => Fault::CutListing(self.rng.random_range(0..6)),
            (2, _) => Fault::Blind,
            (3, Some(id)) => Fault::Hidden(id),
            (4, Some(id)) => Fault::Denied(id),
            (5, Some(id)) => Fault::UnsetConfig(id),
            (6, Some(id)) => Fault::DeafGuest(id),
            (7, _) => Fault::Call(nth, CallTrouble::LoseReplyAndEndpoint),
            (8, _) => Fault::Call(nth, CallTrouble::Drop),
            (9 | 10, _) => Fault::Call(nth, CallTrouble::Late),
            (11, _) => Fault::Call(nth, CallTrouble::Refuse),
            (12, _) => Fault::Call(nth, CallTrouble::FailTask),
            (13, _) => Fault::Call(nth, CallTrouble::Unsent),
            (14, _) => Fault::Call(nth, CallTrouble::Busy),
            _ => Fault::Call(nth, CallTrouble::LoseReply),
        };
        self.sites[at].strike(&fault);
        self.figures.fault(fault.name());
        Some(("trouble".to_owned(), format!("{fault:?} at {}", self.sites[at].name)))
    }

    fn heal(&mut self) -> Option<(String, String)> {
        let site = self.sites.choose_mut(&mut self.rng)?;
        site.heal();
        Some(("trouble ends".to_owned(), format!("at {}", site.name)))
    }

    fn pass_time(&mut self) -> Option<(String, String)> {
        let by = match self.rng.random_range(0..10) {
            0..4 => SignedDuration::from_hours(self.rng.random_range(1..=23)),
            4..8 => SignedDuration::from_hours(24 * self.rng.random_range(1..=8)),
            8 => -SignedDuration::from_mins(self.rng.random_range(1..=90)),
            _ => -SignedDuration::from_hours(self.rng.random_range(2..=72)),
        };
        self.set_clock(by);
        let kind = if by.is_negative() { "clock back" } else { "clock forward" };
        Some((kind.to_owned(), format!("{by:#}")))
    }

    fn set_clock(&self, by: SignedDuration) {
        if let Clock::Virtual(shared) = &self.clock {
            let mut now = shared.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.saturating_add(by).unwrap_or(*now);
        }
    }

    fn approve(&mut self) -> Option<(String, String)> {
        if self.shown.is_empty() {
            return None;
        }
        let choice = self.rng.random_range(1..=3);
        let typed: Vec<_> = self.shown.iter().sample(&mut self.rng, choice);
        for (digest, keys) in typed {
            self.typed.insert(digest.clone(), keys.clone());
        }
        Some(("approve".to_owned(), format!("{:?}", self.typed)))
    }

    fn pause_or_resume(&mut self) -> Option<(String, String)> {
        let dir = &self.settings.state_dir;
        self.paused = !self.paused;
        if self.paused {
            tierwright::pause::pause(dir, Some("a person said so")).expect("a STOP file");
        } else {
            tierwright::pause::resume(dir).expect("no STOP file");
        }
        Some((if self.paused { "pause" } else { "resume" }.to_owned(), String::new()))
    }

    fn restart(&mut self) -> Option<(String, String)> {
        self.session = None;
        Some(("restart".to_owned(), String::new()))
    }

    /// The state directory is lost.
    fn forget(&mut self) -> Option<(String, String)> {
        self.session = None;
        self.memory = Volatile::default();
        self.forgot = true;
        self.past.destroys.clear();
        Some(("stateDir lost".to_owned(), String::new()))
    }

    // ---- cycles ---------------------------------------------------------------------------------------------------

    fn session(&mut self) -> Session {
        if let Some(session) = self.session.take() {
            return session;
        }
        let mut endpoints = Endpoints::default();
        for (site, settings) in self.sites.iter().zip(&self.settings.endpoints) {
            let watched = Watched {
                name: site.name.clone(),
                inner: (site.connect)(),
                world: site.world.clone(),
                watch: self.watch.clone(),
            };
            endpoints = endpoints.with(site.name.clone(), Arc::new(watched), settings.parallel);
        }
        let journal = Journal::in_memory(&self.settings.state_dir, &self.memory);
        Session::with_endpoints(self.settings.clone(), self.clock.clone(), endpoints).with_journal(journal)
    }

    /// One look and, mostly, one apply.
    async fn cycle(&mut self, rough: bool) -> Holds {
        self.figures.cycles += 1;
        let pause = SignedDuration::from_secs(self.rng.random_range(1..=600));
        self.set_clock(pause);
        let session = self.session();
        let before = truth(&self.sites);
        self.count_owned(&before);
        let dark: BTreeSet<EndpointName> =
            self.sites.iter().filter(|site| site.dark).map(|site| site.name.clone()).collect();
        let unseen: BTreeSet<OwnId> = self.unseen(&before);
        let typed = std::mem::take(&mut self.typed);
        let request = LookRequest { approvals: typed.keys().cloned().collect(), ..LookRequest::default() };
        let look = session.look(&request).await.expect("the journal is in memory");
        let approved: BTreeSet<VmKey> = typed.into_values().flatten().collect();
        self.made_meanwhile(&before);
        if let Some(plan) = &look.plan {
            self.figures.plan(plan);
            self.show(plan);
            let observed_only = self.observed_only();
            let cycle = self.cycle_of(&look, (&dark, &unseen), &approved, &observed_only);
            plans::of_plan(&cycle, plan, session.policy(), &before)?;
        }
        if rough && self.rng.random_bool(0.12) {
            if let Some((kind, what)) = self.act_at_console() {
                self.figures.action(kind.clone());
                self.note(format!("between look and apply, {kind}: {what}"));
            }
        }
        let dies = (rough && self.rng.random_bool(0.3)).then(|| self.rng.random_range(0..16));
        let before = truth(&self.sites);
        let ended = self.run(&session, &look, dies).await;
        let sent = std::mem::take(&mut *self.watch.sent.lock().unwrap_or_else(PoisonError::into_inner));
        self.figures.calls += sent.len() as u64;
        let after = truth(&self.sites);
        self.note(format!(
            "sent {:?}",
            sent.iter().map(|sent| format!("{} {}", sent.step.key, sent.call)).collect::<Vec<_>>()
        ));
        self.install_tools();
        if matches!(ended, Run::Ended) && self.rng.random_bool(0.7) {
            self.session = Some(session);
        }
        let observed_only = self.observed_only();
        let mut past = std::mem::take(&mut self.past);
        let cycle = self.cycle_of(&look, (&dark, &unseen), &approved, &observed_only);
        let holds = invariants::of_run(&cycle, &sent, (&before, &after), &mut past);
        self.past = past;
        holds
    }

    async fn run(&mut self, session: &Session, look: &Look, dies: Option<usize>) -> Run {
        self.watch.mortal.dies_at(dies);
        let (events, shutdown) = (EventSink::nowhere(), Shutdown::new());
        let mortal = Arc::clone(&self.watch.mortal);
        let report = tokio::select! {
            biased;
            () = mortal.died.notified() => None,
            report = session.apply(look, &events, &shutdown) => Some(report.expect("nobody else holds the lock")),
        };
        self.watch.mortal.dies_at(None);
        let Some(report) = report else {
            self.figures.crashes += 1;
            self.note("killed");
            return Run::Died;
        };
        for step in report.steps.iter().filter(|step| !step.outcome.why().is_empty()) {
            let (key, action, why) = (&step.key, step.action, step.outcome.why());
            self.trace.push(format!("  {action:?} of {key}: {why}"));
        }
        self.figures.report(&report);
        Run::Ended
    }

    fn cycle_of<'a>(
        &'a self,
        look: &'a Look,
        (dark, unseen): (&'a BTreeSet<EndpointName>, &'a BTreeSet<OwnId>),
        approved: &'a BTreeSet<VmKey>,
        observed_only: &'a BTreeSet<EndpointName>,
    ) -> Cycle<'a> {
        Cycle {
            git: &self.git,
            look,
            now: self.clock.now(),
            dark,
            unseen,
            approved,
            paused: self.paused,
            observed_only,
            forgot: self.forgot,
            given_up: self.in_state(EndpointState::Retired),
            excused: self.in_state(EndpointState::Maintenance),
            limits: self.settings.limits,
        }
    }

    /// What a person may approve of this preview: its one digest, and each by itself.
    fn show(&mut self, plan: &Plan) {
        self.shown.clear();
        for blocked in &plan.blocked {
            let Some(digest) = &blocked.digest else { continue };
            self.shown.entry(digest.short().to_owned()).or_default().insert(blocked.key.clone());
            if let Some(all) = plan.approval.as_ref().filter(|_| blocked.code != BlockCode::DestroyLimit) {
                self.shown.entry(all.short().to_owned()).or_default().insert(blocked.key.clone());
            }
        }
        let steps: Vec<String> = plan.steps.iter().map(|step| format!("{:?} {}", step.action, step.key)).collect();
        let blocked: Vec<String> =
            plan.blocked.iter().map(|it| format!("{:?} {}: {:?}", it.action, it.key, it.code)).collect();
        self.note(format!("plan {steps:?}, blocked {blocked:?}, {} in sync", plan.in_sync));
    }

    /// VMs whose listing or configuration is kept from us.
    fn unseen(&self, truth: &Truth) -> BTreeSet<OwnId> {
        let hidden = self.sites.iter().flat_map(|site| site.unseen.iter().cloned());
        let lost = truth.vms.values().filter(|vm| vm.link != world::Link::Connected);
        hidden.chain(lost.map(own_id)).collect()
    }

    fn in_state(&self, state: EndpointState) -> BTreeSet<EndpointName> {
        let there = self.settings.endpoints.iter().filter(|endpoint| endpoint.state == state);
        there.map(|endpoint| endpoint.name.clone()).collect()
    }

    fn observed_only(&self) -> BTreeSet<EndpointName> {
        let observed = self.settings.endpoints.iter().filter(|endpoint| endpoint.manage == Manage::Observe);
        observed.map(|endpoint| endpoint.name.clone()).collect()
    }

    fn count_owned(&mut self, truth: &Truth) {
        let mut owned: BTreeMap<TierName, u32> = BTreeMap::new();
        for vm in truth.vms.values() {
            if let Owner::Us(mark) = owner(vm) {
                *owned.entry(mark.tier.clone()).or_default() += 1;
            }
        }
        self.past.owned.push((self.clock.now(), owned));
    }

    /// What came into the world while we looked was begun by us and done late.
    fn made_meanwhile(&mut self, before: &Truth) {
        let now = truth(&self.sites);
        self.past.made.extend(now.vms.into_keys().filter(|at| !before.vms.contains_key(at)));
    }

    // ---- the end --------------------------------------------------------------------------------------------------

    /// All trouble ends, and so must the work.
    async fn settle(&mut self) -> Holds {
        self.note("all is well again");
        self.sites.iter_mut().for_each(Site::heal);
        for site in &self.sites {
            site.world.with(|world| {
                let all: Vec<_> = world.vms().map(|vm| vm.id).collect();
                for id in all {
                    world.edit_runtime(id, |vm| {
                        vm.link = world::Link::Connected;
                        vm.question = None;
                    });
                }
            });
        }
        if self.paused {
            self.pause_or_resume();
        }
        self.settings.endpoints.iter_mut().for_each(|endpoint| endpoint.state = EndpointState::Active);
        self.session = None;
        self.git.shape = Shape::Good;
        self.git.write(&self.settings.source);
        self.typed.clear();
        for cycles in 1..=QUIET_CYCLES {
            self.cycle(false).await?;
            let look = self.preview().await;
            let Some(plan) = look.plan else { return settling::a_good_source_has_a_plan(&look.diagnostics) };
            if plan.steps.is_empty() {
                self.figures.most_quiet_cycles = self.figures.most_quiet_cycles.max(cycles);
                return self.check_settled().await;
            }
        }
        let last = self.preview().await;
        last.plan.as_ref().map_or(Ok(()), |plan| settling::it_converges(plan, QUIET_CYCLES))
    }

    async fn preview(&mut self) -> Look {
        let session = self.session();
        let look = session.look(&LookRequest::default()).await.expect("the journal is in memory");
        self.session = Some(session);
        look
    }

    async fn check_settled(&mut self) -> Holds {
        let calls = self.figures.calls;
        self.cycle(false).await?;
        settling::what_converged_is_left_alone(usize::try_from(self.figures.calls - calls).unwrap_or(usize::MAX))?;
        let look = self.preview().await;
        let (Some(plan), Some(desired)) = (&look.plan, &look.desired) else { return Ok(()) };
        settling::what_is_in_sync_is_as_git_says(desired, plan, &truth(&self.sites))
    }
}

fn git(rng: &mut StdRng, sites: &[Site]) -> Git {
    let mut tiers = BTreeMap::new();
    // The first two endpoints share a tier where they speak one language.
    let shared = sites[0].hypervisor == sites[1].hypervisor;
    let groups: Vec<&[Site]> = if shared { vec![&sites[..2], &sites[2..]] } else { sites.chunks(1).collect() };
    for (n, group) in (1..).zip(groups) {
        let name = format!("tier-{n}");
        let tier = TierFile {
            name: name.clone(),
            endpoints: group.iter().map(|site| site.name.to_string()).collect(),
            places: group[0].places,
            prune: ["confirm", "auto", "auto"].choose(rng).expect("three"),
            grace_days: *[0, 1, 7].choose(rng).expect("three"),
        };
        tiers.insert(name, tier);
    }
    Git { tiers, vms: BTreeMap::new(), shape: Shape::Good }
}

fn settings(rng: &mut StdRng, dir: PathBuf, sites: &[Site]) -> Settings {
    let observed = rng.random_bool(0.06).then(|| rng.random_range(0..sites.len()));
    let endpoint = |(n, site): (usize, &Site)| EndpointSettings {
        name: site.name.clone(),
        hypervisor: site.hypervisor,
        urls: vec!["https://nowhere.invalid/".to_owned()],
        auth: tierwright::settings::Auth::default(),
        username: "nobody".to_owned(),
        password: PasswordFrom::Given(Secret::new(String::new())),
        trust: Trust::SystemRoots,
        manage: if observed == Some(n) { Manage::Observe } else { Manage::Suggest },
        state: EndpointState::Active,
        parallel: 1 + n,
    };
    Settings {
        path: dir.join("tierwright.yaml"),
        installation: INSTALLATION.to_owned(),
        source: dir.join("manifests"),
        state_dir: dir.join("state"),
        secrets_dir: dir.join("secrets"),
        interval: std::time::Duration::from_secs(60),
        endpoints: sites.iter().enumerate().map(endpoint).collect(),
        limits: Limits {
            destroys_per_day: rng.random_range(1..=6),
            destroy_percent_per_tier_per_day: *[5, 50, 100, 100].choose(rng).expect("four"),
            disruptions_per_run: rng.random_range(1..=10),
            parallel_per_endpoint: 8,
        },
    }
}
