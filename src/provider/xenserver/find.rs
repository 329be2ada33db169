//! One VM, read fresh; and the difference between gone and another pool.
//!
//! Whoever may log in may see every object (each role of the Xen API may read all), so `UUID_INVALID` means that there
//! is no such VM, as long as it is the same pool that says so.

use tokio::sync::Mutex;

use super::collect::{Memory, events};
use super::convert;
use super::fault::Failure;
use super::rpc::{Ref, Request};
use super::session::Door;
use super::store::{Batch, Store, get};
use crate::inventory::{Known, Missing};
use crate::mark;
use crate::model::{ObservedVm, OwnId};
use crate::provider::{ErrorKind, Found, Target};

/// What became of a VM that was known and is not listed.
pub(super) async fn missing(door: &Door, pool: &str, known: &Known) -> Result<Missing, Failure> {
    if let Some((before, _)) = known.handle.split_once('/')
        && before != pool
    {
        return Ok(Missing::Unknown(format!("it was in pool {before}, and pool {pool} answers there now")));
    }
    Ok(match by_uuid(door, &known.id).await? {
        Some(reference) => Missing::Unknown(format!("it is there as {reference}, and the listing left it out")),
        None => Missing::NotFound,
    })
}

/// The reference of a VM by its uuid; `None`: the server says there is none.
async fn by_uuid(door: &Door, id: &OwnId) -> Result<Option<Ref>, Failure> {
    match door.call(&Request::new("VM.get_by_uuid").with(id.as_str())).await {
        Ok(answer) => Ok(Ref::of(&answer.text()?)),
        Err(failure) if failure.is_gone() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A VM under this birth name that the listing left out: then nothing is certain, and nothing is made.
pub(super) async fn unlisted(door: &Door, identity: uuid::Uuid) -> Result<(), Failure> {
    let name = mark::birth_name(identity);
    let found: Vec<Ref> = door.call(&Request::new("VM.get_by_name_label").with(name.as_str())).await?.read()?;
    match found.first() {
        None => Ok(()),
        Some(vm) => {
            let why = format!("`{name}` is there as {vm}, and the listing left it out");
            Err(Failure::because(ErrorKind::Conflict, why))
        }
    }
}

/// What a target names.
pub(super) async fn find(door: &Door, memory: &Mutex<Memory>, target: &Target) -> Result<Found, Failure> {
    let references = match target {
        Target::OwnId(id) => by_uuid(door, id).await?.into_iter().collect(),
        Target::Identity(identity) => {
            let mut memory = memory.lock().await;
            memory.refresh(door).await?;
            memory.check_whole()?;
            let found = memory.by_identity(*identity);
            drop(memory);
            if found.is_empty() {
                unlisted(door, *identity).await?;
            }
            found
        }
    };
    let mut found = Vec::new();
    for reference in &references {
        found.extend(read(door, memory, reference).await?);
    }
    Ok(match found.len() {
        0 => Found::Nothing,
        1 => Found::Vm(Box::new(found.remove(0))),
        _ => Found::Several(found),
    })
}

/// A VM and everything plugged into it, each record read anew; `None`: it is gone.
async fn read(door: &Door, memory: &Mutex<Memory>, reference: &Ref) -> Result<Option<ObservedVm>, Failure> {
    let (places, pool) = {
        let mut memory = memory.lock().await;
        memory.refresh(door).await?;
        (memory.places(), memory.pool.clone())
    };
    let mut store = Store { places, ..Store::default() };
    ask(door, &mut store, vec![format!("vm/{reference}")]).await?;
    let Some(vm) = get(&store.vms, reference) else {
        return match store.vms.get(reference) {
            Some(unreadable) => Ok(convert::observe(&store, &pool, reference, unreadable)),
            None => Ok(None),
        };
    };
    let plugged = vm.vbds.iter().map(|vbd| format!("vbd/{vbd}")).chain(vm.vifs.iter().map(|vif| format!("vif/{vif}")));
    let guest = vm.guest_metrics.iter().map(|guest| format!("vm_guest_metrics/{guest}"));
    let plugged = plugged.chain(guest).collect();
    ask(door, &mut store, plugged).await?;
    let vdis: Vec<String> = (store.vbds.values())
        .filter_map(|vbd| vbd.as_ref().ok()?.vdi.as_ref())
        .map(|vdi| format!("vdi/{vdi}"))
        .collect();
    ask(door, &mut store, vdis).await?;
    Ok(store.vms.get(reference).and_then(|vm| convert::observe(&store, &pool, reference, vm)))
}

/// Reads these objects, `class/reference`, in one call.
async fn ask(door: &Door, store: &mut Store, objects: Vec<String>) -> Result<(), Failure> {
    if objects.is_empty() {
        return Ok(());
    }
    let answer = door
        .within(|session| {
            let objects = objects.clone();
            async move { events(door, &session, objects, "").await }
        })
        .await?;
    let batch: Batch<'_> = answer.read()?;
    store.apply(&batch);
    Ok(())
}
