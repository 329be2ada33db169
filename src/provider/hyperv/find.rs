//! One VM, read fresh: by its GUID, or by our identity.
//!
//! The identity stands in the mark, and a VM that was born and not yet marked has the birth name. A mark that names
//! another VM as its own is a clone's: not the one that is looked for.

use futures_util::future::join_all;

use super::fault::Failure;
use super::host::Host;
use super::hosts::{Hosts, Live};
use super::ident::vm_of;
use super::notes;
use super::parts::{self, Scope, Settings};
use crate::mark;
use crate::model::ObservedVm;
use crate::provider::{ErrorKind, Found, Target};

/// One VM.
pub(super) async fn find(hosts: &Hosts, target: &Target) -> Result<Found, Failure> {
    let mut found = match target {
        Target::OwnId(id) => hosts.look(id.as_str()).await?.into_iter().collect(),
        Target::Identity(identity) => by_identity(hosts, *identity).await?,
    };
    let view = hosts.cluster().await?;
    if found.is_empty() {
        may_see(hosts).await?;
    }
    let vm = |live: Live| {
        let mut vm: ObservedVm = live.observed();
        vm.placed.cluster = view.as_ref().map(|view| view.name.clone());
        vm
    };
    Ok(match found.len() {
        0 => Found::Nothing,
        1 => Found::Vm(Box::new(vm(found.remove(0)))),
        _ => Found::Several(found.into_iter().map(vm).collect()),
    })
}

/// VMs that are, or are becoming, the one of this identity.
pub(super) async fn by_identity(hosts: &Hosts, identity: uuid::Uuid) -> Result<Vec<Live>, Failure> {
    let mut guids = Vec::new();
    for outcome in join_all(hosts.list.iter().map(|host| guids_of(host, identity))).await {
        guids.extend(outcome?);
    }
    guids.sort();
    guids.dedup();
    let mut found = Vec::new();
    for guid in guids {
        found.extend(hosts.look(&guid).await?);
    }
    Ok(found)
}

async fn guids_of(host: &Host, identity: uuid::Uuid) -> Result<Vec<String>, Failure> {
    let (settings, _) = parts::settings(&host.client, Scope::All).await?;
    Ok(settings.iter().filter_map(|settings| is_of(settings, identity)).collect())
}

fn is_of(settings: &Settings, identity: uuid::Uuid) -> Option<String> {
    let guid = vm_of(&settings.id)?;
    let marked = notes::mark(&settings.notes).and_then(|text| mark::parse(text).ok());
    let ours = match marked {
        Some(mark) => mark.identity == identity && mark.own_id.is_none_or(|own_id| own_id.as_str() == guid),
        None => settings.name == mark::birth_name(identity),
    };
    ours.then_some(guid)
}

/// An account without rights is shown an empty list, not an error. The host itself is in every list that is worth
/// anything.
async fn may_see(hosts: &Hosts) -> Result<(), Failure> {
    for host in &hosts.list {
        let systems = parts::systems(&host.client, Scope::All).await?;
        if !systems.iter().any(|system| system.guid.is_empty()) {
            let why = "the account sees not even the host itself: it is no Hyper-V administrator there";
            return Err(Failure::because(ErrorKind::Denied, why));
        }
    }
    Ok(())
}
