//! Microsoft Hyper-V hosts and failover clusters, 2012 R2 and later, over WS-Management.
//!
//! CIM of `root/virtualization/v2` by hand, as Hyper-V's own tools, libvirt and OpenStack speak it: no agent, no
//! PowerShell, no shell. Facts of the API come from its class data, from the programs that drive hosts this way, and
//! from recorded traffic of real ones; each is cited where it is used.
//!
//! ```text
//! connection.rs one logged-in connection    login.rs NTLM, Basic    sealed.rs, binding.rs what protects it
//! client.rs     messages, pages, methods    wsman.rs envelopes      cim.rs    instances and references   fault.rs, job.rs
//! parts.rs      what is read                machine.rs a VM joined  vhd.rs    disks                      convert.rs -> model
//! collect.rs    the whole inventory         hosts.rs which host has a VM now   cluster.rs   host.rs      find.rs, rights.rs
//! work.rs       one step: operations in order, the recorder, lost replies
//! create.rs reconfigure.rs disks.rs nics.rs power.rs destroy.rs      one file per group of operations
//! notes.rs, paths.rs, ident.rs   the mark in Notes, Windows paths, GUIDs and MACs: pure
//! ```

mod binding;
mod cim;
mod client;
mod cluster;
mod collect;
mod connection;
mod convert;
mod create;
mod destroy;
mod disks;
mod fault;
mod find;
mod host;
mod hosts;
mod ident;
mod job;
mod login;
mod machine;
mod nics;
mod notes;
mod parts;
mod paths;
mod power;
mod reconfigure;
#[cfg(test)]
mod recorded;
mod rights;
mod sealed;
mod vhd;
#[cfg(test)]
mod winrmd;
mod work;
mod wsman;

use async_trait::async_trait;

use self::fault::Failure;
use self::host::Facts;
use self::hosts::Hosts;
use self::work::Work;
use super::{Found, MissingRight, Order, Provider, ProviderError, Recorder, StepError, Target};
use crate::inventory::{Capabilities, Known, Observed};
use crate::model::{EndpointName, HypervisorType};
use crate::plan::Step;
use crate::settings::EndpointSettings;

/// One host, or one cluster.
#[derive(Debug)]
pub struct Hyperv {
    endpoint: EndpointName,
    hosts: Hosts,
}

impl Hyperv {
    /// Checks the settings; makes no connection.
    pub fn new(settings: &EndpointSettings) -> Result<Self, ProviderError> {
        let endpoint = settings.name.clone();
        match Hosts::new(settings) {
            Ok(hosts) => Ok(Self { endpoint, hosts }),
            Err(failure) => Err(failure.into_error(&endpoint, "connect", None)),
        }
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(Failure) -> ProviderError + '_ {
        move |failure| failure.into_error(&self.endpoint, operation, None)
    }
}

/// What can be done there. No file can be written by WS-Management and no other way in is used, so there is nothing
/// that could carry cloud-init data.
fn capabilities(facts: &Facts) -> Capabilities {
    Capabilities {
        hypervisor: HypervisorType::Hyperv,
        product: facts.product.clone(),
        create_from_image: true,
        create_blank: true,
        cloud_init: false,
        own_id_is_identity: false,
        names_by_folder: false,
    }
}

#[async_trait]
impl Provider for Hyperv {
    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        let mut failed = None;
        for host in &self.hosts.list {
            match host.facts().await {
                Ok(facts) => return Ok(capabilities(&facts)),
                Err(failure) => failed = Some(failure),
            }
        }
        Err(self.failed("log in")(failed.unwrap_or_else(|| Failure::senseless("no host was asked"))))
    }

    async fn collect(&self, known: &[Known]) -> Result<Observed, ProviderError> {
        Box::pin(collect::collect(&self.hosts, known)).await.map_err(self.failed("read the inventory"))
    }

    async fn find(&self, target: &Target) -> Result<Found, ProviderError> {
        Box::pin(find::find(&self.hosts, target)).await.map_err(self.failed("find a VM"))
    }

    async fn execute(&self, order: &Order<'_>, recorder: &dyn Recorder) -> Result<(), StepError> {
        Box::pin(Work::new(&self.hosts, &self.endpoint, order, recorder).run()).await
    }

    async fn settle(&self, _step: &Step) -> Result<(), ProviderError> {
        Box::pin(work::settle(&self.hosts)).await.map_err(self.failed("wait for jobs"))
    }

    async fn rights(&self) -> Result<Vec<MissingRight>, ProviderError> {
        rights::missing(&self.hosts).await.map_err(self.failed("ask for rights"))
    }

    async fn close(&self) {
        self.hosts.close().await;
    }
}
