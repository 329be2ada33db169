//! VMs that nobody manages, as manifests: what `import` prints.
//!
//! In: one endpoint's answer, the tiers that serve it, and what is taken already. Out: a manifest for each VM, with the
//! `adopt` that takes it over, and for each VM left out the reason. Nothing is decided about the VM
//! itself: the plan does that. Pure.
//!
//! A manifest says what is there, so that the plan after the adoption has nothing to do: what would differ (a name that
//! is no key, a NIC that is disconnected) is named in `ignoreDrift`. It holds no MAC, since the mark remembers those,
//! no power, since a VM is then left as it is, and nothing secret.
//!
//! ```text
//! mod.rs   which VMs, and what becomes of each      naming.rs  keys: the VM's name where that is one, always the same
//! words.rs port groups and datastores -> the words of a tier          yaml.rs    the manifest as text, or as a value
//! ```

mod naming;
#[cfg(test)]
mod tests;
mod words;
mod yaml;

use std::collections::BTreeMap;

use crate::inventory::Observed;
use crate::mark::{self, Standing};
use crate::model::{
    Adopt, Bytes, Desired, DiskSpec, EndpointName, Firmware, GuestOs, NicSpec, ObservedVm, OwnId, PowerState, Tier,
    TierName, VmConfig, VmKey,
};
use crate::plan::History;
use naming::Names;
use words::Words;

pub use yaml::{value, write};

/// Most virtual CPUs that a manifest takes.
const MOST_CPUS: u32 = crate::manifest::read::MAX_CPUS;

/// Memory comes in steps of this.
const MEMORY_STEP: u64 = 4 * Bytes::MIB;

/// What to import, and what is known.
#[derive(Debug, Clone, Copy)]
pub struct ImportRequest<'a> {
    /// Which endpoint answered.
    pub endpoint: &'a EndpointName,
    /// What it answered.
    pub observed: &'a Observed,
    /// The manifests there are: tiers, and keys that are taken.
    pub desired: &'a Desired,
    /// What was there before: keys that may still be held.
    pub history: &'a History,
    /// Whose marks are ours.
    pub installation: &'a str,
    /// The tier to import to; `None`: the one that fits.
    pub tier: Option<&'a TierName>,
    /// The project of the keys.
    pub project: &'a str,
    /// VMs by name or own id; `None`: all.
    pub chosen: Option<&'a [String]>,
}

/// What came of it.
#[derive(Debug, Default)]
#[must_use]
pub struct Imported {
    /// Manifests, by name of the VM.
    pub vms: Vec<ImportedVm>,
    /// VMs without one, by name.
    pub left_out: Vec<LeftOut>,
    /// How many VMs are managed already and were not asked for by name.
    pub managed: usize,
    /// What was asked for and names no VM, with what was perhaps meant.
    pub unmatched: Vec<(String, Option<String>)>,
}

/// One VM as a manifest says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedVm {
    /// Its key.
    pub key: VmKey,
    /// Its tier.
    pub tier: TierName,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// The guest's family.
    pub guest_os: GuestOs,
    /// Where it is not the tier's default.
    pub firmware: Option<Firmware>,
    /// Disks in slot order.
    pub disks: Vec<DiskSpec>,
    /// NICs in slot order.
    pub nics: Vec<NicSpec>,
    /// What would otherwise be changed after the adoption.
    pub ignore_drift: Vec<String>,
    /// Which VM it is.
    pub adopt: Adopt,
    /// For people: comments in the manifest.
    pub remarks: Vec<String>,
}

/// A VM for which there is no manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Its own id.
    pub id: OwnId,
    /// Why.
    pub why: String,
}

/// Makes the manifests.
pub fn import(request: &ImportRequest<'_>) -> Imported {
    let mut imported = Imported::default();
    let mut vms: Vec<&ObservedVm> = request.observed.vms.iter().collect();
    vms.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    if let Some(chosen) = request.chosen {
        imported.unmatched = unmatched(chosen, &vms);
    }
    let mut names = Names::of(request);
    let known = Known::of(request);
    for vm in vms.into_iter().filter(|vm| request.chosen.is_none_or(|chosen| is_chosen(chosen, vm))) {
        match known.whose(vm).map_or_else(|| manifest(request, vm, &mut names), Err) {
            Ok(manifest) => imported.vms.push(manifest),
            Err(No::Managed(_)) if request.chosen.is_none() => imported.managed += 1,
            Err(No::Managed(why) | No::Cannot(why)) => {
                imported.left_out.push(LeftOut { name: vm.name.to_string(), id: vm.id.clone(), why });
            }
        }
    }
    imported
}

/// Why a VM gets no manifest.
enum No {
    /// It has one, or is ours: nothing to tell unless it was asked for.
    Managed(String),
    /// It cannot be told in a manifest, or must not be.
    Cannot(String),
}

fn cannot<T>(why: impl Into<String>) -> Result<T, No> {
    Err(No::Cannot(why.into()))
}

fn is_chosen(chosen: &[String], vm: &ObservedVm) -> bool {
    chosen.iter().any(|text| **text == *vm.name || vm.id.as_str().eq_ignore_ascii_case(text))
}

fn unmatched(chosen: &[String], vms: &[&ObservedVm]) -> Vec<(String, Option<String>)> {
    let known = |text: &&String| !vms.iter().any(|vm| is_chosen(std::slice::from_ref(*text), vm));
    let meant = |text: &String| {
        let near = |vm: &&ObservedVm| strsim::jaro_winkler(&text.to_lowercase(), &vm.name.to_lowercase());
        let best = vms.iter().map(|vm| (near(vm), vm)).filter(|(near, _)| *near > 0.84);
        best.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, vm)| vm.name.to_string())
    };
    chosen.iter().filter(known).map(|text| (text.clone(), meant(text))).collect()
}

/// Which VMs have a manifest already, or had one.
struct Known<'a> {
    installation: &'a str,
    adopted: BTreeMap<&'a OwnId, &'a VmKey>,
    lost: BTreeMap<&'a OwnId, &'a VmKey>,
}

impl<'a> Known<'a> {
    fn of(request: &ImportRequest<'a>) -> Self {
        let adopts = request.desired.vms.values().filter_map(|spec| Some((spec.adopt.as_ref()?, &spec.key)));
        let adopted = adopts.filter(|(adopt, _)| adopt.endpoint == *request.endpoint);
        let last = request.history.last.get(request.endpoint).into_iter().flat_map(|last| last.vms.iter());
        let owned = last.filter_map(|vm| Some((&vm.id, &vm.owned.as_ref()?.key)));
        Self {
            installation: request.installation,
            adopted: adopted.map(|(adopt, key)| (&adopt.id, key)).collect(),
            lost: owned.filter(|(_, key)| request.desired.vms.contains_key(*key)).collect(),
        }
    }

    /// Why this VM is not one to import, if it is not.
    fn whose(&self, vm: &ObservedVm) -> Option<No> {
        match mark::judge(vm, self.installation) {
            Standing::Ours(mark) => return Some(No::Managed(format!("it is {} already", mark.key))),
            Standing::Unfinished { .. } => return Some(No::Managed("it is being created".into())),
            Standing::Foreign(other) => return Some(No::Cannot(format!("it belongs to installation {other}"))),
            Standing::Clone(mark) => {
                let why = format!(
                    "it carries a copy of the mark of {key}; if {key} is gone and this is its backup, `adopt` it as {key}; \
                     else remove the mark first",
                    key = mark.key
                );
                return Some(No::Cannot(why));
            }
            Standing::Unreadable(why) => return Some(No::Cannot(format!("its mark is not understood: {why}"))),
            Standing::Unknown(why) => return Some(No::Cannot(format!("its configuration could not be read: {why}"))),
            Standing::NoMark => {}
        }
        if let Some(key) = self.adopted.get(&vm.id) {
            return Some(No::Managed(format!("the manifest of {key} adopts it already")));
        }
        let key = self.lost.get(&vm.id)?;
        Some(No::Cannot(format!("it was {key} and has lost its mark: `plan` says how it is taken over again")))
    }
}

fn manifest(request: &ImportRequest<'_>, vm: &ObservedVm, names: &mut Names<'_>) -> Result<ImportedVm, No> {
    let Some(config) = vm.readable() else { return cannot("its configuration could not be read") };
    expressible(config)?;
    let words = choose(request, vm, config)?;
    let (key, called_otherwise) = names.key(vm, words.tier);
    let nics: Vec<NicSpec> = words.nics.into_iter().enumerate().map(|(at, network)| nic(at, network)).collect();
    let mut ignore_drift = Vec::new();
    let mut remarks = vec![place(vm)];
    if called_otherwise {
        ignore_drift.push("name".to_owned());
        remarks.push("Its name is no key that is free; it keeps its name there.".to_owned());
    }
    // The plan after the adoption would connect it.
    let loose = nics.iter().zip(&config.nics).filter(|(_, nic)| !nic.connected);
    ignore_drift.extend(loose.map(|(nic, _)| format!("nics/{}/connected", nic.name)));
    let disks = config.disks.iter().zip(words.disks).enumerate().map(|(at, (disk, storage))| {
        let name = if at == 0 { "root".to_owned() } else { format!("disk{at}") };
        if let Err(target) = &storage {
            remarks.push(format!("Disk {name} lies on {target}, for which {} has no word.", words.tier.name));
        }
        DiskSpec { name: name.into(), size: disk.size, storage: storage.ok().flatten().map(Into::into) }
    });
    let disks = disks.collect();
    if config.power == PowerState::Suspended {
        remarks.push("It is suspended: its adoption waits until it runs or is off.".to_owned());
    }
    let firmware = Some(config.firmware).filter(|firmware| *firmware != words.tier.firmware.unwrap_or_default());
    Ok(ImportedVm {
        key,
        tier: words.tier.name.clone(),
        cpus: config.cpus,
        memory: config.memory,
        guest_os: config.guest_os,
        firmware,
        disks,
        nics,
        ignore_drift,
        adopt: Adopt { endpoint: request.endpoint.clone(), id: vm.id.clone() },
        remarks,
    })
}

fn nic(at: usize, network: String) -> NicSpec {
    NicSpec {
        name: format!("eth{at}").into(),
        network: network.into(),
        mac: None,
        addresses: Vec::new(),
        gateway: None,
    }
}

/// `NAME: FOLDER, on HOST`, for whoever reviews it.
fn place(vm: &ObservedVm) -> String {
    let place = &vm.placed;
    let at = place.host.as_ref().or(place.cluster.as_ref()).map(|host| format!("on {host}"));
    let parts: Vec<String> = place.folder.as_ref().map(|folder| format!("in {folder}")).into_iter().chain(at).collect();
    if parts.is_empty() { vm.name.to_string() } else { format!("{}: {}", vm.name, parts.join(", ")) }
}

/// Can a manifest say these sizes?
fn expressible(config: &VmConfig) -> Result<(), No> {
    if config.template {
        return cannot("it is a template");
    }
    if !(1..=MOST_CPUS).contains(&config.cpus) {
        return cannot(format!("it has {} CPUs; a manifest takes 1 to {MOST_CPUS}", config.cpus));
    }
    if config.memory.0 == 0 || !config.memory.0.is_multiple_of(MEMORY_STEP) {
        return cannot(format!("its memory of {} is no multiple of 4MiB", config.memory));
    }
    for disk in &config.disks {
        if disk.size.0 == 0 || !disk.size.0.is_multiple_of(Bytes::MIB) {
            return cannot(format!(
                "its disk at {} has {} bytes, which is no multiple of 1MiB",
                disk.slot, disk.size.0
            ));
        }
        if disk.shared {
            return cannot(format!("its disk at {} is shared with another VM", disk.slot));
        }
    }
    Ok(())
}

/// The tier that was asked for, or the one that fits best; with its words for this VM.
fn choose<'a>(request: &ImportRequest<'a>, vm: &ObservedVm, config: &VmConfig) -> Result<Words<'a>, No> {
    let serving = |tier: &&Tier| tier.endpoints.contains(request.endpoint);
    let tiers: Vec<&'a Tier> = match request.tier {
        Some(name) => request.desired.tiers.get(name).into_iter().filter(serving).collect(),
        None => request.desired.tiers.values().filter(serving).collect(),
    };
    let mut fitting: Vec<Words<'a>> = Vec::new();
    let mut why_not = Vec::new();
    for tier in tiers {
        match words::of(tier, config) {
            Ok(words) if request.tier.is_none() && words::is_elsewhere(tier, &vm.placed) => {
                why_not.push(format!("{} puts its VMs elsewhere", words.tier.name));
            }
            Ok(words) => fitting.push(words),
            Err(why) => why_not.push(why),
        }
    }
    let Some(best) = fitting.iter().map(|words| words::likeness(words.tier, vm)).max() else {
        return cannot(if why_not.is_empty() { "no tier names its endpoint".to_owned() } else { why_not.join("; ") });
    };
    fitting.retain(|words| words::likeness(words.tier, vm) == best);
    match (fitting.pop(), fitting.as_slice()) {
        (Some(words), []) => Ok(words),
        (Some(words), others) => {
            let names = others.iter().chain([&words]).map(|words| words.tier.name.to_string());
            cannot(format!("it fits {}; say which with --tier", names.collect::<Vec<_>>().join(" and ")))
        }
        (None, _) => cannot("no tier fits"),
    }
}
