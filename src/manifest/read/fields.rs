//! One mapping: which fields it may have, which it must have, and what is unknown.
//!
//! A field is known once it was asked for, so the readers are themselves the list of fields; a test holds that list
//! against the JSON Schemas.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Reader, Slot};
use crate::manifest::codes;
use crate::manifest::report::shown;
use crate::manifest::schema::{At, Named};
use crate::manifest::tree::{Key, Node, Spot, Value};

/// The entries of one mapping, being asked for.
pub(crate) struct Fields<'n> {
    /// What messages call the mapping.
    name: &'n str,
    /// Where its key stands, for problems with what is not there.
    pub(crate) key: Spot,
    entries: &'n [(Key<'n>, Node<'n>)],
    broken: bool,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The field, if it is there.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<Slot<'n>> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.find(name)
    }

    /// The field, if it is there, without asking for it.
    pub(crate) fn find(&self, name: &'static str) -> Option<Slot<'n>> {
        self.entries.iter().find(|(key, _)| key.text == name).map(|(key, node)| Slot { name, key: key.spot, node })
    }

    /// The field, which must be there.
    pub(crate) fn required(&mut self, reader: &mut Reader<'_>, name: &'static str) -> Option<Slot<'n>> {
        let slot = self.optional(name);
        // A misspelt field is told as unknown, with what was meant; that it is missing too follows from that.
        if slot.is_none() && !self.broken && !self.has_nearly(reader, name) {
            reader.error(self.key, codes::MISSING_FIELD, format!("{} needs `{name}`", self.called()));
        }
        slot
    }

    /// Reads an optional field, with its position.
    pub(crate) fn read<'r, T>(
        &mut self,
        reader: &mut Reader<'r>,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'r>, Slot<'n>) -> Option<T>,
    ) -> Option<At<T>> {
        let slot = self.optional(name)?;
        read(reader, slot).map(|value| At { value, spot: slot.node.spot })
    }

    /// Reads a required field, with its position.
    pub(crate) fn need<'r, T>(
        &mut self,
        reader: &mut Reader<'r>,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'r>, Slot<'n>) -> Option<T>,
    ) -> Option<At<T>> {
        let slot = self.required(reader, name)?;
        read(reader, slot).map(|value| At { value, spot: slot.node.spot })
    }

    /// Tells of every field that nobody asked for.
    pub(crate) fn finish(self, reader: &mut Reader<'_>) {
        for (key, _) in self.entries {
            if reader.report.is_full(reader.file) {
                break;
            }
            if self.known.contains(&&*key.text) {
                continue;
            }
            let meant = reader.report.nearest(&key.text, self.known.iter().copied());
            reader
                .error(key.spot, codes::UNKNOWN_FIELD, format!("{} has no field `{}`", self.called(), shown(&key.text)))
                .hint(format!("its fields are {}", self.known.join(", ")))
                .meant(meant);
        }
    }

    fn has_nearly(&self, reader: &mut Reader<'_>, name: &'static str) -> bool {
        let unknown = self.entries.iter().filter(|(key, _)| !self.known.contains(&&*key.text));
        unknown.into_iter().any(|(key, _)| reader.report.nearest(&key.text, [name]).is_some())
    }

    /// Is one of these there?
    pub(crate) fn has_any(&self, names: &[&str]) -> bool {
        self.entries.iter().any(|(key, _)| names.contains(&&*key.text))
    }

    /// Is there something that will be told as unknown or was refused, so that what seems missing may be meant by it?
    pub(crate) fn has_unknown(&self) -> bool {
        self.broken || self.entries.iter().any(|(key, _)| !self.known.contains(&&*key.text))
    }

    /// What messages call it.
    pub(crate) fn called(&self) -> String {
        if self.name.contains(' ') { self.name.to_owned() } else { format!("`{}`", self.name) }
    }
}

impl Reader<'_> {
    /// The fields of a mapping.
    pub(crate) fn mapping<'n>(&mut self, slot: Slot<'n>) -> Option<Fields<'n>> {
        let Value::Mapping { entries, broken } = &slot.node.value else {
            self.wrong_shape(slot, "a mapping");
            return None;
        };
        Some(Fields { name: slot.name, key: slot.key, entries, broken: *broken, known: Vec::with_capacity(8) })
    }

    /// The items of a list.
    pub(crate) fn list<'n>(&mut self, slot: Slot<'n>) -> Option<Vec<Slot<'n>>> {
        let Value::Sequence(items) = &slot.node.value else {
            self.wrong_shape(slot, "a list");
            return None;
        };
        Some(items.iter().map(|node| Slot { name: slot.name, key: node.spot, node }).collect())
    }

    /// The items of a list, each read, none twice.
    pub(crate) fn distinct<'n, T: Clone + Eq + Hash + std::fmt::Display>(
        &mut self,
        slot: Slot<'n>,
        read: impl Fn(&mut Self, Slot<'n>) -> Option<T>,
    ) -> Vec<At<T>> {
        let items = self.list(slot).unwrap_or_default();
        let mut found: Vec<At<T>> = Vec::with_capacity(items.len());
        let mut seen: HashMap<T, Spot> = HashMap::new();
        for item in items {
            if self.report.is_full(self.file) {
                break;
            }
            let Some(value) = read(self, item) else { continue };
            if let Some(first) = seen.get(&value) {
                self.repeated(slot.name, &value.to_string(), item.key, *first);
            } else {
                seen.insert(value.clone(), item.key);
                found.push(At { value, spot: item.node.spot });
            }
        }
        found
    }

    /// Tells that a list names something twice.
    pub(crate) fn repeated(&mut self, list: &str, what: &str, spot: Spot, first: Spot) {
        let first = self.place(first);
        self.error(spot, codes::REPEATED, format!("`{}` is named twice in `{list}`", shown(what)))
            .related(first, "first named here");
    }

    /// The entries of a mapping whose keys are names, each read.
    pub(crate) fn named<'n, T>(
        &mut self,
        slot: Slot<'n>,
        name: impl Fn(&mut Self, &str, Spot) -> Option<String>,
        read: impl Fn(&mut Self, Slot<'n>) -> Option<T>,
    ) -> Named<T> {
        let Value::Mapping { entries, .. } = &slot.node.value else {
            self.wrong_shape(slot, "a mapping");
            return Vec::new();
        };
        let mut named = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            if self.report.is_full(self.file) {
                break;
            }
            let name = name(self, &key.text, key.spot);
            let value = read(self, Slot { name: &key.text, key: key.spot, node });
            if let (Some(name), Some(value)) = (name, value) {
                named.push((At { value: name, spot: key.spot }, value));
            }
        }
        named
    }

    /// Tells that a value is a list, a mapping or nothing where something else is needed.
    pub(crate) fn wrong_shape(&mut self, slot: Slot<'_>, needed: &str) {
        let is = match &slot.node.value {
            Value::Scalar { text, plain: true } if super::scalars::is_null(text) => {
                self.error(slot.key, codes::EMPTY_VALUE, format!("`{}` has no value", shown(slot.name)))
                    .hint(format!("give it {needed}, or leave the field out"));
                return;
            }
            Value::Scalar { .. } => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping { .. } => "a mapping",
        };
        // A collection begins somewhere below its key; a single value is itself what is wrong.
        let marked = if matches!(slot.node.value, Value::Scalar { .. }) { slot.node.spot } else { slot.key };
        self.error(marked, codes::WRONG_SHAPE, format!("`{}` must be {needed}, not {is}", shown(slot.name)));
    }
}
