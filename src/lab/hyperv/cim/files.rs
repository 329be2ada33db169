//! Files, folders and volumes of root/cimv2, and what is told of a virtual disk.

use super::View;
use crate::lab::hyperv::disks;
use crate::lab::hyperv::instance::{Instance, Value};
use crate::lab::hyperv::parts::upper;
use crate::lab::world::{Datastore, DiskFile, World};

pub(super) fn all(view: &View<'_>, class: &str) -> Vec<Instance> {
    match class {
        "Win32_Volume" => volumes(view).map(|volume| self::volume(view, volume)).collect(),
        "Win32_LogicalDisk" => {
            volumes(view).filter(|volume| is_letter(&volume.name)).map(|volume| logical_disk(view, volume)).collect()
        }
        "CIM_DataFile" => data_files(view),
        "Win32_Directory" => disks::folders(view.world).iter().map(|folder| directory(view, folder)).collect(),
        _ => Vec::new(),
    }
}

fn volumes<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Datastore> + use<'a> {
    let host = view.host.id;
    view.world.datastores.values().filter(move |volume| volume.hosts.is_empty() || volume.hosts.contains(&host))
}

/// `D:`; a shared volume of a cluster has a folder instead.
fn is_letter(name: &str) -> bool {
    name.len() == 2
}

fn volume(view: &View<'_>, at: &Datastore) -> Instance {
    let mut volume = Instance::of("Win32_Volume");
    volume.all(&[("DriveType", "3"), ("BlockSize", "4096"), ("SystemCreationClassName", "Win32_ComputerSystem")]);
    let name = format!(r"{}\", at.name);
    volume.set("Name", name.as_str()).set("Caption", name.as_str()).set("Capacity", at.capacity);
    volume.set("FreeSpace", at.capacity.saturating_sub(at.used)).set("SystemName", view.host.name.as_str());
    volume.set("FileSystem", if is_letter(&at.name) { "NTFS" } else { "CSVFS" });
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, format!("volume {}", at.id.0).as_bytes());
    volume.set("DeviceID", format!(r"\\?\Volume{{{id}}}\"));
    if is_letter(&at.name) {
        volume.set("DriveLetter", at.name.as_str()).set("Label", "Data");
    }
    volume
}

fn logical_disk(view: &View<'_>, at: &Datastore) -> Instance {
    let mut disk = Instance::of("Win32_LogicalDisk");
    disk.all(&[
        ("CreationClassName", "Win32_LogicalDisk"),
        ("SystemCreationClassName", "Win32_ComputerSystem"),
        ("Description", "Local Fixed Disk"),
        ("DriveType", "3"),
        ("FileSystem", "NTFS"),
        ("MediaType", "12"),
        ("VolumeName", "Data"),
    ]);
    let name = at.name.as_str();
    disk.set("DeviceID", name).set("Name", name).set("Caption", name).set("SystemName", view.host.name.as_str());
    disk.set("Size", at.capacity).set("FreeSpace", at.capacity.saturating_sub(at.used));
    disk
}

fn data_files(view: &View<'_>) -> Vec<Instance> {
    let mut paths: Vec<_> = view.world.files.iter().collect();
    paths.sort_by(|one, other| one.0.cmp(other.0));
    paths.into_iter().map(|(path, file)| data_file(view, path, file)).collect()
}

fn data_file(view: &View<'_>, path: &str, file: &DiskFile) -> Instance {
    let mut data = common(view, "CIM_DataFile", path);
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    data.set("Extension", extension).set("FileType", format!("{extension} File"));
    data.set("FileSize", disks::size_on_disk(file));
    data
}

fn directory(view: &View<'_>, path: &str) -> Instance {
    let mut directory = common(view, "Win32_Directory", path);
    directory.set("FileType", "File Folder");
    directory
}

/// WMI tells names of files in lower case.
fn common(view: &View<'_>, class: &'static str, path: &str) -> Instance {
    let mut file = Instance::of(class);
    let lower = path.to_lowercase();
    let (folder, last) = lower.rsplit_once('\\').unwrap_or(("", &lower));
    let (drive, inside) = folder.split_once(':').unwrap_or(("", folder));
    file.all(&[
        ("CSCreationClassName", "Win32_ComputerSystem"),
        ("FSCreationClassName", "Win32_FileSystem"),
        ("FSName", "NTFS"),
        ("Readable", "true"),
        ("Writeable", "true"),
        ("Hidden", "false"),
        ("System", "false"),
        ("Compressed", "false"),
        ("Encrypted", "false"),
        ("Archive", "true"),
        ("Status", "OK"),
    ]);
    file.set("CreationClassName", class).set("CSName", view.host.name.as_str()).set("Name", lower.as_str());
    file.set("Caption", lower.as_str()).set("Description", lower.as_str()).set("Drive", format!("{drive}:"));
    file.set("Path", format!(r"{inside}\"));
    file.set("FileName", last.rsplit_once('.').map_or(last, |(stem, _)| stem));
    file
}

/// `Msvm_VirtualHardDiskSettingData` of a file.
pub(in crate::lab::hyperv) fn disk_settings(path: &str, file: &DiskFile) -> Instance {
    let mut data = Instance::of("Msvm_VirtualHardDiskSettingData");
    data.all(&[
        ("Caption", "Virtual Hard Disk Setting Data"),
        ("Description", "Setting Data for a Virtual Hard Disk"),
        ("Format", "3"),
        ("BlockSize", "33554432"),
        ("LogicalSectorSize", "512"),
        ("PhysicalSectorSize", "4096"),
    ]);
    // 3 dynamic, 4 differencing (SEQUENCES.md, "VHDX blank").
    data.set("Type", if file.parent.is_some() { "4" } else { "3" }).set("Path", path);
    data.set("InstanceID", path).set("ElementName", path.rsplit_once('\\').map_or(path, |(_, last)| last));
    data.set("MaxInternalSize", file.capacity).set("VirtualDiskId", upper(file.uuid));
    if let Some(parent) = &file.parent {
        data.set("ParentPath", &**parent);
    }
    data
}

/// `Msvm_VirtualHardDiskState` of a file.
pub(in crate::lab::hyperv) fn disk_state(world: &World, path: &str, file: &DiskFile) -> Instance {
    let mut state = Instance::of("Msvm_VirtualHardDiskState");
    state.all(&[("Alignment", "1"), ("FragmentationPercentage", "0"), ("PhysicalSectorSize", "4096")]);
    state.set("FileSize", disks::size_on_disk(file)).set("InUse", disks::in_use(world, path));
    state.set("MinInternalSize", file.capacity).set("Timestamp", Value::Time(world.now_ms() * 1000));
    state
}
