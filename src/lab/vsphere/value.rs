//! Values on the wire: one shape for what was asked and what is answered.

use std::borrow::Cow;
use std::sync::Arc;

use super::schema::{Field, Kind, Schema, schema};
use crate::xml::Writer;

/// A reference to a managed object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ref {
    /// Its wire type.
    pub kind: &'static str,
    /// Its value, such as `vm-42`.
    pub id: Arc<str>,
}

impl Ref {
    pub fn new(kind: &'static str, id: impl Into<Arc<str>>) -> Self {
        Self { kind, id: id.into() }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A text or word.
    Text(Arc<str>),
    /// A fixed text or word.
    Word(&'static str),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// Lab time in milliseconds since 1970.
    Time(i64),
    /// A reference.
    Ref(Ref),
    /// A data object.
    Data(Data),
    /// A list.
    List(Vec<Value>),
}

/// A data object: only fields that are set, in any order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Data {
    pub kind: &'static str,
    pub fields: Vec<(&'static str, Value)>,
}

impl Data {
    pub fn new(kind: &'static str) -> Self {
        Self { kind, fields: Vec::new() }
    }

    /// Sets a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Sets a field, if there is a value for it.
    #[must_use]
    pub fn maybe(mut self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        self.fields.extend(value.map(|value| (name, value.into())));
        self
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_text)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_int)
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    pub fn reference(&self, name: &str) -> Option<&Ref> {
        match self.get(name) {
            Some(Value::Ref(reference)) => Some(reference),
            _ => None,
        }
    }

    pub fn data(&self, name: &str) -> Option<&Data> {
        match self.get(name) {
            Some(Value::Data(data)) => Some(data),
            _ => None,
        }
    }

    pub fn list(&self, name: &str) -> &[Value] {
        match self.get(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// The data objects of a list.
    pub fn datas(&self, name: &str) -> impl Iterator<Item = &Data> {
        self.list(name).iter().filter_map(|value| match value {
            Value::Data(data) => Some(data),
            _ => None,
        })
    }

    /// The references of a list.
    pub fn references(&self, name: &str) -> impl Iterator<Item = &Ref> {
        self.list(name).iter().filter_map(|value| match value {
            Value::Ref(reference) => Some(reference),
            _ => None,
        })
    }

    /// Is it of that type, or below it?
    pub fn is_a(&self, kind: &str) -> bool {
        schema().is_a(self.kind, kind)
    }
}

impl Value {
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn list<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}
impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}
impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
impl From<Ref> for Value {
    fn from(reference: Ref) -> Self {
        Self::Ref(reference)
    }
}
impl From<Data> for Value {
    fn from(data: Data) -> Self {
        Self::Data(data)
    }
}

/// `2023-12-14T06:53:33.763524Z`: what recorded answers look like.
pub(super) fn time_text(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Writes a field: once, or once per item of a list.
pub(super) fn write_field(writer: &mut Writer, field: &Field, value: &Value) {
    match value {
        Value::List(items) if field.many => {
            for item in items {
                write(writer, field.name, field.kind, item);
            }
        }
        value => write(writer, field.name, field.kind, value),
    }
}

/// Writes a value where anything may stand (`val`, `returnval` of a single property): the type is told, and a list
/// comes as `ArrayOf...`, as in recorded traffic.
pub(super) fn write_any(writer: &mut Writer, name: &str, declared: &Field, value: &Value) {
    let Value::List(items) = value else {
        write_typed(writer, name, declared.kind, value);
        return;
    };
    let item_name = match declared.kind {
        Kind::Any => "anyType",
        Kind::Ref(_) => "ManagedObjectReference",
        Kind::Plain(name) | Kind::Enum(name) | Kind::Data(name) => name,
    };
    let mut array = String::with_capacity(32);
    array.push_str("ArrayOf");
    let mut letters = item_name.chars();
    array.extend(letters.next().map(|first| first.to_ascii_uppercase()));
    array.push_str(letters.as_str());
    writer.open(name).attribute("xsi:type", &array).text("");
    for item in items {
        write_typed(writer, item_name, declared.kind, item);
    }
    writer.close();
}

/// Writes a value whose declared type is known to the reader.
fn write(writer: &mut Writer, name: &str, declared: Kind, value: &Value) {
    match (declared, value) {
        (Kind::Any, value) => write_typed(writer, name, declared, value),
        (Kind::Data(kind), Value::Data(data)) if data.kind != kind => write_typed(writer, name, declared, value),
        (_, Value::Ref(reference)) => {
            writer.open(name).attribute("type", reference.kind).text(&reference.id).close();
        }
        (_, value) => {
            writer.open(name);
            write_content(writer, value);
        }
    }
}

/// Writes a value with its `xsi:type`.
fn write_typed(writer: &mut Writer, name: &str, declared: Kind, value: &Value) {
    writer.open(name);
    if let Value::Ref(reference) = value {
        writer.attribute("type", reference.kind);
    }
    let kind: Cow<'static, str> = match (value, declared) {
        (Value::Data(data), _) => data.kind.into(),
        (Value::Ref(_), _) => "ManagedObjectReference".into(),
        (_, Kind::Enum(name)) => name.into(),
        (_, Kind::Plain(name)) => format!("xsd:{name}").into(),
        (Value::Int(_), _) => "xsd:int".into(),
        (Value::Bool(_), _) => "xsd:boolean".into(),
        (Value::Time(_), _) => "xsd:dateTime".into(),
        (Value::Text(_) | Value::Word(_) | Value::List(_), _) => "xsd:string".into(),
    };
    writer.attribute("xsi:type", &kind);
    write_content(writer, value);
}

/// Writes what is between the tags, and the end tag.
fn write_content(writer: &mut Writer, value: &Value) {
    match value {
        Value::Text(text) => writer.text(text),
        Value::Word(word) => writer.text(word),
        Value::Int(number) => writer.text(&number.to_string()),
        Value::Bool(flag) => writer.text(if *flag { "true" } else { "false" }),
        Value::Time(ms) => writer.text(&time_text(*ms)),
        Value::Ref(reference) => writer.text(&reference.id),
        Value::Data(data) => {
            write_fields(writer.text(""), data, schema());
            &mut *writer
        }
        Value::List(_) => writer.text(""),
    };
    writer.close();
}

/// Writes the fields of a data object in wire order, whatever order they were set in.
pub(super) fn write_fields(writer: &mut Writer, data: &Data, schema: &Schema) {
    let Some((_, kind)) = schema.find(data.kind) else { return };
    for field in &kind.fields {
        if let Some(value) = data.get(field.name) {
            write_field(writer, field, value);
        }
    }
}
