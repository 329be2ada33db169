//! Is a VM plainly as wanted? Asked first of every VM, since nearly all are: compares text, spec and configuration in
//! place, copies nothing, and says yes only where [`super::differences`] would find nothing and note nothing.
//!
//! Anything out of the ordinary is `false`, and looked at in full.

use super::{protection, same_mac};
use crate::mark::Walk;
use crate::model::{Bytes, Digest, NetworkTarget, ObservedVm, PowerGoal, PowerState, Tier, VmConfig, VmSpec};
use crate::plan::census::SeenHead;

/// What is compared. `head` is the beginning of the VM's mark; `user_data` the digest of today's user data.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// What is wanted.
    pub spec: &'a VmSpec,
    /// Its tier.
    pub tier: &'a Tier,
    /// The VM.
    pub vm: &'a ObservedVm,
    /// Its configuration.
    pub config: &'a VmConfig,
    /// The beginning of its mark.
    pub head: &'a SeenHead<'a>,
    /// Digest of its user data as it is now.
    pub user_data: Option<&'a Digest>,
}

/// Is it plainly as wanted?
pub fn is_plainly_in_sync(candidate: &Candidate<'_>) -> bool {
    let Candidate { spec, tier, vm, config, head, .. } = candidate;
    let hardware = config.cpus == spec.cpus
        && config.memory == spec.memory
        && config.firmware == spec.firmware
        && config.disks.len() >= spec.disks.len()
        && config.question.is_none();
    let power = match spec.power {
        None => true,
        Some(PowerGoal::Running) => config.power == PowerState::Running,
        Some(PowerGoal::Stopped) => config.power == PowerState::Stopped,
    };
    hardware
        && power
        && spec.ignore_drift.is_empty()
        && head.tier == spec.tier.as_str()
        && head.protection == protection::wanted(spec, tier)
        && *vm.name == *spec.key.name().as_str()
        && spec.adopt.as_ref().is_none_or(|adopt| adopt.id == vm.id)
        && {
            let mut walk = head.tail;
            walk.is_plain()
                && disks(candidate, &mut walk).is_some()
                && nics(candidate, &mut walk).is_some()
                && applied(candidate, &mut walk).is_some()
                && walk.is_over()
        }
}

/// Every marked disk is attached where the mark says, wanted, and of the size wanted.
fn disks(candidate: &Candidate<'_>, walk: &mut Walk<'_>) -> Option<()> {
    let Candidate { spec, config, .. } = candidate;
    walk.literal(",\"disks\":")?;
    let count = walk.object(|name, walk| {
        walk.literal("{\"slot\":")?;
        let slot = walk.string()?;
        let id = if walk.takes(",\"id\":") { Some(walk.string()?) } else { None };
        walk.literal("}")?;
        let disk = config.disks.iter().find(|disk| &*disk.slot == slot)?;
        let twin = |id: &str| config.disks.iter().filter(|disk| disk.id.as_deref() == Some(id)).count() > 1;
        let same = disk.id.as_deref() == id && id.is_none_or(|id| !twin(id)) && disk.size == spec.disk(name)?.size;
        same.then_some(())
    })?;
    (count == spec.disks.len()).then_some(())
}

/// Every marked NIC is there, connected, and on the network wanted.
fn nics(candidate: &Candidate<'_>, walk: &mut Walk<'_>) -> Option<()> {
    let Candidate { spec, tier, config, .. } = candidate;
    walk.literal(",\"nics\":")?;
    let count = walk.object(|name, walk| {
        walk.literal("{\"mac\":")?;
        let mac = walk.string()?;
        if walk.takes(",\"slot\":") {
            walk.string()?;
        }
        walk.literal("}")?;
        let wanted = spec.nic(name)?;
        let nic = config.nics.iter().find(|nic| same_mac(&nic.mac, mac))?;
        let same = nic.connected
            && nic.network.as_ref() == Some(tier.networks.get(&*wanted.network)?)
            && wanted.mac.as_deref().is_none_or(|wanted| same_mac(wanted, mac));
        same.then_some(())
    })?;
    (count == spec.nics.len()).then_some(())
}

/// What was last applied is what is wanted.
fn applied(candidate: &Candidate<'_>, walk: &mut Walk<'_>) -> Option<()> {
    let Candidate { spec, tier, user_data, .. } = candidate;
    walk.literal(",\"applied\":{\"cpus\":")?;
    (walk.number()? == u64::from(spec.cpus)).then_some(())?;
    walk.literal(",\"memory\":")?;
    is_size(walk.string()?, spec.memory)?;
    let power = if walk.takes(",\"power\":") { Some(walk.string()?) } else { None };
    (power == spec.power.map(super::power::goal_text)).then_some(())?;
    let image = if walk.takes(",\"image\":") { Some(walk.string()?) } else { None };
    (image == spec.image.as_deref()).then_some(())?;
    let digest = if walk.takes(",\"userData\":") { Some(walk.string()?) } else { None };
    (digest == user_data.map(Digest::as_str)).then_some(())?;
    walk.literal(",\"disks\":")?;
    let count = walk.object(|name, walk| is_size(walk.string()?, spec.disk(name)?.size))?;
    (count == spec.disks.len()).then_some(())?;
    walk.literal(",\"nics\":")?;
    let count = walk.object(|name, walk| is_target(walk, tier.networks.get(&*spec.nic(name)?.network)?))?;
    (count == spec.nics.len()).then_some(())?;
    walk.literal("}}")
}

fn is_size(text: &str, wanted: Bytes) -> Option<()> {
    (Bytes::parse(text).ok()? == wanted).then_some(())
}

fn is_target(walk: &mut Walk<'_>, wanted: &NetworkTarget) -> Option<()> {
    let NetworkTarget { name, vlan } = wanted;
    walk.literal("{\"name\":")?;
    (walk.string()? == name).then_some(())?;
    let marked = if walk.takes(",\"vlan\":") { Some(walk.number()?) } else { None };
    (marked == vlan.map(u64::from)).then_some(())?;
    walk.literal("}")
}
