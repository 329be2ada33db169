//! Filters, and what changed since a client last asked.
//!
//! A collector remembers per filter and object a digest of each property as last sent. A look compares; objects of a
//! VM's kind whose change number did not move are passed over. What does not fit into one answer is found again by the
//! next look, since it was never noted as sent. Versions are numbers; only the last one given out is taken.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::super::fault::Fault;
use super::super::morefs::{Object, resolve};
use super::super::properties::{Path, Scope, evaluate, kind_of};
use super::super::schema::Field;
use super::super::value::{Ref, write_any};
use super::listing::{missing, unreadable};
use super::spec::Spec;
use super::walk;
use crate::xml::Writer;

/// Objects of one answer when the caller names no number.
const MOST: usize = 1_000;
/// The most filters of a collector.
const MAX_FILTERS: usize = 200;

/// The filters of one client and how far it was told.
#[derive(Debug, Default)]
pub(in crate::lab::vsphere) struct Collector {
    version: u64,
    pub filters: BTreeMap<Arc<str>, Filter>,
    /// Counts up with each `CancelWaitForUpdates`.
    pub cancelled: u64,
}

/// One filter.
#[derive(Debug)]
pub(in crate::lab::vsphere) struct Filter {
    spec: Spec,
    /// Digest of each path's value as last sent; the paths are those of the object's type.
    sent: HashMap<Ref, Vec<u64>>,
    /// The world's change number when everything was last looked at and told.
    looked_at: Option<u64>,
}

impl Collector {
    /// Adds a filter; a starting object that is gone is a fault at once.
    pub fn add(&mut self, scope: &Scope<'_>, id: Arc<str>, spec: Spec) -> Result<(), Fault> {
        if self.filters.len() >= MAX_FILTERS {
            return Err(Fault::new("LimitExceeded", "Too many objects: filter"));
        }
        for start in &spec.starts {
            walk::find(scope, &start.object)?;
        }
        self.filters.insert(id, Filter { spec, sent: HashMap::new(), looked_at: None });
        Ok(())
    }

    /// Goes back to the start for an empty version; refuses one that is not the last.
    pub fn resume(&mut self, version: &str) -> Result<(), Fault> {
        if version.is_empty() {
            for filter in self.filters.values_mut() {
                filter.sent.clear();
                filter.looked_at = None;
            }
            return Ok(());
        }
        if version.parse() == Ok(self.version) {
            return Ok(());
        }
        Err(Fault::new("InvalidCollectorVersion", ""))
    }

    /// What changed, as the content of a `returnval`; `None`: nothing.
    pub fn look(&mut self, scope: &Scope<'_>, most: Option<i64>) -> Option<String> {
        let mut room = most.and_then(|most| usize::try_from(most).ok()).filter(|most| *most > 0).unwrap_or(MOST);
        room = room.min(MOST);
        let mut sets = Writer::fragment();
        let mut any = false;
        let mut truncated = false;
        for (id, filter) in &mut self.filters {
            if filter.looked_at == Some(scope.world.change) {
                continue;
            }
            let (text, whole) = filter.look(scope, &mut room);
            if !text.is_empty() {
                any = true;
                sets.open("filterSet");
                sets.open("filter").attribute("type", "PropertyFilter").text(id).close().raw(&text).close();
            }
            if whole {
                filter.looked_at = Some(scope.world.change);
            } else {
                truncated = true;
                break;
            }
        }
        if !any {
            return None;
        }
        self.version += 1;
        let mut writer = Writer::fragment();
        writer.open("returnval").leaf("version", &self.version.to_string());
        writer.raw(&sets.finish().unwrap_or_default());
        if truncated {
            writer.leaf("truncated", "true");
        }
        writer.close();
        writer.finish().ok()
    }
}

impl Filter {
    /// The updates of this filter, and whether that was all.
    fn look(&mut self, scope: &Scope<'_>, room: &mut usize) -> (String, bool) {
        // A starting object that went away takes its part of the filter with it.
        let mut alive = self.spec.clone();
        alive.starts.retain(|start| resolve(scope.world, &start.object).is_some());
        let objects = walk::objects(scope, &alive).unwrap_or_default();
        let mut writer = Writer::fragment();
        let listed: HashSet<&Ref> = objects.iter().collect();
        let gone: Vec<Ref> = self.sent.keys().filter(|sent| !listed.contains(sent)).cloned().collect();
        for object in gone {
            if *room == 0 {
                return (writer.finish().unwrap_or_default(), false);
            }
            *room -= 1;
            self.sent.remove(&object);
            head(&mut writer, "leave", &object);
            writer.close();
        }
        for object in &objects {
            if self.unmoved(scope, object) {
                continue;
            }
            if *room == 0 {
                return (writer.finish().unwrap_or_default(), false);
            }
            if self.update(&mut writer, scope, object) {
                *room -= 1;
            }
        }
        (writer.finish().unwrap_or_default(), true)
    }

    /// A VM that did not change since everything was last told.
    fn unmoved(&self, scope: &Scope<'_>, object: &Ref) -> bool {
        let (Some(looked_at), Some(Object::Vm(id))) = (self.looked_at, resolve(scope.world, object)) else {
            return false;
        };
        // With state rules in force, a VM may look different without having changed.
        scope.rules.is_empty()
            && self.sent.contains_key(object)
            && scope.world.vm(id).is_some_and(|vm| vm.touched <= looked_at)
    }

    /// Writes what changed of one object, if anything.
    fn update(&mut self, writer: &mut Writer, scope: &Scope<'_>, object: &Ref) -> bool {
        let Some(found) = resolve(scope.world, object) else { return false };
        let kind = kind_of(scope.world, &found);
        let refused = unreadable(scope, &found, object);
        let before = self.sent.get(object);
        let mut digests = Vec::new();
        let mut changes = Writer::fragment();
        let mut differs = before.is_none();
        for (index, path) in self.spec.paths_of(kind).enumerate() {
            let known = before.and_then(|digests| digests.get(index)).copied();
            if let Some(fault) = &refused {
                digests.push(1);
                if known != Some(1) {
                    differs = true;
                    missing(&mut changes, path, fault);
                }
                continue;
            }
            let text = rendered(scope, &found, path);
            let digest = text.as_deref().map_or(0, digest);
            digests.push(digest);
            if known == Some(digest) || (known.is_none() && text.is_none()) {
                continue;
            }
            differs = true;
            changes.open("changeSet").leaf("name", &path.text).leaf("op", "assign");
            // An unset property is told as an assignment of nothing.
            changes.raw(text.as_deref().unwrap_or_default()).close();
        }
        if differs {
            head(writer, if before.is_some() { "modify" } else { "enter" }, object);
            writer.raw(&changes.finish().unwrap_or_default()).close();
        }
        self.sent.insert(object.clone(), digests);
        differs
    }
}

fn head(writer: &mut Writer, kind: &str, object: &Ref) {
    writer.open("objectSet").leaf("kind", kind);
    writer.open("obj").attribute("type", object.kind).text(&object.id).close();
}

fn rendered(scope: &Scope<'_>, object: &Object, path: &Path) -> Option<String> {
    let value = evaluate(scope, object, &path.text)?;
    let mut writer = Writer::fragment();
    let field: &Field = &path.field;
    write_any(&mut writer, "val", field, &value);
    writer.finish().ok()
}

/// Never 0 or 1: those say unset and refused.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish().max(2)
}
