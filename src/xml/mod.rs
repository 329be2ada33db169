//! Bounded XML: a pull reader that cannot be made to eat the machine, and a writer that escapes.
//!
//! Knows XML 1.0 and its namespaces and no protocol; the only code that lab and providers share. No document type, no
//! entity but the five predefined ones, no encoding but UTF-8: those three are where XML parsers get hurt, and no
//! hypervisor sends them. [`Limits`] bound everything else. Names, and text without references, are borrowed from the
//! input, so reading costs little more than one pass over it.
//!
//! In: bytes of one message. Out: [`Head`]s one by one, a small [`Element`] tree per object, or an error; never a panic
//! and never a guess. A truncated document is an error as soon as its end is missing. One that comes in pieces is read
//! from a [`Place`] on, as far as it has come.
//!
//! ```text
//! scan.rs        where markup begins and ends      attributes.rs  the inside of a tag, references, line ends
//! reader.rs      Reader: root(), child(), element(): pull what is wanted, skip the rest
//! writer.rs      Writer: open, attribute, text, close
//! ```

mod attributes;
mod reader;
mod scan;
mod writer;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod theirs;

use std::borrow::Cow;

pub use reader::{Place, Reader};
pub use writer::Writer;

/// Namespace of `xsi:type` and `xsi:nil`.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What a message may cost to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole document.
    pub bytes: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Bytes of one element's own text or of one attribute's value.
    pub text: usize,
    /// Elements of one [`Element`] tree; an empty element costs 5 bytes on the wire and a hundred in memory.
    pub elements: usize,
}

impl Limits {
    /// For an answer of a server we asked: room for a page of an inventory.
    pub const ANSWER: Self = Self { bytes: 64 << 20, depth: 64, attributes: 32, text: 8 << 20, elements: 200_000 };
    /// For a request of a stranger.
    pub const REQUEST: Self = Self { bytes: 4 << 20, depth: 48, attributes: 32, text: 2 << 20, elements: 50_000 };
}

/// Why a document was refused, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// It passes one of the [`Limits`].
    #[error("XML at byte {at}: more {what} than the {limit} allowed")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// Where.
        at: usize,
    },
    /// It uses a part of XML that is not taken.
    #[error("XML at byte {at}: {what} is not accepted")]
    Refused {
        /// Which part.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// It is not well-formed.
    #[error("XML at byte {at}: {why}")]
    Malformed {
        /// In what way.
        why: String,
        /// Where.
        at: usize,
    },
    /// It ends in the middle.
    #[error("XML ends in the middle, after {at} bytes")]
    Truncated {
        /// Its length.
        at: usize,
    },
    /// Something to be written holds a character that XML cannot carry.
    #[error("a text to be sent holds U+{0:04X}, which XML cannot carry")]
    Unwritable(u32),
}

/// One attribute. Namespace declarations are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its namespace; empty: none.
    pub namespace: &'a str,
    /// Its name without prefix.
    pub name: &'a str,
    /// Its value.
    pub value: Cow<'a, str>,
}

/// A start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// Its namespace; empty: none.
    pub namespace: &'a str,
    /// Its name without prefix.
    pub name: &'a str,
    /// `xsi:type`, resolved by namespace: the one value in these protocols that holds a prefix.
    pub kind: Option<Kind<'a>>,
    /// Its attributes, `xsi:type` aside.
    pub attributes: Vec<Attribute<'a>>,
    /// 1 for the root.
    pub(crate) depth: usize,
}

/// The value of an `xsi:type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind<'a> {
    /// Namespace of the type; empty: none.
    pub namespace: &'a str,
    /// Name of the type.
    pub name: &'a str,
}

impl<'a> Head<'a> {
    /// The attribute of that name without a namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_in("", name)
    }

    /// The attribute of that name and namespace.
    pub fn attribute_in(&self, namespace: &str, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name && is_same(attribute.namespace, namespace))
            .map(|attribute| attribute.value.as_ref())
    }

    /// The name of its `xsi:type`, whatever the prefix.
    pub fn xsi_type(&self) -> Option<&'a str> {
        self.kind.map(|kind| kind.name)
    }

    /// Is it of that namespace and name?
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace == namespace
    }
}

/// Are they equal? For short texts that are often empty, such as prefixes: comparing two empty ones by `==` costs a call
/// that on some processors takes longer than all the rest of a tag.
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(one, other)| one == other)
}

/// A start tag with everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<'a> {
    /// Its start tag.
    pub head: Head<'a>,
    /// Its own text, joined; white space kept.
    pub text: Cow<'a, str>,
    /// The elements in it.
    pub children: Vec<Element<'a>>,
}

impl<'a> Element<'a> {
    /// Reads a whole document; for small messages.
    pub fn parse(document: &'a [u8], limits: Limits) -> Result<Self, XmlError> {
        let mut reader = Reader::new(document, limits)?;
        let root = reader.root()?;
        let element = reader.element(root)?;
        reader.finish()?;
        Ok(element)
    }

    /// Its name without prefix.
    pub fn name(&self) -> &'a str {
        self.head.name
    }

    /// The first child of that name, in any namespace.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.head.name == name)
    }

    /// The children of that name, in any namespace.
    pub fn children<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Self> {
        self.children.iter().filter(move |child| child.head.name == name)
    }

    /// The first element found by going down these names.
    pub fn path(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// Its own text without white space around it.
    pub fn trimmed(&self) -> &str {
        self.text.trim()
    }

    /// The text of the first child of that name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_ref())
    }

    /// The attribute of that name without a namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.head.attribute(name)
    }

    /// The name of its `xsi:type`, whatever the prefix.
    pub fn xsi_type(&self) -> Option<&'a str> {
        self.head.xsi_type()
    }
}
