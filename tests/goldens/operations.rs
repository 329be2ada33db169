//! A step's operations in one line, so that a golden shows exactly what a provider will be asked.

use tierwright::plan::{Change, Operation, Step};

/// `erp/app-01: stop, reconfigure(memory 8GiB, mark 2), start`.
pub fn line(step: &Step) -> String {
    let operations: Vec<_> = step.operations.iter().map(operation).collect();
    format!("{}: {}\n", step.key, operations.join(", "))
}

fn operation(operation: &Operation) -> String {
    match operation {
        Operation::Create(create) => {
            let finish = if create.unfinished.is_some() { "finish" } else { "create" };
            let host = create.placement.host.as_deref().unwrap_or("any host");
            let start = if create.start { ", start" } else { "" };
            let names = |name: &str, storage: &Option<String>| match storage {
                Some(storage) => format!("{name} on {storage}"),
                None => name.to_owned(),
            };
            let disks: Vec<_> = create.disks.iter().map(|disk| names(&disk.name, &disk.storage)).collect();
            format!(
                "{finish} {} on {host} with {} ({} from the image){start}",
                create.name,
                disks.join(", "),
                create.image_disks
            )
        }
        Operation::Reconfigure { changes, mark } => {
            let mut parts: Vec<_> = changes.iter().map(change).collect();
            let retired = if mark.retired.is_some() { ", retired" } else { "" };
            parts.push(format!("mark {}{retired}", mark.generation));
            format!("reconfigure({})", parts.join(", "))
        }
        Operation::Stop(shutdown) => {
            format!("stop({} s{})", shutdown.timeout_seconds, if shutdown.force { ", then hard" } else { "" })
        }
        Operation::Start => "start".into(),
        Operation::Rename(name) => format!("rename to {name}"),
        Operation::Unmark => "unmark".into(),
        Operation::Destroy { disks } => {
            let names: Vec<_> = disks.iter().map(|disk| disk.name.as_str()).collect();
            format!("destroy with {}", names.join(", "))
        }
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Cpus(cpus) => format!("cpus {cpus}"),
        Change::Memory(memory) => format!("memory {memory}"),
        Change::AddDisk(order) => format!("add disk {} {}", order.name, order.size),
        Change::AttachDisk { name, file, .. } => format!("attach disk {name} from {file}"),
        Change::GrowDisk { disk, size } => format!("grow disk {} to {size}", disk.name),
        Change::DetachDisk(disk) => format!("detach disk {}", disk.name),
        Change::DeleteDisk(disk) => format!("delete disk {}", disk.name),
        Change::AddNic(order) => format!("add nic {} in {}", order.name, order.network.name),
        Change::RemoveNic(nic) => format!("remove nic {}", nic.name),
        Change::MoveNic { nic, network } => format!("move nic {} to {}", nic.name, network.name),
        Change::ConnectNic { nic, connected: true } => format!("connect nic {}", nic.name),
        Change::ConnectNic { nic, connected: false } => format!("disconnect nic {}", nic.name),
    }
}
