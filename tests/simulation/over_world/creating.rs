//! A VM from birth to its finished mark; each stage is read from the VM, so that any of them can be gone on with.
//!
//! ```text
//! born      cloned or blank; under its birth name where the hypervisor chooses the id
//! marked    (birth names only) the mark, pending
//! equipped  size, disks, NICs; the mark knows their slots
//! started, named, finished: the mark without pending
//! ```

use tierwright::lab::world::{self, CloneVm, DeviceEdit, VmSpec};
use tierwright::mark::{self, Mark, Pending};
use tierwright::plan::CreateVm;
use tierwright::provider::{ErrorKind, StepError};
use uuid::Uuid;

use super::calling::{Named, Work};
use super::changing::{Draft, nowhere};
use super::finding::{mark_of, of_identity};
use super::reading::{own_id, slot};
use super::{MARK, Scheme};

impl Work<'_> {
    pub(super) async fn create(&mut self, order: &CreateVm) -> Result<(), StepError> {
        if self.begun(order.identity).is_none() {
            self.bear(order).await?;
        }
        let vm = self.the_begun(order)?;
        self.recorder.made(&own_id(&vm), "").await?;
        if mark_of(&vm).is_none_or(|mark| mark.identity != order.identity) {
            let pending = Mark { own_id: Some(own_id(&vm)), ..pending(&order.mark) };
            self.write(&vm, pending, "MarkNewborn").await?;
        }
        let vm = self.the_begun(order)?;
        if !is_equipped(order, &vm) {
            let spec = self.equipment(order, &vm)?;
            self.call(Named::plain("Equip"), reconfigure(&vm, spec)).await?;
        }
        let vm = self.the_begun(order)?;
        if order.start && vm.power == world::Power::Off && !is_finished(&vm) {
            self.call(Named::plain("PowerOn"), world::Work::PowerOn(vm.id)).await?;
        }
        if *vm.name != *order.name.as_str() {
            let work = world::Work::Rename { object: vm.id, name: order.name.to_string() };
            self.call(Named::plain("Rename"), work).await?;
        }
        let vm = self.the_begun(order)?;
        let mut mark = Mark { own_id: Some(own_id(&vm)), ..(*order.mark).clone() };
        if let Some(written) = mark_of(&vm) {
            mark.generation = mark.generation.max(written.generation);
            (mark.disks, mark.nics) = (written.disks, written.nics);
        }
        self.complete(&mark).await
    }

    /// What was begun for an identity: by own id where that is ours to choose, else by birth name and mark.
    pub(super) fn begun(&self, identity: Uuid) -> Option<world::Vm> {
        let chosen = self.provider.scheme == Scheme::Chosen;
        self.provider.world.with(|world| {
            if chosen {
                world.vm_by_uuid(identity).cloned()
            } else {
                of_identity(world, identity).first().copied().cloned()
            }
        })
    }

    fn the_begun(&self, order: &CreateVm) -> Result<world::Vm, StepError> {
        self.provider.reach()?;
        let begun = self.begun(order.identity);
        begun.ok_or_else(|| self.error("Create", ErrorKind::Unexpected, "it was made and is not there"))
    }

    async fn bear(&self, order: &CreateVm) -> Result<(), StepError> {
        let chosen = self.provider.scheme == Scheme::Chosen;
        let name = if chosen { order.name.to_string() } else { mark::birth_name(order.identity) };
        let mut spec = VmSpec {
            name: Some(name.clone()),
            cpus: Some(order.cpus),
            memory_mib: Some(order.memory.0 >> 20),
            ..VmSpec::default()
        };
        if chosen {
            spec.instance_uuid = Some(order.identity);
            spec.settings.push((MARK.to_owned(), mark::write(&pending(&order.mark))));
        }
        let folder = order.placement.folder.as_deref().unwrap_or_default();
        let home = order.placement.storage.as_deref().map(|name| self.datastore(name)).transpose()?;
        let place = self.provider.world.with(|world| {
            let host = world.hosts.values().find(|host| order.placement.host.as_deref() == Some(&host.name));
            let host = host.or_else(|| world.hosts.values().next())?;
            let pool = world.clusters.get(&host.cluster)?.pool;
            let image = order.image.as_ref().map(|image| world.vm_named(&image.source).map(|vm| vm.id));
            Some((world.vm_folder(folder)?, pool, host.id, image))
        });
        let Some((folder, pool, host, image)) = place else {
            return Err(self.error("Create", ErrorKind::NotFound, "no such place"));
        };
        let work = match image {
            Some(None) => return Err(self.error("Create", ErrorKind::NotFound, "no such image")),
            Some(Some(source)) => world::Work::Clone(Box::new(CloneVm {
                source,
                name,
                folder,
                pool: Some(pool),
                host: Some(host),
                datastore: home,
                disk_places: Vec::new(),
                template: false,
                power_on: false,
                linked: false,
                spec,
            })),
            None => {
                spec.home = home;
                spec.firmware = Some(world::Firmware::Uefi);
                world::Work::Create(Box::new(world::CreateVm { folder, pool, host: Some(host), spec }))
            }
        };
        self.call(Named::plain("Create"), work).await.map(drop)
    }

    /// Size, disks and NICs, with the mark that says so.
    fn equipment(&self, order: &CreateVm, vm: &world::Vm) -> Result<VmSpec, StepError> {
        if vm.disks.len() != order.image_disks {
            let why = format!("it has {} disks, the order counts on {}", vm.disks.len(), order.image_disks);
            return Err(self.error("Equip", ErrorKind::Conflict, why));
        }
        let written = mark_of(vm).unwrap_or_else(|| pending(&order.mark));
        let mut draft = Draft::of(vm, Mark { own_id: Some(own_id(vm)), pending: Some(Pending::Create), ..written });
        draft.spec.cpus = Some(order.cpus);
        draft.spec.memory_mib = Some(order.memory.0 >> 20);
        draft.spec.firmware = Some(match order.firmware {
            tierwright::model::Firmware::Uefi => world::Firmware::Uefi,
            tierwright::model::Firmware::Bios => world::Firmware::Bios,
        });
        for (disk, found) in order.disks.iter().zip(&vm.disks) {
            let known = draft.mark.disks.entry(disk.name.clone()).or_insert_with(nowhere);
            (known.slot, known.file) = (Some(slot(vm, found)), None);
            if found.capacity < disk.size.0 {
                draft.spec.devices.push(DeviceEdit::EditDisk { key: found.key, capacity: disk.size.0 });
            }
        }
        for disk in order.disks.iter().skip(order.image_disks) {
            let datastore = disk.storage.as_deref().map(|name| self.datastore(name)).transpose()?;
            draft.order(disk, datastore);
        }
        draft.spec.devices.extend(vm.nics.iter().map(|nic| DeviceEdit::RemoveNic(nic.key)));
        for nic in &order.nics {
            let add = self.new_nic(nic)?;
            draft.spec.devices.push(add);
        }
        Ok(draft.finish())
    }

    async fn write(&self, vm: &world::Vm, mark: Mark, name: &'static str) -> Result<(), StepError> {
        let spec = VmSpec { settings: vec![(MARK.to_owned(), mark::write(&mark))], ..VmSpec::default() };
        self.call(Named::plain(name), reconfigure(vm, spec)).await.map(drop)
    }
}

fn reconfigure(vm: &world::Vm, spec: VmSpec) -> world::Work {
    world::Work::Reconfigure { vm: vm.id, spec: Box::new(spec) }
}

/// The mark of a VM that is not finished.
fn pending(mark: &Mark) -> Mark {
    Mark { pending: Some(Pending::Create), ..mark.clone() }
}

fn is_finished(vm: &world::Vm) -> bool {
    mark_of(vm).is_some_and(|mark| mark.pending.is_none())
}

/// The mark knows the place of every disk once that was done.
fn is_equipped(order: &CreateVm, vm: &world::Vm) -> bool {
    let placed = |mark: &Mark, name: &str| mark.disks.get(name).is_some_and(|disk| disk.slot.is_some());
    mark_of(vm).is_some_and(|mark| order.disks.iter().all(|disk| placed(&mark, &disk.name)))
}
