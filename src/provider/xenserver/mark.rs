//! Our mark in `other_config`, written so that it is never missing.
//!
//! A key of that map can only be added or removed (`MAP_DUPLICATE_KEY`, recorded/13), and the map is never written as a
//! whole, since others write it too. A VM without its mark would be nobody's, so the new one is put beside the old one
//! first:
//!
//! ```text
//! mark: old                           add next: new
//! mark: old   mark.next: new          remove mark          until here the old one is in force, from here the new one
//!             mark.next: new          add mark: new
//! mark: new   mark.next: new          remove next
//! ```

use super::machine::Machine;
use super::record::{MARK, NEXT_MARK};
use super::rpc::Request;
use super::work::{Change, Work};
use crate::mark::{self, Mark, MarkedDisk};
use crate::provider::StepError;

impl Work<'_> {
    /// Writes the mark, or goes on with writing it.
    pub(super) async fn write_mark(&self, machine: &Machine, mark: &Mark) -> Result<(), StepError> {
        let text = mark::write(mark);
        let vm = &machine.vm;
        let mut next = vm.next_mark.as_deref();
        if vm.mark.as_deref() != Some(text.as_str()) {
            if vm.mark.is_some() {
                if next.is_some_and(|next| next != text) {
                    self.remove(machine, NEXT_MARK, "put a mark aside that was not finished").await?;
                    next = None;
                }
                if next.is_none() {
                    self.add(machine, NEXT_MARK, &text, "write the next mark").await?;
                    next = Some(&text);
                }
                self.remove(machine, MARK, "take the old mark off").await?;
            }
            self.add(machine, MARK, &text, "write the mark").await?;
        }
        if next.is_some() {
            self.remove(machine, NEXT_MARK, "take the next mark off").await?;
        }
        Ok(())
    }

    /// Removes our mark and nothing else.
    pub(super) async fn unmark(&self) -> Result<(), StepError> {
        let machine = self.machine().await?;
        if machine.vm.next_mark.is_some() {
            self.remove(&machine, NEXT_MARK, "take the next mark off").await?;
        }
        if machine.vm.mark.is_some() {
            self.remove(&machine, MARK, "remove the mark").await?;
        }
        Ok(())
    }

    async fn add(&self, machine: &Machine, key: &'static str, text: &str, detail: &str) -> Result<(), StepError> {
        let request = Request::new("VM.add_to_other_config").on(&machine.reference).with(key).with(text);
        let witness = || async { Ok(self.written(key).await?.as_deref() == Some(text)) };
        self.make(Change::new(request, detail), witness).await?;
        Ok(())
    }

    /// Removes a key of a VM's `other_config`; removing one that is not there is taken too (recorded/11).
    async fn remove(&self, machine: &Machine, key: &'static str, detail: &str) -> Result<(), StepError> {
        let request = Request::new("VM.remove_from_other_config").on(&machine.reference).with(key);
        let witness = || async { Ok(self.written(key).await?.is_none()) };
        self.make(Change::new(request, detail), witness).await?;
        Ok(())
    }

    async fn written(&self, key: &str) -> Result<Option<String>, StepError> {
        let vm = self.machine().await?.vm;
        let text = if key == MARK { vm.mark } else { vm.next_mark };
        Ok(text.map(|text| text.to_string()))
    }
}

/// The mark with everything in it that the VM as it is can tell: slots and ids of disks, MACs and slots of NICs.
pub(super) fn filled(mark: &Mark, machine: &Machine) -> Mark {
    let mut mark = mark.clone();
    let written = machine.mark().filter(|found| found.identity == mark.identity);
    let before = |name: &str| written.as_ref().and_then(|found| found.disks.get(name));
    for (name, disk) in &mut mark.disks {
        // What an earlier operation of this step learned, the planner could not know.
        if disk.id.is_none() && disk.file.is_none() {
            disk.id = before(name).and_then(|before| before.id.clone());
        }
        fill_disk(name, disk, machine);
    }
    for (name, nic) in &mut mark.nics {
        if nic.mac.is_none() {
            let before = written.as_ref().and_then(|found| found.nics.get(name));
            let made = machine.nic_of(name).map(|nic| nic.observed.mac.to_string());
            nic.mac = made.or_else(|| before.and_then(|before| before.mac.clone()));
        }
        let found = (machine.parts.nics.iter())
            .find(|found| nic.mac.as_ref().is_some_and(|mac| found.observed.mac.eq_ignore_ascii_case(mac)));
        if let Some(found) = found {
            nic.slot = Some(found.observed.slot.to_string());
        }
    }
    mark
}

/// By its id where it has one, else the disk that was made under this name, else the one in its slot.
fn fill_disk(name: &str, disk: &mut MarkedDisk, machine: &Machine) {
    if disk.file.is_some() {
        return; // detached and kept
    }
    let disks = &machine.parts.disks;
    let found = match (&disk.id, &disk.slot) {
        (Some(id), _) => disks.iter().find(|found| found.observed.id.as_deref() == Some(id.as_str())),
        (None, Some(slot)) => disks.iter().find(|found| *found.observed.slot == **slot),
        (None, None) => machine.disk_of(name),
    };
    if let Some(found) = found {
        disk.slot = Some(found.observed.slot.to_string());
        disk.id = found.observed.id.as_deref().map(str::to_owned);
    }
}
