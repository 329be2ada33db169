//! From what a hypervisor calls things to what a tier calls them.

use crate::model::{NetworkTarget, ObservedVm, Placed, Tier, VmConfig};

/// A tier's words for one VM.
#[derive(Debug)]
pub(super) struct Words<'a> {
    /// Whose words.
    pub tier: &'a Tier,
    /// A network for each NIC, in slot order.
    pub nics: Vec<String>,
    /// A storage for each disk, in slot order: `None` for the placement's; `Err`: what it lies on has no word. That is
    /// no reason to leave the VM out, since where a disk lies counts only when it is made.
    pub disks: Vec<Result<Option<String>, String>>,
}

/// The tier's words for this VM, or what it has none for.
pub(super) fn of<'a>(tier: &'a Tier, config: &VmConfig) -> Result<Words<'a>, String> {
    let mut nics = Vec::with_capacity(config.nics.len());
    for nic in &config.nics {
        let Some(target) = &nic.network else {
            return Err(format!("what its NIC {} is connected to is not told", nic.mac));
        };
        let word = tier.networks.iter().find(|(_, known)| *known == target).map(|(word, _)| word.clone());
        nics.push(word.ok_or_else(|| format!("{} has no word for its network {}", tier.name, shown(target)))?);
    }
    let disks =
        config.disks.iter().map(|disk| disk.storage.as_deref().map_or(Ok(None), |target| storage(tier, target)));
    Ok(Words { tier, nics, disks: disks.collect() })
}

fn storage(tier: &Tier, target: &str) -> Result<Option<String>, String> {
    let home = [&tier.placement.storage, &tier.placement.path];
    if home.into_iter().flatten().any(|home| same_place(home, target)) {
        return Ok(None);
    }
    let word = tier.storage.iter().find(|(_, known)| same_place(known, target)).map(|(word, _)| word.clone());
    word.map_or_else(|| Err(target.to_owned()), |word| Ok(Some(word)))
}

/// Folders are the same with or without a separator at the end, and on Windows whatever the case.
fn same_place(a: &str, b: &str) -> bool {
    let [a, b] = [a, b].map(|path| path.trim_end_matches(['/', '\\']));
    if a.contains('\\') { a.eq_ignore_ascii_case(b) } else { a == b }
}

fn shown(target: &NetworkTarget) -> String {
    match target.vlan {
        Some(vlan) => format!("{} (VLAN {vlan})", target.name),
        None => target.name.clone(),
    }
}

/// Does the tier put its VMs where this one certainly is not? A host says nothing: VMs move between hosts.
pub(super) fn is_elsewhere(tier: &Tier, placed: &Placed) -> bool {
    let differs = |wanted: &Option<String>, is: &Option<std::sync::Arc<str>>| {
        wanted.as_deref().zip(is.as_deref()).is_some_and(|(wanted, is)| wanted != is)
    };
    differs(&tier.placement.cluster, &placed.cluster) || differs(&tier.placement.datacenter, &placed.datacenter)
}

/// How many things about where a VM is are as the tier would have them.
pub(super) fn likeness(tier: &Tier, vm: &ObservedVm) -> usize {
    let placed = &vm.placed;
    let below =
        |folder: &str, top: &str| folder == top || folder.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'));
    let place = &tier.placement;
    let first = vm.readable().and_then(|config| config.disks.first()).and_then(|disk| disk.storage.as_deref());
    let same = |wanted: &Option<String>, is: Option<&str>| wanted.is_some() && wanted.as_deref() == is;
    let folder = placed.folder.as_deref().zip(place.folder.as_deref());
    let alike = [
        same(&place.cluster, placed.cluster.as_deref()),
        same(&place.host, placed.host.as_deref()),
        folder.is_some_and(|(is, wanted)| below(is, wanted)),
        first.is_some_and(|first| matches!(storage(tier, first), Ok(None))),
    ];
    alike.into_iter().filter(|alike| *alike).count()
}
