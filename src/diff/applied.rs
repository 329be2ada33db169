//! What the mark records as applied: when it needs writing though the VM is as wanted, and what it will say.

use uuid::Uuid;

use super::{Difference, Differences, Effect, Pair};
use crate::mark::{Applied, Mark};
use crate::model::{Digest, Firmware, Secret, Tier, VmConfig, VmSpec};
use crate::plan::{Because, Landing, Reason};

/// The digest of user data, salted with the VM's identity: two VMs of equal user data do not show it.
pub fn salted(identity: Uuid, user_data: &Secret) -> Digest {
    Digest::of(format!("{identity}\n{}", user_data.expose()).as_bytes())
}

/// The VM is as wanted, and only the mark does not say so: after adoption, or when somebody made by hand the change
/// that the manifest then asked for.
pub(super) fn compare(pair: Pair<'_>, differences: &mut Differences) {
    if !differences.found.is_empty() || pair.mark.applied.as_ref().is_some_and(|applied| is_recorded(pair, applied)) {
        return;
    }
    let reason = Reason {
        field: "mark".to_owned(),
        from: None,
        to: None,
        because: Because::Mark,
        lands: Landing::Hot,
        detail: Some("it is as wanted; the mark is brought up to date".to_owned()),
    };
    differences.found.push(Difference { reason, effect: Effect::Mark });
}

fn is_recorded(pair: Pair<'_>, applied: &Applied) -> bool {
    // Every field by name: a new one does not compile until someone decides whether it counts.
    let Applied { cpus, memory, power, image: _, user_data: _, disks, nics } = applied;
    let spec = pair.spec;
    (*cpus == spec.cpus || pair.ignores("cpus"))
        && (*memory == spec.memory || pair.ignores("memory"))
        && (*power == spec.power || pair.ignores("power"))
        && disks.len() == spec.disks.len()
        && (spec.disks.iter()).all(|disk| {
            disks.get(&*disk.name) == Some(&disk.size) || pair.ignores(&format!("disks/{}/size", disk.name))
        })
        && nics.len() == spec.nics.len()
        && (spec.nics.iter()).all(|nic| {
            nics.get(&*nic.name) == pair.tier.networks.get(&*nic.network)
                || pair.ignores(&format!("nics/{}/network", nic.name))
        })
}

/// What the mark says once the manifest is applied. What counts at creation only stays as it was then; of an adopted VM
/// nobody knows, so today's manifest stands for it.
pub fn next_applied(spec: &VmSpec, tier: &Tier, before: Option<&Mark>, user_data: Option<Digest>) -> Applied {
    let before = before.and_then(|mark| mark.applied.as_ref());
    let nics =
        spec.nics.iter().filter_map(|nic| Some((nic.name.to_string(), tier.networks.get(&*nic.network)?.clone())));
    Applied {
        cpus: spec.cpus,
        memory: spec.memory,
        power: spec.power,
        image: before.map_or_else(|| spec.image.as_deref().map(str::to_owned), |before| before.image.clone()),
        user_data: before.map_or(user_data, |before| before.user_data.clone()),
        disks: spec.disks.iter().map(|disk| (disk.name.to_string(), disk.size)).collect(),
        nics: nics.collect(),
    }
}

/// image, firmware and cloudInit count at creation; a later difference is told, never acted upon.
pub(super) fn note_creation_only(
    spec: &VmSpec,
    user_data: Option<&Digest>,
    applied: Option<&Applied>,
    config: &VmConfig,
    notes: &mut Vec<String>,
) {
    let name = |image: Option<&str>| image.unwrap_or("none").to_owned();
    if let Some(applied) = applied.filter(|applied| applied.image.as_deref() != spec.image.as_deref()) {
        let (was, is) = (name(applied.image.as_deref()), name(spec.image.as_deref()));
        notes.push(format!("image is {is} in the manifest and was {was} when it was created; that changes nothing"));
    }
    if config.firmware != spec.firmware {
        let (is, wanted) = (firmware_text(config.firmware), firmware_text(spec.firmware));
        notes.push(format!("firmware is {is} and {wanted} in the manifest; it counts at creation only"));
    }
    if applied.is_some_and(|applied| applied.user_data.as_ref() != user_data) {
        notes.push("cloudInit is not what it was at creation; that changes nothing".to_owned());
    }
}

const fn firmware_text(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "bios",
        Firmware::Uefi => "uefi",
    }
}
