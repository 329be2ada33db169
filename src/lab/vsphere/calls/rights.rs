//! Rights: what the account may do, as far as fault rules take it away.

use super::Turn;
use crate::lab::vsphere::fault::Fault;
use crate::lab::vsphere::morefs::resolve;
use crate::lab::vsphere::soap::{Answer, Asked};
use crate::lab::vsphere::value::{Data, Ref, Value};
use crate::lab::world::World;

/// The rights of a role that may do everything the front can be asked for.
const ALL: &[&str] = &[
    "System.Anonymous",
    "System.Read",
    "System.View",
    "Datastore.AllocateSpace",
    "Datastore.Browse",
    "Folder.Create",
    "Folder.Delete",
    "Network.Assign",
    "Resource.AssignVMToPool",
    "VirtualMachine.Config.AddExistingDisk",
    "VirtualMachine.Config.AddNewDisk",
    "VirtualMachine.Config.AddRemoveDevice",
    "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Config.Annotation",
    "VirtualMachine.Config.CPUCount",
    "VirtualMachine.Config.DiskExtend",
    "VirtualMachine.Config.EditDevice",
    "VirtualMachine.Config.Memory",
    "VirtualMachine.Config.RemoveDisk",
    "VirtualMachine.Config.Rename",
    "VirtualMachine.Config.Settings",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Inventory.Create",
    "VirtualMachine.Inventory.CreateFromExisting",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Provisioning.Clone",
    "VirtualMachine.Provisioning.DeployTemplate",
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
];

/// The rights a call needs, where they follow from what is asked (VirtualMachineConfigSpec and the API reference
/// of each method name them).
pub(in crate::lab::vsphere) fn needed(asked: &Asked) -> Vec<&'static str> {
    let mut rights: Vec<&'static str> = asked.model.and_then(|model| model.right).into_iter().collect();
    match asked.call {
        "ReconfigVM_Task" => {
            if let Some(spec) = asked.parameters.data("spec") {
                of_spec(spec, &mut rights);
            }
        }
        "CloneVM_Task" => rights.extend(["VirtualMachine.Provisioning.Clone", "Resource.AssignVMToPool"]),
        "CreateVM_Task" => rights.push("Resource.AssignVMToPool"),
        "Destroy_Task" if asked.this.kind == "Folder" => rights.push("Folder.Delete"),
        "Destroy_Task" => rights.push("VirtualMachine.Inventory.Delete"),
        "Rename_Task" => rights.push("VirtualMachine.Config.Rename"),
        "RetrievePropertiesEx" | "RetrieveProperties" | "Fetch" => rights.push("System.View"),
        _ => {}
    }
    rights
}

fn of_spec(spec: &Data, rights: &mut Vec<&'static str>) {
    for (field, right) in [
        ("numCPUs", "VirtualMachine.Config.CPUCount"),
        ("memoryMB", "VirtualMachine.Config.Memory"),
        ("name", "VirtualMachine.Config.Rename"),
        ("annotation", "VirtualMachine.Config.Annotation"),
        ("extraConfig", "VirtualMachine.Config.AdvancedConfig"),
        ("memoryHotAddEnabled", "VirtualMachine.Config.Settings"),
        ("cpuHotAddEnabled", "VirtualMachine.Config.Settings"),
    ] {
        if spec.get(field).is_some() {
            rights.push(right);
        }
    }
    for change in spec.datas("deviceChange") {
        let disk = change.data("device").is_some_and(|device| device.is_a("VirtualDisk"));
        rights.push(match (disk, change.text("operation"), change.text("fileOperation")) {
            (true, Some("add"), Some(_)) => "VirtualMachine.Config.AddNewDisk",
            (true, Some("add"), None) => "VirtualMachine.Config.AddExistingDisk",
            (true, Some("remove"), _) => "VirtualMachine.Config.RemoveDisk",
            (true, ..) => "VirtualMachine.Config.DiskExtend",
            (false, Some("edit"), _) => "VirtualMachine.Config.EditDevice",
            (false, ..) => "VirtualMachine.Config.AddRemoveDevice",
        });
    }
}

/// The names an object goes by in fault rules.
pub(in crate::lab::vsphere) fn names_of(world: &World, reference: &Ref) -> Vec<String> {
    let mut names = vec![reference.id.to_string()];
    if let Some(object) = resolve(world, reference) {
        use crate::lab::vsphere::morefs::Object;
        match object {
            Object::Vm(id) | Object::Snapshot(id, _) => {
                if let Some(vm) = world.vm(id) {
                    names.extend([vm.name.to_string(), vm.instance_uuid.to_string()]);
                }
            }
            Object::Folder(id)
            | Object::Datacenter(id)
            | Object::Compute(id)
            | Object::Host(id)
            | Object::Pool(id)
            | Object::Datastore(id)
            | Object::Network(id) => names.push(world.name_of(id).to_string()),
            Object::Switch(_) | Object::Task(_) | Object::Fixed(_) | Object::OfSession(_) => {}
        }
    }
    names
}

pub(super) fn answer(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    let parameters = &turn.asked.parameters;
    let field = if turn.asked.call == "HasPrivilegeOnEntities" { "entity" } else { "entities" };
    let granted = |entity: &Ref, right: &str| {
        let names = names_of(turn.world, entity);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        !turn.rules.denies(right, &names)
    };
    let mut out = Vec::new();
    for entity in parameters.references(field) {
        if resolve(turn.world, entity).is_none() {
            return Err(Fault::not_found(entity));
        }
        let data = if turn.asked.call == "FetchUserPrivilegeOnEntities" {
            let rights = ALL.iter().filter(|right| granted(entity, right));
            Data::new("UserPrivilegeResult")
                .with("entity", entity.clone())
                .with("privileges", Value::list(rights.copied()))
        } else {
            let asked = parameters.list("privId").iter().filter_map(Value::as_text);
            let each = asked.map(|right| {
                Data::new("PrivilegeAvailability").with("privId", right).with("isGranted", granted(entity, right))
            });
            Data::new("EntityPrivilege").with("entity", entity.clone()).with("privAvailability", Value::list(each))
        };
        out.push(data);
    }
    Ok(Answer::Value(Some(Value::list(out))))
}
