//! Requests, judged as strictly as a real server judges them.
//!
//! Elements must come in the order of the data model, base fields first; unknown ones, a second one where one is
//! allowed, a missing required one, a word that is not in an enumeration and a number that is none are refused with
//! `InvalidRequest`, in the words vCenter uses for them. What comes out holds only known types and fields.

use std::sync::Arc;

use super::fault::Fault;
use super::schema::{Field, Kind, schema};
use super::value::{Data, Ref, Value};
use crate::xml::Element;

/// Reads the children of an element as fields in order.
pub(super) fn fields(
    owner: &str,
    known: &[Field],
    elements: &[Element<'_>],
) -> Result<Vec<(&'static str, Value)>, Fault> {
    let mut out: Vec<(&'static str, Value)> = Vec::new();
    let mut at = 0;
    for element in elements {
        let name = element.name();
        let found = known.iter().enumerate().skip(at).find(|(_, field)| field.name == name);
        let Some((position, field)) = found else {
            return Err(Fault::invalid_request(format!(
                "Unexpected element tag \"{}\" seen\n\nwhile parsing serialized DataObject of type {owner}",
                shown(name)
            )));
        };
        let item = value(field, element)?;
        if field.many {
            at = position;
            match out.last_mut() {
                Some((last, Value::List(items))) if *last == field.name => items.push(item),
                _ => out.push((field.name, Value::List(vec![item]))),
            }
        } else {
            at = position + 1;
            out.push((field.name, item));
        }
    }
    for field in known.iter().filter(|field| !field.optional && !field.many) {
        if !out.iter().any(|(name, _)| *name == field.name) {
            return Err(Fault::invalid_request(format!(
                "Required property \"{}\" is missing from data object of type {owner}\n\nwhile parsing serialized \
                 DataObject of type {owner}",
                field.name
            )));
        }
    }
    Ok(out)
}

/// Reads one value.
fn value(field: &Field, element: &Element<'_>) -> Result<Value, Fault> {
    match field.kind {
        Kind::Plain(kind) => plain(kind, element),
        Kind::Any => any(element),
        Kind::Ref(wanted) => reference(wanted, element).map(Value::Ref),
        Kind::Enum(kind) => {
            let word = element.trimmed();
            match schema().words(kind).iter().find(|known| **known == word) {
                Some(known) => Ok(Value::Word(known)),
                None => Err(wrong(element, kind)),
            }
        }
        Kind::Data(declared) => {
            let named = element.xsi_type().unwrap_or(declared);
            let found = schema().find(named).filter(|_| schema().is_a(named, declared));
            let Some((kind, found)) = found else { return Err(wrong(element, declared)) };
            Ok(Value::Data(Data { kind, fields: fields(kind, &found.fields, &element.children)? }))
        }
    }
}

/// A reference: its type attribute must name a managed type that fits.
pub(super) fn reference(wanted: &str, element: &Element<'_>) -> Result<Ref, Fault> {
    let named = element.attribute("type").unwrap_or_default();
    match schema().find(named) {
        Some((kind, found)) if found.managed && schema().is_a(kind, wanted) => {
            Ok(Ref { kind, id: Arc::from(element.trimmed()) })
        }
        _ => Err(wrong(element, wanted)),
    }
}

fn any(element: &Element<'_>) -> Result<Value, Fault> {
    let Some(named) = element.xsi_type() else { return Err(wrong(element, "xsd:anyType")) };
    if let Some((kind, found)) = schema().find(named)
        && !found.managed
    {
        return Ok(Value::Data(Data { kind, fields: fields(kind, &found.fields, &element.children)? }));
    }
    if named == "ManagedObjectReference" {
        return reference("ManagedObject", element).map(Value::Ref);
    }
    plain(named, element)
}

fn plain(kind: &str, element: &Element<'_>) -> Result<Value, Fault> {
    if !element.children.is_empty() {
        return Err(wrong(element, kind));
    }
    let text = element.trimmed();
    let number = |low: i64, high: i64| {
        let number = text.parse::<i64>().ok().filter(|number| (low..=high).contains(number));
        number.map(Value::Int).ok_or_else(|| wrong(element, kind))
    };
    match kind {
        "int" => number(i64::from(i32::MIN), i64::from(i32::MAX)),
        "long" => number(i64::MIN, i64::MAX),
        "short" => number(i64::from(i16::MIN), i64::from(i16::MAX)),
        "byte" => number(i64::from(i8::MIN), i64::from(i8::MAX)),
        "boolean" => match text {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(wrong(element, kind)),
        },
        "dateTime" => {
            let at: jiff::Timestamp = text.parse().map_err(|_| wrong(element, kind))?;
            Ok(Value::Time(at.as_millisecond()))
        }
        // White space is part of a text.
        _ => Ok(Value::Text(element.text.as_ref().into())),
    }
}

fn wrong(element: &Element<'_>, wanted: &str) -> Fault {
    Fault::invalid_request(format!(
        "\nwhile parsing property \"{}\" of static type {wanted}: the value is not one of that type",
        shown(element.name())
    ))
}

/// A stranger's text in a message, cut.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
