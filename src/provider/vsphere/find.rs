//! One VM by its lasting id, read fresh; and the difference between gone and hidden.
//!
//! `SearchIndex` answers nothing both for a VM that is not there and for one that the account may not see (vSphere API
//! reference, SearchIndex.FindByUuid). So nothing counts as not found only when the account may read the whole
//! inventory, or when the object that the VM was is known to be deleted.

use super::collect::{self, Places};
use super::convert::{self, Heavy, Light};
use super::fault::Failure;
use super::memory::Memory;
use super::pages::{self, Each};
use super::property::{From, Object, Wanted};
use super::rights;
use super::session::{Door, Session};
use super::soap::{Moref, Request, reference};
use super::tree::{self, Tree};
use crate::inventory::{Known, Missing};
use crate::model::{ObservedVm, OwnId, Words};

/// Morefs of the VMs with that instance UUID.
pub(super) async fn by_instance_uuid(door: &Door, session: &Session, id: &OwnId) -> Result<Vec<Moref>, Failure> {
    let search = |method| {
        Request::new(method, &session.content.search_index, |writer| {
            writer.leaf("uuid", id.as_str()).leaf("vmSearch", "true").leaf("instanceUuid", "true");
        })
    };
    let answer = match door.call_in(session, &search("FindAllByUuid")?).await {
        // vcsim before 0.30 has only the older method, which tells of one.
        Err(failure) if failure.fault().is_some_and(|fault| fault.kind == "MethodNotFound") => {
            door.call_in(session, &search("FindByUuid")?).await?
        }
        answer => answer?,
    };
    Ok(answer.tree()?.children("returnval").filter_map(Moref::of).collect())
}

/// What became of a VM that was known and is not listed.
pub(super) async fn missing(
    door: &Door,
    session: &Session,
    memory: &Memory,
    known: &Known,
) -> Result<Missing, Failure> {
    let found = by_instance_uuid(door, session, &known.id).await?;
    if let Some(moref) = found.first() {
        return Ok(Missing::Unknown(format!("it is there as {}, and the listing left it out", moref.value)));
    }
    let before = Some(&*known.handle).filter(|handle| !handle.is_empty());
    let before = before.map(|handle| Moref::new("VirtualMachine", handle));
    if let Some(moref) = memory.last_seen(&known.id).or(before) {
        return match exists(door, session, &moref).await? {
            Existence::Deleted => Ok(Missing::NotFound),
            Existence::Hidden(why) => Ok(Missing::Unknown(why)),
            Existence::There => Ok(Missing::Unknown(format!("it is there as {} under another id", moref.value))),
        };
    }
    if rights::reads_everything(door, session).await? {
        Ok(Missing::NotFound)
    } else {
        Ok(Missing::Unknown("the account may not read the whole inventory, so it may be hidden".to_owned()))
    }
}

enum Existence {
    There,
    Deleted,
    Hidden(String),
}

/// Asks for one object by reference: a deleted one is a fault of its own.
async fn exists(door: &Door, session: &Session, moref: &Moref) -> Result<Existence, Failure> {
    let request = Request::new("RetrievePropertiesEx", &session.content.property_collector, |writer| {
        writer.open("specSet");
        writer.open("propSet").leaf("type", "VirtualMachine").leaf("all", "false").leaf("pathSet", "name").close();
        writer.open("objectSet");
        reference(writer, "obj", moref);
        writer.leaf("skip", "false").close().close();
        writer.open("options").close();
    })?;
    match door.call_in(session, &request).await {
        Ok(answer) => {
            let tree = answer.tree()?;
            let object = tree.path(&["returnval", "objects"]).and_then(Object::of);
            Ok(match object {
                Some(object) if object.text("name").is_some() => Existence::There,
                Some(object) => {
                    let fault = object.missing("name").map(|fault| fault.to_string());
                    Existence::Hidden(fault.unwrap_or_else(|| "the server does not tell its name".to_owned()))
                }
                None => Existence::Hidden("the server does not tell".to_owned()),
            })
        }
        Err(failure) => match failure.fault().map(|fault| fault.kind.as_str()) {
            Some("ManagedObjectNotFound") => Ok(Existence::Deleted),
            Some("NoPermission") => Ok(Existence::Hidden(failure.to_string())),
            _ => Err(failure),
        },
    }
}

/// One VM read in full, with the places it stands in.
pub(super) async fn read(door: &Door, session: &Session, morefs: &[Moref]) -> Result<Vec<ObservedVm>, Failure> {
    if morefs.is_empty() {
        return Ok(Vec::new());
    }
    let paths = convert::all_paths();
    let wanted = [Wanted { kind: "VirtualMachine", paths: &paths }];
    let vms = pages::read(door, session, &wanted, &From::Objects(morefs), Each::facts(both)).await?;
    let tree = surroundings(door, session).await?;
    let networks = tree.network_names();
    let mut places = Places::of(&tree);
    Ok(vms
        .into_iter()
        .map(|(light, mut heavy)| {
            let config = convert::config(&light, heavy.as_mut(), &networks);
            collect::vm(&mut places, &light, config)
        })
        .collect())
}

fn both(object: &Object<'_>, words: &mut Words) -> Option<(Light, Option<Heavy>)> {
    Some((convert::light(object, words)?, convert::heavy(object, words)))
}

/// A view over all VMs; dropped with [`drop_view`].
pub(super) async fn vm_view(door: &Door, session: &Session) -> Result<Moref, Failure> {
    view_of(door, session, &["VirtualMachine"]).await
}

/// A view over everything of these types.
pub(super) async fn view_of(door: &Door, session: &Session, kinds: &[&str]) -> Result<Moref, Failure> {
    let request = Request::new("CreateContainerView", &session.content.view_manager, |writer| {
        reference(writer, "container", &session.content.root_folder);
        for kind in kinds {
            writer.leaf("type", kind);
        }
        writer.leaf("recursive", "true");
    })?;
    door.call_in(session, &request).await?.reference()
}

/// A view would live as long as the session; a failure to remove it changes nothing.
pub(super) async fn drop_view(door: &Door, session: &Session, view: &Moref) {
    if let Ok(request) = Request::new("DestroyView", view, |_| {}) {
        let _ = door.call_in(session, &request).await;
    }
}

/// Is the object that a VM was known to be gone?
pub(super) async fn is_deleted(door: &Door, session: &Session, moref: &Moref) -> Result<bool, Failure> {
    Ok(matches!(exists(door, session, moref).await?, Existence::Deleted))
}

/// What stands around VMs: names and places, in calls and bytes that do not grow with the number of VMs.
pub(super) async fn surroundings(door: &Door, session: &Session) -> Result<Tree, Failure> {
    let view = view_of(door, session, tree::KINDS).await?;
    let entities = pages::read(door, session, tree::SURROUNDINGS, &From::View(&view), Each::facts(tree::entity)).await;
    drop_view(door, session, &view).await;
    Ok(Tree::new(entities?))
}
