//! Plain values: text, whole numbers, true and false, and one of a few words.
//!
//! What a scalar without quotes is, follows YAML 1.2's core schema (10.3.2): a value that it resolves to a number, a
//! truth value or null is never taken for text, since another reader would take it for something else.

use super::{Reader, Slot};
use crate::manifest::codes;
use crate::manifest::report::shown;
use crate::manifest::tree::Value;
use crate::model::{AllowReboot, Firmware, GuestOs, ImageMode, OnRemove, PowerGoal, Prune};

/// What YAML 1.2's core schema makes of a scalar without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Null,
    Boolean,
    Number,
    Text,
}

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn classify(text: &str) -> Plain {
    match text {
        _ if is_null(text) => Plain::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Plain::Boolean,
        _ if is_number(text) => Plain::Number,
        _ => Plain::Text,
    }
}

/// Whole numbers in base 8, 10 and 16, and floats.
fn is_number(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    // Rust reads the same decimal forms, and the words inf and nan besides.
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.len() < 400
        && unsigned.parse::<f64>().is_ok()
}

/// A closed list of words that a field takes.
pub trait Words: Copy + 'static {
    /// Each word and what it means.
    const WORDS: &'static [(&'static str, Self)];
}

macro_rules! words {
    ($($kind:ty: $($word:literal => $value:expr),*;)*) => {$(
        impl Words for $kind {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $value)),*];
        }
    )*};
}

words! {
    GuestOs: "linux" => Self::Linux, "windows" => Self::Windows, "other" => Self::Other;
    Firmware: "bios" => Self::Bios, "uefi" => Self::Uefi;
    PowerGoal: "running" => Self::Running, "stopped" => Self::Stopped;
    OnRemove: "delete" => Self::Delete, "release" => Self::Release;
    AllowReboot: "never" => Self::Never, "window" => Self::Window, "always" => Self::Always;
    Prune: "never" => Self::Never, "confirm" => Self::Confirm, "auto" => Self::Auto;
    ImageMode: "copy" => Self::Copy, "differencing" => Self::Differencing;
}

impl Reader<'_> {
    /// Text, as written; a number or truth value without quotes is refused.
    pub(crate) fn text<'n>(&mut self, slot: Slot<'n>) -> Option<&'n str> {
        let Value::Scalar { text, plain } = &slot.node.value else {
            self.wrong_shape(slot, "text");
            return None;
        };
        let what = match if *plain { classify(text) } else { Plain::Text } {
            Plain::Text => return Some(text),
            Plain::Null => {
                self.wrong_shape(slot, "text");
                return None;
            }
            Plain::Boolean => "a truth value",
            Plain::Number => "a number",
        };
        self.error(
            slot.node.spot,
            codes::NEEDS_QUOTES,
            format!("`{}` must be text, and `{}` without quotes is {what}", shown(slot.name), shown(text)),
        )
        .hint(format!("write `{}: \"{}\"`", shown(slot.name), shown(text)));
        None
    }

    /// A scalar whatever it is, for readers that take a form of their own and say more when it is wrong.
    pub(crate) fn raw<'n>(&mut self, slot: Slot<'n>, needed: &str) -> Option<&'n str> {
        match &slot.node.value {
            Value::Scalar { text, plain } if !(*plain && is_null(text)) => Some(text),
            _ => {
                self.wrong_shape(slot, needed);
                None
            }
        }
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn number(&mut self, slot: Slot<'_>, least: u32, most: u32) -> Option<u32> {
        let text = self.raw(slot, "a number")?;
        let quoted = matches!(slot.node.value, Value::Scalar { plain: false, .. });
        let decimal = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        let value = text.parse::<u32>().ok().filter(|_| decimal);
        match value {
            Some(value) if !quoted && (least..=most).contains(&value) => return Some(value),
            Some(value) if quoted && (least..=most).contains(&value) => {
                self.error(slot.node.spot, codes::NUMBER, format!("`{}` must be a number without quotes", slot.name))
                    .hint(format!("write `{}: {value}`", slot.name));
            }
            _ => {
                self.error(
                    slot.node.spot,
                    codes::NUMBER,
                    format!("`{}` must be a whole number from {least} to {most}, not `{}`", slot.name, shown(text)),
                );
            }
        }
        None
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, slot: Slot<'_>) -> Option<bool> {
        let text = self.raw(slot, "true or false")?;
        let quoted = matches!(slot.node.value, Value::Scalar { plain: false, .. });
        let meant = match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        };
        if !quoted && classify(text) == Plain::Boolean {
            return meant;
        }
        let problem = self.error(
            slot.node.spot,
            codes::BOOLEAN,
            format!("`{}` must be true or false, not `{}`", slot.name, shown(text)),
        );
        if let Some(meant) = meant {
            problem.hint(format!("write `{}: {meant}`", slot.name));
        }
        None
    }

    /// One of a few words.
    pub(crate) fn word<T: Words>(&mut self, slot: Slot<'_>) -> Option<T> {
        let text = self.raw(slot, "one word")?;
        if let Some((_, value)) = T::WORDS.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words = || T::WORDS.iter().map(|(word, _)| *word);
        let meant = self.report.nearest(text, words());
        let list = words().collect::<Vec<_>>().join(", ");
        self.error(
            slot.node.spot,
            codes::CHOICE,
            format!("`{}` must be one of {list}, not `{}`", slot.name, shown(text)),
        )
        .meant(meant);
        None
    }

    /// One line of text that is not blank.
    pub(crate) fn line(&mut self, slot: Slot<'_>) -> Option<String> {
        let text = self.text(slot)?;
        let why = match text {
            _ if text.trim().is_empty() => "must not be empty",
            _ if text.chars().count() > 1024 => "is longer than 1024 characters",
            _ if text.chars().any(char::is_control) => "holds a control character",
            _ => return Some(text.to_owned()),
        };
        self.error(slot.node.spot, codes::TEXT, format!("`{}` {why}", slot.name));
        None
    }
}
