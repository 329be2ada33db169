//! Where new devices go: free units of controllers, new controllers when all are full, temporary keys. Pure.

use super::device::{self, Bus, Controller};
use super::fault::Failure;
use super::machine::{Machine, Plugs};
use super::spec::{DeviceChange, Plug, units};
use crate::provider::ErrorKind;

/// SCSI controllers a VM may have (vSphere configuration maximums, 6.7 to 9).
const MAX_SCSI: i32 = 4;

/// Hands out places on a VM as it is and as it is being changed.
#[derive(Debug)]
pub(super) struct Layout {
    plugs: Vec<Plugs>,
    /// What a new controller is made like.
    controller_kind: &'static str,
    /// Temporary keys of devices to be added are negative; the server gives them real ones.
    next_key: i32,
    /// Controllers that have to be added first.
    added: Vec<DeviceChange>,
}

impl Layout {
    /// Of a VM that is there.
    pub(super) fn of(machine: &Machine, controller_kind: &'static str) -> Self {
        Self { plugs: machine.plugs(), controller_kind, next_key: -1000, added: Vec::new() }
    }

    /// Of a VM to be made.
    pub(super) const fn blank(controller_kind: &'static str) -> Self {
        Self { plugs: Vec::new(), controller_kind, next_key: -1000, added: Vec::new() }
    }

    /// A key for one more device.
    pub(super) fn key(&mut self) -> i32 {
        self.next_key -= 1;
        self.next_key
    }

    /// Controllers that were needed; they must stand before the disks in the same change.
    pub(super) fn controllers(&mut self) -> Vec<DeviceChange> {
        std::mem::take(&mut self.added)
    }

    /// A place for one more disk: a free unit of a SCSI controller, behind the disks that are there, else a new one.
    pub(super) fn plug(&mut self) -> Result<Plug, Failure> {
        if let Some(plug) = self.plugs.iter_mut().filter(|plugs| plugs.controller.bus == Bus::Scsi).find_map(take) {
            return Ok(plug);
        }
        let numbers: Vec<i32> = self
            .plugs
            .iter()
            .filter(|plugs| plugs.controller.bus == Bus::Scsi)
            .map(|plugs| plugs.controller.number)
            .collect();
        let Some(number) = (0..MAX_SCSI).find(|number| !numbers.contains(number)) else {
            // No SCSI place is left; NVMe and SATA take the rest where the VM has them.
            return self
                .plugs
                .iter_mut()
                .filter(|plugs| plugs.controller.bus != Bus::Ide)
                .find_map(take)
                .ok_or_else(|| Failure::because(ErrorKind::Conflict, "no place is left to plug one more disk in"));
        };
        let key = self.key();
        self.added.push(DeviceChange::AddController { key, bus_number: number, kind: self.controller_kind });
        let mut plugs = Plugs { key, controller: Controller::new(Bus::Scsi, number), taken: Vec::new() };
        let plug = take(&mut plugs);
        self.plugs.push(plugs);
        plug.ok_or_else(|| Failure::senseless("a new controller without a free place"))
    }
}

/// The first free unit behind the last that is taken, or any free one.
fn take(plugs: &mut Plugs) -> Option<Plug> {
    let last = plugs.taken.iter().copied().filter(|unit| *unit != 7).max().unwrap_or(-1);
    let free = |unit: &i32| !plugs.taken.contains(unit);
    let bus = plugs.controller.bus;
    let unit = units(bus).filter(|unit| *unit > last).find(free).or_else(|| units(bus).find(free))?;
    plugs.taken.push(unit);
    Some(Plug { controller: plugs.key, unit, slot: device::slot(Some(&plugs.controller), unit) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_fill_a_controller_but_unit_seven_and_then_the_next() {
        let mut layout = Layout::blank("ParaVirtualSCSIController");
        let slots: Vec<String> = (0..31).map(|_| layout.plug().unwrap().slot).collect();
        assert_eq!(slots[0], "scsi0:0");
        assert_eq!(slots[7], "scsi0:8");
        assert_eq!(slots[14], "scsi0:15");
        assert_eq!(slots[15], "scsi1:0");
        assert_eq!(slots[30], "scsi2:0");
        assert_eq!(layout.controllers().len(), 3);
    }

    #[test]
    fn a_vm_with_sixty_disks_takes_no_more() {
        let mut layout = Layout::blank("ParaVirtualSCSIController");
        for _ in 0..60 {
            layout.plug().unwrap();
        }
        assert!(layout.plug().is_err());
    }
}
