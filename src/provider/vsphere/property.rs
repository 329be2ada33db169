//! The property collector: which properties of which objects are asked for, and what is told of one object. Pure.

use std::borrow::Cow;

use super::convert::MARK_KEY;
use super::device;
use super::fault::{Failure, Fault};
use super::soap::{Moref, reference};
use crate::model::Words;
use crate::xml::{Element, Head, Reader, Writer, XmlError};

/// Properties wanted of one type, subtypes included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub kind: &'a str,
    pub paths: &'a [&'a str],
}

/// What to read them of.
#[derive(Debug, Clone)]
pub(super) enum From<'a> {
    /// Everything a view shows.
    View(&'a Moref),
    /// The same, and the view's root, which it does not show itself.
    Rooted(&'a Moref, &'a Moref),
    /// These objects. Those that are not there any more are left out of the answer.
    Objects(&'a [Moref]),
}

/// Names and values, in the order of the answer.
pub(super) type Properties<'a> = Vec<(Cow<'a, str>, Element<'a>)>;

/// One object of an answer.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub moref: Moref,
    properties: Properties<'a>,
    /// Each a `MissingProperty`.
    missing: Vec<Element<'a>>,
}

impl<'a> Object<'a> {
    /// From the whole `ObjectContent` or `ObjectUpdate`; for small answers.
    pub(super) fn of(element: &Element<'a>) -> Option<Self> {
        let property = |set: &Element<'a>| Some((set.child("name")?.text.clone(), set.child("val")?.clone()));
        let sets = element.children.iter().filter(|child| matches!(child.name(), "propSet" | "changeSet"));
        Some(Self {
            moref: Moref::of(element.child("obj")?)?,
            properties: sets.filter_map(property).collect(),
            missing: element.children("missingSet").cloned().collect(),
        })
    }

    /// The room of its properties, for another object.
    pub(super) fn into_room(self) -> Properties<'a> {
        self.properties
    }

    /// The value of a property, when the server gave one.
    pub(super) fn get(&self, path: &str) -> Option<&Element<'a>> {
        self.properties.iter().find(|(name, _)| name == path).map(|(_, value)| value)
    }

    /// The text of a property.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.get(path).map(|value| value.text.as_ref())
    }

    /// A property that is a reference.
    pub(super) fn reference(&self, path: &str) -> Option<Moref> {
        self.get(path).and_then(Moref::of)
    }

    /// The same for a reference that many objects of an answer have.
    pub(super) fn shared_reference(&self, path: &str, words: &mut Words) -> Option<Moref> {
        self.get(path).and_then(|value| Moref::shared(value, words))
    }

    /// A property that is an array of references.
    pub(super) fn references(&self, path: &str) -> impl Iterator<Item = Moref> {
        self.get(path).into_iter().flat_map(|value| value.children.iter()).filter_map(Moref::of)
    }

    /// Why properties below `prefix` are missing, if the server said so.
    pub(super) fn missing(&self, prefix: &str) -> Option<Fault> {
        self.missing
            .iter()
            .find(|missing| missing.text_of("path").is_some_and(|path| path.starts_with(prefix)))
            .and_then(|missing| missing.child("fault"))
            .map(Fault::localized)
    }
}

/// Writes a `PropertyFilterSpec`: `propSet`, `objectSet`, `reportMissingObjectsInResults`, in that order.
pub(super) fn filter_spec(writer: &mut Writer, name: &str, wanted: &[Wanted<'_>], from: &From<'_>) {
    writer.open(name);
    for wanted in wanted {
        writer.open("propSet").leaf("type", wanted.kind).leaf("all", "false");
        for path in wanted.paths {
            writer.leaf("pathSet", path);
        }
        writer.close();
    }
    if let From::Rooted(_, root) = from {
        writer.open("objectSet");
        reference(writer, "obj", root);
        writer.leaf("skip", "false").close();
    }
    match from {
        From::View(view) | From::Rooted(view, _) => {
            writer.open("objectSet");
            reference(writer, "obj", view);
            writer.leaf("skip", "true");
            writer.open("selectSet").attribute("xsi:type", "TraversalSpec");
            writer.leaf("name", "view").leaf("type", &view.kind).leaf("path", "view").leaf("skip", "false");
            writer.close().close();
        }
        From::Objects(objects) => {
            for object in *objects {
                writer.open("objectSet");
                reference(writer, "obj", object);
                writer.leaf("skip", "false").close();
            }
            writer.leaf("reportMissingObjectsInResults", "true");
        }
    }
    writer.close();
}

/// How much of `config.hardware.device` is kept: it is most of what remains of an inventory's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Devices {
    /// Everything, as when devices are to be sent back.
    Whole,
    /// What [`device`] looks at.
    Facts,
}

/// An object, of whose extra configuration only our mark is kept. The rest of it is most of an inventory's bytes,
/// somebody else's, and in part secret: it is passed over without being looked at. `room` is taken for the properties:
/// what another object gave back.
pub(super) fn object<'a>(
    reader: &mut Reader<'a>,
    whole: &Head<'a>,
    devices: Devices,
    room: Properties<'a>,
) -> Result<Object<'a>, Failure> {
    let (mut moref, mut missing) = (None, Vec::new());
    let mut properties = room;
    properties.clear();
    while let Some(head) = reader.child(whole)? {
        match head.name {
            "obj" => moref = Moref::of(&reader.element(head)?),
            "missingSet" => missing.push(reader.element(head)?),
            "propSet" => property(reader, &head, devices, &mut properties)?,
            _ => {}
        }
    }
    let moref = moref.ok_or_else(|| Failure::senseless("an object without a reference in an answer"))?;
    Ok(Object { moref, properties, missing })
}

/// Name and value. `DynamicProperty` has `name` before `val`.
fn property<'a>(
    reader: &mut Reader<'a>,
    set: &Head<'a>,
    devices: Devices,
    properties: &mut Properties<'a>,
) -> Result<(), XmlError> {
    let Some(head) = reader.child_named(set, "name")? else { return Ok(()) };
    let name = reader.text_of(head)?;
    let Some(head) = reader.child_named(set, "val")? else { return Ok(()) };
    let value = match &*name {
        "config.extraConfig" => mark_alone(reader, head)?,
        "config.hardware.device" if devices == Devices::Facts => device_facts(reader, head)?,
        _ => reader.element(head)?,
    };
    properties.push((name, value));
    Ok(())
}

/// The devices that anything looks at, and of these what is looked at.
fn device_facts<'a>(reader: &mut Reader<'a>, head: Head<'a>) -> Result<Element<'a>, XmlError> {
    let mut devices = Element { head, text: "".into(), children: Vec::with_capacity(8) };
    while let Some(head) = reader.child(&devices.head)? {
        if !head.xsi_type().is_some_and(device::is_of_no_interest) {
            devices.children.push(reader.element_of(head, device::is_looked_at)?);
        }
    }
    Ok(devices)
}

/// The value of `config.extraConfig` with our key alone. `OptionValue` has `key` before `value`.
fn mark_alone<'a>(reader: &mut Reader<'a>, head: Head<'a>) -> Result<Element<'a>, XmlError> {
    let mut extra = Element { head, text: "".into(), children: Vec::new() };
    while let Some(head) = reader.child(&extra.head)? {
        let Some(first) = reader.child(&head)? else { continue };
        let name = first.clone();
        let key = reader.text_of(first)?;
        if key == MARK_KEY {
            let key = Element { head: name, text: key, children: Vec::new() };
            let mut option = Element { head, text: "".into(), children: vec![key] };
            while let Some(head) = reader.child(&option.head)? {
                option.children.push(reader.element(head)?);
            }
            extra.children.push(option);
        }
    }
    Ok(extra)
}
