//! The pull reader: the scanner's pieces, bounded, with namespaces resolved.
//!
//! The scanner never allocates by what a document claims but for a name per open element; what else could grow is what is
//! built here, and each such place checks a limit first.

use std::borrow::Cow;

use memchr::memchr;

use super::attributes::{self, Attributes, BadReference, Written};
use super::scan::{Piece, Scanner};
use super::{Attribute, Element, Head, Kind, Limits, XSI, XmlError, is_same};

/// Namespace declarations in force at once. Each element is resolved by looking through them.
const MAX_BINDINGS: usize = 64;

/// Reads one document from front to back.
///
/// [`Reader::root`] once, then [`Reader::child`] of the element one stands in; what is not asked for is skipped.
#[derive(Debug)]
pub struct Reader<'a> {
    pieces: Scanner<'a>,
    limits: Limits,
    /// Elements open now.
    depth: usize,
    /// The element just started was `<empty/>`: its end is still to be told.
    owes_end: bool,
    /// Declarations in force: the depth they belong to, prefix, namespace.
    bindings: Vec<(usize, &'a str, &'a str)>,
    root_seen: bool,
    /// Is there any `\r` in the text? Where there is none, line ends need no look.
    returns: bool,
    /// Attributes of the tag being read; kept so that not every tag asks for memory.
    written: Vec<Written<'a>>,
}

/// Where in a document a reader stands, without the document: between two children of an element. What comes piece by
/// piece is read so, as far as it has come.
#[derive(Debug, Clone)]
pub struct Place {
    at: usize,
    depth: usize,
    owes_end: bool,
    /// Names of the elements that are open, as written.
    open: Vec<String>,
    /// As those of a reader.
    bindings: Vec<(usize, String, String)>,
}

impl Place {
    /// Bytes of the document before it.
    pub const fn at(&self) -> usize {
        self.at
    }
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
        Self::of_text(source, limits)
    }

    /// The same of a text, whose encoding needs no second look.
    pub fn of_text(source: &'a str, limits: Limits) -> Result<Self, XmlError> {
        if source.len() > limits.bytes {
            return Err(XmlError::TooMuch { what: "bytes", limit: limits.bytes, at: limits.bytes });
        }
        let pieces = Scanner::new(source.strip_prefix('\u{feff}').unwrap_or(source));
        Ok(Self {
            pieces,
            limits,
            depth: 0,
            owes_end: false,
            bindings: Vec::new(),
            root_seen: false,
            returns: memchr(b'\r', source.as_bytes()).is_some(),
            written: Vec::new(),
        })
    }

    /// Bytes of the document that are behind.
    pub const fn at(&self) -> usize {
        self.pieces.at()
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        Place {
            at: self.pieces.at(),
            depth: self.depth,
            owes_end: self.owes_end,
            open: self.pieces.open_names().iter().copied().map(str::to_owned).collect(),
            bindings: self
                .bindings
                .iter()
                .map(|(depth, prefix, namespace)| (*depth, (*prefix).to_owned(), (*namespace).to_owned()))
                .collect(),
        }
    }

    /// A reader that goes on from a place, with what follows there as far as it has come. `behind` bytes of that are behind.
    pub fn resumed(place: &'a Place, behind: usize, rest: &'a str, limits: Limits) -> Result<Self, XmlError> {
        let before = place.at.saturating_add(behind);
        if before.saturating_add(rest.len()) > limits.bytes {
            return Err(XmlError::TooMuch { what: "bytes", limit: limits.bytes, at: limits.bytes });
        }
        let open = place.open.iter().map(String::as_str).collect();
        let bindings = place.bindings.iter().map(|(depth, prefix, namespace)| (*depth, &**prefix, &**namespace));
        Ok(Self {
            pieces: Scanner::resumed(rest, before, open),
            limits,
            depth: place.depth,
            owes_end: place.owes_end,
            bindings: bindings.collect(),
            root_seen: true,
            returns: memchr(b'\r', rest.as_bytes()).is_some(),
            written: Vec::new(),
        })
    }

    /// The document's outermost element.
    pub fn root(&mut self) -> Result<Head<'a>, XmlError> {
        match self.token()? {
            Token::Start(head) => Ok(head),
            Token::Text(_) | Token::End | Token::Eof => Err(self.truncated()),
        }
    }

    /// The next element right below `parent`, skipping what is left of the one before; `None` once `parent` has ended.
    pub fn child(&mut self, parent: &Head<'a>) -> Result<Option<Head<'a>>, XmlError> {
        self.child_at(parent.depth)
    }

    /// The next element right below the one in which a place is.
    pub fn child_of(&mut self, place: &Place) -> Result<Option<Head<'a>>, XmlError> {
        self.child_at(place.depth)
    }

    fn child_at(&mut self, depth: usize) -> Result<Option<Head<'a>>, XmlError> {
        self.skip_to(depth)?;
        while self.depth >= depth {
            match self.token()? {
                Token::Start(head) => return Ok(Some(head)),
                Token::Text(_) | Token::End => {}
                Token::Eof => return Err(self.truncated()),
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
            match self.pieces.next()? {
                Piece::Open { .. } if self.depth >= self.limits.depth => {
                    return Err(self.too_much("levels", self.limits.depth));
                }
                Piece::Open { empty: false, .. } if self.pieces.leaf().is_none() => self.depth += 1,
                Piece::Close => self.end(),
                Piece::DocType => return Err(self.refused("a document type")),
                Piece::End => return Err(self.truncated()),
                Piece::Open { .. }
                | Piece::Text(_)
                | Piece::Reference(_)
                | Piece::Section(_)
                | Piece::Declaration(_)
                | Piece::Aside => {}
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
        self.element_of(head, |_| true)
    }

    /// The same, but for the elements inside that are not wanted, by their names without prefix: these are passed over as
    /// [`Reader::child`] does.
    pub fn element_of(&mut self, head: Head<'a>, wanted: impl Fn(&str) -> bool) -> Result<Element<'a>, XmlError> {
        if let Some(text) = self.leaf()? {
            return Ok(Element { head, text, children: Vec::new() });
        }
        let mut budget = self.limits.elements;
        // An explicit stack: depth is the sender's choice, and ours to bound, not the thread stack's.
        let mut open = vec![Element { head, text: Cow::Borrowed(""), children: Vec::new() }];
        loop {
            match self.token_of(&wanted)? {
                Token::Start(head) => {
                    budget = budget.checked_sub(1).ok_or_else(|| self.too_much("elements", self.limits.elements))?;
                    match (self.leaf()?, open.last_mut()) {
                        (Some(text), Some(parent)) => {
                            parent.children.push(Element { head, text, children: Vec::new() });
                        }
                        _ => open.push(Element { head, text: Cow::Borrowed(""), children: Vec::new() }),
                    }
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
                Token::Eof => return Err(self.truncated()),
            }
        }
    }

    /// The text of the element whose start was just read, without what the elements in it hold.
    pub fn text_of(&mut self, head: Head<'a>) -> Result<Cow<'a, str>, XmlError> {
        match self.leaf()? {
            Some(text) => Ok(text),
            None => Ok(self.element_of(head, |_| false)?.text),
        }
    }

    /// The text of the element whose start was just read, if there is nothing else in it; the element is over then.
    fn leaf(&mut self) -> Result<Option<Cow<'a, str>>, XmlError> {
        if self.owes_end {
            return Ok(None);
        }
        let Some(text) = self.pieces.leaf() else { return Ok(None) };
        if text.len() > self.limits.text {
            return Err(self.too_much("bytes of text", self.limits.text));
        }
        self.end();
        Ok(Some(self.line_ends(text)))
    }

    fn line_ends(&self, text: &'a str) -> Cow<'a, str> {
        if self.returns { attributes::text(text) } else { Cow::Borrowed(text) }
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
        self.token_of(|_| true)
    }

    /// The same; elements whose names are not wanted do not matter.
    fn token_of(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Token<'a>, XmlError> {
        if std::mem::take(&mut self.owes_end) {
            self.end();
            return Ok(Token::End);
        }
        loop {
            match self.pieces.next()? {
                Piece::Open { name, empty, .. } if self.depth > 0 && !wanted(local(name)) => {
                    if self.depth >= self.limits.depth {
                        return Err(self.too_much("levels", self.limits.depth));
                    }
                    if !empty && self.pieces.leaf().is_none() {
                        self.depth += 1;
                        self.skip_to(self.depth - 1)?;
                    }
                }
                Piece::Open { name, attributes, empty } => {
                    let head = self.start(name, attributes)?;
                    self.owes_end = empty;
                    return Ok(Token::Start(head));
                }
                Piece::Close => {
                    self.end();
                    return Ok(Token::End);
                }
                Piece::Text(text) | Piece::Section(text) => {
                    if let Some(text) = self.text(self.line_ends(text))? {
                        return Ok(Token::Text(text));
                    }
                }
                Piece::Reference(reference) => {
                    let character = attributes::resolve(reference).map_err(|bad| self.bad_reference(bad))?;
                    if let Some(text) = self.text(Cow::Owned(character.to_string()))? {
                        return Ok(Token::Text(text));
                    }
                }
                Piece::Declaration(declaration) => self.declaration(declaration)?,
                Piece::DocType => return Err(self.refused("a document type")),
                Piece::Aside => {}
                Piece::End if self.depth == 0 && self.root_seen => return Ok(Token::Eof),
                Piece::End => return Err(self.truncated()),
            }
        }
    }

    /// `<?xml version="1.0" encoding="UTF-8"?>`: of interest is that no other encoding is claimed.
    fn declaration(&self, declaration: &'a str) -> Result<(), XmlError> {
        let mut attributes = Attributes::new(declaration);
        while let Some((name, value)) = attributes.next().map_err(|why| self.malformed(why))? {
            if name == "encoding" && !value.eq_ignore_ascii_case("utf-8") && !value.eq_ignore_ascii_case("us-ascii") {
                return Err(self.refused("an encoding other than UTF-8"));
            }
        }
        Ok(())
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

    fn start(&mut self, name: &'a str, inside: &'a str) -> Result<Head<'a>, XmlError> {
        if self.depth == 0 && std::mem::replace(&mut self.root_seen, true) {
            return Err(self.malformed("a second root element"));
        }
        if self.depth >= self.limits.depth {
            return Err(self.too_much("levels", self.limits.depth));
        }
        self.depth += 1;
        if inside.is_empty() {
            let (namespace, name) = self.resolve(name, true)?;
            return Ok(Head { namespace, name, kind: None, attributes: Vec::new(), depth: self.depth });
        }
        let mut written = std::mem::take(&mut self.written);
        let head = self.attributes(inside, &mut written).and_then(|()| self.head(name, &written));
        written.clear();
        self.written = written;
        head
    }

    /// Reads attributes as written and puts declarations into `bindings`, which names in the same tag may use already.
    fn attributes(&mut self, inside: &'a str, written: &mut Vec<Written<'a>>) -> Result<(), XmlError> {
        let mut attributes = Attributes::new(inside);
        while let Some((name, value)) = attributes.next().map_err(|why| self.malformed(why))? {
            if written.len() >= self.limits.attributes {
                return Err(self.too_much("attributes", self.limits.attributes));
            }
            if value.len() > self.limits.text {
                return Err(self.too_much("bytes of text", self.limits.text));
            }
            if written.iter().any(|(other, _)| *other == name) {
                return Err(self.malformed("an attribute given twice"));
            }
            written.push((name, value));
            let Some(prefix) = declared(name) else { continue };
            let Cow::Borrowed(namespace) = self.value(value)? else {
                return Err(self.refused("a namespace written with references"));
            };
            if self.bindings.len() >= MAX_BINDINGS {
                return Err(self.too_much("namespaces", MAX_BINDINGS));
            }
            self.bindings.push((self.depth, prefix, namespace));
        }
        Ok(())
    }

    fn head(&self, name: &'a str, written: &[Written<'a>]) -> Result<Head<'a>, XmlError> {
        let (namespace, name) = self.resolve(name, true)?;
        let mut head = Head { namespace, name, kind: None, attributes: Vec::new(), depth: self.depth };
        for (name, value) in written.iter().filter(|(name, _)| declared(name).is_none()) {
            let (namespace, name) = self.resolve(name, false)?;
            let value = self.value(value)?;
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

    fn value(&self, written: &'a str) -> Result<Cow<'a, str>, XmlError> {
        attributes::value(written).map_err(|bad| self.bad_reference(bad))
    }

    /// Splits a prefix off and looks it up. Attributes do not take the default namespace.
    fn resolve(&self, name: &'a str, by_default: bool) -> Result<(&'a str, &'a str), XmlError> {
        let (prefix, local) = split(name);
        if prefix.is_empty() && !by_default {
            return Ok(("", local));
        }
        match self.bindings.iter().rev().find(|(_, known, _)| is_same(known, prefix)) {
            Some((_, _, namespace)) => Ok((namespace, local)),
            None if prefix.is_empty() => Ok(("", local)),
            None if prefix == "xml" => Ok(("http://www.w3.org/XML/1998/namespace", local)),
            None => Err(self.malformed("a prefix that was never declared")),
        }
    }

    fn bad_reference(&self, bad: BadReference) -> XmlError {
        match bad {
            BadReference::Entity => self.refused("an entity of its own"),
            BadReference::Character => self.malformed("a forbidden character"),
        }
    }

    fn too_much(&self, what: &'static str, limit: usize) -> XmlError {
        XmlError::TooMuch { what, limit, at: self.pieces.at() }
    }

    fn refused(&self, what: &'static str) -> XmlError {
        XmlError::Refused { what, at: self.pieces.at() }
    }

    fn malformed(&self, why: &str) -> XmlError {
        XmlError::Malformed { why: why.to_owned(), at: self.pieces.at() }
    }

    fn truncated(&self) -> XmlError {
        XmlError::Truncated { at: self.pieces.length() }
    }
}

/// Prefix and name; a name without a prefix has an empty one.
fn split(name: &str) -> (&str, &str) {
    match name.bytes().position(|byte| byte == b':') {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => ("", name),
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    split(name).1
}

/// The prefix that an attribute of this name declares, if it declares one.
fn declared(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("xmlns")?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix(':') }
}
