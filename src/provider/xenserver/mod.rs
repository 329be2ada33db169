//! Citrix XenServer and XCP-ng pools, over XAPI's JSON-RPC.
//!
//! By hand over reqwest and serde_json, some 40 messages. Facts of the API come from the Xen API's data model, from
//! exchanges recorded with a real server (`recorded/NN`), and from xapi itself; each is cited where it is used.
//!
//! ```text
//! client.rs    one message out, one answer back      rpc.rs       bodies         fault.rs   what went wrong
//! session.rs   login, renewal, the same pool         pool.rs      who is the master
//! collect.rs   all, then what changed                find.rs      one VM         rights.rs  permissions
//! store.rs     objects by reference                  record.rs, convert.rs, places.rs       wire -> model, pure
//! work.rs      one step: operations in order, the recorder, lost replies         task.rs    waiting on the server
//! settle.rs    waiting for what a dead program began
//! machine.rs   a VM read fresh, to be changed        place.rs     names of an order -> objects
//! create.rs reconfigure.rs power.rs destroy.rs       one file per group of operations
//! disks.rs nics.rs seed.rs mark.rs                   what those are made of
//! ```

mod client;
mod collect;
mod convert;
mod create;
mod destroy;
mod disks;
mod fault;
mod find;
mod machine;
mod mark;
mod nics;
mod place;
mod places;
mod pool;
mod power;
mod reconfigure;
mod record;
#[cfg(test)]
mod recorded;
mod rights;
mod rpc;
mod seed;
mod session;
mod settle;
mod store;
mod task;
mod work;

use async_trait::async_trait;
use tokio::sync::Mutex;

use self::collect::Memory;
use self::fault::Failure;
use self::session::{Door, Session};
use self::work::Work;
use super::{Found, MissingRight, Order, Provider, ProviderError, Recorder, StepError, Target};
use crate::inventory::{Capabilities, Known, Observed};
use crate::model::{EndpointName, HypervisorType};
use crate::plan::Step;
use crate::settings::EndpointSettings;

/// One pool, be it of a single host.
#[derive(Debug)]
pub struct Xenserver {
    endpoint: EndpointName,
    door: Door,
    memory: Mutex<Memory>,
}

impl Xenserver {
    /// Checks the settings; makes no connection.
    pub fn new(settings: &EndpointSettings) -> Result<Self, ProviderError> {
        let endpoint = settings.name.clone();
        match Door::new(settings) {
            Ok(door) => Ok(Self { endpoint, door, memory: Mutex::default() }),
            Err(failure) => Err(failure.into_error(&endpoint, "connect", None)),
        }
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(Failure) -> ProviderError + '_ {
        move |failure| failure.into_error(&self.endpoint, operation, None)
    }
}

/// What can be done there.
fn capabilities(session: &Session) -> Capabilities {
    Capabilities {
        hypervisor: HypervisorType::Xenserver,
        product: session.product.clone(),
        create_from_image: true,
        create_blank: true,
        cloud_init: true,
        own_id_is_identity: false,
        names_by_folder: false,
    }
}

#[async_trait]
impl Provider for Xenserver {
    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        let session = self.door.session().await.map_err(self.failed("log in"))?;
        Ok(capabilities(&session))
    }

    async fn collect(&self, known: &[Known]) -> Result<Observed, ProviderError> {
        collect::collect(&self.door, &self.memory, known).await.map_err(self.failed("read the inventory"))
    }

    async fn find(&self, target: &Target) -> Result<Found, ProviderError> {
        find::find(&self.door, &self.memory, target).await.map_err(self.failed("find a VM"))
    }

    async fn execute(&self, order: &Order<'_>, recorder: &dyn Recorder) -> Result<(), StepError> {
        Work::new(&self.door, &self.endpoint, &self.memory, order, recorder).run().await
    }

    async fn settle(&self, step: &Step) -> Result<(), ProviderError> {
        settle::wait_for_earlier(&self.door, &self.memory, step).await.map_err(self.failed("wait for earlier tasks"))
    }

    async fn rights(&self) -> Result<Vec<MissingRight>, ProviderError> {
        rights::missing(&self.door).await.map_err(self.failed("ask for rights"))
    }

    async fn close(&self) {
        self.door.close().await;
    }
}
