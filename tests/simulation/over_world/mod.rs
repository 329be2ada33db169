//! A provider over the lab's world without a wire between: keeps the contract of `provider/mod.rs`, in both schemes of
//! identity, and goes wrong where a simulation says so.
//!
//! ```text
//! reading.rs  the world in the product's words       finding.rs  one VM, by own id or identity
//! calling.rs  one mutating call, and its troubles    changing.rs reconfigure, power, rename, destroy
//! creating.rs a VM from birth to its finished mark   trouble.rs  what goes wrong
//! ```
//!
//! It is for tests only: it looks into the world as no client can. What it shares with the real providers is the
//! contract alone.

mod calling;
mod changing;
mod creating;
mod finding;
mod reading;
mod trouble;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tierwright::inventory::{Capabilities, Known, Observed};
use tierwright::lab::{LabClock, WorldHandle};
use tierwright::model::{EndpointName, HypervisorType};
use tierwright::plan::Operation;
use tierwright::provider::{
    ErrorKind, Found, MissingRight, Order, Provider, ProviderError, Recorder, StepError, Target,
};

pub use reading::slot;
pub use trouble::{CallTrouble, Trouble};

use calling::Work;

/// Where our mark stands, whatever the scheme.
const MARK: &str = crate::marks::VSPHERE;

/// How a VM gets its lasting id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// It is ours to choose, as on vSphere.
    Chosen,
    /// The hypervisor chooses: the VM is born under a name that leads to it, as on Hyper-V and XenServer.
    Born,
}

/// See the module.
pub struct OverWorld {
    name: EndpointName,
    scheme: Scheme,
    world: WorldHandle,
    clock: LabClock,
    trouble: Mutex<Trouble>,
}

impl OverWorld {
    pub fn new(name: EndpointName, scheme: Scheme, world: WorldHandle, clock: LabClock) -> Self {
        Self { name, scheme, world, clock, trouble: Mutex::default() }
    }

    /// Its world's time.
    pub fn clock(&self) -> &LabClock {
        &self.clock
    }

    /// What goes wrong now.
    pub fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What could be done there if the server answered.
    fn able(&self) -> Capabilities {
        let chosen = self.scheme == Scheme::Chosen;
        Capabilities {
            hypervisor: if chosen { HypervisorType::Vsphere } else { HypervisorType::Xenserver },
            product: "a world without a wire".to_owned(),
            create_from_image: true,
            create_blank: true,
            cloud_init: false,
            own_id_is_identity: chosen,
            names_by_folder: chosen,
        }
    }

    fn error(&self, operation: &str, kind: ErrorKind, message: impl Into<String>) -> ProviderError {
        ProviderError {
            kind,
            endpoint: self.name.clone(),
            operation: operation.to_owned(),
            vm: None,
            message: message.into(),
            source: None,
        }
    }

    /// Nothing is answered while the endpoint is out.
    fn reach(&self) -> Result<(), ProviderError> {
        let out = self.trouble().out;
        if out { Err(self.error("connect", ErrorKind::Unreachable, "connection refused")) } else { Ok(()) }
    }
}

#[async_trait]
impl Provider for OverWorld {
    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        self.reach()?;
        Ok(self.able())
    }

    async fn collect(&self, known: &[Known]) -> Result<Observed, ProviderError> {
        self.reach()?;
        let observed = self.listing(known);
        // Work whose caller gave up on it comes to its end after the listing was made.
        self.do_late_work();
        Ok(observed)
    }

    async fn find(&self, target: &Target) -> Result<Found, ProviderError> {
        self.reach()?;
        self.found(target)
    }

    async fn execute(&self, order: &Order<'_>, recorder: &dyn Recorder) -> Result<(), StepError> {
        for (at, operation) in order.step.operations.iter().enumerate() {
            let mut work = Work { provider: self, step: order.step, recorder, operation: at };
            if let Some(halt) = recorder.interrupted() {
                return Err(halt.into());
            }
            match operation {
                Operation::Create(create) => work.create(create).await?,
                Operation::Reconfigure { changes, mark } => work.reconfigure(changes, mark).await?,
                Operation::Stop(shutdown) => work.stop(*shutdown).await?,
                Operation::Start => work.start().await?,
                Operation::Rename(name) => work.rename(name.as_str()).await?,
                Operation::Unmark => work.unmark().await?,
                Operation::Destroy { disks } => work.destroy(disks).await?,
            }
        }
        Ok(())
    }

    async fn rights(&self) -> Result<Vec<MissingRight>, ProviderError> {
        Ok(Vec::new())
    }

    async fn close(&self) {}
}
