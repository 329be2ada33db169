//! From a plan to what was done: the change lock, the checks that belong to the run as a whole, the run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Look, Running, Session, SessionError};
use crate::apply::{ApplyReport, ApplyRun, apply};
use crate::events::chain;
use crate::journal::Lock;
use crate::model::{Desired, TierName};
use crate::plan::safety::limits::DestroyBudget;
use crate::plan::{self, History, Plan};
use crate::userdata::UserData;

impl Session {
    /// Runs the plan of a look.
    pub(crate) async fn run_look(&self, look: &Look, how: Running<'_>) -> Result<ApplyReport, SessionError> {
        let (Some(plan), Some(desired)) = (&look.plan, &look.desired) else { return Ok(ApplyReport::default()) };
        if plan.steps.is_empty() {
            return Ok(ApplyReport::default());
        }
        let _lock = Lock::change(&self.settings.state_dir).await?;
        let journal = self.journal().await?;
        let now = self.clock.now();
        journal.record_approvals(&self.run, &look.approvals, plan.hash.as_str(), now).await?;
        // Another run may have held the lock, or be long done: its destroys use up what this plan counted on.
        let known = &look.history.destroys;
        let moved = journal.history(now).await?.destroys.iter().any(|destroyed| !known.contains(destroyed));
        let no_destroys = moved.then_some("another run removed VMs since this plan was made: plan again");
        let report = self.execute(plan, &self.user_data_of(Arc::clone(desired)), no_destroys, how).await?;
        self.keep_as_good(desired).await;
        Ok(report)
    }

    /// What was applied is applied, whatever becomes of this.
    async fn keep_as_good(&self, desired: &Desired) {
        if let Err(error) = self.keep_applied(desired).await {
            tracing::warn!(error = chain(&error), "what was applied could not be kept as the last good revision");
        }
    }

    /// Runs steps of a plan of `serve`, which holds the change lock and saw to it that the plan is not older
    /// than anybody's last change.
    pub(crate) async fn run_part(
        &self,
        part: &Plan,
        desired: &Arc<Desired>,
        how: Running<'_>,
    ) -> Result<ApplyReport, SessionError> {
        self.execute(part, &self.user_data_of(Arc::clone(desired)), None, how).await
    }

    /// Runs a saved plan.
    pub(crate) async fn run_saved(&self, plan: &Plan, how: Running<'_>) -> Result<ApplyReport, SessionError> {
        self.verify(plan)?;
        let desired = self.desired_of(plan).await?;
        let _lock = Lock::change(&self.settings.state_dir).await?;
        let history = self.journal().await?.history(self.clock.now()).await?;
        let no_destroys = self.past_limits(plan, &history);
        let report = self.execute(plan, &self.user_data_of(Arc::clone(&desired)), no_destroys.as_deref(), how).await?;
        self.keep_as_good(&desired).await;
        Ok(report)
    }

    /// Is it a plan of ours, whole, and made under these settings?
    fn verify(&self, plan: &Plan) -> Result<(), SessionError> {
        let refuse = |why: String| Err(SessionError::SavedPlan(why));
        if plan.format_version != 1 {
            return refuse(format!("has format version {}; this program knows 1", plan.format_version));
        }
        if plan.installation != self.policy.installation {
            return refuse(format!("is for installation {}, not {}", plan.installation, self.policy.installation));
        }
        if plan.settings != self.policy.digest() {
            return refuse("was made under other settings: plan again".into());
        }
        if plan::content_hash(plan) != plan.hash {
            return refuse("was changed after it was made: its hash does not match".into());
        }
        Ok(())
    }

    /// What its revision wanted, for the user data; nothing when the source has moved on. A create that needs user data
    /// then finds none and is refused.
    async fn desired_of(&self, plan: &Plan) -> Result<Arc<Desired>, SessionError> {
        let wanted = self.read_source(None).await?;
        let same = wanted.desired.filter(|desired| desired.revision == plan.revision);
        Ok(same.unwrap_or_default())
    }

    /// A saved plan was within the limits when it was made; is it now?
    fn past_limits(&self, plan: &Plan, history: &History) -> Option<String> {
        let mut owned: BTreeMap<TierName, u32> = BTreeMap::new();
        for vm in history.last.values().flat_map(|last| last.vms.iter()).filter_map(|vm| vm.owned.as_ref()) {
            *owned.entry(vm.tier.clone()).or_default() += 1;
        }
        let budget = DestroyBudget::new(&self.policy.limits, history, self.clock.now(), owned);
        let mut on_tier: BTreeMap<&TierName, u32> = BTreeMap::new();
        for step in plan.steps.iter().filter(|step| budget.counts(step)) {
            *on_tier.entry(&step.tier).or_default() += 1;
        }
        let in_all = on_tier.values().sum();
        on_tier.into_iter().find_map(|(tier, count)| budget.refuses(tier, count, in_all))
    }

    async fn execute(
        &self,
        plan: &Plan,
        user_data: &UserData,
        no_destroys: Option<&str>,
        how: Running<'_>,
    ) -> Result<ApplyReport, SessionError> {
        let Running { by, held, events, shutdown } = how;
        let run = ApplyRun {
            id: self.run.clone(),
            endpoints: &self.endpoints,
            journal: self.journal().await?,
            clock: &self.clock,
            policy: &self.policy,
            by,
            user_data,
            held,
            no_destroys,
            events,
            shutdown,
        };
        Ok(apply(plan, &run).await)
    }
}
