//! One simulation: an installation, its hypervisors and the people around it, from a seed.
//!
//! ```text
//! each step:  an action (Git, console, trouble, clock, process) -> perhaps a cycle
//! a cycle:    look -> rules of plans -> perhaps somebody acts in between -> apply, perhaps killed -> rules of runs
//! at the end: all trouble ends -> cycles until nothing is left to do -> rules of settling
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};
use tierwright::clock::Clock;
use tierwright::endpoints::Endpoints;
use tierwright::events::EventSink;
use tierwright::journal::{Journal, Volatile};
use tierwright::lab::world;
use tierwright::model::{EndpointName, OwnId, TierName, VmKey};
use tierwright::plan::{BlockCode, EndpointState, Manage, Plan};
use tierwright::session::{Look, LookRequest, Session};
use tierwright::settings::Settings;
use tierwright::shutdown::Shutdown;

use crate::beginning;
use crate::edits::Drawer;
use crate::figures::Figures;
use crate::git::{Git, Shape, VmFile};
use crate::invariants::{self, Cycle, Holds, Owner, Past, Truth, own_id, owner, plans, settling, truth};
use crate::site::Site;
use crate::watched::{Mortal, Sent, Watch, Watched};

/// Quiet cycles within which everything must be done.
const QUIET_CYCLES: usize = 12;

/// See the module.
pub struct Life {
    pub rng: StdRng,
    pub steps: u32,
    /// Is `serve` mostly what acts?
    pub serves: bool,
    pub _dir: tempfile::TempDir,
    pub git: Git,
    pub drawer: Drawer,
    pub sites: Vec<Site>,
    pub clock: Clock,
    pub memory: Volatile,
    pub session: Option<Session>,
    pub settings: Settings,
    pub watch: Watch,
    pub past: Past,
    /// What the last preview showed, to be approved now or too late.
    pub shown: BTreeMap<String, BTreeSet<VmKey>>,
    /// Typed for the next cycle.
    pub typed: BTreeMap<String, BTreeSet<VmKey>>,
    /// Whose calls were sent, of late.
    pub touched: BTreeSet<VmKey>,
    pub paused: bool,
    pub forgot: bool,
    pub began: Timestamp,
    pub figures: Figures,
    pub trace: Vec<String>,
    /// What was wrong at each endpoint when it was last noted.
    pub wrong: BTreeMap<EndpointName, Vec<String>>,
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
        let settings = beginning::settings(&mut rng, dir.path(), &sites);
        let mut life = Self {
            steps: rng.random_range(steps),
            serves: false,
            git: beginning::git(&mut rng, &sites),
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
            touched: BTreeSet::new(),
            paused: false,
            forgot: false,
            began,
            figures: Figures { simulations: 1, ..Figures::default() },
            trace: Vec::new(),
            wrong: BTreeMap::new(),
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
                self.some_cycle(true).await?;
            }
        }
        let settled = self.settle().await;
        let lived = self.clock.now().duration_since(self.began).as_hours();
        self.figures.virtual_hours += lived;
        settled
    }

    pub fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.trace.push(format!("{} {what}", self.clock.now()));
    }

    /// Notes what is wrong at the endpoints, where that changed since it was last noted.
    pub fn note_trouble(&mut self) {
        for at in 0..self.sites.len() {
            let site = &self.sites[at];
            let (name, wrong) = (site.name.clone(), site.wrong());
            if self.wrong.get(&name).is_none_or(|before| *before != wrong) {
                let told = if wrong.is_empty() { "all is well".to_owned() } else { wrong.join(", ") };
                self.trace.push(format!("  in force at {name}: {told}"));
                self.wrong.insert(name, wrong);
            }
        }
    }

    /// Notes what befell single calls.
    pub fn note_befallen(&mut self) {
        for site in &self.sites {
            let name = &site.name;
            self.trace.extend(site.switch.befallen().into_iter().map(|what| format!("  at {name}: {what}")));
        }
    }

    // ---- cycles ---------------------------------------------------------------------------------------------------

    fn session(&mut self) -> Session {
        self.session.take().unwrap_or_else(|| self.session_under(self.settings.clone()))
    }

    /// A new process's, under these settings.
    pub fn session_under(&self, settings: Settings) -> Session {
        let mut endpoints = Endpoints::default();
        for (site, of_it) in self.sites.iter().zip(&settings.endpoints) {
            let watched = Watched {
                name: site.name.clone(),
                inner: (site.connect)(),
                world: site.world.clone(),
                watch: self.watch.clone(),
            };
            endpoints = endpoints.with(site.name.clone(), Arc::new(watched), of_it.parallel);
        }
        let journal = Journal::in_memory(&self.settings.state_dir, &self.memory);
        Session::with_endpoints(settings, self.clock.clone(), endpoints).with_journal(journal)
    }

    /// A person's, or what `serve` does in its place.
    async fn some_cycle(&mut self, rough: bool) -> Holds {
        if self.serves && self.rng.random_bool(0.7) { self.serve(rough).await } else { self.cycle(rough).await }
    }

    /// One look and, mostly, one apply.
    async fn cycle(&mut self, rough: bool) -> Holds {
        self.figures.cycles += 1;
        let pause = SignedDuration::from_secs(self.rng.random_range(1..=600));
        self.set_clock(pause);
        let session = self.session();
        self.note_trouble();
        let before = truth(&self.sites);
        self.count_owned(&before);
        let dark: BTreeSet<EndpointName> =
            self.sites.iter().filter(|site| site.is_dark()).map(|site| site.name.clone()).collect();
        let unseen: BTreeSet<OwnId> = self.unseen(&before);
        let typed = std::mem::take(&mut self.typed);
        let request = LookRequest { approvals: typed.keys().cloned().collect(), ..LookRequest::default() };
        let look = session.look(&request).await.expect("the journal is in memory");
        let approved: BTreeSet<VmKey> = typed.into_values().flatten().collect();
        self.made_meanwhile(&before);
        self.note_befallen();
        if let Some(plan) = &look.plan {
            self.figures.plan(plan);
            self.show(plan);
            let observed_only = self.observed_only();
            let cycle = self.cycle_of((&dark, &unseen), &approved, &observed_only);
            plans::of_plan(&cycle, (&look, plan), session.policy(), &before)?;
        }
        if rough
            && self.rng.random_bool(0.12)
            && let Some((kind, what)) = self.act_at_console()
        {
            self.figures.action(kind.clone());
            self.note(format!("between look and apply, {kind}: {what}"));
        }
        let dies = (rough && self.rng.random_bool(0.3)).then(|| self.rng.random_range(0..16));
        let before = truth(&self.sites);
        let ended = self.run(&session, &look, dies).await;
        let sent = std::mem::take(&mut *self.watch.sent.lock().unwrap_or_else(PoisonError::into_inner));
        self.count_calls(&sent);
        let after = truth(&self.sites);
        self.note_befallen();
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
        let cycle = self.cycle_of((&dark, &unseen), &approved, &observed_only);
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

    pub fn cycle_of<'a>(
        &'a self,
        (dark, unseen): (&'a BTreeSet<EndpointName>, &'a BTreeSet<OwnId>),
        approved: &'a BTreeSet<VmKey>,
        observed_only: &'a BTreeSet<EndpointName>,
    ) -> Cycle<'a> {
        Cycle {
            git: &self.git,
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
    pub fn unseen(&self, truth: &Truth) -> BTreeSet<OwnId> {
        let hidden = self.sites.iter().flat_map(|site| site.unseen.iter().cloned());
        let lost = truth.vms.values().filter(|vm| vm.link != world::Link::Connected);
        hidden.chain(lost.map(own_id)).collect()
    }

    fn in_state(&self, state: EndpointState) -> BTreeSet<EndpointName> {
        let there = self.settings.endpoints.iter().filter(|endpoint| endpoint.state == state);
        there.map(|endpoint| endpoint.name.clone()).collect()
    }

    pub fn observed_only(&self) -> BTreeSet<EndpointName> {
        let observed = self.settings.endpoints.iter().filter(|endpoint| endpoint.manage == Manage::Observe);
        observed.map(|endpoint| endpoint.name.clone()).collect()
    }

    pub fn count_calls(&mut self, sent: &[Sent]) {
        self.figures.calls += sent.len() as u64;
        for call in sent {
            self.touched.insert(call.step.key.clone());
            let kind = call.endpoint.as_str().split('-').next().unwrap_or_default();
            *self.figures.calls_at.entry(kind.to_owned()).or_default() += 1;
        }
    }

    pub fn count_owned(&mut self, truth: &Truth) {
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
            self.some_cycle(false).await?;
            let look = self.preview().await;
            let Some(plan) = look.plan else { return settling::a_good_source_has_a_plan(&look.diagnostics) };
            if plan.steps.is_empty() {
                self.figures.most_quiet_cycles = self.figures.most_quiet_cycles.max(cycles);
                return self.check_settled(&plan).await;
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

    async fn check_settled(&mut self, quiet: &Plan) -> Holds {
        self.touched.clear();
        self.some_cycle(false).await?;
        settling::what_converged_is_left_alone(quiet, &self.touched)?;
        let look = self.preview().await;
        let (Some(plan), Some(desired)) = (&look.plan, &look.desired) else { return Ok(()) };
        settling::what_is_in_sync_is_as_git_says(desired, plan, &truth(&self.sites))
    }
}
