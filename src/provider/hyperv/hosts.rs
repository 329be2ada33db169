//! All hosts of an endpoint: one, or the nodes of a cluster. Which of them has a VM, asked anew each time.
//!
//! Not found means that every host answered and none has it, and that the cluster, if there is one, has no role for it:
//! a VM on its way from node to node is on neither for a moment, and has a role all the time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::cim::Reference;
use super::cluster::{self, Role, View};
use super::collect::read_vhds;
use super::convert::{self, Surroundings, Vhds};
use super::fault::Failure;
use super::host::{Host, same_node};
use super::machine::{self, Machine, Whole};
use super::parts::{self, Parts, Scope, Subset};
use crate::model::ObservedVm;
use crate::provider::ErrorKind;
use crate::settings::EndpointSettings;

/// How long a host that was in no cluster is not asked for one again.
const ALONE_FOR: Duration = Duration::from_hours(1);
/// A VM that has a role and is nowhere is looked for again after these pauses: it is moving.
const LOOKS: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// The hosts.
#[derive(Debug)]
pub(super) struct Hosts {
    pub list: Vec<Arc<Host>>,
    /// When they were last found to be in no cluster.
    alone: Mutex<Option<Instant>>,
}

/// A VM where it is now, read fresh.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub host: Arc<Host>,
    pub whole: Whole,
    pub vhds: Vhds,
    pub around: Surroundings,
    /// What it was joined from.
    pub parts: Parts,
}

impl Live {
    /// In the product's words.
    pub(super) fn observed(&self) -> ObservedVm {
        convert::vm(&self.around, &self.whole.system, &Ok(self.whole.machine.clone()), &self.vhds)
    }
}

impl Hosts {
    pub(super) fn new(settings: &EndpointSettings) -> Result<Self, Failure> {
        if settings.urls.is_empty() {
            return Err(Failure::because(ErrorKind::Unsupported, "the settings give it no url"));
        }
        let hosts = settings.urls.iter().map(|url| Host::new(url, settings).map(Arc::new));
        Ok(Self { list: hosts.collect::<Result<_, _>>()?, alone: Mutex::default() })
    }

    /// The cluster as the first host that answers sees it; `None` when there is none.
    pub(super) async fn cluster(&self) -> Result<Option<View>, Failure> {
        if self.alone.lock().await.is_some_and(|at| at.elapsed() < ALONE_FOR) {
            return Ok(None);
        }
        let mut failed = None;
        for host in &self.list {
            match cluster::view(&host.client).await {
                Ok(Some(view)) => return Ok(Some(view)),
                Ok(None) => {
                    *self.alone.lock().await = Some(crate::clock::instant());
                    return Ok(None);
                }
                Err(failure) => failed = Some(failure),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// The role of a VM, if it has one.
    pub(super) async fn role(&self, guid: &str) -> Result<Option<Role>, Failure> {
        if self.alone.lock().await.is_some_and(|at| at.elapsed() < ALONE_FOR) {
            return Ok(None);
        }
        let mut failed = None;
        for host in &self.list {
            match cluster::roles(&host.client).await {
                Ok(mut roles) => return Ok(roles.remove(guid)),
                Err(failure) if failure.is_missing() => return Ok(None),
                Err(failure) => failed = Some(failure),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// The host of that name.
    pub(super) async fn named(&self, name: &str) -> Result<Option<Arc<Host>>, Failure> {
        let mut failed = None;
        for host in &self.list {
            match host.facts().await {
                Ok(facts) if same_node(&facts.name, name) => return Ok(Some(Arc::clone(host))),
                Ok(_) => {}
                Err(failure) => failed = Some(failure),
            }
        }
        // The one that does not answer may be it.
        failed.map_or(Ok(None), Err)
    }

    /// The VM of this GUID, where it is now; `None` when it is certainly not there.
    pub(super) async fn look(&self, guid: &str) -> Result<Option<Live>, Failure> {
        let mut looks = LOOKS.iter();
        loop {
            let role = self.role(guid).await?;
            if let Some(live) = self.look_once(guid, role.as_ref()).await? {
                return Ok(Some(live));
            }
            let Some(role) = role else { return Ok(None) };
            let Some(pause) = looks.next() else {
                let why =
                    format!("the cluster has a role for it ({}, on {}) and no node has it", role.group, role.owner);
                return Err(Failure::because(ErrorKind::Conflict, why));
            };
            tokio::time::sleep(*pause).await;
        }
    }

    async fn look_once(&self, guid: &str, role: Option<&Role>) -> Result<Option<Live>, Failure> {
        if let Some(role) = role
            && let Some(owner) = self.named(&role.owner).await?
            && let Some(live) = Box::pin(read(&owner, guid)).await?
        {
            return Ok(Some(live));
        }
        let (mut found, mut failed) = (Vec::new(), None);
        for outcome in join_all(self.list.iter().map(|host| Box::pin(read(host, guid)))).await {
            match outcome {
                Ok(live) => found.extend(live),
                Err(failure) => failed = Some(failure),
            }
        }
        match (found.pop(), found.len(), failed) {
            (Some(live), 0, None) => Ok(Some(live)),
            // One that did not answer may have it too; the cluster says that it has not.
            (Some(live), 0, Some(_)) if role.is_some() => Ok(Some(live)),
            (_, _, Some(failure)) => Err(failure),
            (None, _, None) => Ok(None),
            (Some(_), more, None) => {
                let why = format!("{} hosts have a VM {guid}; nothing is done to any", more + 1);
                Err(Failure::because(ErrorKind::Conflict, why))
            }
        }
    }

    /// Closes what is open.
    pub(super) async fn close(&self) {
        join_all(self.list.iter().map(|host| host.client.close())).await;
    }
}

/// Reads one VM of a host; `None` when it is not there, or there only as a copy that Hyper-V Replica keeps.
pub(super) async fn read(host: &Arc<Host>, guid: &str) -> Result<Option<Live>, Failure> {
    let facts = host.facts().await?;
    let systems = parts::systems(&host.client, Scope::One(guid)).await?;
    let Some(system) = systems.into_iter().find(|system| system.guid == guid) else {
        return not_there(host, guid).await.map(|()| None);
    };
    if system.replica {
        return Ok(None);
    }
    let found = parts::read(&host.client, Scope::One(guid)).await?;
    let machine = joined(&found, guid)?;
    let vhds = read_vhds(&host.client, machine.disks().map(|(_, disk)| disk.path.clone()).collect()).await?;
    let switches = host.switches().await?;
    let around = Surroundings { host: facts.name, cluster: None, switches };
    Ok(Some(Live { host: Arc::clone(host), whole: Whole { system, machine }, vhds, around, parts: found }))
}

/// A query leaves out what the account may not see; only a read by its key says whether the VM
/// is not there or not shown.
async fn not_there(host: &Host, guid: &str) -> Result<(), Failure> {
    match host.client.get(Reference::system(guid), |_| ()).await {
        Err(failure) if failure.is_missing() => Ok(()),
        Err(failure) => Err(failure),
        Ok(()) => Err(Failure::because(ErrorKind::Conflict, "it is there, and the query left it out")),
    }
}

fn joined(parts: &Parts, guid: &str) -> Result<Machine, Failure> {
    let cannot = |why: &str| Failure::because(ErrorKind::Conflict, format!("it cannot be read: {why}"));
    match machine::join(parts.clone()).remove(guid) {
        Some(machine) => machine.map_err(|why| cannot(&why)),
        None => Err(cannot("the host gives no settings of it")),
    }
}

/// The VM with one sort of settings read again after they were changed; `None` when the host shows none of them any
/// more, as when the VM has just moved away.
pub(super) async fn refresh(live: &Live, subset: Subset) -> Result<Option<Live>, Failure> {
    let guid = live.whole.system.guid.as_str();
    let mut live = live.clone();
    let read = parts::read_some(&live.host.client, Scope::One(guid), subset).await?;
    if read.lacks(subset) {
        return Ok(None);
    }
    live.parts.replace(subset, read);
    let machine = joined(&live.parts, guid)?;
    let paths: Vec<String> = machine.disks().map(|(_, disk)| disk.path.clone()).collect();
    let unknown = paths.iter().filter(|path| !live.vhds.contains_key(&path.to_lowercase())).cloned().collect();
    live.vhds.extend(read_vhds(&live.host.client, unknown).await?);
    live.vhds.retain(|known, _| paths.iter().any(|path| path.to_lowercase() == *known));
    live.whole.machine = machine;
    Ok(Some(live))
}
