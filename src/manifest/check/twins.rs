//! What may be there once only: a VM name or a MAC on a tier, an adopted VM, the past of a renamed one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::declared::Claims;
use super::{Declared, Known};
use crate::manifest::codes;
use crate::manifest::report::{Place, Report};
use crate::model::VmKey;

pub(super) fn check(known: &Known<'_>, report: &mut Report) {
    let mut seen = Seen::default();
    for (key, vm) in &known.in_order {
        seen.name(key, *vm, report);
        seen.nics(*vm, report);
        seen.adopted(*vm, report);
        seen.renamed(known, *vm, report);
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
    fn name(&mut self, key: &VmKey, vm: Declared<'d>, report: &mut Report) {
        let Some(tier) = vm.tier() else { return };
        let at = vm.place();
        match self.names.entry((tier, key.name().as_str().to_ascii_lowercase())) {
            Entry::Occupied(taken) => {
                let (other, first) = taken.get();
                report
                    .error(
                        at,
                        codes::SAME_VM_NAME,
                        format!("`{key}` and `{other}` have the same name on tier `{tier}`"),
                    )
                    .hint("the hypervisor knows a VM by its name alone; give one of them another")
                    .related(*first, "first used here");
            }
            Entry::Vacant(free) => {
                free.insert((key.clone(), at));
            }
        }
    }

    fn nics(&mut self, vm: Declared<'d>, report: &mut Report) {
        let Some(tier) = vm.tier() else { return };
        for Claims { mac, network, addresses } in vm.nics() {
            if let Some((mac, at)) = mac {
                match self.macs.get(&(tier, mac)) {
                    Some(first) => {
                        report
                            .error(at, codes::SAME_MAC, format!("the MAC {mac} is used twice on tier `{tier}`"))
                            .related(*first, "first used here");
                    }
                    None => {
                        self.macs.insert((tier, mac), at);
                    }
                }
            }
            let Some(network) = network else { continue };
            for (address, at) in addresses {
                let host = address.split('/').next().unwrap_or_default();
                match self.addresses.get(&(tier, network, host)) {
                    Some(first) => {
                        report
                            .warning(
                                at,
                                codes::SAME_ADDRESS,
                                format!("the address {host} is used twice on network `{network}`"),
                            )
                            .related(*first, "first used here");
                    }
                    None => {
                        self.addresses.insert((tier, network, host), at);
                    }
                }
            }
        }
    }

    fn adopted(&mut self, vm: Declared<'d>, report: &mut Report) {
        let Some(((endpoint, id), at)) = vm.adopted() else { return };
        match self.adopted.get(&(endpoint, id)) {
            Some(first) => {
                report
                    .error(at, codes::SAME_ADOPTED, format!("`{id}` on `{endpoint}` is adopted twice"))
                    .related(*first, "first adopted here");
            }
            None => {
                self.adopted.insert((endpoint, id), at);
            }
        }
    }

    fn renamed(&mut self, known: &Known<'_>, vm: Declared<'d>, report: &mut Report) {
        let Some((former, at)) = vm.renamed_from() else { return };
        if let Some(live) = known.vms.get(former) {
            report
                .error(at, codes::RENAMED_FROM, format!("`{former}` is still declared"))
                .hint("remove the manifest of the former key, or this line")
                .related(live.place(), "declared here");
        } else if let Some(first) = self.renamed.get(former) {
            report
                .error(at, codes::RENAMED_FROM, format!("`{former}` was renamed twice"))
                .related(*first, "first named here");
        } else {
            self.renamed.insert(former, at);
        }
    }
}
