//! Reads a VirtualMachine.

use std::collections::BTreeSet;

use super::fields::Fields;
use super::instance_type::MAX_CPUS;
use super::{Reader, Slot};
use crate::manifest::codes;
use crate::manifest::report::shown;
use crate::manifest::schema::{
    AdoptSpec, At, CloudInitSpec, DiskEntry, NicEntry, ShutdownSpec, VmBody, VmManifest, VmMetadata,
};
use crate::manifest::tree::{Spot, Value};
use crate::model::Secret;

/// What `ignoreDrift` takes besides disks and NICs.
const IGNORABLE: [&str; 7] = ["name", "cpus", "memory", "power", "image", "firmware", "cloudInit"];

impl Reader<'_> {
    pub(super) fn virtual_machine(&mut self, mut fields: Fields<'_>) -> VmManifest {
        let mut manifest = VmManifest::default();
        if let Some(metadata) = fields.required(self, "metadata").and_then(|slot| self.mapping(slot)) {
            manifest.metadata = self.vm_metadata(metadata);
        }
        if let Some(spec) = fields.required(self, "spec").and_then(|slot| self.mapping(slot)) {
            manifest.spec = self.vm_body(spec);
        }
        fields.finish(self);
        manifest
    }

    fn vm_metadata(&mut self, mut fields: Fields<'_>) -> VmMetadata {
        let project = fields.optional("project");
        let metadata = VmMetadata {
            project: fields.read(self, "project", Reader::project),
            name: fields.need(self, "name", Reader::vm_name),
            labels: fields
                .optional("labels")
                .map(|slot| {
                    self.named(slot, Self::label_key, |reader, slot| {
                        reader.label_value(slot).map(|value| At { value, spot: slot.node.spot })
                    })
                })
                .unwrap_or_default(),
        };
        fields.finish(self);
        // With a project that cannot be read the name alone would be another VM's key.
        if project.is_some() && metadata.project.is_none() {
            return VmMetadata { name: None, ..metadata };
        }
        metadata
    }

    fn vm_body(&mut self, mut fields: Fields<'_>) -> VmBody {
        let body = VmBody {
            tier: fields.need(self, "tier", Reader::tier_name),
            instance_type: fields.read(self, "instanceType", Reader::word_name),
            cpus: fields.read(self, "cpus", |reader, slot| reader.number(slot, 1, MAX_CPUS)),
            memory: fields.read(self, "memory", Reader::memory),
            image: fields.read(self, "image", Reader::word_name),
            guest_os: fields.read(self, "guestOs", Reader::word),
            firmware: fields.read(self, "firmware", Reader::word),
            disks: fields.optional("disks").map(|slot| self.disks(slot)),
            nics: fields.optional("nics").map(|slot| self.nics(slot)),
            power: fields.read(self, "power", Reader::word),
            cloud_init: fields.optional("cloudInit").and_then(|slot| self.cloud_init(slot)),
            prevent_destroy: fields.read(self, "preventDestroy", Reader::boolean),
            on_remove: fields.read(self, "onRemove", Reader::word),
            allow_reboot: fields.read(self, "allowReboot", Reader::word),
            shutdown: fields.optional("shutdown").map(|slot| self.shutdown(slot)).unwrap_or_default(),
            delete_disks: fields.read(self, "deleteDisks", Reader::boolean),
            ignore_drift: fields
                .optional("ignoreDrift")
                .map(|slot| self.distinct(slot, |reader, slot| reader.text(slot).map(ToOwned::to_owned)))
                .unwrap_or_default(),
            depends_on: fields.optional("dependsOn").map(|slot| self.distinct(slot, Reader::key)).unwrap_or_default(),
            renamed_from: fields.read(self, "renamedFrom", Reader::key),
            adopt: fields.optional("adopt").and_then(|slot| self.adopt(slot)),
        };
        self.check_sizes(&fields);
        fields.finish(self);
        self.check_ignore_drift(&body);
        body
    }

    /// CPUs, memory and a boot disk come from somewhere; what is misspelt is told as unknown.
    fn check_sizes(&mut self, fields: &Fields<'_>) {
        if fields.has_unknown() {
            return;
        }
        if !fields.has_any(&["instanceType"]) {
            let missing: Vec<_> = ["cpus", "memory"].into_iter().filter(|name| !fields.has_any(&[name])).collect();
            if !missing.is_empty() {
                self.error(fields.key, codes::NO_SIZE, format!("the VM has no {}", missing.join(" and no ")))
                    .hint("name an `instanceType`, or give both `cpus` and `memory`");
            }
        }
        if let Some(image) = fields.find("image")
            && !fields
                .find("disks")
                .is_some_and(|disks| !matches!(&disks.node.value, Value::Sequence(items) if items.is_empty()))
        {
            self.error(image.key, codes::NO_BOOT_DISK, "a VM made from an image must list the image's boot disk")
                .hint("add `disks: [{name: root, size: …}]`, at least as large as the image");
        }
    }

    fn disks(&mut self, slot: Slot<'_>) -> Vec<DiskEntry> {
        let mut disks = Vec::new();
        for item in self.list(slot).unwrap_or_default() {
            if self.report.is_full(self.file) {
                break;
            }
            let Some(mut fields) = self.mapping(Slot { name: "a disk", ..item }) else { continue };
            disks.push(DiskEntry {
                name: fields.need(self, "name", Reader::word_name),
                size: fields.need(self, "size", Reader::size),
                storage: fields.read(self, "storage", Reader::word_name),
            });
            fields.finish(self);
        }
        self.unique("disks", disks.iter().filter_map(|disk| disk.name.as_ref()));
        disks
    }

    fn nics(&mut self, slot: Slot<'_>) -> Vec<NicEntry> {
        let mut nics = Vec::new();
        for item in self.list(slot).unwrap_or_default() {
            if self.report.is_full(self.file) {
                break;
            }
            let Some(mut fields) = self.mapping(Slot { name: "a NIC", ..item }) else { continue };
            let name = fields.need(self, "name", Reader::word_name);
            let network = fields.need(self, "network", Reader::word_name);
            let mac = fields.read(self, "mac", Reader::mac);
            let listed = fields.optional("addresses");
            let addresses = listed.map(|slot| self.distinct(slot, Reader::address)).unwrap_or_default();
            let gateway = fields.read(self, "gateway", Reader::ip);
            match (&gateway, listed) {
                (Some(gateway), Some(_)) if !addresses.is_empty() => self.check_gateway(gateway, &addresses),
                (Some(gateway), None) => {
                    self.error(gateway.spot, codes::GATEWAY_WITHOUT_ADDRESS, "a gateway needs `addresses` beside it");
                }
                _ => {}
            }
            fields.finish(self);
            nics.push(NicEntry { name, network, mac, addresses, gateway });
        }
        self.unique("nics", nics.iter().filter_map(|nic| nic.name.as_ref()));
        nics
    }

    /// Disks and NICs are known by their name.
    fn unique<'v>(&mut self, list: &str, names: impl Iterator<Item = &'v At<String>>) {
        let mut seen: std::collections::BTreeMap<&str, Spot> = std::collections::BTreeMap::new();
        for name in names {
            match seen.get(name.value.as_str()) {
                Some(first) => self.repeated(list, &name.value, name.spot, *first),
                None => {
                    seen.insert(&name.value, name.spot);
                }
            }
        }
    }

    fn cloud_init(&mut self, slot: Slot<'_>) -> Option<CloudInitSpec> {
        let mut fields = self.mapping(slot)?;
        let (data, file) = (fields.optional("userData"), fields.optional("userDataFile"));
        let key = match (data, file) {
            (Some(_), Some(file)) => Some((file.key, "not both")),
            (None, None) if !fields.has_unknown() => Some((slot.key, "and has neither")),
            _ => None,
        };
        if let Some((spot, how)) = key {
            self.error(
                spot,
                codes::CLOUD_INIT,
                format!("`cloudInit` takes exactly one of `userData` and `userDataFile`, {how}"),
            );
        }
        let cloud_init = CloudInitSpec {
            user_data: data.and_then(|slot| {
                let value = self.user_data(slot)?;
                Some(At { value, spot: slot.node.spot })
            }),
            user_data_file: file.and_then(|slot| {
                let value = self.file_name(slot)?;
                Some(At { value, spot: slot.node.spot })
            }),
        };
        fields.finish(self);
        Some(cloud_init)
    }

    /// User data: text that is never said back.
    fn user_data(&mut self, slot: Slot<'_>) -> Option<Secret> {
        match &slot.node.value {
            Value::Scalar { text, plain } => {
                let nothing = text.trim().is_empty() || (*plain && super::scalars::is_null(text));
                if !nothing {
                    return Some(Secret::new(text.to_string()));
                }
                self.error(slot.key, codes::EMPTY_VALUE, "`userData` has no value");
                None
            }
            Value::Mapping { .. } | Value::Sequence(_) => {
                self.error(slot.key, codes::WRONG_SHAPE, "`userData` must be text")
                    .hint("write `userData: |` and indent the text below it");
                None
            }
        }
    }

    fn shutdown(&mut self, slot: Slot<'_>) -> ShutdownSpec {
        let Some(mut fields) = self.mapping(slot) else { return ShutdownSpec::default() };
        let shutdown = ShutdownSpec {
            timeout: fields.read(self, "timeout", Reader::duration),
            force: fields.read(self, "force", Reader::boolean),
        };
        fields.finish(self);
        shutdown
    }

    fn adopt(&mut self, slot: Slot<'_>) -> Option<AdoptSpec> {
        let mut fields = self.mapping(slot)?;
        let adopt = AdoptSpec {
            endpoint: fields.need(self, "endpoint", Reader::endpoint_name),
            id: fields.need(self, "id", Reader::own_id),
        };
        fields.finish(self);
        Some(adopt)
    }

    fn check_ignore_drift(&mut self, body: &VmBody) {
        if body.ignore_drift.is_empty() {
            return;
        }
        let disks = body.disks.iter().flatten().filter_map(|disk| disk.name.as_ref());
        let nics = body.nics.iter().flatten().filter_map(|nic| nic.name.as_ref());
        let mut known: BTreeSet<String> = IGNORABLE.map(ToOwned::to_owned).into();
        // A path stands for all that is below it.
        known.extend(disks.flat_map(|disk| ["", "/size"].map(|field| format!("disks/{}{field}", disk.value))));
        known.extend(
            nics.flat_map(|nic| {
                ["", "/network", "/mac", "/connected"].map(|field| format!("nics/{}{field}", nic.value))
            }),
        );
        for path in &body.ignore_drift {
            if known.contains(&path.value) {
                continue;
            }
            if self.report.is_full(self.file) {
                break;
            }
            let meant = self.report.nearest(&path.value, known.iter().map(String::as_str)).map(ToOwned::to_owned);
            self.error(
                path.spot,
                codes::IGNORE_DRIFT,
                format!("`{}` is not a field whose drift can be ignored", shown(&path.value)),
            )
            .hint(format!("this VM has {}", listed(&known)))
            .meant(meant.as_deref());
        }
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    let mut list = names.iter().take(16).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 16 {
        list.push_str(", …");
    }
    list
}
