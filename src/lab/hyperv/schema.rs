//! The classes the front has: properties, keys, methods and their parameters.
//!
//! Read once from `schema.txt`, which a test compares with the class data. Requests are judged by it and instances are
//! written by it, so that no name leaves or enters the front that Windows does not have.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Where WMI classes are on the wire; the namespace and the class follow.
pub(super) const WMI: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/";

/// What a property or parameter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, a string or a truth value, by its CIM name.
    Plain(&'static str),
    /// A time or an interval.
    Datetime,
    /// A reference to an instance.
    Reference,
    /// An instance inside another.
    Object,
}

/// A property or parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub many: bool,
}

/// A class.
#[derive(Debug)]
pub(super) struct Class {
    pub namespace: &'static str,
    pub name: &'static str,
    /// Its nearest base; those further up are known for no class.
    pub base: &'static str,
    pub keys: Vec<&'static str>,
    /// In the order of the alphabet, as Windows writes them.
    pub properties: Vec<Field>,
    /// Its resource URI.
    pub uri: String,
}

/// A method.
#[derive(Debug)]
pub(super) struct Method {
    pub name: &'static str,
    pub input: Vec<Field>,
    pub output: Vec<Field>,
}

/// All classes.
#[derive(Debug)]
pub(super) struct Schema {
    classes: HashMap<String, Class>,
    methods: HashMap<(&'static str, String), Method>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::read(include_str!("schema.txt")));

/// A class that the front itself names. Names are those of `schema.txt`; a test asks for every one of them.
pub(super) fn class(name: &str) -> &'static Class {
    match SCHEMA.find_any(name) {
        Some(class) => class,
        None => unreachable!("{name} is not in schema.txt"),
    }
}

/// A class that a stranger names, by namespace and name; case does not count.
pub(super) fn find(namespace: &str, name: &str) -> Option<&'static Class> {
    SCHEMA.find_any(name).filter(|class| class.namespace.eq_ignore_ascii_case(namespace))
}

/// The classes of a namespace that have this name or this base.
pub(super) fn family(namespace: &str, name: &str) -> Vec<&'static Class> {
    let mut found: Vec<_> = SCHEMA
        .classes
        .values()
        .filter(|class| class.namespace.eq_ignore_ascii_case(namespace))
        .filter(|class| class.name.eq_ignore_ascii_case(name) || is_above(name, class))
        .collect();
    found.sort_by_key(|class| class.name);
    found
}

/// Bases of bases that queries name.
fn is_above(name: &str, class: &Class) -> bool {
    let further: &[&str] = match class.base {
        "CIM_EthernetPortAllocationSettingData" | "CIM_StorageAllocationSettingData" => {
            &["CIM_ResourceAllocationSettingData", "CIM_SettingData"]
        }
        "CIM_ResourceAllocationSettingData"
        | "CIM_VirtualSystemSettingData"
        | "Msvm_EthernetSwitchPortFeatureSettingData" => &["CIM_SettingData"],
        "CIM_ConcreteJob" => &["CIM_Job"],
        _ => &[],
    };
    class.base.eq_ignore_ascii_case(name) || further.iter().any(|base| base.eq_ignore_ascii_case(name))
}

/// Is a namespace one of those that are here?
pub(super) fn has_namespace(namespace: &str) -> bool {
    SCHEMA.classes.values().any(|class| class.namespace.eq_ignore_ascii_case(namespace))
}

impl PartialEq for Class {
    fn eq(&self, other: &Self) -> bool {
        (self.namespace, self.name) == (other.namespace, other.name)
    }
}

impl Eq for Class {}

impl Class {
    /// A property by name; case does not count.
    pub fn property(&self, name: &str) -> Option<&Field> {
        self.properties.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// A method by name.
    pub fn method(&self, name: &str) -> Option<&'static Method> {
        SCHEMA.methods.get(&(self.name, name.to_owned()))
    }
}

impl Schema {
    fn read(text: &'static str) -> Self {
        let (mut classes, mut methods) = (HashMap::new(), HashMap::new());
        for line in text.lines() {
            if let Some(class) = line.strip_prefix("C ").and_then(class_line) {
                classes.insert(class.name.to_ascii_lowercase(), class);
            } else if let Some((of, method)) = line.strip_prefix("M ").and_then(method_line) {
                methods.insert((of, method.name.to_owned()), method);
            }
        }
        Self { classes, methods }
    }

    fn find_any(&self, name: &str) -> Option<&Class> {
        self.classes.get(&name.to_ascii_lowercase())
    }
}

fn class_line(line: &'static str) -> Option<Class> {
    let (head, listed) = line.split_once(" = ")?;
    let (place, family) = head.split_once(" : ")?;
    let (namespace, name) = place.split_once(' ')?;
    let (base, keys) = family.split_once(' ')?;
    let keys = keys.split(',').filter(|key| *key != "-").collect();
    let properties = listed.split("; ").filter_map(|text| text.split_once(' ')).map(field).collect();
    Some(Class { namespace, name, base, keys, properties, uri: format!("{WMI}{namespace}/{name}") })
}

fn method_line(line: &'static str) -> Option<(&'static str, Method)> {
    let (head, listed) = line.split_once(" =")?;
    let (of, name) = head.split_once('.')?;
    let side = |way: &str| {
        let parameters = listed.trim().split("; ").filter_map(|text| text.split_once(' '));
        parameters.filter(|(found, _)| *found == way).filter_map(|(_, text)| text.split_once(' ')).map(field).collect()
    };
    Some((of, Method { name, input: side("in"), output: side("out") }))
}

fn field((name, kind): (&'static str, &'static str)) -> Field {
    let (kind, many) = kind.strip_suffix("[]").map_or((kind, false), |kind| (kind, true));
    let kind = match kind {
        "&" => Kind::Reference,
        "*" => Kind::Object,
        "datetime" => Kind::Datetime,
        plain => Kind::Plain(plain),
    };
    Field { name, kind, many }
}
