//! Instances of classes, references to them, and both in the XML of the CIM binding (DSP0230; [MS-WSMV] 2.2.4).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::schema::{Class, Field, Kind, class, find};
use crate::xml::{Element, Writer, XmlError};

/// `wsa`, as Windows declares it.
pub(super) const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
/// `wsman`.
pub(super) const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
/// Types of the CIM binding: times.
const COMMON: &str = "http://schemas.dmtf.org/wbem/wscim/1/common";

/// A value; what is not set is null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A number, string or truth value as it is written.
    One(String),
    /// An array of such.
    Many(Vec<String>),
    /// A point in time, in microseconds since 1970.
    Time(i64),
    /// A length of time, in milliseconds.
    Interval(i64),
    /// A reference.
    Reference(Reference),
    /// An array of references.
    References(Vec<Reference>),
    /// An instance within.
    Objects(Vec<Instance>),
    /// An instance of a class without declared properties: names and values.
    Loose(&'static str, Vec<(&'static str, String)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::One(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::One(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::One(flag.to_string())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::One(number.to_string())
    }
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    pub class: &'static Class,
    values: BTreeMap<&'static str, Value>,
}

/// Names an instance: its class and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub class: &'static Class,
    pub keys: Vec<(String, String)>,
}

impl Instance {
    /// One of a class the front has.
    pub fn of(name: &str) -> Self {
        Self { class: class(name), values: BTreeMap::new() }
    }

    /// Sets a property of its class.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Self {
        debug_assert!(self.class.property(name).is_some(), "{} has no {name}", self.class.name);
        self.values.insert(name, value.into());
        self
    }

    /// Sets several plain ones.
    pub fn all(&mut self, values: &[(&'static str, &str)]) -> &mut Self {
        for (name, value) in values {
            self.set(name, *value);
        }
        self
    }

    /// A property.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.class.property(name).and_then(|field| self.values.get(field.name))
    }

    /// The text of a plain property.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::One(text)) => Some(text),
            _ => None,
        }
    }

    /// What names it.
    pub fn reference(&self) -> Reference {
        let keys = self.class.keys.iter().map(|key| ((*key).to_owned(), self.text(key).unwrap_or_default().to_owned()));
        Reference { class: self.class, keys: keys.collect() }
    }

    /// Writes it as an element; `only`: these properties, as a fragment.
    pub fn write(&self, writer: &mut Writer, only: Option<&[String]>) {
        match only {
            Some(_) => writer.open("w:XmlFragment").attribute("xmlns:p", &self.class.uri),
            None => writer.open(&format!("p:{}", self.class.name)).attribute("xmlns:p", &self.class.uri),
        };
        writer.attribute("xmlns:xsi", crate::xml::XSI).attribute("xmlns:cim", COMMON);
        if only.is_none() {
            writer.attribute("xsi:type", &format!("p:{}_Type", self.class.name));
        }
        writer.text("");
        for field in &self.class.properties {
            if only.is_none_or(|names| names.iter().any(|name| name.eq_ignore_ascii_case(field.name))) {
                write_value(writer, field, self.values.get(field.name));
            }
        }
        writer.close();
    }

    /// It in the text form that embedded instances have in strings (DSP0201).
    pub fn embedded(&self) -> Result<String, XmlError> {
        let mut writer = Writer::fragment();
        writer.open("INSTANCE").attribute("CLASSNAME", self.class.name);
        for field in &self.class.properties {
            let kind = match field.kind {
                Kind::Plain(kind) => kind,
                Kind::Datetime => "datetime",
                Kind::Reference | Kind::Object => continue,
            };
            match self.values.get(field.name) {
                Some(Value::Many(all)) => {
                    writer.open("PROPERTY.ARRAY").attribute("NAME", field.name).attribute("TYPE", kind);
                    writer.open("VALUE.ARRAY");
                    for value in all {
                        writer.leaf("VALUE", value);
                    }
                    writer.close().close();
                }
                Some(Value::One(value)) => {
                    writer.open("PROPERTY").attribute("NAME", field.name).attribute("TYPE", kind);
                    writer.leaf("VALUE", value).close();
                }
                Some(Value::Time(at)) => {
                    writer.open("PROPERTY").attribute("NAME", field.name).attribute("TYPE", kind);
                    writer.leaf("VALUE", &cim_time(*at)).close();
                }
                _ => {
                    writer.open("PROPERTY").attribute("NAME", field.name).attribute("TYPE", kind).close();
                }
            }
        }
        writer.finish()
    }
}

impl Reference {
    /// A key.
    pub fn key(&self, name: &str) -> Option<&str> {
        self.keys.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Does it name this instance? All keys are given, and keys alone; case does not count.
    pub fn names(&self, instance: &Instance) -> bool {
        self.class.name == instance.class.name
            && self.keys.len() == instance.class.keys.len()
            && self
                .keys
                .iter()
                .all(|(key, value)| instance.text(key).is_some_and(|own| own.eq_ignore_ascii_case(value)))
    }

    /// Writes what an endpoint reference holds.
    pub fn write(&self, writer: &mut Writer) {
        writer.leaf("a:Address", "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous");
        writer.open("a:ReferenceParameters").leaf("w:ResourceURI", &self.class.uri).open("w:SelectorSet");
        for (key, value) in &self.keys {
            writer.open("w:Selector").attribute("Name", key).text(value).close();
        }
        writer.close().close();
    }

    /// Reads what an endpoint reference holds. `Err`: the resource URI of a class that is not here.
    pub fn read(element: &Element<'_>) -> Result<Option<Self>, String> {
        let Some(parameters) = element.child("ReferenceParameters") else { return Ok(None) };
        let uri = parameters.text_of("ResourceURI").unwrap_or_default().trim();
        let class = class_of(uri).ok_or_else(|| uri.to_owned())?;
        let selectors = parameters.child("SelectorSet");
        let keys = selectors.into_iter().flat_map(|set| &set.children).filter_map(selector).collect();
        Ok(Some(Self { class, keys }))
    }
}

/// A selector of a request: its name and value. The namespace's own is none.
pub(super) fn selector(element: &Element<'_>) -> Option<(String, String)> {
    let name = element.attribute("Name").filter(|name| *name != "__cimnamespace")?;
    Some((name.to_owned(), element.text.to_string()))
}

/// The class a resource URI names; case does not count.
pub(super) fn class_of(uri: &str) -> Option<&'static Class> {
    let (namespace, name) = place_of(uri)?;
    find(namespace, name)
}

/// Namespace and last part of a resource URI of WMI.
pub(super) fn place_of(uri: &str) -> Option<(&str, &str)> {
    let wmi = super::schema::WMI;
    let front = uri.get(..wmi.len()).filter(|front| front.eq_ignore_ascii_case(wmi))?;
    uri[front.len()..].rsplit_once('/')
}

/// Writes a property or parameter.
pub(super) fn write_value(writer: &mut Writer, field: &Field, value: Option<&Value>) {
    let tag = format!("p:{}", field.name);
    match value {
        None => {
            writer.open(&tag).attribute("xsi:nil", "true").close();
        }
        Some(Value::One(text)) => {
            writer.leaf(&tag, text);
        }
        Some(Value::Many(all)) if all.is_empty() => write_value(writer, field, None),
        Some(Value::Many(all)) => {
            for text in all {
                writer.leaf(&tag, text);
            }
        }
        Some(Value::Time(at)) => {
            writer.open(&tag).leaf("cim:Datetime", &iso_time(*at)).close();
        }
        Some(Value::Interval(ms)) => {
            writer.open(&tag).leaf("cim:Interval", &iso_interval(*ms)).close();
        }
        Some(Value::Reference(reference)) => {
            writer.open(&tag);
            reference.write(writer);
            writer.close();
        }
        Some(Value::References(all)) => {
            for reference in all {
                writer.open(&tag);
                reference.write(writer);
                writer.close();
            }
        }
        Some(Value::Objects(all)) => {
            for instance in all {
                writer.open(&tag).attribute("xmlns:p", &instance.class.uri);
                writer.attribute("xsi:type", &format!("p:{}_Type", instance.class.name)).text("");
                for field in &instance.class.properties {
                    write_value(writer, field, instance.values.get(field.name));
                }
                writer.close();
            }
        }
        Some(Value::Loose(class, fields)) => {
            writer.open(&tag).attribute("xsi:type", &format!("p:{class}_Type")).text("");
            for (name, value) in fields {
                writer.leaf(&format!("p:{name}"), value);
            }
            writer.close();
        }
    }
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

fn iso_time(micros: i64) -> String {
    instant(micros).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

fn cim_time(micros: i64) -> String {
    instant(micros).strftime("%Y%m%d%H%M%S.%6f+000").to_string()
}

fn iso_interval(ms: i64) -> String {
    let seconds = ms / 1000;
    format!("P{}DT{}H{}M{}.{:03}S", seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60, ms % 1000)
}
