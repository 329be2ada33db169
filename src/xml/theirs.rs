//! What another XML reader (quick-xml) makes of a text, to compare ours with. Namespaces are left as prefixes.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::Element;

/// An element as a flat text: names as written, attributes, and own text joined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plain {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Plain>,
}

/// Reads a whole document; `None`: it is refused.
pub(super) fn read(text: &str) -> Option<Plain> {
    let mut reader = quick_xml::Reader::from_reader(text.as_bytes());
    let mut open = vec![Plain::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => open.push(begun(&start)?),
            Event::Empty(start) => open.last_mut()?.children.push(begun(&start)?),
            Event::End(_) => {
                let done = open.pop()?;
                open.last_mut()?.children.push(done);
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text.xml10_content()),
            Event::CData(text) => open.last_mut()?.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character,
                    None => match reference.xml10_content().as_ref() {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "apos" => '\'',
                        "quot" => '"',
                        _ => return None,
                    },
                };
                open.last_mut()?.text.push(character);
            }
            Event::DocType(_) => return None,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    let mut whole = open.pop().filter(|_| open.is_empty())?;
    whole.children.pop().filter(|_| whole.children.is_empty())
}

fn begun(start: &BytesStart<'_>) -> Option<Plain> {
    let mut plain = Plain { name: local(start.name().0).to_owned(), ..Plain::default() };
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let name = attribute.key.0;
        if name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        plain.attributes.push((local(name).to_owned(), value.into_owned()));
    }
    Some(plain)
}

fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// Ours in the same form. An `xsi:type` is not among our attributes, so texts to compare hold none.
pub(super) fn plain(element: &Element<'_>) -> Plain {
    Plain {
        name: element.name().to_owned(),
        attributes: element
            .head
            .attributes
            .iter()
            .map(|attribute| (attribute.name.to_owned(), attribute.value.clone().into_owned()))
            .collect(),
        text: element.text.clone().into_owned(),
        children: element.children.iter().map(plain).collect(),
    }
}
