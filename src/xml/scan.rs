//! Where markup begins and ends: a document cut into pieces, in one pass and without copying.
//!
//! Checks what concerns the form alone: every tag, reference, comment and section has its end, and elements end in the
//! order they began. What pieces mean (names, namespaces, attributes, limits) is the reader's business. Lenient where
//! XML 1.0 forbids what can do no harm: `--` in a comment, `]]>` in a text, odd characters in a name.
//!
//! Why not by quick-xml, a well-kept library that the tests compare this with: behind the same interface (0.42, borrowed
//! events, its check of end names on or off) the answers of a full inventory of 10,000 VMs, 65 MiB, took 206 ms of
//! processor time to read, and take 115 this way. The difference is two fifths of all that such an inventory costs on our
//! side. Most of an answer is passed over, and there what an event costs each time counts most: its encoding is checked
//! once more, and names of open elements are copied.
//!
//! Invariant: every cut is at an ASCII character, so no cut can part a character in two.

use memchr::{memchr, memchr2, memchr3};

use super::XmlError;

/// One piece of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A start tag.
    Open {
        /// Its name as written.
        name: &'a str,
        /// What stands between the name and the tag's end.
        attributes: &'a str,
        /// It is `<empty/>`: no end tag follows.
        empty: bool,
    },
    /// An end tag, of the element that was begun last.
    Close,
    /// Text as written, up to the next tag or reference.
    Text(&'a str),
    /// What stands between `&` and `;`.
    Reference(&'a str),
    /// What a `CDATA` section holds.
    Section(&'a str),
    /// What follows `<?xml` in a declaration.
    Declaration(&'a str),
    /// The beginning of a document type; nothing behind it is looked at.
    DocType,
    /// A comment, or an instruction to somebody.
    Aside,
    /// The end of the document.
    End,
}

/// Cuts one document from front to back.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    source: &'a str,
    /// Bytes of the source that are behind.
    at: usize,
    /// Bytes of the document before the source.
    before: usize,
    /// Names of the elements that are open, as written.
    open: Vec<&'a str>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, at: 0, before: 0, open: Vec::new() }
    }

    /// Of a document whose first `before` bytes were cut already and left elements of these names open.
    pub(super) fn resumed(source: &'a str, before: usize, open: Vec<&'a str>) -> Self {
        Self { source, at: 0, before, open }
    }

    /// Names of the elements that are open, as written.
    pub(super) fn open_names(&self) -> &[&'a str] {
        &self.open
    }

    /// How far it is.
    pub(super) const fn at(&self) -> usize {
        self.before + self.at
    }

    /// Length of the document, as far as it is known.
    pub(super) const fn length(&self) -> usize {
        self.before + self.source.len()
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Piece<'a>, XmlError> {
        let rest = self.rest();
        match rest {
            [] => Ok(Piece::End),
            [b'<', b'/', ..] => self.close(),
            [b'<', b'!', ..] => self.exclamation(),
            [b'<', b'?', ..] => self.question(),
            [b'<', ..] => self.open(),
            [b'&', ..] => self.reference(),
            _ => {
                let length = memchr2(b'<', b'&', rest).unwrap_or(rest.len());
                Ok(Piece::Text(self.take(0, length, length)))
            }
        }
    }

    /// What the element just begun holds, where that is plain text or nothing and its end follows at once: then it is over.
    /// Most elements of most answers are of this kind.
    pub(super) fn leaf(&mut self) -> Option<&'a str> {
        let name = self.open.last()?;
        let rest = self.rest();
        let length = memchr2(b'<', b'&', rest)?;
        let behind = rest[length..].strip_prefix(b"</")?.strip_prefix(name.as_bytes())?;
        if behind.first() != Some(&b'>') {
            return None;
        }
        let whole = length + name.len() + "</>".len();
        self.open.pop();
        Some(self.take(0, length, whole))
    }

    fn rest(&self) -> &'a [u8] {
        &self.source.as_bytes()[self.at..]
    }

    /// Moves on by `length` bytes and gives those from `from` to `to` of them.
    fn take(&mut self, from: usize, to: usize, length: usize) -> &'a str {
        let piece = &self.source[self.at + from..self.at + to];
        self.at += length;
        piece
    }

    fn open(&mut self) -> Result<Piece<'a>, XmlError> {
        let rest = self.rest();
        let name_end = 1 + rest[1..].iter().position(|byte| ends_name(*byte)).ok_or_else(|| self.truncated())?;
        if name_end == 1 {
            return Err(self.malformed("a tag without a name"));
        }
        let end = self.end_of_tag(name_end)?;
        let empty = end > name_end && rest[end - 1] == b'/';
        let name = &self.source[self.at + 1..self.at + name_end];
        let attributes = self.take(name_end, end - usize::from(empty), end + 1);
        if !empty {
            self.open.push(name);
        }
        Ok(Piece::Open { name, attributes, empty })
    }

    /// Where the `>` of a tag stands, as seen from here. One in a quoted value is none.
    fn end_of_tag(&self, from: usize) -> Result<usize, XmlError> {
        let rest = self.rest();
        let mut at = from;
        loop {
            at += memchr3(b'>', b'"', b'\'', &rest[at..]).ok_or_else(|| self.truncated())?;
            match rest[at] {
                b'>' => return Ok(at),
                quote => at += 2 + memchr(quote, &rest[at + 1..]).ok_or_else(|| self.truncated())?,
            }
        }
    }

    fn close(&mut self) -> Result<Piece<'a>, XmlError> {
        let rest = &self.rest()[2..];
        let Some(name) = self.open.last() else { return Err(self.malformed("an end without a start")) };
        let length = if let Some([b'>', ..]) = rest.strip_prefix(name.as_bytes()) {
            name.len()
        } else {
            let length = memchr(b'>', rest).ok_or_else(|| self.truncated())?;
            if rest[..length].trim_ascii_end() != name.as_bytes() {
                return Err(self.malformed(&format!("an end of something else where `{name}` is open")));
            }
            length
        };
        self.open.pop();
        self.at += length + 3;
        Ok(Piece::Close)
    }

    fn reference(&mut self) -> Result<Piece<'a>, XmlError> {
        let rest = self.rest();
        let end = 1 + memchr3(b';', b'&', b'<', &rest[1..]).ok_or_else(|| self.truncated())?;
        if rest[end] != b';' {
            return Err(self.malformed("a `&` that begins no reference"));
        }
        Ok(Piece::Reference(self.take(1, end, end + 1)))
    }

    /// What begins with `<!`.
    fn exclamation(&mut self) -> Result<Piece<'a>, XmlError> {
        let rest = self.rest();
        if rest.starts_with(b"<!--") {
            let end = self.find("<!--".len(), "-->")?;
            self.take(0, 0, end + "-->".len());
            return Ok(Piece::Aside);
        }
        if rest.starts_with(b"<![CDATA[") {
            let end = self.find("<![CDATA[".len(), "]]>")?;
            return Ok(Piece::Section(self.take("<![CDATA[".len(), end, end + "]]>".len())));
        }
        let begins =
            |word: &str| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
        if begins("<!DOCTYPE") {
            return Ok(Piece::DocType);
        }
        let cut = ["<!--", "<![CDATA[", "<!DOCTYPE"].iter().any(|word| word.as_bytes().starts_with(rest));
        Err(if cut { self.truncated() } else { self.malformed("a `<!` that begins nothing") })
    }

    /// What begins with `<?`.
    fn question(&mut self) -> Result<Piece<'a>, XmlError> {
        let end = self.find("<?".len(), "?>")?;
        let content = self.take("<?".len(), end, end + "?>".len());
        Ok(match content.strip_prefix("xml") {
            Some(rest) if rest.starts_with(|first: char| first.is_ascii_whitespace()) => Piece::Declaration(rest),
            _ => Piece::Aside,
        })
    }

    /// Where `end` begins, as seen from here.
    fn find(&self, from: usize, end: &str) -> Result<usize, XmlError> {
        let rest = &self.source[self.at + from..];
        rest.find(end).map(|found| from + found).ok_or_else(|| self.truncated())
    }

    const fn truncated(&self) -> XmlError {
        XmlError::Truncated { at: self.length() }
    }

    fn malformed(&self, why: &str) -> XmlError {
        XmlError::Malformed { why: why.to_owned(), at: self.at() }
    }
}

/// Characters at which a name ends; some of them may not stand there, which shows when attributes are read.
const fn ends_name(byte: u8) -> bool {
    matches!(byte, b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | b'=' | b'"' | b'\'' | b'<' | b'&')
}
