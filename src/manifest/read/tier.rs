//! Reads a Tier.

use super::fields::Fields;
use super::{Reader, Slot};
use crate::manifest::codes;
use crate::manifest::schema::{
    DefaultsSpec, ImageEntry, Named, NetworkEntry, PlacementSpec, PriceSpec, StorageEntry, SyncSpec, TierManifest,
    TierMetadata, TierSpec,
};
use crate::manifest::tree::Value;

impl Reader<'_> {
    pub(super) fn tier(&mut self, mut fields: Fields<'_>) -> TierManifest {
        let mut manifest = TierManifest::default();
        if let Some(mut metadata) = fields.required(self, "metadata").and_then(|slot| self.mapping(slot)) {
            manifest.metadata = TierMetadata { name: metadata.need(self, "name", Reader::tier_name) };
            metadata.finish(self);
        }
        if let Some(spec) = fields.required(self, "spec").and_then(|slot| self.mapping(slot)) {
            manifest.spec = self.tier_spec(spec);
        }
        fields.finish(self);
        manifest
    }

    fn tier_spec(&mut self, mut fields: Fields<'_>) -> TierSpec {
        let spec = TierSpec {
            description: fields.read(self, "description", Reader::line),
            endpoints: fields.required(self, "endpoints").and_then(|slot| {
                self.not_empty(slot);
                self.whole(|reader| reader.distinct(slot, Reader::endpoint_name))
            }),
            placement: fields.optional("placement").map(|slot| self.placement(slot)).unwrap_or_default(),
            images: self.targets(fields.optional("images"), Self::image),
            networks: self.targets(fields.optional("networks"), Self::network),
            storage: self.targets(fields.optional("storage"), Self::storage),
            price: fields.optional("price").and_then(|slot| self.price(slot)),
            sync: fields.optional("sync").map(|slot| self.sync(slot)).unwrap_or_default(),
            defaults: fields.optional("defaults").map(|slot| self.defaults(slot)).unwrap_or_default(),
        };
        fields.finish(self);
        spec
    }

    fn targets<'n, T>(&mut self, slot: Option<Slot<'n>>, read: impl Fn(&mut Self, Slot<'n>) -> T) -> Option<Named<T>> {
        let Some(slot) = slot else { return Some(Named::new()) };
        // An entry that says something wrong is still there to be named.
        let named = self.named(slot, Self::word_key, |reader, slot| Some(read(reader, slot)));
        matches!(&slot.node.value, Value::Mapping { broken: false, .. }).then_some(named)
    }

    fn placement(&mut self, slot: Slot<'_>) -> PlacementSpec {
        let Some(mut fields) = self.mapping(slot) else { return PlacementSpec::default() };
        let placement = PlacementSpec {
            datacenter: fields.read(self, "datacenter", Reader::line),
            cluster: fields.read(self, "cluster", Reader::line),
            host: fields.read(self, "host", Reader::line),
            resource_pool: fields.read(self, "resourcePool", Reader::line),
            folder: fields.read(self, "folder", Reader::folder),
            create_folders: fields.read(self, "createFolders", Reader::boolean),
            storage: fields.read(self, "storage", Reader::line),
            path: fields.read(self, "path", Reader::line),
        };
        fields.finish(self);
        placement
    }

    /// A `/`-separated folder, without empty parts.
    fn folder(&mut self, slot: Slot<'_>) -> Option<String> {
        let text = self.line(slot)?;
        let trimmed = text.trim_matches('/');
        if trimmed == text && text.split('/').all(|part| !part.trim().is_empty()) {
            return Some(text);
        }
        self.error(slot.node.spot, codes::TEXT, format!("`{}` must be folder names with `/` between them", slot.name))
            .hint("such as Prod/tierwright, below the datacenter");
        None
    }

    fn image(&mut self, slot: Slot<'_>) -> ImageEntry {
        let Some(mut fields) = self.mapping(slot) else { return ImageEntry::default() };
        let image = ImageEntry {
            template: fields.read(self, "template", Reader::line),
            vhdx: fields.read(self, "vhdx", Reader::line),
            mode: fields.read(self, "mode", Reader::word),
        };
        self.one_target(&mut fields, &["template", "vhdx"]);
        fields.finish(self);
        image
    }

    fn network(&mut self, slot: Slot<'_>) -> NetworkEntry {
        let Some(mut fields) = self.mapping(slot) else { return NetworkEntry::default() };
        let network = NetworkEntry {
            port_group: fields.read(self, "portGroup", Reader::line),
            switch: fields.read(self, "switch", Reader::line),
            vlan: fields.read(self, "vlan", |reader, slot| {
                reader.number(slot, 1, 4094).and_then(|vlan| u16::try_from(vlan).ok())
            }),
            network: fields.read(self, "network", Reader::line),
        };
        self.one_target(&mut fields, &["portGroup", "switch", "network"]);
        fields.finish(self);
        network
    }

    fn storage(&mut self, slot: Slot<'_>) -> StorageEntry {
        let Some(mut fields) = self.mapping(slot) else { return StorageEntry::default() };
        let storage = StorageEntry {
            datastore: fields.read(self, "datastore", Reader::line),
            path: fields.read(self, "path", Reader::line),
            sr: fields.read(self, "sr", Reader::line),
        };
        self.one_target(&mut fields, &["datastore", "path", "sr"]);
        fields.finish(self);
        storage
    }

    /// An entry must say what it means on its hypervisor. That it says so for two is told by the check of the tier.
    fn one_target(&mut self, fields: &mut Fields<'_>, names: &[&'static str]) {
        if !fields.has_any(names) && !fields.has_unknown() {
            let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            self.error(fields.key, codes::MISSING_FIELD, format!("{} needs one of {names}", fields.called()));
        }
    }

    fn price(&mut self, slot: Slot<'_>) -> Option<PriceSpec> {
        let mut fields = self.mapping(slot)?;
        let price = PriceSpec {
            currency: fields.need(self, "currency", Reader::currency),
            vcpu_hour: fields.read(self, "vcpuHour", Reader::money),
            memory_gib_hour: fields.read(self, "memoryGiBHour", Reader::money),
            storage_gib_month: fields.read(self, "storageGiBMonth", Reader::money),
            vm_month: fields.read(self, "vmMonth", Reader::money),
        };
        fields.finish(self);
        Some(price)
    }

    fn sync(&mut self, slot: Slot<'_>) -> SyncSpec {
        let Some(mut fields) = self.mapping(slot) else { return SyncSpec::default() };
        let sync = SyncSpec {
            prune: fields.read(self, "prune", Reader::word),
            grace_days: fields.read(self, "graceDays", |reader, slot| reader.number(slot, 0, 3650)),
        };
        fields.finish(self);
        sync
    }

    fn defaults(&mut self, slot: Slot<'_>) -> DefaultsSpec {
        let Some(mut fields) = self.mapping(slot) else { return DefaultsSpec::default() };
        let defaults = DefaultsSpec {
            firmware: fields.read(self, "firmware", Reader::word),
            allow_reboot: fields.read(self, "allowReboot", Reader::word),
        };
        fields.finish(self);
        defaults
    }
}
