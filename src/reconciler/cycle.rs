//! One cycle: a plan of what is known now, told to status and log, and the steps of it that may begin.
//!
//! A plan is made whenever something that it rests on has changed: an answer that says something new, another revision
//! in force, a source that settled, time itself (`standing.rs`: all of it, by name). It rests on the latest answer of
//! each endpoint; one that has none (it is being changed, or has yet to answer) is unreachable so far. Nothing is begun
//! from a plan that is older than anybody's last change: see [`Reconciler::begin_steps`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::Instrument;

use super::Reconciler;
use super::fleet::AGAIN;
use super::runs::{Errand, Locked, share_out};
use super::standing::{self, Ground};
use crate::events::chain;
use crate::model::{Desired, EndpointName, Secret, VmKey};
use crate::plan::safety::limits;
use crate::plan::{History, Manage, Plan, SourceTrust, Step};
use crate::session::{Basis, SessionError};
use crate::status::{Planned, VmStatus};

/// How often each endpoint had been changed when a plan was made.
type Changes = BTreeMap<EndpointName, u64>;

impl Reconciler {
    /// One cycle in a span of its own; errors are told and the loop goes on.
    pub(super) async fn cycle(&mut self) {
        self.read_source_now().await;
        let revision = self.in_force.desired.as_ref().map(|desired| desired.revision.to_string());
        let number = self.status.borrow().cycles + 1;
        // Enough to tell revisions apart; all of it is in the status and in each plan.
        let short: String = revision.iter().flat_map(|revision| revision.chars()).take(19).collect();
        let span = tracing::info_span!("cycle", number, revision = short);
        let cycled = self.plan_and_begin().instrument(span).await;
        if let Err(error) = cycled {
            self.plan_wanted = false;
            self.stall(&chain(&error));
            self.plan_at = Some(crate::clock::instant() + AGAIN);
        }
        let now = self.session.clock().now();
        self.status.send_modify(|status| {
            status.cycles = number;
            status.last_cycle = Some(now);
            status.revision = revision;
        });
    }

    async fn plan_and_begin(&mut self) -> Result<(), SessionError> {
        let Some(desired) = self.in_force.desired.clone() else {
            if self.in_force.trust == SourceTrust::Broken {
                self.stall("the source has errors, and no good revision of it is known");
            } else {
                tracing::info!("waiting for the source to settle");
            }
            return Ok(());
        };
        let changes = self.session.journal().await?.changes().await?;
        self.fleet.notice_changes(&changes, self.moment());
        // Warnings: what cannot be read refuses the create that needs it.
        let user_data = self.session.read_user_data(&desired, &mut Vec::new()).await?;
        let ground = Ground {
            desired: Arc::clone(&desired),
            trust: self.in_force.trust,
            fleet: self.fleet.version(),
            history: self.history().await?,
            user_data: standing::digest(&user_data),
        };
        if self.stands_on(&ground) {
            tracing::debug!("nothing that the last plan rests on has changed");
            return Ok(());
        }
        self.standing = None;
        let (plan, until) = self.plan(&ground, &user_data);
        self.tell(&plan, &desired, &ground.history);
        self.standing = self.standing_of(ground, &plan, until);
        self.begin_steps(plan, &desired, changes).await
    }

    /// What was there before each answer, and what was done, steps under way included.
    async fn history(&mut self) -> Result<History, SessionError> {
        let now = self.session.clock().now();
        let mut history = self.session.journal().await?.history(now).await?;
        self.fleet.judge_by_before(&mut history);
        history.destroys.extend(self.runs.destroys(now));
        self.forget_old_disruptions(now);
        history.disturbed = self.disturbed.keys().cloned().collect();
        Ok(history)
    }

    /// All that is disturbed for one revision is one run, for a day: drift that comes back each week is not one edit.
    fn forget_old_disruptions(&mut self, now: Timestamp) {
        let start = now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
        self.disturbed.retain(|_, at| *at > start);
    }

    fn plan(&self, ground: &Ground, user_data: &BTreeMap<VmKey, Secret>) -> (Plan, Option<Timestamp>) {
        self.session.plan_for(&Basis {
            desired: &ground.desired,
            trust: ground.trust,
            inventory: self.fleet.inventory(),
            history: &ground.history,
            approvals: &BTreeSet::new(),
            user_data,
        })
    }

    fn tell(&mut self, plan: &Plan, desired: &Desired, history: &History) {
        let mut places: BTreeMap<VmKey, &EndpointName> = BTreeMap::new();
        for (endpoint, last) in &history.last {
            let owned = last.vms.iter().filter_map(|vm| vm.owned.as_ref());
            places.extend(owned.map(|owned| (owned.key.clone(), endpoint)));
        }
        let (awaited, now) = (self.fleet.awaited(), self.session.clock().now());
        self.status.send_modify(|status| {
            status.take_plan(&Planned { plan, desired, awaited: &awaited, places: &places, now });
            status.waits_for = None;
        });
        let status = self.status.borrow();
        self.telling.tell(plan, &status.vms);
        // A VM whose endpoint is awaited keeps its line, and what is known of its failures.
        self.backoff.keep_only(|key| status.vms.get(key).is_some_and(VmStatus::is_to_be_done));
    }

    /// Begins what may begin now. A lock that was free is taken first, and then it is looked again whether somebody
    /// changed anything since `changes` were counted: from then on nobody but us can.
    async fn begin_steps(&mut self, plan: Plan, desired: &Arc<Desired>, changes: Changes) -> Result<(), SessionError> {
        let (now, at) = self.moment();
        let shares = share_out(&plan, |step| self.may_begin(step, (now, at)));
        if shares.is_empty() || self.status.borrow().paused.is_some() {
            return Ok(());
        }
        match self.runs.lock(&self.session.settings().state_dir)? {
            Locked::Before => {}
            Locked::Now => {
                let counted = self.session.journal().await?.changes().await;
                if !matches!(&counted, Ok(counted) if *counted == changes) {
                    self.runs.unlock_if_idle();
                    self.plan_wanted = true;
                    return Ok(counted.map(drop)?);
                }
            }
            Locked::Not(holder) => {
                tracing::info!(holder, "not begun yet");
                self.status.send_modify(|status| status.waits_for = Some(holder));
                self.plan_at = Some(now + AGAIN);
                return Ok(());
            }
        }
        let hull = Plan { steps: Vec::new(), blocked: Vec::new(), notes: Vec::new(), ..plan };
        for (endpoint, steps) in shares {
            let disturbing = steps.iter().filter(|step| limits::disturbs(step));
            self.disturbed.extend(disturbing.map(|step| (step.key.clone(), at)));
            self.fleet.begun(&endpoint, steps.iter().map(|step| step.key.clone()), at);
            self.runs.begin(Errand {
                session: Arc::clone(&self.session),
                desired: Arc::clone(desired),
                endpoint,
                part: Plan { steps, ..hull.clone() },
                events: self.events.clone(),
            });
        }
        Ok(())
    }

    /// May this step begin now, as far as it alone is concerned?
    fn may_begin(&self, step: &Step, (now, at): (Instant, Timestamp)) -> bool {
        let endpoints = &self.session.policy().endpoints;
        endpoints.get(&step.endpoint).is_some_and(|endpoint| endpoint.manage == Manage::Enforce)
            && self.fleet.is_free(&step.endpoint, now)
            // One that the settings took out and brought back may have a run from before.
            && !self.runs.is_running(&step.endpoint)
            && self.backoff.holds(step, at).is_none()
            && !self.runs.has(&step.key)
            && !self.fleet.may_be_elsewhere(&step.key, &step.endpoint)
    }

    /// What `systemctl status` shows.
    pub(super) fn in_a_line(&self) -> String {
        let status = self.status.borrow();
        let answer =
            status.endpoints.values().filter(|endpoint| endpoint.why.is_none() && endpoint.at.is_some()).count();
        let all = self.session.settings().endpoints.len().max(status.endpoints.len());
        let endpoints = format!("{answer} of {all} endpoints answer");
        let mut line = match (&status.condition, &status.plan) {
            (crate::status::Condition::Stalled(why), _) => format!("stalled: {why}"),
            (_, Some(plan)) => {
                format!("{} in sync, {} to do, {} held back; {endpoints}", plan.in_sync, plan.steps, plan.blocked)
            }
            (_, None) => format!("nothing planned yet; {endpoints}"),
        };
        if let Some(why) = &status.paused {
            line = format!("paused ({why}): {line}");
        }
        line
    }
}
