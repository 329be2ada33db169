//! The writer: elements are opened and closed, everything between is escaped.
//!
//! Names are ours and trusted; values are anybody's. A value that XML cannot carry at all makes [`Writer::finish`]
//! fail, so that the many calls in between need no check.

use super::XmlError;

/// May the character stand in an XML 1.0 document (its section 2.2)?
pub(super) const fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Writes one document.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
    open: Vec<String>,
    /// The last start tag still lacks its `>`.
    in_tag: bool,
    bad: Option<u32>,
}

impl Writer {
    /// Starts a document with its declaration.
    pub fn document() -> Self {
        Self { out: r#"<?xml version="1.0" encoding="UTF-8"?>"#.to_owned(), ..Self::default() }
    }

    /// Starts a piece of a document.
    pub fn fragment() -> Self {
        Self::default()
    }

    /// Starts an element; `name` with its prefix.
    pub fn open(&mut self, name: &str) -> &mut Self {
        self.end_tag();
        self.out.push('<');
        self.out.push_str(name);
        self.open.push(name.to_owned());
        self.in_tag = true;
        self
    }

    /// Adds an attribute to the element just opened.
    pub fn attribute(&mut self, name: &str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "an attribute belongs right after open()");
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        self.escape(value, true);
        self.out.push('"');
        self
    }

    /// Adds text to the element that is open.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.end_tag();
        self.escape(text, false);
        self
    }

    /// Ends the element that was opened last.
    pub fn close(&mut self) -> &mut Self {
        let name = self.open.pop();
        if std::mem::take(&mut self.in_tag) {
            self.out.push_str("/>");
        } else if let Some(name) = name {
            self.out.push_str("</");
            self.out.push_str(&name);
            self.out.push('>');
        }
        self
    }

    /// A whole element that holds only text.
    pub fn leaf(&mut self, name: &str, text: &str) -> &mut Self {
        self.open(name).text(text).close()
    }

    /// Adds a piece that another writer made.
    pub fn raw(&mut self, fragment: &str) -> &mut Self {
        self.end_tag();
        self.out.push_str(fragment);
        self
    }

    /// Ends what is open and gives the text.
    pub fn finish(mut self) -> Result<String, XmlError> {
        while !self.open.is_empty() {
            self.close();
        }
        match self.bad {
            Some(character) => Err(XmlError::Unwritable(character)),
            None => Ok(self.out),
        }
    }

    fn end_tag(&mut self) {
        if std::mem::take(&mut self.in_tag) {
            self.out.push('>');
        }
    }

    fn escape(&mut self, text: &str, in_attribute: bool) {
        for character in text.chars() {
            match character {
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '&' => self.out.push_str("&amp;"),
                '"' if in_attribute => self.out.push_str("&quot;"),
                // A reader turns these into spaces or line feeds unless they come by number (XML 1.0, 2.11 and 3.3.3).
                '\r' => self.out.push_str("&#13;"),
                '\n' if in_attribute => self.out.push_str("&#10;"),
                '\t' if in_attribute => self.out.push_str("&#9;"),
                character if is_xml(character) => self.out.push(character),
                character => {
                    self.bad.get_or_insert(u32::from(character));
                }
            }
        }
    }
}
