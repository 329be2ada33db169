//! The property collector: many properties of many objects in few calls.
//!
//! `RetrievePropertiesEx` with a page size, then `ContinueRetrievePropertiesEx` until no token comes. The token stands
//! before the objects of a page, so the next page is asked for while this one is parsed. A page that is lost makes the
//! whole reading fail: a shorter list is never taken for a whole one.

use super::convert::MARK_KEY;
use super::fault::{Failure, Fault};
use super::session::{Door, Session};
use super::soap::{Answer, Moref, Request, reference};
use crate::xml::{Element, Head, Reader, Writer, XmlError};

/// Objects asked for per page. A server may give fewer.
const PAGE: &str = "500";

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

/// One object of an answer.
#[derive(Debug)]
pub(super) struct Object<'e, 'a> {
    pub moref: Moref,
    element: &'e Element<'a>,
}

impl<'e, 'a> Object<'e, 'a> {
    pub(super) fn of(element: &'e Element<'a>) -> Option<Self> {
        let moref = Moref::of(element.child("obj")?)?;
        Some(Self { moref, element })
    }

    /// The value of a property, when the server gave one.
    pub(super) fn get(&self, path: &str) -> Option<&'e Element<'a>> {
        self.element
            .children
            .iter()
            .filter(|child| child.name() == "propSet" || child.name() == "changeSet")
            .find(|set| set.text_of("name") == Some(path))
            .and_then(|set| set.child("val"))
    }

    /// The text of a property.
    pub(super) fn text(&self, path: &str) -> Option<&'e str> {
        self.get(path).map(|value| value.text.as_ref())
    }

    /// A property that is a reference.
    pub(super) fn reference(&self, path: &str) -> Option<Moref> {
        self.get(path).and_then(Moref::of)
    }

    /// A property that is an array of references.
    pub(super) fn references(&self, path: &str) -> impl Iterator<Item = Moref> + use<'e, 'a> {
        self.get(path).into_iter().flat_map(|value| value.children.iter()).filter_map(Moref::of)
    }

    /// Why properties below `prefix` are missing, if the server said so.
    pub(super) fn missing(&self, prefix: &str) -> Option<Fault> {
        self.element
            .children("missingSet")
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

/// Reads everything and gives each object to `each`; the results come in the order of the answer.
pub(super) async fn read<T: Send + 'static>(
    door: &Door,
    session: &Session,
    wanted: &[Wanted<'_>],
    from: &From<'_>,
    each: fn(&Object<'_, '_>) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    if matches!(from, From::Objects([])) {
        return Ok(Vec::new());
    }
    let collector = &session.content.property_collector;
    let request = Request::new("RetrievePropertiesEx", collector, |writer| {
        filter_spec(writer, "specSet", wanted, from);
        writer.open("options").leaf("maxObjects", PAGE).close();
    })?;
    let mut answer = door.call_in(session, &request).await?;
    let mut found = Vec::new();
    loop {
        let token = token(&answer)?;
        let page = answer.clone();
        let parsing = tokio::task::spawn_blocking(move || parse(&page, each));
        let next = match &token {
            Some(token) => {
                let request = Request::new("ContinueRetrievePropertiesEx", collector, |writer| {
                    writer.leaf("token", token);
                })?;
                Some(door.call_in(session, &request).await)
            }
            None => None,
        };
        let page = parsing.await.map_err(|_| Failure::senseless("an answer that stopped its reader"))?;
        found.extend(page?);
        match next {
            Some(next) => answer = next?,
            None => return Ok(found),
        }
    }
}

/// The token of the next page. `RetrieveResult` has it before `objects`.
fn token(answer: &Answer) -> Result<Option<String>, Failure> {
    let (mut reader, response) = answer.reader()?;
    let Some(returned) = reader.child_named(&response, "returnval")? else { return Ok(None) };
    match reader.child(&returned)? {
        Some(head) if head.name == "token" => Ok(Some(reader.element(head)?.text.into_owned())),
        _ => Ok(None),
    }
}

/// An object, of whose extra configuration only our mark is kept. The rest of it is most of an inventory's bytes,
/// somebody else's, and in part secret: it is passed over without being looked at.
fn object_of_interest<'a>(reader: &mut Reader<'a>, head: Head<'a>) -> Result<Element<'a>, XmlError> {
    let mut object = Element { head, text: "".into(), children: Vec::new() };
    while let Some(head) = reader.child(&object.head)? {
        if head.name != "propSet" {
            object.children.push(reader.element(head)?);
            continue;
        }
        let mut property = Element { head, text: "".into(), children: Vec::with_capacity(2) };
        let mut is_extra = false;
        while let Some(head) = reader.child(&property.head)? {
            let child = if is_extra { mark_alone(reader, head)? } else { reader.element(head)? };
            is_extra = child.name() == "name" && child.text == "config.extraConfig";
            property.children.push(child);
        }
        object.children.push(property);
    }
    Ok(object)
}

/// The value of `config.extraConfig` with our key alone. `OptionValue` has `key` before `value`.
fn mark_alone<'a>(reader: &mut Reader<'a>, head: Head<'a>) -> Result<Element<'a>, XmlError> {
    let mut extra = Element { head, text: "".into(), children: Vec::new() };
    while let Some(head) = reader.child(&extra.head)? {
        let Some(first) = reader.child(&head)? else { continue };
        let key = reader.element(first)?;
        if key.text == MARK_KEY {
            let mut option = Element { head, text: "".into(), children: vec![key] };
            while let Some(head) = reader.child(&option.head)? {
                option.children.push(reader.element(head)?);
            }
            extra.children.push(option);
        }
    }
    Ok(extra)
}

/// One page, object by object: no tree of the whole.
fn parse<T>(answer: &Answer, each: fn(&Object<'_, '_>) -> Option<T>) -> Result<Vec<T>, Failure> {
    let mut found = Vec::new();
    let (mut reader, response) = answer.reader()?;
    if let Some(returned) = reader.child_named(&response, "returnval")? {
        while let Some(head) = reader.child_named(&returned, "objects")? {
            let element = object_of_interest(&mut reader, head)?;
            let object =
                Object::of(&element).ok_or_else(|| Failure::senseless("an object without a reference in an answer"))?;
            found.extend(each(&object));
        }
    }
    reader.finish()?;
    Ok(found)
}
