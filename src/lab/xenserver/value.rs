//! Values of the Xen API, and their two forms on the wire: JSON and XML-RPC.
//!
//! In: what a client sends, bounded by the readers' own limits. Out: text. As recorded: a JSON integer is a number, in
//! XML-RPC it is a string (64 bits do not fit its `int`); a time is a string in JSON; void is the empty string.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::xml::Element;

/// The null reference.
pub(super) const NULL: &str = "OpaqueRef:NULL";

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(Cow<'static, str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// Milliseconds since 1970.
    Time(i64),
    List(Vec<Value>),
    Map(Vec<(Cow<'static, str>, Value)>),
    /// Written already, in the form of the reply it goes into: a listing of thousands is never held as values.
    Written(String),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl FromIterator<String> for Value {
    fn from_iter<I: IntoIterator<Item = String>>(texts: I) -> Self {
        Self::List(texts.into_iter().map(Self::from).collect())
    }
}

impl Value {
    /// What a call without a result answers.
    pub fn void() -> Self {
        Self::from("")
    }

    /// A map of texts.
    pub fn texts<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<Cow<'static, str>>,
        V: Into<Cow<'static, str>>,
    {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), Self::Text(value.into()))).collect())
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer; clients send it as a number or as a string.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "a timeout in seconds")]
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    pub fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn map(&self) -> Option<&[(Cow<'static, str>, Self)]> {
        match self {
            Self::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// A map of texts as pairs.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.map().unwrap_or_default().iter().filter_map(|(key, value)| Some((&**key, value.text()?)))
    }

    /// From JSON; null is the empty text, as XAPI takes it.
    pub fn from_json(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::void(),
            serde_json::Value::Bool(flag) => Self::Bool(flag),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64().unwrap_or_default()),
            },
            serde_json::Value::String(text) => text.into(),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Self::from_json).collect()),
            serde_json::Value::Object(pairs) => {
                Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), Self::from_json(value))).collect())
            }
        }
    }

    /// From a `value` element of XML-RPC; `None` where it is none.
    pub fn from_xml(value: &Element<'_>) -> Option<Self> {
        let Some(typed) = value.children.first() else { return Some(value.text.clone().into_owned().into()) };
        let text = typed.text.trim();
        Some(match typed.name() {
            "string" => typed.text.clone().into_owned().into(),
            "int" | "i4" | "i8" => Self::Int(text.parse().ok()?),
            "double" => Self::Float(text.parse().ok()?),
            "boolean" => Self::Bool(text == "1"),
            "dateTime.iso8601" => text.to_owned().into(),
            "nil" => Self::void(),
            "array" => {
                let items = typed.child("data")?.children("value").map(Self::from_xml).collect::<Option<_>>()?;
                Self::List(items)
            }
            "struct" => {
                let member = |member: &Element<'_>| {
                    let name = member.child("name")?.text.clone().into_owned();
                    Some((Cow::Owned(name), Self::from_xml(member.child("value")?)?))
                };
                Self::Map(typed.children("member").map(member).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    /// Writes it as JSON.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Self::Text(text) => write_json_text(out, text),
            Self::Int(number) => drop(write!(out, "{number}")),
            Self::Float(number) => drop(write!(out, "{number:?}")),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Time(ms) => write_json_text(out, &time(*ms)),
            Self::Written(text) => out.push_str(text),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Map(pairs) => {
                out.push('{');
                for (at, (key, value)) in pairs.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    write_json_text(out, key);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }

    /// Writes it as a `value` element of XML-RPC.
    pub fn write_xml(&self, out: &mut String) {
        if let Self::Written(text) = self {
            out.push_str(text);
            return;
        }
        out.push_str("<value>");
        match self {
            Self::Written(_) => {}
            Self::Text(text) => write_xml_text(out, text),
            Self::Int(number) => drop(write!(out, "{number}")),
            Self::Float(number) => drop(write!(out, "<double>{number}</double>")),
            Self::Bool(flag) => drop(write!(out, "<boolean>{}</boolean>", u8::from(*flag))),
            Self::Time(ms) => drop(write!(out, "<dateTime.iso8601>{}</dateTime.iso8601>", time(*ms))),
            Self::List(items) => {
                out.push_str("<array><data>");
                for item in items {
                    item.write_xml(out);
                }
                out.push_str("</data></array>");
            }
            Self::Map(pairs) => {
                out.push_str("<struct>");
                for (key, value) in pairs {
                    out.push_str("<member><name>");
                    write_xml_text(out, key);
                    out.push_str("</name>");
                    value.write_xml(out);
                    out.push_str("</member>");
                }
                out.push_str("</struct>");
            }
        }
        out.push_str("</value>");
    }
}

/// `20261122T09:51:35Z`, as recorded.
pub(super) fn time(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    at.strftime("%Y%m%dT%H:%M:%SZ").to_string()
}

/// A JSON string. By hand: most of a listing's bytes are plain and go in as they are.
fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let special = from.chars().next().unwrap_or(' ');
        match special {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            other => drop(write!(out, "\\u{:04x}", u32::from(other))),
        }
        rest = &from[special.len_utf8()..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Text of XML; what XML cannot hold is left out.
pub(super) fn write_xml_text(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' | '\t' => out.push(c),
            '\r' => out.push_str("&#13;"),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => {}
            c => out.push(c),
        }
    }
}
