//! What the account may do: its permissions, which its session names.
//!
//! XAPI's roles are fixed sets of them; `pool-operator` has all that are needed, `vm-power-admin` all but the switch of
//! a NIC. A local superuser, as `root` is, has every one and names none.

use std::collections::BTreeSet;

use super::fault::Failure;
use super::session::Door;
use crate::provider::MissingRight;

/// Permissions needed, and what fails without each (Xen API data model, the roles of each message).
const NEEDED: &[(&str, &str)] = &[
    ("VM.clone", "creating a VM from an image"),
    ("VM.copy", "creating a VM from an image on other storage"),
    ("VM.create", "creating a blank VM"),
    ("VM.provision", "creating a VM from a template"),
    ("VM.destroy", "deleting a VM"),
    ("VM.add_to_other_config", "the mark"),
    ("VM.remove_from_other_config", "the mark"),
    ("VM.set_name_label", "renaming a VM"),
    ("VM.set_affinity", "placing a VM on a host"),
    ("VM.set_VCPUs_max", "changing CPUs"),
    ("VM.set_VCPUs_at_startup", "changing CPUs"),
    ("VM.set_memory_limits", "changing memory"),
    ("VM.start", "starting a VM"),
    ("VM.clean_shutdown", "stopping a VM"),
    ("VM.hard_shutdown", "stopping a VM by force"),
    ("VDI.create", "adding a disk"),
    ("VDI.resize", "growing a disk"),
    ("VDI.destroy", "deleting a disk"),
    ("VBD.create", "adding a disk, and attaching a kept one again"),
    ("VBD.destroy", "detaching a disk"),
    ("VBD.plug", "adding a disk to a running VM"),
    ("VBD.unplug", "detaching a disk from a running VM"),
    ("VBD.insert", "handing cloud-init data to a new VM"),
    ("VBD.eject", "handing cloud-init data to a VM made from another"),
    ("http/put_import_raw_vdi", "handing cloud-init data to a new VM"),
    ("VIF.create", "adding a NIC"),
    ("VIF.destroy", "removing a NIC"),
    ("VIF.plug", "adding a NIC to a running VM"),
    ("VIF.unplug", "removing a NIC from a running VM"),
    ("VIF.move", "connecting a NIC to another network"),
    ("VIF.set_locking_mode", "disconnecting the NICs of a retired VM"),
];

/// Needed permissions that the session lacks.
pub(super) async fn missing(door: &Door) -> Result<Vec<MissingRight>, Failure> {
    if door.about_session("session.get_is_local_superuser").await?.read::<bool>()? {
        return Ok(Vec::new());
    }
    let held: Vec<String> = door.about_session("session.get_rbac_permissions").await?.read()?;
    // XAPI writes them in lower case, and its own documentation does not.
    let held: BTreeSet<String> = held.into_iter().map(|held| held.to_ascii_lowercase()).collect();
    Ok(NEEDED
        .iter()
        .filter(|(right, _)| !held.contains(&right.to_ascii_lowercase()))
        .map(|(right, needed_for)| MissingRight {
            right: (*right).to_owned(),
            on: "the pool".to_owned(),
            needed_for: (*needed_for).to_owned(),
        })
        .collect())
}
