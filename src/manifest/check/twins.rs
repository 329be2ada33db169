//! What may be there once only: a VM name or a MAC on a tier, an adopted VM, the past of a renamed one.

use std::collections::BTreeMap;

use super::{Known, place, vm_place};
use crate::manifest::codes;
use crate::manifest::report::{Place, Report};
use crate::manifest::schema::{VmManifest, Written};
use crate::model::VmKey;

pub(super) fn check(known: &Known<'_>, report: &mut Report) {
    let mut seen = Seen::default();
    for (key, written) in &known.in_order {
        seen.name(key, written, report);
        seen.nics(written, report);
        seen.adopted(written, report);
        seen.renamed(known, written, report);
    }
}

/// What was seen so far, and where.
#[derive(Default)]
struct Seen<'d> {
    /// Tier and lower-case name.
    names: BTreeMap<(&'d str, String), (VmKey, Place)>,
    /// Tier and MAC.
    macs: BTreeMap<(&'d str, &'d str), Place>,
    /// Tier, network and address.
    addresses: BTreeMap<(&'d str, &'d str, &'d str), Place>,
    /// Endpoint and own id.
    adopted: BTreeMap<(&'d str, &'d str), Place>,
    /// Former keys.
    renamed: BTreeMap<&'d VmKey, Place>,
}

impl<'d> Seen<'d> {
    fn name(&mut self, key: &VmKey, written: &'d Written<VmManifest>, report: &mut Report) {
        let Some(tier) = &written.manifest.spec.tier else { return };
        let at = vm_place(written);
        let name = key.name().as_str().to_ascii_lowercase();
        match self.names.get(&(tier.value.as_str(), name.clone())) {
            Some((other, first)) => {
                report
                    .error(
                        at,
                        codes::SAME_VM_NAME,
                        format!("`{key}` and `{other}` have the same name on tier `{}`", tier.value),
                    )
                    .hint("the hypervisor knows a VM by its name alone; give one of them another")
                    .related(*first, "first used here");
            }
            None => {
                self.names.insert((tier.value.as_str(), name), (key.clone(), at));
            }
        }
    }

    fn nics(&mut self, written: &'d Written<VmManifest>, report: &mut Report) {
        let spec = &written.manifest.spec;
        let Some(tier) = spec.tier.as_ref().map(|tier| tier.value.as_str()) else { return };
        for nic in spec.nics.iter().flatten() {
            if let Some(mac) = &nic.mac {
                let at = place(written, Some(mac));
                match self.macs.get(&(tier, mac.value.as_str())) {
                    Some(first) => {
                        report
                            .error(at, codes::SAME_MAC, format!("the MAC {} is used twice on tier `{tier}`", mac.value))
                            .related(*first, "first used here");
                    }
                    None => {
                        self.macs.insert((tier, &mac.value), at);
                    }
                }
            }
            let Some(network) = &nic.network else { continue };
            for address in &nic.addresses {
                let at = place(written, Some(address));
                let host = address.value.split('/').next().unwrap_or_default();
                match self.addresses.get(&(tier, network.value.as_str(), host)) {
                    Some(first) => {
                        report
                            .warning(
                                at,
                                codes::SAME_ADDRESS,
                                format!("the address {host} is used twice on network `{}`", network.value),
                            )
                            .related(*first, "first used here");
                    }
                    None => {
                        self.addresses.insert((tier, &network.value, host), at);
                    }
                }
            }
        }
    }

    fn adopted(&mut self, written: &'d Written<VmManifest>, report: &mut Report) {
        let Some(adopt) = &written.manifest.spec.adopt else { return };
        let (Some(endpoint), Some(id)) = (&adopt.endpoint, &adopt.id) else { return };
        let at = place(written, Some(id));
        match self.adopted.get(&(endpoint.value.as_str(), id.value.as_str())) {
            Some(first) => {
                report
                    .error(at, codes::SAME_ADOPTED, format!("`{}` on `{}` is adopted twice", id.value, endpoint.value))
                    .related(*first, "first adopted here");
            }
            None => {
                self.adopted.insert((endpoint.value.as_str(), id.value.as_str()), at);
            }
        }
    }

    fn renamed(&mut self, known: &Known<'_>, written: &'d Written<VmManifest>, report: &mut Report) {
        let Some(former) = &written.manifest.spec.renamed_from else { return };
        let at = place(written, Some(former));
        if let Some(live) = known.vms.get(&former.value) {
            report
                .error(at, codes::RENAMED_FROM, format!("`{}` is still declared", former.value))
                .hint("remove the manifest of the former key, or this line")
                .related(vm_place(live), "declared here");
        } else if let Some(first) = self.renamed.get(&former.value) {
            report
                .error(at, codes::RENAMED_FROM, format!("`{}` was renamed twice", former.value))
                .related(*first, "first named here");
        } else {
            self.renamed.insert(&former.value, at);
        }
    }
}
