//! A provider seen from outside: every mutating call is noted with the VM as it then was, and the program may die at any
//! point of one.
//!
//! ```text
//! execute -> before(call) X intent X -> change -> X after X outcome -> ...        X: a point where it may die
//! ```
//!
//! Works around any provider, with or without a wire, since it stands between the provider and the recorder.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use tierwright::clock::Clock;
use tierwright::inventory::{Capabilities, Known, Observed};
use tierwright::lab::WorldHandle;
use tierwright::lab::world;
use tierwright::model::{EndpointName, OwnId};
use tierwright::plan::{Action, Step};
use tierwright::provider::{
    Call, Found, Halt, IntentId, MissingRight, Order, Outcome, Provider, ProviderError, Recorder, StepError, Target,
};
use tokio::sync::Notify;

use crate::invariants::{Owner, own_id, owner};

/// One mutating call that was let through.
#[derive(Debug, Clone)]
pub struct Sent {
    pub endpoint: EndpointName,
    pub at: Timestamp,
    pub call: &'static str,
    /// What it does, in the program's own words.
    pub detail: String,
    pub destroys: bool,
    pub step: Arc<Step>,
    /// The VM of the step just before, wherever it is in the world behind that endpoint.
    pub vm: Option<world::Vm>,
    /// Is it the first call of its step in this run?
    pub first: bool,
}

/// When the program dies, and that it has.
#[derive(Debug, Default)]
pub struct Mortal {
    left: Mutex<Option<usize>>,
    pub died: Notify,
}

impl Mortal {
    /// Dies at the n-th point from now on; `None`: lives.
    pub fn dies_at(&self, n: Option<usize>) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = n;
    }

    /// Goes no further when the program is to die here.
    async fn point(&self) {
        let dies = {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            let dies = *left == Some(0);
            *left = left.and_then(|left| left.checked_sub(1));
            dies
        };
        if dies {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// What all endpoints of a simulation share.
#[derive(Debug, Clone)]
pub struct Watch {
    pub sent: Arc<Mutex<Vec<Sent>>>,
    pub mortal: Arc<Mortal>,
    pub clock: Clock,
}

/// See the module.
pub struct Watched {
    pub name: EndpointName,
    pub inner: Arc<dyn Provider>,
    pub world: WorldHandle,
    pub watch: Watch,
}

/// The recorder that the provider sees.
struct Overheard<'a> {
    inner: &'a dyn Recorder,
    by: &'a Watched,
    step: Arc<Step>,
}

impl Watched {
    fn note(&self, call: &Call, step: &Arc<Step>) {
        let mut sent = self.watch.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !sent.iter().any(|sent| Arc::ptr_eq(&sent.step, step));
        sent.push(Sent {
            endpoint: self.name.clone(),
            at: self.watch.clock.now(),
            call: call.name,
            detail: call.detail.clone(),
            destroys: call.destroys,
            step: Arc::clone(step),
            vm: self.vm_of(step),
            first,
        });
    }

    /// The VM that a step is about, if it is there: by its own id, or by what was begun for its identity.
    fn vm_of(&self, step: &Step) -> Option<world::Vm> {
        let id = step.own_id.clone().unwrap_or_else(|| OwnId::new(&step.identity.to_string()));
        let begun = |vm: &&world::Vm| step.own_id.is_none() && owner(vm) == Owner::Unfinished(step.identity);
        self.world.with(|world| world.vms().find(|vm| own_id(vm) == id).or_else(|| world.vms().find(begun)).cloned())
    }
}

#[async_trait]
impl Recorder for Overheard<'_> {
    async fn before(&self, call: &Call) -> Result<IntentId, Halt> {
        self.by.watch.mortal.point().await;
        let intent = self.inner.before(call).await?;
        self.by.note(call, &self.step);
        self.by.watch.mortal.point().await;
        Ok(intent)
    }

    async fn made(&self, own_id: &OwnId, handle: &str) -> Result<(), Halt> {
        self.by.watch.mortal.point().await;
        self.inner.made(own_id, handle).await?;
        self.by.watch.mortal.point().await;
        Ok(())
    }

    async fn after(&self, intent: IntentId, outcome: &Outcome) -> Result<(), Halt> {
        self.by.watch.mortal.point().await;
        self.inner.after(intent, outcome).await?;
        self.by.watch.mortal.point().await;
        Ok(())
    }

    fn progress(&self, text: &str, percent: Option<u8>) {
        self.inner.progress(text, percent);
    }

    fn interrupted(&self) -> Option<Halt> {
        self.inner.interrupted()
    }
}

#[async_trait]
impl Provider for Watched {
    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        self.inner.capabilities().await
    }

    async fn collect(&self, known: &[Known]) -> Result<Observed, ProviderError> {
        self.inner.collect(known).await
    }

    async fn find(&self, target: &Target) -> Result<Found, ProviderError> {
        self.inner.find(target).await
    }

    async fn settle(&self, step: &Step) -> Result<(), ProviderError> {
        self.inner.settle(step).await
    }

    async fn execute(&self, order: &Order<'_>, recorder: &dyn Recorder) -> Result<(), StepError> {
        let overheard = Overheard { inner: recorder, by: self, step: Arc::new(order.step.clone()) };
        self.inner.execute(order, &overheard).await
    }

    async fn rights(&self) -> Result<Vec<MissingRight>, ProviderError> {
        self.inner.rights().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Sent {
    /// Does it take the power from a VM? In the words of all protocols; Hyper-V has one call for on and off.
    pub fn stops(&self) -> bool {
        let named = ["Shutdown", "shutdown", "PowerOff"].iter().any(|word| self.call.contains(word));
        named || (self.call == "RequestStateChange" && self.detail.contains("off"))
    }

    /// Is it the first call by which this VM is taken away?
    pub fn begins_destroy(&self) -> bool {
        self.first && matches!(self.step.action, Action::Retire | Action::Delete)
    }
}
