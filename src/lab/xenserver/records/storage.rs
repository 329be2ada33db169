//! SRs, PBDs and VDIs.

use uuid::Uuid;

use super::{Record, View};
use crate::lab::world::{Id, Link};
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::value::{NULL, Value};

impl View<'_> {
    pub(super) fn sr(&self, id: Id) -> Option<Record> {
        let sr = self.world.datastores.get(&id)?;
        let mut vdis: Vec<Obj> =
            self.world.files.values().filter(|file| file.datastore == id).map(|file| Obj::Vdi(file.uuid)).collect();
        vdis.sort_unstable();
        let pbds: Vec<Obj> = self.world.hosts.keys().map(|host| Obj::Pbd(*host, id)).collect();
        let mut record = Record::new(Class::Sr);
        record
            .set("uuid", self.codec.uuid(&Obj::Sr(id)).to_string())
            .set("name_label", sr.name.clone())
            .set("VDIs", self.references(&vdis))
            .set("PBDs", self.references(&pbds))
            .set("virtual_allocation", sr.used)
            .set("physical_utilisation", sr.used)
            .set("physical_size", sr.capacity)
            .set("type", "lvmoiscsi")
            .set("content_type", "user")
            .set("shared", sr.hosts.is_empty());
        let words = [
            "vdi_introduce",
            "unplug",
            "plug",
            "scan",
            "vdi_resize",
            "vdi_clone",
            "vdi_snapshot",
            "vdi_create",
            "vdi_destroy",
        ];
        record.set("allowed_operations", Value::List(words.into_iter().map(Value::from).collect()));
        Some(record)
    }

    pub(super) fn pbd(&self, host: Id, sr: Id) -> Option<Record> {
        let (at, place) = (self.world.hosts.get(&host)?, self.world.datastores.get(&sr)?);
        let mut record = Record::new(Class::Pbd);
        let reached = place.hosts.is_empty() || place.hosts.contains(&host);
        record
            .set("uuid", self.codec.uuid(&Obj::Pbd(host, sr)).to_string())
            .set("host", self.reference(&Obj::Host(host)))
            .set("SR", self.reference(&Obj::Sr(sr)))
            .set("currently_attached", place.accessible && reached && at.link == Link::Connected);
        Some(record)
    }

    pub(super) fn vdi(&self, uuid: Uuid) -> Option<Record> {
        let (path, file) = self.world.file_by_id(uuid)?;
        let users = self.users(path);
        let (of, at) = self.snapshot_of(path, users).unwrap_or_else(|| (NULL.into(), 0));
        let shared = users.iter().any(|user| {
            let Obj::Vbd(vm, key) = user else { return false };
            self.world.vm(*vm).and_then(|vm| vm.disk(*key)).is_some_and(|disk| disk.shared)
        });
        let mut record = Record::new(Class::Vdi);
        record
            .set("uuid", uuid.to_string())
            .set("location", uuid.to_string())
            .set("name_label", self.disk_name(users))
            .set("SR", self.reference(&Obj::Sr(file.datastore)))
            .set("VBDs", self.references(users))
            .set("virtual_size", file.capacity)
            .set("physical_utilisation", file.capacity)
            .set("sharable", shared)
            .set("is_a_snapshot", of != Value::from(NULL))
            .set("snapshot_of", of)
            .set("snapshot_time", Value::Time(at))
            .set("metadata_of_pool", NULL);
        let words = ["copy", "clone", "forget", "resize", "snapshot", "destroy"];
        record.set("allowed_operations", Value::List(words.into_iter().map(Value::from).collect()));
        Some(record)
    }

    /// Nobody named it: it goes by its VM's name.
    fn disk_name(&self, users: &[Obj]) -> String {
        let Some(Obj::Vbd(vm, key)) = users.first() else { return String::new() };
        let hardware = self.machine(*vm).and_then(super::Machine::hardware);
        hardware.map_or_else(String::new, |vm| format!("{} {}", vm.name, vm.disk(*key).map_or(0, |disk| disk.unit)))
    }

    /// For the disk of a snapshot: what it is a snapshot of, and from when.
    fn snapshot_of(&self, path: &str, users: &[Obj]) -> Option<(Value, i64)> {
        let Some(Obj::Vbd(id, key)) = users.first() else { return None };
        let (vm, at) = self.snapshots().get(id)?;
        let vm = self.world.vm(*vm)?;
        let now = vm.disk(*key).filter(|disk| *disk.file != *path)?;
        let file = self.world.files.get(&now.file)?;
        Some((self.reference(&Obj::Vdi(file.uuid)), vm.snapshots.get(*at)?.at))
    }
}
