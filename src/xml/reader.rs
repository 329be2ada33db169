//! The pull reader: quick-xml's events, bounded, with namespaces resolved.
//!
//! quick-xml itself never allocates by what a document claims; what could grow is what we build from it, and each such
//! place checks a limit first.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::{Attribute, Element, Head, Kind, Limits, XSI, XmlError};

/// Namespace declarations in force at once. Each element is resolved by looking through them.
const MAX_BINDINGS: usize = 64;

/// Reads one document from front to back.
///
/// [`Reader::root`] once, then [`Reader::child`] of the element one stands in; what is not asked for is skipped.
#[derive(Debug)]
pub struct Reader<'a> {
    source: &'a str,
    events: quick_xml::Reader<&'a [u8]>,
    limits: Limits,
    /// Elements open now.
    depth: usize,
    /// The element just started was `<empty/>`: its end is still to be told.
    owes_end: bool,
    /// Declarations in force: the depth they belong to, prefix, namespace.
    bindings: Vec<(usize, &'a str, &'a str)>,
    root_seen: bool,
}

/// One event, as far as anybody asks.
enum Token<'a> {
    Start(Head<'a>),
    Text(Cow<'a, str>),
    End,
    Eof,
}

impl<'a> Reader<'a> {
    /// Takes a document: UTF-8, with or without a byte order mark.
    pub fn new(document: &'a [u8], limits: Limits) -> Result<Self, XmlError> {
        if document.len() > limits.bytes {
            return Err(XmlError::TooMuch { what: "bytes", limit: limits.bytes, at: limits.bytes });
        }
        let source = std::str::from_utf8(document)
            .map_err(|error| XmlError::Refused { what: "text that is not UTF-8", at: error.valid_up_to() })?;
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        Ok(Self {
            source,
            events: quick_xml::Reader::from_reader(source.as_bytes()),
            limits,
            depth: 0,
            owes_end: false,
            bindings: Vec::new(),
            root_seen: false,
        })
    }

    /// The document's outermost element.
    pub fn root(&mut self) -> Result<Head<'a>, XmlError> {
        match self.token()? {
            Token::Start(head) => Ok(head),
            Token::Text(_) | Token::End | Token::Eof => Err(XmlError::Truncated { at: self.source.len() }),
        }
    }

    /// The next element right below `parent`, skipping what is left of the one before; `None` once `parent` has ended.
    pub fn child(&mut self, parent: &Head<'a>) -> Result<Option<Head<'a>>, XmlError> {
        self.skip_to(parent.depth)?;
        while self.depth >= parent.depth {
            match self.token()? {
                Token::Start(head) => return Ok(Some(head)),
                Token::Text(_) | Token::End => {}
                Token::Eof => return Err(XmlError::Truncated { at: self.source.len() }),
            }
        }
        Ok(None)
    }

    /// Leaves elements until no more than `depth` are open. What is passed over is checked for its form, and neither its
    /// attributes nor its text are looked at: most of a large answer is of no interest to whoever asked.
    fn skip_to(&mut self, depth: usize) -> Result<(), XmlError> {
        while self.depth > depth {
            if std::mem::take(&mut self.owes_end) {
                self.end();
                continue;
            }
            match self.events.read_event() {
                Ok(Event::Start(_)) if self.depth >= self.limits.depth => {
                    return Err(self.too_much("levels", self.limits.depth));
                }
                Ok(Event::Start(_)) => self.depth += 1,
                Ok(Event::End(_)) => self.end(),
                Ok(Event::DocType(_)) => return Err(self.refused("a document type")),
                Ok(Event::Eof) => return Err(XmlError::Truncated { at: self.source.len() }),
                Ok(_) => {}
                Err(error) => return Err(self.quick(&error)),
            }
        }
        Ok(())
    }

    /// The next element right below `parent` of that name, skipping others.
    pub fn child_named(&mut self, parent: &Head<'a>, name: &str) -> Result<Option<Head<'a>>, XmlError> {
        while let Some(head) = self.child(parent)? {
            if head.name == name {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Everything in the element whose start was just read.
    pub fn element(&mut self, head: Head<'a>) -> Result<Element<'a>, XmlError> {
        let mut budget = self.limits.elements;
        // An explicit stack: depth is the sender's choice, and ours to bound, not the thread stack's.
        let mut open = vec![Element { head, text: Cow::Borrowed(""), children: Vec::new() }];
        loop {
            match self.token()? {
                Token::Start(head) => {
                    budget = budget.checked_sub(1).ok_or_else(|| self.too_much("elements", self.limits.elements))?;
                    open.push(Element { head, text: Cow::Borrowed(""), children: Vec::new() });
                }
                Token::Text(text) => {
                    let room = self.limits.text;
                    let last = open.last_mut();
                    let Some(last) = last else { continue };
                    if last.text.len().saturating_add(text.len()) > room {
                        return Err(self.too_much("bytes of text", room));
                    }
                    if last.text.is_empty() {
                        last.text = text;
                    } else {
                        last.text.to_mut().push_str(&text);
                    }
                }
                Token::End => {
                    let Some(done) = open.pop() else { return Err(self.malformed("an end without a start")) };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Ok(done),
                    }
                }
                Token::Eof => return Err(XmlError::Truncated { at: self.source.len() }),
            }
        }
    }

    /// Reads to the end of the document: an answer that breaks off is noticed even when the wanted part was whole.
    pub fn finish(&mut self) -> Result<(), XmlError> {
        loop {
            if matches!(self.token()?, Token::Eof) {
                return Ok(());
            }
        }
    }

    /// The next event that matters.
    fn token(&mut self) -> Result<Token<'a>, XmlError> {
        if std::mem::take(&mut self.owes_end) {
            self.end();
            return Ok(Token::End);
        }
        loop {
            let event = match self.events.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.quick(&error)),
            };
            match event {
                Event::Start(start) => return self.start(&start, 1).map(Token::Start),
                Event::Empty(start) => {
                    let head = self.start(&start, 2)?;
                    self.owes_end = true;
                    return Ok(Token::Start(head));
                }
                Event::End(_) => {
                    self.end();
                    return Ok(Token::End);
                }
                Event::Text(text) => {
                    if let Some(text) = self.text(text.xml10_content())? {
                        return Ok(Token::Text(text));
                    }
                }
                Event::CData(text) => {
                    if let Some(text) = self.text(text.xml10_content())? {
                        return Ok(Token::Text(text));
                    }
                }
                Event::GeneralRef(reference) => {
                    let character = self.reference(&reference)?;
                    if let Some(text) = self.text(Cow::Owned(character.to_string()))? {
                        return Ok(Token::Text(text));
                    }
                }
                Event::Decl(declaration) => {
                    if let Some(Ok(encoding)) = declaration.encoding()
                        && !encoding.eq_ignore_ascii_case("utf-8")
                        && !encoding.eq_ignore_ascii_case("us-ascii")
                    {
                        return Err(self.refused("an encoding other than UTF-8"));
                    }
                }
                Event::DocType(_) => return Err(self.refused("a document type")),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof if self.depth == 0 && self.root_seen => return Ok(Token::Eof),
                Event::Eof => return Err(XmlError::Truncated { at: self.source.len() }),
            }
        }
    }

    /// Text inside an element; outside of the root only white space may stand.
    fn text(&self, text: Cow<'a, str>) -> Result<Option<Cow<'a, str>>, XmlError> {
        if self.depth > 0 {
            return Ok(Some(text));
        }
        if text.trim_ascii().is_empty() { Ok(None) } else { Err(self.malformed("text outside of the root element")) }
    }

    fn end(&mut self) {
        while self.bindings.last().is_some_and(|(depth, ..)| *depth >= self.depth) {
            self.bindings.pop();
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// A start tag whose last `closing` bytes are `>` or `/>`.
    fn start(&mut self, start: &BytesStart<'_>, closing: usize) -> Result<Head<'a>, XmlError> {
        if self.depth == 0 && std::mem::replace(&mut self.root_seen, true) {
            return Err(self.malformed("a second root element"));
        }
        if self.depth >= self.limits.depth {
            return Err(self.too_much("levels", self.limits.depth));
        }
        self.depth += 1;
        // The event lends its text only for its own life; the same bytes of the source live longer.
        let name_length = start.name().0.len();
        let end = self.at().saturating_sub(closing);
        let begin = end.saturating_sub(name_length + start.attributes_raw().len());
        let tag = self.source.get(begin..end).unwrap_or_default();
        let (Some(name), Some(rest)) = (tag.get(..name_length), tag.get(name_length..)) else {
            return Err(self.malformed("a tag that cannot be read"));
        };
        let raw =
            if rest.trim_ascii().is_empty() { Vec::new() } else { self.attributes(Attributes::new(tag, name_length))? };
        self.head(name, raw)
    }

    /// Attributes with their names as written; declarations go into `bindings`.
    fn attributes(&mut self, attributes: Attributes<'a>) -> Result<Vec<(&'a str, Cow<'a, str>)>, XmlError> {
        let mut raw = Vec::new();
        for (count, attribute) in attributes.enumerate() {
            if count >= self.limits.attributes {
                return Err(self.too_much("attributes", self.limits.attributes));
            }
            let attribute = attribute.map_err(|error| self.malformed(&error.to_string()))?;
            if attribute.value.len() > self.limits.text {
                return Err(self.too_much("bytes of text", self.limits.text));
            }
            let key: &'a str = attribute.key.0;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| self.quick(&error))?;
            let prefix = if key == "xmlns" { Some("") } else { key.strip_prefix("xmlns:") };
            let Some(prefix) = prefix else {
                raw.push((key, value));
                continue;
            };
            let Cow::Borrowed(namespace) = value else {
                return Err(self.refused("a namespace written with references"));
            };
            if self.bindings.len() >= MAX_BINDINGS {
                return Err(self.too_much("namespaces", MAX_BINDINGS));
            }
            self.bindings.push((self.depth, prefix, namespace));
        }
        Ok(raw)
    }

    fn head(&self, name: &'a str, raw: Vec<(&'a str, Cow<'a, str>)>) -> Result<Head<'a>, XmlError> {
        let (namespace, name) = self.resolve(name, true)?;
        let mut head = Head { namespace, name, kind: None, attributes: Vec::new(), depth: self.depth };
        for (key, value) in raw {
            let (namespace, name) = self.resolve(key, false)?;
            if name == "type" && namespace == XSI {
                let Cow::Borrowed(value) = value else {
                    return Err(self.refused("a type written with references"));
                };
                let (namespace, name) = self.resolve(value.trim_ascii(), true)?;
                head.kind = Some(Kind { namespace, name });
            } else {
                head.attributes.push(Attribute { namespace, name, value });
            }
        }
        Ok(head)
    }

    /// Splits a prefix off and looks it up. Attributes do not take the default namespace.
    fn resolve(&self, name: &'a str, by_default: bool) -> Result<(&'a str, &'a str), XmlError> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if prefix.is_empty() && !by_default {
            return Ok(("", local));
        }
        match self.bindings.iter().rev().find(|(_, known, _)| *known == prefix) {
            Some((_, _, namespace)) => Ok((namespace, local)),
            None if prefix.is_empty() => Ok(("", local)),
            None if prefix == "xml" => Ok(("http://www.w3.org/XML/1998/namespace", local)),
            None => Err(self.malformed("a prefix that was never declared")),
        }
    }

    /// `&amp;` and its four kin, and characters by number that XML allows; nothing else has a meaning without a DTD.
    fn reference(&self, reference: &BytesRef<'_>) -> Result<char, XmlError> {
        let character = match reference.resolve_char_ref() {
            Ok(Some(character)) => character,
            Ok(None) => match reference.xml10_content().as_ref() {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "apos" => '\'',
                "quot" => '"',
                _ => return Err(self.refused("an entity of its own")),
            },
            Err(error) => return Err(self.quick(&error)),
        };
        if super::writer::is_xml(character) { Ok(character) } else { Err(self.malformed("a forbidden character")) }
    }

    /// How far it has read.
    fn at(&self) -> usize {
        usize::try_from(self.events.buffer_position()).unwrap_or(usize::MAX)
    }

    fn too_much(&self, what: &'static str, limit: usize) -> XmlError {
        XmlError::TooMuch { what, limit, at: self.at() }
    }

    fn refused(&self, what: &'static str) -> XmlError {
        XmlError::Refused { what, at: self.at() }
    }

    fn malformed(&self, why: &str) -> XmlError {
        XmlError::Malformed { why: why.to_owned(), at: self.at() }
    }

    fn quick(&self, error: &quick_xml::Error) -> XmlError {
        match error {
            // An unclosed tag, comment or section: the input ended inside of it.
            quick_xml::Error::Syntax(_) => XmlError::Truncated { at: self.source.len() },
            error => self.malformed(&error.to_string()),
        }
    }
}
