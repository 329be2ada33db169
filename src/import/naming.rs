//! Keys of imported VMs. The same VM gets the same key whatever else is imported with it.

use std::collections::{BTreeMap, BTreeSet};

use super::ImportRequest;
use crate::model::{Digest, ObservedVm, OwnId, Tier, TierName, VmKey, VmName};

/// Longest name.
const LONGEST: usize = 80;

/// Digits of the own id's digest that tell two VMs of one name apart; more where these are not enough.
const DIGITS: usize = 6;

/// Which names are taken, by whom.
pub(super) struct Names<'a> {
    project: &'a str,
    /// How many VMs of the endpoint have this name, in lower case: to most hypervisors upper and lower case are one.
    there: BTreeMap<String, usize>,
    /// Keys that a manifest, a mark or a last inventory holds.
    keys: BTreeSet<VmKey>,
    /// Names of the manifests' VMs in lower case: one of each per tier.
    per_tier: BTreeSet<(TierName, String)>,
}

impl<'a> Names<'a> {
    /// All that is taken already.
    pub fn of(request: &ImportRequest<'a>) -> Self {
        let mut there: BTreeMap<String, usize> = BTreeMap::new();
        for vm in &request.observed.vms {
            *there.entry(usable(&vm.name).to_ascii_lowercase()).or_default() += 1;
        }
        let listed: BTreeSet<&OwnId> = request.observed.vms.iter().map(|vm| &vm.id).collect();
        // Of a VM that is listed its mark of today tells, not that of yesterday.
        let last = request.history.last.iter().flat_map(|(at, last)| last.vms.iter().map(move |vm| (at, vm)));
        let last = last.filter(|(at, vm)| *at != request.endpoint || !listed.contains(&vm.id));
        let last = last.filter_map(|(_, vm)| vm.owned.as_ref());
        let marked =
            request.observed.vms.iter().filter_map(|vm| crate::mark::parse(vm.readable()?.mark.as_deref()?).ok());
        let specs = || request.desired.vms.values();
        let keys = specs().map(|spec| spec.key.clone()).chain(last.map(|owned| owned.key.clone()));
        let lower = |key: &VmKey| key.name().as_str().to_ascii_lowercase();
        Self {
            project: request.project,
            there,
            keys: keys.chain(marked.map(|mark| mark.key)).collect(),
            per_tier: specs().map(|spec| (spec.tier.clone(), lower(&spec.key))).collect(),
        }
    }

    /// The key of a VM, and whether its name is another than the VM's.
    pub fn key(&mut self, vm: &ObservedVm, tier: &Tier) -> (VmKey, bool) {
        let base = usable(&vm.name);
        let alone = self.there.get(&base.to_ascii_lowercase()).is_none_or(|count| *count < 2);
        if let Some(key) = self.free(&base, tier).filter(|_| alone) {
            let otherwise = key.name().as_str() != &*vm.name;
            return (self.take(key, tier), otherwise);
        }
        let digest = Digest::of(vm.id.as_str().as_bytes());
        let suffixed = (DIGITS..=digest.as_str().len()).find_map(|digits| {
            let kept: String = base.chars().take(LONGEST - 1 - digits).collect();
            self.free(&format!("{}-{}", kept.trim_end(), &digest.as_str()[..digits]), tier)
        });
        // 64 digits of a digest over an id are nobody else's.
        let key = suffixed.or_else(|| VmKey::new(self.project, digest.as_str()).ok());
        (self.take(key.expect("a project was checked before, and hex digits are a name"), tier), true)
    }

    fn free(&self, name: &str, tier: &Tier) -> Option<VmKey> {
        let key = VmKey::new(self.project, name).ok()?;
        let taken = self.keys.contains(&key) || self.per_tier.contains(&(tier.name.clone(), name.to_ascii_lowercase()));
        (!taken).then_some(key)
    }

    fn take(&mut self, key: VmKey, tier: &Tier) -> VmKey {
        self.per_tier.insert((tier.name.clone(), key.name().as_str().to_ascii_lowercase()));
        self.keys.insert(key.clone());
        key
    }
}

/// The name with what a key may not hold as `-`; the name itself where it is one.
fn usable(name: &str) -> String {
    if VmName::new(name).is_ok() {
        return name.to_owned();
    }
    let mut text = String::new();
    for c in name.trim().chars() {
        let keeps = c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ');
        match (keeps, text.ends_with('-')) {
            (true, _) => text.push(c),
            (false, false) => text.push('-'),
            (false, true) => {}
        }
    }
    let text: String = text.trim().chars().take(LONGEST).collect();
    let text = text.trim_end();
    if text.bytes().any(|byte| byte.is_ascii_alphanumeric()) { text.to_owned() } else { "vm".to_owned() }
}
