//! The inside of a start tag, and what text and values stand for once references are replaced.

use std::borrow::Cow;

use memchr::memchr;

/// Attributes as written, one by one.
#[derive(Debug, Clone)]
pub(super) struct Attributes<'a> {
    rest: &'a str,
}

/// A name and a value, both as written.
pub(super) type Written<'a> = (&'a str, &'a str);

impl<'a> Attributes<'a> {
    /// What stands between a tag's name and its end.
    pub(super) const fn new(inside: &'a str) -> Self {
        Self { rest: inside }
    }

    /// The next one; the error says what is wrong with it.
    pub(super) fn next(&mut self) -> Result<Option<Written<'a>>, &'static str> {
        let trimmed = self.rest.trim_ascii_start();
        if trimmed.is_empty() {
            return Ok(None);
        }
        if trimmed.len() == self.rest.len() {
            return Err("an attribute without a space before it");
        }
        let name_end = trimmed.bytes().position(ends_name).unwrap_or(trimmed.len());
        let (name, rest) = trimmed.split_at(name_end);
        if name.is_empty() {
            return Err("an attribute without a name");
        }
        let value = rest.trim_ascii_start().strip_prefix('=').ok_or("an attribute without a value")?.trim_ascii_start();
        let quote =
            *value.as_bytes().first().filter(|first| matches!(first, b'"' | b'\'')).ok_or("a value without quotes")?;
        let end = 1 + memchr(quote, &value.as_bytes()[1..]).ok_or("a value without its end")?;
        self.rest = &value[end + 1..];
        Ok(Some((name, &value[1..end])))
    }
}

const fn ends_name(byte: u8) -> bool {
    matches!(byte, b'=' | b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b'<' | b'>' | b'/' | b'&')
}

/// What a reference stands for: one of the five predefined entities, or a character by number that XML allows. Without
/// a document type nothing else has a meaning.
pub(super) fn resolve(reference: &str) -> Result<char, BadReference> {
    Ok(match reference {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let number = reference.strip_prefix('#').ok_or(BadReference::Entity)?;
            let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
            let is_number = digits.chars().all(|digit| digit.is_digit(radix));
            let code = if is_number { u32::from_str_radix(digits, radix).ok() } else { None };
            let character = code.and_then(char::from_u32).filter(|character| super::writer::is_xml(*character));
            character.ok_or(BadReference::Character)?
        }
    })
}

/// Why a reference has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadReference {
    /// It names an entity that only a document type could define.
    Entity,
    /// Not the number of a character that XML allows.
    Character,
}

/// Text with its line ends as XML has them: every `\r\n` and lone `\r` is one `\n` (XML 1.0, 2.11).
pub(super) fn text(written: &str) -> Cow<'_, str> {
    if written.bytes().any(|byte| byte == b'\r') {
        Cow::Owned(written.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(written)
    }
}

/// An attribute's value: references replaced, and each line end and tab a space (XML 1.0, 3.3.3).
pub(super) fn value(written: &str) -> Result<Cow<'_, str>, BadReference> {
    if !written.bytes().any(|byte| matches!(byte, b'&' | b'\r' | b'\n' | b'\t')) {
        return Ok(Cow::Borrowed(written));
    }
    let mut out = String::with_capacity(written.len());
    let lines = text(written);
    let mut rest = &*lines;
    while let Some(at) = rest.find(['&', '\n', '\t']) {
        out.push_str(&rest[..at]);
        let (found, behind) = rest[at..].split_at(1);
        rest = behind;
        if found == "&" {
            let (reference, behind) = rest.split_once(';').ok_or(BadReference::Entity)?;
            out.push(resolve(reference)?);
            rest = behind;
        } else {
            out.push(' ');
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}
