//! The data model of vim25, as far as the front speaks it: types, calls, and the order of their fields on the wire.
//!
//! Read once from `schema.txt`, which a test compares with the API's full data model. Requests are judged by it and
//! answers are written in its order, so that what the lab takes and gives is what a real server takes and gives.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A primitive of XML Schema, by name.
    Plain(&'static str),
    /// Anything, told by `xsi:type`.
    Any,
    /// A reference to a managed object of this type or below.
    Ref(&'static str),
    /// One of a list of words.
    Enum(&'static str),
    /// A data object of this type or below.
    Data(&'static str),
}

/// One field, property or parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub many: bool,
    pub optional: bool,
}

/// A data type or managed type.
#[derive(Debug)]
pub(super) struct Type {
    pub base: Option<&'static str>,
    /// All fields in wire order, those of the base first.
    pub fields: Vec<Field>,
    pub managed: bool,
}

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    pub name: &'static str,
    /// The managed type that has it.
    pub on: &'static str,
    pub parameters: Vec<Field>,
    /// What it returns.
    pub returns: Option<Field>,
    /// The right it needs, where there is a single one.
    pub right: Option<&'static str>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Schema {
    types: HashMap<&'static str, Type>,
    enums: HashMap<&'static str, Vec<&'static str>>,
    calls: HashMap<&'static str, Vec<Call>>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::read(include_str!("schema.txt")));

/// The data model.
pub(super) fn schema() -> &'static Schema {
    &SCHEMA
}

impl Schema {
    fn read(text: &'static str) -> Self {
        let lines = || text.lines().filter(|line| !line.starts_with('#')).filter_map(split);
        let enums: HashMap<_, Vec<_>> = lines()
            .filter(|(letter, ..)| *letter == "E")
            .map(|(_, name, _, words)| (name, words.split(' ').collect()))
            .collect();
        let mut own: HashMap<&'static str, (&'static str, Vec<Field>, bool)> = HashMap::new();
        let mut calls: HashMap<_, Vec<Call>> = HashMap::new();
        for (letter, name, middle, rest) in lines() {
            match letter {
                "M" | "T" => {
                    own.insert(name, (middle, fields(rest, &enums), letter == "M"));
                }
                "C" => {
                    let call = call(name, middle, rest, &enums);
                    calls.entry(call.name).or_default().push(call);
                }
                _ => {}
            }
        }
        let types = own
            .iter()
            .map(|(name, (base, _, managed))| {
                let base = own.get_key_value(base).map(|(base, _)| *base);
                (*name, Type { base, fields: chain(name, &own), managed: *managed })
            })
            .collect();
        Self { types, enums, calls }
    }

    /// A type by its wire name.
    pub fn find(&self, name: &str) -> Option<(&'static str, &Type)> {
        self.types.get_key_value(name).map(|(name, found)| (*name, found))
    }

    /// The words of an enumeration.
    pub fn words(&self, name: &str) -> &[&'static str] {
        self.enums.get(name).map_or(&[], Vec::as_slice)
    }

    /// Is a type another, or below it?
    pub fn is_a(&self, name: &str, wanted: &str) -> bool {
        let mut at = self.types.get_key_value(name);
        while let Some((name, found)) = at {
            if *name == wanted || (wanted == "ManagedObject" && found.managed) {
                return true;
            }
            at = found.base.and_then(|base| self.types.get_key_value(base));
        }
        false
    }

    /// A managed type and those below it.
    pub fn managed_below(&self, wanted: &'static str) -> impl Iterator<Item = &'static str> {
        self.types.iter().filter(move |(name, found)| found.managed && self.is_a(name, wanted)).map(|(name, _)| *name)
    }

    /// A call of that name on an object of that type.
    pub fn call(&self, on: &str, name: &str) -> Option<&Call> {
        self.calls.get(name)?.iter().find(|call| self.is_a(on, call.on))
    }

    /// Whether any object has a call of that name.
    pub fn knows_call(&self, name: &str) -> bool {
        self.calls.contains_key(name)
    }

    /// A property of a type, or of a type below it: a path may go through a base.
    pub fn property(&self, on: &str, name: &str) -> Option<Field> {
        let direct = self.types.get(on).and_then(|found| found.fields.iter().find(|field| field.name == name));
        direct.copied().or_else(|| {
            self.types
                .iter()
                .filter(|(below, _)| **below != on && self.is_a(below, on))
                .find_map(|(_, found)| found.fields.iter().find(|field| field.name == name))
                .copied()
        })
    }
}

/// `M Name : Base = rest`, `C Type.Name > returns @ right = rest`, `E Name = rest`: letter, name, middle, rest.
fn split(line: &'static str) -> Option<(&'static str, &'static str, &'static str, &'static str)> {
    let (letter, line) = line.split_once(' ')?;
    let (front, rest) = line.split_once(" =")?;
    let (name, middle) = front.split_once(' ').unwrap_or((front, ""));
    Some((letter, name, middle.trim_start_matches(": "), rest.trim_start()))
}

fn call(name: &'static str, middle: &'static str, rest: &'static str, enums: &Enums) -> Call {
    let (on, name) = name.split_once('.').unwrap_or(("", name));
    let (returns, right) = middle.trim_start_matches("> ").split_once(" @ ").unwrap_or((middle, "-"));
    let returns = (returns != "-").then(|| field("returnval", returns, enums));
    Call { name, on, parameters: fields(rest, enums), returns, right: (right != "-").then_some(right) }
}

type Enums = HashMap<&'static str, Vec<&'static str>>;

fn fields(text: &'static str, enums: &Enums) -> Vec<Field> {
    text.split("; ")
        .filter_map(|part| part.trim().split_once(' '))
        .map(|(name, kind)| field(name, kind, enums))
        .collect()
}

fn field(name: &'static str, kind: &'static str, enums: &Enums) -> Field {
    let (kind, optional) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
    let (kind, many) = kind.strip_suffix("[]").map_or((kind, false), |kind| (kind, true));
    let kind = match kind.strip_prefix('&') {
        Some(managed) => Kind::Ref(managed),
        None if kind == "anyType" => Kind::Any,
        None if kind.starts_with(char::is_lowercase) => Kind::Plain(kind),
        None if enums.contains_key(kind) => Kind::Enum(kind),
        None => Kind::Data(kind),
    };
    Field { name, kind, many, optional }
}

type Own = HashMap<&'static str, (&'static str, Vec<Field>, bool)>;

fn chain(name: &str, own: &Own) -> Vec<Field> {
    let Some((base, fields, _)) = own.get(name) else { return Vec::new() };
    let mut all = if *base == "-" { Vec::new() } else { chain(base, own) };
    all.extend(fields.iter().copied());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_base_come_first() {
        let (_, disk) = schema().find("VirtualDisk").expect("VirtualDisk");
        let names: Vec<_> = disk.fields.iter().map(|field| field.name).collect();
        let place = |name| names.iter().position(|known| *known == name).expect(name);
        assert!(place("key") < place("controllerKey") && place("unitNumber") < place("capacityInKB"));
        assert!(schema().is_a("VirtualDisk", "VirtualDevice"));
        assert!(!schema().is_a("VirtualDevice", "VirtualDisk"));
    }

    #[test]
    fn calls_are_found_on_types_below() {
        let call = schema().call("VirtualMachine", "Destroy_Task").expect("Destroy_Task");
        assert_eq!(call.on, "ManagedEntity");
        assert!(schema().call("Datastore", "CloneVM_Task").is_none());
    }

    #[test]
    fn every_named_type_is_there() {
        for (name, found) in &schema().types {
            for field in &found.fields {
                if let Kind::Data(kind) = field.kind {
                    assert!(
                        found.managed || schema().types.contains_key(kind),
                        "{name}.{} is of the unknown type {kind}",
                        field.name
                    );
                }
            }
        }
    }
}
