//! A set of files compiled from an earlier one: only what changed is read.
//!
//! Right by construction where anything is wrong: this knows good sets alone. It takes over a VM as it was resolved when
//! its file and every file that declares tiers or instance types are byte for byte what they were, for a VM follows from
//! these and from nothing else. The rules over the whole set run over all of them, the same rules as ever. As soon as a
//! single problem is found, or tiers may be others, it gives up, and everything is compiled from nothing, which tells of the
//! problem where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::check;
use super::read::{self, Documents};
use super::report::Report;
use super::resolve::{self, Shared};
use super::{Compiled, SourceText};
use crate::model::{Desired, Revision, VmKey, VmSpec};

/// A set that was compiled with nothing to tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'e> {
    /// Its files.
    pub texts: &'e [SourceText],
    /// What it asks for.
    pub desired: &'e Desired,
    /// Files that declare tiers or instance types.
    pub common: &'e BTreeSet<Arc<str>>,
}

/// Compiles a set from an earlier one; `None`: it must be compiled from nothing.
pub fn compile_from(earlier: Earlier<'_>, revision: Revision, texts: &[SourceText]) -> Option<Compiled> {
    let order = super::in_order(texts);
    let touched = touched(earlier, &order)?;
    let mut report = Report::new();
    let mut documents = Documents::default();
    for (file, text) in (0..).zip(&order) {
        let is_common = earlier.common.contains(&text.path);
        if !is_common && !touched.contains(&*text.path) {
            continue;
        }
        let tiers_and_types = documents.tiers.len() + documents.instance_types.len();
        read::file(file, &text.bytes, &mut documents, &mut report);
        let declares = documents.tiers.len() + documents.instance_types.len() > tiers_and_types;
        if !report.is_empty() || documents.incomplete || declares != is_common {
            return None;
        }
    }
    let stands = |vm: &VmSpec| !touched.contains(&*vm.origin.path) && !earlier.common.contains(&vm.origin.path);
    let standing = || earlier.desired.vms.iter().filter(|(_, vm)| stands(vm));
    let known = check::check(&documents, standing().map(|(_, vm)| &**vm), &mut report);
    if !report.is_empty() {
        return None;
    }
    let mut shared = Shared::default();
    standing().for_each(|(_, vm)| shared.take_up(vm));
    let (tiers, vms) = resolve::resolve(&documents, &known, &order, (&mut shared, &mut report));
    let taken_over = standing().map(|(key, vm)| (key.clone(), Arc::clone(vm)));
    let vms: BTreeMap<VmKey, Arc<VmSpec>> = taken_over.chain(vms).collect();
    if !report.is_empty() {
        return None;
    }
    let instance_types = documents.instance_types.len();
    Some(Compiled {
        manifests: tiers.len() + instance_types + vms.len(),
        desired: Some(Desired { revision, tiers, vms }),
        instance_types,
        common: earlier.common.clone(),
        diagnostics: Vec::new(),
    })
}

/// Paths of files that came, went or changed; `None` when one of them declares tiers or instance types, or when so many
/// are touched that little is left to take over.
fn touched<'e>(earlier: Earlier<'e>, order: &[&'e SourceText]) -> Option<BTreeSet<&'e str>> {
    let before: BTreeMap<&str, &Arc<[u8]>> = earlier.texts.iter().map(|text| (&*text.path, &text.bytes)).collect();
    let mut unseen: BTreeSet<&str> = before.keys().copied().collect();
    let mut touched = BTreeSet::new();
    for text in order {
        unseen.remove(&*text.path);
        // The same bytes are most often the very same.
        if before.get(&*text.path) != Some(&&text.bytes) {
            touched.insert(&*text.path);
        }
    }
    touched.append(&mut unseen);
    let is_common = touched.iter().any(|path| earlier.common.contains(*path));
    (!is_common && touched.len() * 2 <= order.len()).then_some(touched)
}
