//! What the account may do: asked of the server, by privilege.

use super::fault::Failure;
use super::session::{Door, Session};
use super::soap::{Answer, Request, reference};
use crate::provider::MissingRight;

/// Privileges needed, and what fails without each (vSphere API reference, the privilege of each method called).
const NEEDED: &[(&str, &str)] = &[
    ("System.Read", "reading the inventory"),
    ("VirtualMachine.Inventory.Create", "creating a blank VM"),
    ("VirtualMachine.Inventory.CreateFromExisting", "creating a VM from an image"),
    ("VirtualMachine.Inventory.Delete", "deleting a VM"),
    ("VirtualMachine.Provisioning.DeployTemplate", "creating a VM from a template"),
    ("VirtualMachine.Provisioning.Clone", "creating a VM from another VM"),
    ("VirtualMachine.Config.CPUCount", "changing CPUs"),
    ("VirtualMachine.Config.Memory", "changing memory"),
    ("VirtualMachine.Config.AddNewDisk", "adding a disk"),
    ("VirtualMachine.Config.AddExistingDisk", "attaching a kept disk again"),
    ("VirtualMachine.Config.RemoveDisk", "detaching or deleting a disk"),
    ("VirtualMachine.Config.DiskExtend", "growing a disk"),
    ("VirtualMachine.Config.AddRemoveDevice", "adding and removing NICs"),
    ("VirtualMachine.Config.EditDevice", "changing a NIC"),
    ("VirtualMachine.Config.AdvancedConfig", "the mark, and cloud-init data"),
    ("VirtualMachine.Config.Settings", "the guest's family and firmware"),
    ("VirtualMachine.Config.Rename", "renaming a VM"),
    ("VirtualMachine.Interact.PowerOn", "starting a VM"),
    ("VirtualMachine.Interact.PowerOff", "stopping a VM"),
    ("Datastore.AllocateSpace", "disks on a datastore"),
    ("Network.Assign", "connecting a NIC"),
    ("Resource.AssignVMToPool", "placing a VM in a cluster or pool"),
    ("Folder.Create", "making a missing folder"),
];

/// Needed by nothing where there is no cloning.
const ONLY_VCENTER: &[&str] =
    &["VirtualMachine.Provisioning.DeployTemplate", "VirtualMachine.Provisioning.Clone", "Folder.Create"];

/// Needed privileges that the account lacks on the root folder.
pub(super) async fn missing(door: &Door, session: &Session) -> Result<Vec<MissingRight>, Failure> {
    let needed: Vec<_> =
        NEEDED.iter().filter(|(right, _)| session.content.is_vcenter || !ONLY_VCENTER.contains(right)).collect();
    let ids: Vec<&str> = needed.iter().map(|(id, _)| *id).collect();
    let granted = granted(door, session, &ids).await?;
    Ok(needed
        .into_iter()
        .filter(|(right, _)| !granted.iter().any(|granted| granted == right))
        .map(|(right, needed_for)| MissingRight {
            right: (*right).to_owned(),
            on: "the root folder".to_owned(),
            needed_for: (*needed_for).to_owned(),
        })
        .collect())
}

/// May the account read every object? Only then does an empty answer mean that something is not there.
pub(super) async fn reads_everything(door: &Door, session: &Session) -> Result<bool, Failure> {
    let granted = granted(door, session, &["System.View", "System.Read"]).await?;
    Ok(granted.len() == 2)
}

/// Of these privileges, the ones held on the root folder.
async fn granted(door: &Door, session: &Session, ids: &[&str]) -> Result<Vec<String>, Failure> {
    let content = &session.content;
    let Some(manager) = &content.authorization_manager else {
        return Err(Failure::senseless("a server without an authorization manager"));
    };
    let several = Request::new("HasPrivilegeOnEntities", manager, |writer| {
        reference(writer, "entity", &content.root_folder);
        writer.leaf("sessionId", &session.key);
        for id in ids {
            writer.leaf("privId", id);
        }
    })?;
    match door.call_in(session, &several).await {
        Ok(answer) => named(&answer),
        // An ESXi host knows only the older method, which answers by position.
        Err(failure)
            if failure.fault().is_some_and(|fault| fault.kind == "MethodNotFound" || fault.kind == "NotSupported") =>
        {
            let one = Request::new("HasPrivilegeOnEntity", manager, |writer| {
                reference(writer, "entity", &content.root_folder);
                writer.leaf("sessionId", &session.key);
                for id in ids {
                    writer.leaf("privId", id);
                }
            })?;
            let answer = door.call_in(session, &one).await?;
            let tree = answer.tree()?;
            let flags = tree.children("returnval").map(|flag| flag.trimmed() == "true");
            Ok(ids.iter().zip(flags).filter(|(_, granted)| *granted).map(|(id, _)| (*id).to_owned()).collect())
        }
        Err(failure) => Err(failure),
    }
}

fn named(answer: &Answer) -> Result<Vec<String>, Failure> {
    let tree = answer.tree()?;
    let entities = tree.children("returnval");
    Ok(entities
        .flat_map(|entity| entity.children("privAvailability"))
        .filter(|privilege| privilege.text_of("isGranted") == Some("true"))
        .filter_map(|privilege| privilege.text_of("privId").map(str::to_owned))
        .collect())
}
