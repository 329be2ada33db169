//! The Xen API as far as the front speaks it: classes, their fields and messages.
//!
//! Read once from `schema.txt`, which a test compares with the API's whole data model. Fields carry the value they have
//! where nothing sets them, as recorded, and who may set them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::refs::Class;
use super::value::Value;

/// Who may set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nobody, by a generic message.
    Read,
    /// `set_FIELD`.
    Set,
    /// `set_FIELD`, `add_to_FIELD`, `remove_from_FIELD`.
    Map,
    /// `set_FIELD`, `add_FIELD`, `remove_FIELD`.
    Elements,
}

/// A field of a class.
#[derive(Debug)]
pub(super) struct Field {
    pub name: &'static str,
    pub kind: &'static str,
    pub access: Access,
    pub default: Value,
}

/// A message that is not generic.
#[derive(Debug)]
pub(super) struct Message {
    pub name: &'static str,
    /// Parameters after the session.
    pub parameters: Vec<&'static str>,
    /// Does it change VMs, storage or networks?
    pub mutating: bool,
}

/// What the API says of a class.
#[derive(Debug)]
pub(super) struct ClassModel {
    /// By name, in order.
    pub fields: Vec<Field>,
    pub messages: Vec<Message>,
    /// Generic messages of whole objects it has, such as `get_all_records`.
    pub generic: Vec<&'static str>,
}

static SCHEMA: LazyLock<HashMap<Class, ClassModel>> = LazyLock::new(|| read(include_str!("schema.txt")));

/// What the API says of a class.
pub(super) fn class(class: Class) -> &'static ClassModel {
    &SCHEMA[&class]
}

fn read(text: &'static str) -> HashMap<Class, ClassModel> {
    let mut classes = HashMap::new();
    let mut now: Option<(Class, ClassModel)> = None;
    for line in text.lines() {
        let mut words = line.split(' ');
        match words.next() {
            Some("C") => {
                classes.extend(now.take());
                let class = words.next().and_then(Class::named);
                let generic = words.collect();
                now = class.map(|class| (class, ClassModel { fields: Vec::new(), messages: Vec::new(), generic }));
            }
            Some("F") => {
                if let (Some((_, model)), Some(field)) = (&mut now, field(line)) {
                    model.fields.push(field);
                }
            }
            Some("M") => {
                if let (Some((_, model)), Some(name)) = (&mut now, words.next()) {
                    let plain = name.strip_suffix('!');
                    let (name, mutating) = (plain.unwrap_or(name), plain.is_some());
                    model.messages.push(Message { name, parameters: words.collect(), mutating });
                }
            }
            _ => {}
        }
    }
    classes.extend(now);
    for class in Class::ALL {
        let empty = || ClassModel { fields: Vec::new(), messages: Vec::new(), generic: Vec::new() };
        classes.entry(*class).or_insert_with(empty);
    }
    for model in classes.values_mut() {
        model.fields.sort_by_key(|field| field.name);
    }
    classes
}

fn field(line: &'static str) -> Option<Field> {
    let mut words = line.splitn(5, ' ').skip(1);
    let (name, kind, access, default) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let access = match access {
        "w" => Access::Set,
        "m" => Access::Map,
        "t" => Access::Elements,
        _ => Access::Read,
    };
    let default = match kind {
        "time" => Value::Time(0),
        _ => Value::from_json(serde_json::from_str(default).ok()?),
    };
    Some(Field { name, kind, access, default })
}

/// What a generic message does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Generic {
    GetAll,
    GetAllRecords,
    GetByUuid,
    GetByNameLabel,
    GetRecord,
    Get(&'static Field),
    Set(&'static Field),
    AddTo(&'static Field),
    RemoveFrom(&'static Field),
    Add(&'static Field),
    Remove(&'static Field),
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl ClassModel {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.binary_search_by(|field| field.name.cmp(name)).ok().map(|at| &self.fields[at])
    }

    /// A generic message of this class.
    pub fn generic(&'static self, message: &str) -> Option<Generic> {
        let field = |prefix: &str, access: &[Access]| {
            let field = message.strip_prefix(prefix).and_then(|name| self.field(name))?;
            access.contains(&field.access).then_some(field)
        };
        let has = |name: &str| self.generic.contains(&name) && message == name;
        if has("get_all") {
            return Some(Generic::GetAll);
        }
        if has("get_all_records") {
            return Some(Generic::GetAllRecords);
        }
        if has("get_by_uuid") {
            return Some(Generic::GetByUuid);
        }
        if has("get_record") {
            return Some(Generic::GetRecord);
        }
        if message == "get_by_name_label" && self.messages.iter().any(|known| known.name == message) {
            return Some(Generic::GetByNameLabel);
        }
        let any = [Access::Read, Access::Set, Access::Map, Access::Elements];
        None.or_else(|| field("add_to_", &[Access::Map]).map(Generic::AddTo))
            .or_else(|| field("remove_from_", &[Access::Map]).map(Generic::RemoveFrom))
            .or_else(|| field("get_", &any).map(Generic::Get))
            .or_else(|| field("set_", &any[1..]).map(Generic::Set))
            .or_else(|| field("add_", &[Access::Elements]).map(Generic::Add))
            .or_else(|| field("remove_", &[Access::Elements]).map(Generic::Remove))
    }

    pub fn message(&self, name: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.name == name)
    }
}

impl Generic {
    /// How many parameters it has after the session.
    pub fn parameters(self) -> usize {
        match self {
            Self::GetAll | Self::GetAllRecords => 0,
            Self::GetByUuid | Self::GetByNameLabel | Self::GetRecord | Self::Get(_) => 1,
            Self::Set(_) | Self::RemoveFrom(_) | Self::Add(_) | Self::Remove(_) => 2,
            Self::AddTo(_) => 3,
        }
    }

    pub fn mutating(self) -> bool {
        matches!(self, Self::Set(_) | Self::AddTo(_) | Self::RemoveFrom(_) | Self::Add(_) | Self::Remove(_))
    }
}

static MESSAGES: LazyLock<Vec<String>> = LazyLock::new(list);

/// All messages, such as `VM.start`, in order.
pub(super) fn messages() -> &'static [String] {
    &MESSAGES
}

/// The name of a message of a class, to be kept for ever.
pub(super) fn interned(class: Class, message: &str) -> Option<&'static str> {
    let name = format!("{}.{message}", class.name());
    let at = MESSAGES.binary_search(&name).ok()?;
    MESSAGES[at].split_once('.').map(|(_, message)| message)
}

fn list() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (class, model) in &*SCHEMA {
        let mut add = |message: &str| all.push(format!("{}.{message}", class.name()));
        model.generic.iter().for_each(|message| add(message));
        model.messages.iter().for_each(|message| add(message.name));
        for Field { name, access, .. } in &model.fields {
            add(&format!("get_{name}"));
            if *access != Access::Read {
                add(&format!("set_{name}"));
            }
            let more: &[&str] = match access {
                Access::Map => &["add_to_", "remove_from_"],
                Access::Elements => &["add_", "remove_"],
                Access::Read | Access::Set => &[],
            };
            for prefix in more {
                add(&format!("{prefix}{name}"));
            }
        }
    }
    all.sort();
    all.dedup();
    all
}
