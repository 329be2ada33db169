//! VMware vCenter and standalone ESXi hosts, 6.7 to 9, over vim25 SOAP.
//!
//! By hand over reqwest, some 20 methods: one transport for both products. Facts of the API come from the
//! vim25 type information (schema order of properties included), the vSphere API reference, and recorded traffic of real
//! servers; each is cited where it is used.
//!
//! ```text
//! client.rs    one message out, one answer back      soap.rs      envelopes      fault.rs   what went wrong
//! session.rs   login and renewal                     property.rs  what is asked for, and what is told of an object
//! pages.rs     long listings, page by page
//! collect.rs   the whole inventory                   find.rs      one VM; gone or hidden     rights.rs  privileges
//! tree.rs      hosts, folders, networks …            convert.rs, device.rs, names.rs   wire -> model, pure
//! work.rs      one step: operations in order, the recorder, lost replies      task.rs    waiting on the server
//! settle.rs    what an earlier run left at work
//! machine.rs   a VM read fresh, to be changed        spec.rs      devices written for a change, pure
//! create.rs reconfigure.rs power.rs destroy.rs       one file per group of operations
//! place.rs     names of an order -> objects          guest.rs     cloud-init through guestinfo
//! ```

mod client;
mod collect;
mod convert;
mod create;
mod destroy;
mod device;
mod fault;
mod files;
mod find;
mod guest;
mod layout;
mod machine;
mod memory;
mod names;
mod node;
mod pages;
mod place;
mod power;
mod property;
mod reconfigure;
#[cfg(test)]
mod recorded;
mod rights;
mod session;
mod settle;
mod soap;
mod spec;
mod task;
mod tree;
mod work;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use self::fault::Failure;
use self::memory::Memory;
use self::session::{Door, Session};
use self::work::Work;
use super::{ErrorKind, Found, MissingRight, Order, Provider, ProviderError, Recorder, StepError, Target};
use crate::inventory::{Capabilities, Known, Missing, Observed};
use crate::model::{EndpointName, HypervisorType, OwnId};
use crate::plan::Step;
use crate::settings::EndpointSettings;

/// One vCenter or ESXi host.
#[derive(Debug)]
pub struct Vsphere {
    endpoint: EndpointName,
    door: Door,
    memory: Arc<Mutex<Memory>>,
}

impl Vsphere {
    /// Checks the settings; makes no connection.
    pub fn new(settings: &EndpointSettings) -> Result<Self, ProviderError> {
        let endpoint = settings.name.clone();
        match Door::new(settings) {
            Ok(door) => Ok(Self { endpoint, door, memory: Arc::default() }),
            Err(failure) => Err(failure.into_error(&endpoint, "connect", None)),
        }
    }

    /// Nothing was found: is there nothing, or is it hidden from us?
    async fn nothing(&self, id: &OwnId) -> Result<Found, ProviderError> {
        let known = Known { id: id.clone(), handle: "".into() };
        let memory = self.memory.lock().await;
        let (memory, known) = (&*memory, &known);
        let answer = self
            .door
            .within(|session| async move { find::missing(&self.door, &session, memory, known).await })
            .await
            .map_err(self.failed("find a VM"))?;
        match answer {
            Missing::NotFound => Ok(Found::Nothing),
            Missing::Unknown(why) => Err(self.failed("find a VM")(Failure::because(ErrorKind::Denied, why))),
        }
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(Failure) -> ProviderError + '_ {
        move |failure| failure.into_error(&self.endpoint, operation, None)
    }
}

/// What can be done there. A host alone has no CloneVM_Task ("not supported" on ESXi).
fn capabilities(session: &Session) -> Capabilities {
    let content = &session.content;
    Capabilities {
        hypervisor: HypervisorType::Vsphere,
        product: content.product.clone(),
        create_from_image: content.is_vcenter,
        create_blank: true,
        cloud_init: true,
        own_id_is_identity: true,
        names_by_folder: content.is_vcenter,
    }
}

#[async_trait]
impl Provider for Vsphere {
    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        let session = self.door.session().await.map_err(self.failed("log in"))?;
        Ok(capabilities(&session))
    }

    async fn collect(&self, known: &[Known]) -> Result<Observed, ProviderError> {
        collect::collect(&self.door, &self.memory, known).await.map_err(self.failed("read the inventory"))
    }

    async fn find(&self, target: &Target) -> Result<Found, ProviderError> {
        let id = match target {
            Target::OwnId(id) => id.clone(),
            Target::Identity(identity) => OwnId::of_identity(*identity),
        };
        let mut found = self
            .door
            .within(|session| {
                let id = id.clone();
                async move {
                    let morefs = find::by_instance_uuid(&self.door, &session, &id).await?;
                    find::read(&self.door, &session, &morefs).await
                }
            })
            .await
            .map_err(self.failed("find a VM"))?;
        Ok(match found.len() {
            0 => return self.nothing(&id).await,
            1 => Found::Vm(Box::new(found.remove(0))),
            _ => Found::Several(found),
        })
    }

    async fn settle(&self, step: &Step) -> Result<(), ProviderError> {
        settle::wait_for_earlier(&self.door, step)
            .await
            .map_err(|failure| failure.into_error(&self.endpoint, "wait for an earlier task", Some(&step.key)))
    }

    async fn execute(&self, order: &Order<'_>, recorder: &dyn Recorder) -> Result<(), StepError> {
        Work::new(&self.door, &self.endpoint, &self.memory, order, recorder).run().await
    }

    async fn rights(&self) -> Result<Vec<MissingRight>, ProviderError> {
        self.door
            .within(|session| async move { rights::missing(&self.door, &session).await })
            .await
            .map_err(self.failed("ask for rights"))
    }

    async fn close(&self) {
        self.door.close().await;
    }
}
