//! A stretch of a life in which `serve` runs: its own loop decides when to look, what to begin, what to wait for and
//! what to try again, while the process's time passes. What it sent is judged as that of any other run.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use rand::RngExt;
use tierwright::journal::Lock;
use tierwright::model::{EndpointName, OwnId};
use tierwright::plan::Manage;
use tierwright::reconciler::Reconciler;
use tierwright::settings::Settings;
use tierwright::shutdown::Shutdown;

use crate::invariants::{self, Holds, Truth, truth};
use crate::life::Life;

impl Life {
    /// Runs `serve` for some minutes, perhaps until it is killed.
    pub async fn serve(&mut self, rough: bool) -> Holds {
        self.figures.cycles += 1;
        let pause = SignedDuration::from_secs(self.rng.random_range(1..=600));
        self.set_clock(pause);
        // Another process: what was typed at the other one's prompt is nothing to it.
        self.session = None;
        self.typed.clear();
        self.note_trouble();
        let before = truth(&self.sites);
        let dark: BTreeSet<EndpointName> =
            self.sites.iter().filter(|site| site.is_dark()).map(|site| site.name.clone()).collect();
        let unseen: BTreeSet<OwnId> = self.unseen(&before);
        let dies = (rough && self.rng.random_bool(0.3)).then(|| self.rng.random_range(0..24));
        self.run_serve(dies).await;
        let sent = std::mem::take(&mut *self.watch.sent.lock().unwrap_or_else(PoisonError::into_inner));
        self.count_calls(&sent);
        let after = truth(&self.sites);
        self.note_befallen();
        let told: Vec<String> = sent.iter().map(|sent| format!("{} {}", sent.step.key, sent.call)).collect();
        self.note(format!("serve sent {told:?}"));
        self.install_tools();
        // As many VMs as a tier may have had at any moment of it.
        let mut all: Truth = before.clone();
        all.vms.extend(after.vms.clone());
        self.count_owned(&all);
        let (observed_only, approved) = (self.observed_only(), BTreeSet::new());
        let mut past = std::mem::take(&mut self.past);
        let cycle = self.cycle_of((&dark, &unseen), &approved, &observed_only);
        let holds = invariants::of_run(&cycle, &sent, (&before, &after), &mut past);
        self.past = past;
        holds
    }

    async fn run_serve(&mut self, dies: Option<usize>) {
        let lock = Lock::serve(&self.settings.state_dir).expect("no other serve runs");
        let session = self.session_under(self.enforcing());
        let reconciler = Reconciler::with_session(session, lock).await.expect("the journal is in memory");
        let (status, shutdown) = (reconciler.status(), Shutdown::new());
        // Long enough for a source to settle and for several looks at an endpoint.
        let long = Duration::from_secs(self.rng.random_range(90..=300));
        let ends = async {
            tokio::time::sleep(long).await;
            shutdown.request();
        };
        self.watch.mortal.dies_at(dies);
        let mortal = Arc::clone(&self.watch.mortal);
        let ended = tokio::select! {
            biased;
            () = mortal.died.notified() => None,
            (ended, ()) = async { tokio::join!(reconciler.run(shutdown.clone()), ends) } => Some(ended),
        };
        self.watch.mortal.dies_at(None);
        let status = status.borrow().clone();
        let what = match ended {
            Some(ended) => {
                ended.expect("it ends as it was asked to");
                format!("ran for {} s", long.as_secs())
            }
            None => "was killed".to_owned(),
        };
        self.figures.crashes += u64::from(what == "was killed");
        self.figures.served += status.cycles;
        let plan = status
            .plan
            .map(|plan| format!("{} to do, {} held back, {} in sync", plan.steps, plan.blocked, plan.in_sync));
        let told = format!("serve {what}: {} cycles, {:?}, last plan {plan:?}", status.cycles, status.condition);
        self.note(told);
        // What was aborted with it goes when it is next looked at.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    /// The settings with `serve` let loose.
    fn enforcing(&self) -> Settings {
        let mut settings = self.settings.clone();
        for endpoint in settings.endpoints.iter_mut().filter(|endpoint| endpoint.manage == Manage::Suggest) {
            endpoint.manage = Manage::Enforce;
        }
        settings
    }
}
