//! What the account may do, tried by reading: Hyper-V asks for membership in groups, not for single rights, and tells
//! no one which groups that are.

use super::cim::Namespace;
use super::cluster;
use super::fault::Failure;
use super::host::Host;
use super::hosts::Hosts;
use super::parts::{self, Scope};
use crate::provider::{ErrorKind, MissingRight};

/// Rights needed on each host, and what fails without each. README lists them; a test compares the two.
pub(super) const NEEDED: &[(&str, &str)] = &[
    ("Remote Management Users", "any call: WinRM lets nobody else in"),
    ("Hyper-V Administrators", "seeing and changing VMs, disks and NICs"),
    ("Enable Account, Execute Methods and Remote Enable on root/cimv2", "volumes and folders, and deleting disk files"),
    ("Full control of the folders of VMs and disks", "deleting disk files"),
    ("Full control of the cluster", "making VMs roles of a cluster, and removing them"),
];

/// Rights that the account lacks, as far as reading tells.
pub(super) async fn missing(hosts: &Hosts) -> Result<Vec<MissingRight>, Failure> {
    let mut missing = Vec::new();
    for host in &hosts.list {
        missing.extend(missing_on(host).await?);
    }
    Ok(missing)
}

async fn missing_on(host: &Host) -> Result<Vec<MissingRight>, Failure> {
    let on = host.client.url();
    if refused(host.client.identify().await)? {
        return Ok(vec![lack(0, on)]);
    }
    let mut lacking = Vec::new();
    let itself = parts::systems(&host.client, Scope::All).await.map(|systems| {
        // An account without rights is shown an empty list.
        systems.iter().any(|system| system.guid.is_empty())
    });
    if !granted(itself)? {
        lacking.push(lack(1, on));
    }
    let volumes = host.volumes().await.map(|volumes| !volumes.is_empty());
    if !granted(volumes)? {
        lacking.push(lack(2, on));
    }
    if refused(cluster::view(&host.client).await)? {
        lacking.push(lack(4, on));
    }
    let images = "SELECT Name FROM Msvm_ImageManagementService";
    let images = host.client.enumerate(Namespace::Virtualization, images, |_| Some(())).await;
    if !granted(images.map(|found| !found.is_empty()))? && lacking.is_empty() {
        lacking.push(lack(1, on));
    }
    Ok(lacking)
}

fn lack(at: usize, on: &str) -> MissingRight {
    let (right, needed_for) = NEEDED[at];
    MissingRight { right: right.to_owned(), on: on.to_owned(), needed_for: needed_for.to_owned() }
}

/// Whether a call was refused for want of rights; other failures are failures.
fn refused<T>(outcome: Result<T, Failure>) -> Result<bool, Failure> {
    match outcome {
        Ok(_) => Ok(false),
        Err(failure @ Failure::Fault(_)) if failure.kind() == ErrorKind::Denied => Ok(true),
        Err(failure) => Err(failure),
    }
}

fn granted(outcome: Result<bool, Failure>) -> Result<bool, Failure> {
    match outcome {
        Ok(granted) => Ok(granted),
        Err(failure) => refused::<()>(Err(failure)).map(|refused| !refused),
    }
}
