//! What manifests name must be there: tiers, instance types, images, networks, storage, other VMs, endpoints.

use std::collections::BTreeSet;

use super::{Declared, Known, KnownTier, place};
use crate::manifest::codes::{self, Code};
use crate::manifest::report::{Place, Report, shown};
use crate::manifest::schema::{At, InstanceTypeManifest, VmBody, VmManifest, Written};
use crate::model::VmKey;

pub(super) fn check(known: &Known<'_>, report: &mut Report) {
    for written in known.instance_types.values() {
        for tier in written.manifest.spec.tiers.iter().flatten() {
            find_tier(known, place(*written, Some(tier)), tier.value.as_str(), report);
        }
    }
    check_vms(known, report);
}

pub(super) fn check_vms(known: &Known<'_>, report: &mut Report) {
    for (key, vm) in &known.in_order {
        // What is resolved was checked as it was written.
        if let Declared::Written(written) = vm {
            check_vm(known, written, report);
        }
        check_depends_on(known, key, *vm, report);
    }
}

pub(super) fn check_vm(known: &Known<'_>, written: &Written<VmManifest>, report: &mut Report) {
    let spec = &written.manifest.spec;
    let tier = spec.tier.as_ref().and_then(|tier| {
        find_tier(known, place(written, Some(tier)), tier.value.as_str(), report)
            .map(|found| (tier.value.as_str(), found))
    });
    if let Some(name) = &spec.instance_type {
        let at = place(written, Some(name));
        match known.instance_types.get(name.value.as_str()) {
            Some(found) => offered(found, &name.value, tier.as_ref().map(|(name, _)| *name), at, report),
            None if known.complete => {
                let meant = report.nearest(&name.value, known.instance_types.keys().copied());
                report
                    .error(
                        at,
                        codes::NO_SUCH_INSTANCE_TYPE,
                        format!("there is no instance type `{}`", shown(&name.value)),
                    )
                    .meant(meant);
            }
            None => {}
        }
    }
    if let Some((name, tier)) = tier {
        Targets { name, tier, file: written.file }.check(spec, report);
    }
}

fn check_depends_on(known: &Known<'_>, key: &VmKey, vm: Declared<'_>, report: &mut Report) {
    for (other, at) in vm.depends_on() {
        if report.is_full(at.file) {
            break;
        }
        if other == key || known.vms.contains_key(other) || !known.complete {
            continue; // a VM that depends on itself is a cycle
        }
        no_such_vm(known, key, at, other, report);
    }
}

fn find_tier<'k, 'd>(known: &'k Known<'d>, at: Place, name: &str, report: &mut Report) -> Option<&'k KnownTier<'d>> {
    let found = known.tiers.get(name);
    if found.is_none() && known.complete {
        let meant = report.nearest(name, known.tiers.keys().copied());
        let problem = report.error(at, codes::NO_SUCH_TIER, format!("there is no tier `{}`", shown(name)));
        match meant {
            None if known.tiers.is_empty() => problem.hint("the files read hold no Tier manifest at all"),
            meant => problem.meant(meant),
        };
    }
    found
}

fn offered(found: &Written<InstanceTypeManifest>, name: &str, tier: Option<&str>, at: Place, report: &mut Report) {
    let (Some(tier), Some(tiers)) = (tier, &found.manifest.spec.tiers) else { return };
    if tiers.iter().any(|offered| offered.value.as_str() == tier) {
        return;
    }
    let list = tiers.iter().map(|tier| tier.value.as_str()).collect::<Vec<_>>().join(", ");
    report
        .error(at, codes::NOT_OFFERED, format!("instance type `{name}` is not offered on tier `{tier}`"))
        .hint(format!("it is offered on {}", shown(&list)))
        .related(place(found, tiers.first()), "offered on these tiers only");
}

fn no_such_vm(known: &Known<'_>, key: &VmKey, at: Place, other: &VmKey, report: &mut Report) {
    // Most often the project was left out.
    let same_project = VmKey::new(key.project(), other.name().as_str()).ok().filter(|key| known.vms.contains_key(key));
    let near = same_project.or_else(|| {
        let names = known.vms.keys().filter(|key| key.project() == other.project()).map(|key| key.name().as_str());
        let name = report.nearest(other.name().as_str(), names)?;
        VmKey::new(other.project(), name).ok()
    });
    let meant = near.map(|key| key.to_string());
    report.error(at, codes::NO_SUCH_VM, format!("there is no VM `{other}`")).meant(meant.as_deref());
}

/// One sort of thing that a tier declares and a VM names.
struct Sort<'k> {
    what: &'static str,
    /// `None`: that part of the tier could not be read.
    names: Option<&'k BTreeSet<&'k str>>,
    code: &'static Code,
}

/// What a VM may name on its tier.
struct Targets<'k, 'd> {
    name: &'k str,
    tier: &'k KnownTier<'d>,
    file: u32,
}

impl Targets<'_, '_> {
    fn check(&self, spec: &VmBody, report: &mut Report) {
        let disks = spec.disks.iter().flatten().filter_map(|disk| disk.storage.as_ref());
        let nics = spec.nics.iter().flatten().filter_map(|nic| nic.network.as_ref());
        if let Some(image) = &spec.image {
            self.find(
                image,
                &Sort { what: "image", names: self.tier.images.as_ref(), code: codes::NO_SUCH_IMAGE },
                report,
            );
        }
        let stores = Sort { what: "storage", names: self.tier.storage.as_ref(), code: codes::NO_SUCH_STORAGE };
        for storage in disks {
            self.find(storage, &stores, report);
        }
        let networks = Sort { what: "network", names: self.tier.networks.as_ref(), code: codes::NO_SUCH_NETWORK };
        for network in nics {
            self.find(network, &networks, report);
        }
        if let (Some(adopt), Some(endpoints)) = (&spec.adopt, &self.tier.written.manifest.spec.endpoints)
            && let Some(endpoint) = &adopt.endpoint
            && !endpoints.iter().any(|other| other.value == endpoint.value)
        {
            let list = endpoints.iter().map(|endpoint| endpoint.value.as_str()).collect::<Vec<_>>().join(", ");
            report
                .error(
                    self.at(endpoint),
                    codes::ADOPT_ENDPOINT,
                    format!("endpoint `{}` is none of tier `{}`", endpoint.value, self.name),
                )
                .hint(format!("its endpoints are {}", shown(&list)));
        }
    }

    fn find(&self, name: &At<String>, sort: &Sort<'_>, report: &mut Report) {
        let Sort { what, names: Some(names), code } = *sort else { return };
        if names.contains(name.value.as_str()) || report.is_full(self.file) {
            return;
        }
        let meant = report.nearest(&name.value, names.iter().copied());
        let problem =
            report.error(self.at(name), code, format!("tier `{}` has no {what} `{}`", self.name, shown(&name.value)));
        match meant {
            Some(_) => problem.meant(meant),
            None if names.is_empty() => problem.hint(format!("the tier declares no {what} at all")),
            None => {
                let list = names.iter().take(8).copied().collect::<Vec<_>>().join(", ");
                let more = if names.len() > 8 { ", …" } else { "" };
                problem.hint(format!("it has {list}{more}"))
            }
        };
    }

    fn at<T>(&self, at: &At<T>) -> Place {
        Place { file: self.file, spot: at.spot }
    }
}
