//! What befalls a cluster, for tests and demos: VMs that move, nodes that die, replicas.

use crate::lab::Lab;
use crate::lab::world::{Id, Link, World};

/// A node by name.
fn node(world: &World, name: &str) -> Option<Id> {
    world.hosts.values().find(|host| host.name.eq_ignore_ascii_case(name)).map(|host| host.id)
}

impl Lab {
    /// Begins to move a running VM: its target shows a planned VM of the same GUID until [`Self::end_migration`]. False
    /// if there is no such endpoint, VM or node.
    pub fn begin_migration(&self, endpoint: &str, vm: &str, to: &str) -> bool {
        self.on_vm(endpoint, vm, |world, id| {
            let target = node(world, to)?;
            world.edit_runtime(id, |vm| vm.wmi.get_or_insert_default().moving_to = Some(target));
            Some(())
        })
    }

    /// Ends what [`Self::begin_migration`] began: the VM is on its target, with the same GUID and configuration.
    pub fn end_migration(&self, endpoint: &str, vm: &str) -> bool {
        self.on_vm(endpoint, vm, |world, id| {
            let target = world.vm(id)?.wmi.as_ref()?.moving_to?;
            world.edit_runtime(id, |vm| {
                vm.host = target;
                vm.wmi.get_or_insert_default().moving_to = None;
            });
            Some(())
        })
    }

    /// Moves a VM to another node at once.
    pub fn migrate(&self, endpoint: &str, vm: &str, to: &str) -> bool {
        self.begin_migration(endpoint, vm, to) && self.end_migration(endpoint, vm)
    }

    /// Kills a node, or brings it back: it answers nothing, and its VMs stay where they are.
    pub fn set_node_down(&self, endpoint: &str, name: &str, down: bool) -> bool {
        let Some(world) = self.world_of(endpoint) else { return false };
        world.with(|world| {
            let id = node(world, name);
            let Some(host) = id.and_then(|id| world.hosts.get_mut(&id)) else { return false };
            host.link = if down { Link::NotResponding } else { Link::Connected };
            world.bump();
            true
        })
    }

    /// Makes a replica of a VM on another node, as Hyper-V Replica does: the same GUID, name and notes, off.
    pub fn replicate(&self, endpoint: &str, vm: &str, to: &str) -> bool {
        self.on_vm(endpoint, vm, |world, id| {
            let target = node(world, to)?;
            let name = world.vm(id)?.name.to_string();
            let copy = world.copy(id, &name, true)?;
            world.edit_runtime(id, |vm| vm.wmi.get_or_insert_default().replication_mode = 1);
            world.set_power(copy, crate::lab::world::Power::Off);
            world.edit_runtime(copy, |vm| {
                vm.host = target;
                let wmi = vm.wmi.get_or_insert_default();
                wmi.replication_mode = 2;
                wmi.role = None;
            });
            Some(())
        })
    }

    fn on_vm(&self, endpoint: &str, vm: &str, act: impl FnOnce(&mut World, Id) -> Option<()>) -> bool {
        let Some(world) = self.world_of(endpoint) else { return false };
        world
            .with(|world| {
                let id = world.vm_named(vm).map(|vm| vm.id)?;
                act(world, id)
            })
            .is_some()
    }
}
