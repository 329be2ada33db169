//! Rules over the whole set of manifests: what one of them says of another.
//!
//! ```text
//! mod.rs    who is there, declared once     tiers.rs       one hypervisor per tier     declared.rs  a VM, for the rules
//! twins.rs  names, MACs, addresses twice    references.rs  what VMs name    order.rs  dependency cycles
//! ```
//!
//! Each rule looks things up in maps, so the whole is linear in the number of manifests but for a logarithm.

mod declared;
mod order;
mod references;
mod tiers;
mod twins;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::codes;
use super::read::Documents;
use super::report::{Place, Report};
use super::schema::{At, InstanceTypeManifest, Named, TierManifest, VmManifest, Written};
use crate::model::{HypervisorType, VmKey, VmSpec};

pub use declared::Declared;

/// Who is there: each name once, the first of duplicates.
#[derive(Debug, Default)]
pub struct Known<'d> {
    /// Tiers by name.
    pub tiers: BTreeMap<&'d str, KnownTier<'d>>,
    /// Instance types by name.
    pub instance_types: BTreeMap<&'d str, &'d Written<InstanceTypeManifest>>,
    /// VMs by key.
    pub vms: BTreeMap<VmKey, Declared<'d>>,
    /// VMs in the order of files.
    pub in_order: Vec<(VmKey, Declared<'d>)>,
    /// False when something was not read as far as its name: what is missing may stand there.
    pub complete: bool,
}

/// A tier and what its VMs may name.
#[derive(Debug)]
pub struct KnownTier<'d> {
    /// As written.
    pub written: &'d Written<TierManifest>,
    /// Follows from its fields.
    pub hypervisor: Option<HypervisorType>,
    /// Image names; `None`: unreadable.
    pub images: Option<BTreeSet<&'d str>>,
    /// Network names; `None`: unreadable.
    pub networks: Option<BTreeSet<&'d str>>,
    /// Storage names; `None`: unreadable.
    pub storage: Option<BTreeSet<&'d str>>,
}

/// Checks the whole set; gives who is there, for `resolve.rs`.
pub fn check<'d>(documents: &'d Documents, report: &mut Report) -> Known<'d> {
    let known = know(documents, report);
    references::check(&known, report);
    twins::check(&known, report);
    order::check(&known, report);
    known
}

/// Do these VMs name tiers, instance types and what a tier has that are there? Other VMs aside.
pub(super) fn targets(known: &Known<'_>, vms: &[Written<VmManifest>], report: &mut Report) {
    for written in vms {
        references::check_vm(known, written, report);
    }
}

/// What VMs that were resolved, and whose targets are there, say of each other. Where problems stand is not told.
pub(super) fn together(vms: &BTreeMap<VmKey, Arc<VmSpec>>, report: &mut Report) {
    let in_order: Vec<_> = vms.iter().map(|(key, vm)| (key.clone(), Declared::Standing(vm))).collect();
    let known = Known { vms: in_order.iter().cloned().collect(), in_order, complete: true, ..Known::default() };
    references::check_vms(&known, report);
    twins::check(&known, report);
    order::check(&known, report);
}

/// Who is there, each once; tells of what is declared twice.
pub(super) fn know<'d>(documents: &'d Documents, report: &mut Report) -> Known<'d> {
    let mut known = Known {
        tiers: BTreeMap::new(),
        instance_types: BTreeMap::new(),
        vms: BTreeMap::new(),
        in_order: Vec::with_capacity(documents.vms.len()),
        complete: !documents.incomplete,
    };
    for written in &documents.tiers {
        let Some(name) = &written.manifest.metadata.name else { continue };
        // Checked even when it is a duplicate: its own mistakes are its own.
        let hypervisor = tiers::hypervisor(written, report);
        match known.tiers.get(name.value.as_str()) {
            Some(first) => {
                let first = place(first.written, first.written.manifest.metadata.name.as_ref());
                declared_twice(report, &format!("tier `{}`", name.value), place(written, Some(name)), first);
            }
            None => {
                known.tiers.insert(name.value.as_str(), know_tier(written, hypervisor));
            }
        }
    }
    for written in &documents.instance_types {
        let Some(name) = &written.manifest.metadata.name else { continue };
        match known.instance_types.get(name.value.as_str()) {
            Some(first) => {
                let first = place(first, first.manifest.metadata.name.as_ref());
                declared_twice(report, &format!("instance type `{}`", name.value), place(written, Some(name)), first);
            }
            None => {
                known.instance_types.insert(&name.value, written);
            }
        }
    }
    for written in &documents.vms {
        let Some(key) = key(&written.manifest) else { continue };
        let declared = Declared::Written(written);
        if let Some(first) = known.vms.get(&key) {
            declared_twice(report, &format!("VM `{key}`"), declared.place(), first.place());
        } else {
            known.vms.insert(key.clone(), declared);
            known.in_order.push((key, declared));
        }
    }
    known
}

fn know_tier(written: &Written<TierManifest>, hypervisor: Option<HypervisorType>) -> KnownTier<'_> {
    let spec = &written.manifest.spec;
    KnownTier {
        written,
        hypervisor,
        images: spec.images.as_ref().map(names),
        networks: spec.networks.as_ref().map(names),
        storage: spec.storage.as_ref().map(names),
    }
}

fn names<T>(named: &Named<T>) -> BTreeSet<&str> {
    named.iter().map(|(name, _)| name.value.as_str()).collect()
}

/// A VM's key, if its name could be read.
pub fn key(manifest: &VmManifest) -> Option<VmKey> {
    let project = manifest.metadata.project.as_ref().map_or(VmKey::DEFAULT_PROJECT, |project| project.value.as_str());
    VmKey::new(project, manifest.metadata.name.as_ref()?.value.as_str()).ok()
}

fn place<M, T>(written: &Written<M>, at: Option<&At<T>>) -> Place {
    Place { file: written.file, spot: at.map(|at| at.spot).unwrap_or_default() }
}

fn declared_twice(report: &mut Report, what: &str, second: Place, first: Place) {
    report
        .error(second, codes::DUPLICATE_NAME, format!("{what} is declared twice"))
        .hint("give one of them another name, or remove it")
        .related(first, "first declared here");
}
