//! Reads an InstanceType.

use super::fields::Fields;
use super::{Reader, Slot};
use crate::manifest::codes;
use crate::manifest::schema::{InstanceTypeManifest, InstanceTypeSpec, NameMetadata};

/// CPUs that a VM can have: above any hypervisor's limit, which the plan knows.
pub(crate) const MAX_CPUS: u32 = 1024;

impl Reader<'_> {
    pub(super) fn instance_type(&mut self, mut fields: Fields<'_>) -> InstanceTypeManifest {
        let mut manifest = InstanceTypeManifest::default();
        if let Some(mut metadata) = fields.required(self, "metadata").and_then(|slot| self.mapping(slot)) {
            manifest.metadata = NameMetadata { name: metadata.need(self, "name", Reader::word_name) };
            metadata.finish(self);
        }
        if let Some(mut spec) = fields.required(self, "spec").and_then(|slot| self.mapping(slot)) {
            manifest.spec = InstanceTypeSpec {
                cpus: spec.need(self, "cpus", |reader, slot| reader.number(slot, 1, MAX_CPUS)),
                memory: spec.need(self, "memory", Reader::memory),
                tiers: spec.optional("tiers").and_then(|slot| {
                    self.not_empty(slot);
                    self.whole(|reader| reader.distinct(slot, Reader::tier_name))
                }),
            };
            spec.finish(self);
        }
        fields.finish(self);
        manifest
    }

    /// What was read, if all of it could be: a list that lacks an item would make others look wrong.
    pub(super) fn whole<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let before = self.report.len();
        let value = read(self);
        (self.report.len() == before).then_some(value)
    }

    /// Tells of a list without an item where that would say nothing.
    pub(super) fn not_empty(&mut self, slot: Slot<'_>) {
        if matches!(&slot.node.value, crate::manifest::tree::Value::Sequence(items) if items.is_empty()) {
            self.error(slot.node.spot, codes::EMPTY_VALUE, format!("`{}` must name at least one", slot.name));
        }
    }
}
