//! Sizes, money and digests.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// Why a size or an amount was refused; the text is fit for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` {why}")]
pub struct UnitError {
    /// The refused text, cut at 80 characters.
    pub value: String,
    /// The rule it breaks.
    pub why: &'static str,
}

/// A number of bytes; written and read as a positive integer with MiB, GiB or TiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub u64);

impl Bytes {
    /// 2^20.
    pub const MIB: u64 = 1 << 20;
    /// 2^30.
    pub const GIB: u64 = 1 << 30;
    /// 2^40.
    pub const TIB: u64 = 1 << 40;

    /// So many GiB.
    pub const fn gib(n: u64) -> Self {
        Self(n * Self::GIB)
    }

    /// So many MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n * Self::MIB)
    }

    /// Whole MiB, rounded down.
    pub const fn as_mib(self) -> u64 {
        self.0 / Self::MIB
    }

    /// Parses `512MiB`, `32GiB` or `2TiB`: a positive integer and a unit, nothing between.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let refuse = |why| UnitError { value: text.chars().take(80).collect(), why };
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let unit = match unit {
            "MiB" => Self::MIB,
            "GiB" => Self::GIB,
            "TiB" => Self::TIB,
            _ => return Err(refuse("must be a whole number with MiB, GiB or TiB, such as 32GiB")),
        };
        let number: u64 =
            number.parse().map_err(|_| refuse("must be a whole number with MiB, GiB or TiB, such as 32GiB"))?;
        match number.checked_mul(unit) {
            Some(0) => Err(refuse("must be more than zero")),
            Some(bytes) if i64::try_from(bytes).is_ok() => Ok(Self(bytes)),
            _ => Err(refuse("is too large")),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            n if n >= Self::TIB && n.is_multiple_of(Self::TIB) => format!("{}TiB", n / Self::TIB),
            n if n >= Self::GIB && n.is_multiple_of(Self::GIB) => format!("{}GiB", n / Self::GIB),
            n if n.is_multiple_of(Self::MIB) => format!("{}MiB", n / Self::MIB),
            n => format!("{n}B"),
        };
        f.pad(&text)
    }
}

impl TryFrom<String> for Bytes {
    type Error = UnitError;
    /// Also reads back `123B`, which only an observed size can be.
    fn try_from(text: String) -> Result<Self, UnitError> {
        match text.strip_suffix('B').and_then(|n| n.parse().ok()) {
            Some(bytes) => Ok(Self(bytes)),
            None => Self::parse(&text),
        }
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> String {
        bytes.to_string()
    }
}

/// An exact amount; rounded half-even to cents only when shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub Decimal);

impl Money {
    /// Parses a plain decimal string such as `0.025`; no sign, no exponent.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let refuse = |why| UnitError { value: text.chars().take(80).collect(), why };
        let plain = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && text.as_bytes()[0].is_ascii_digit()
            && !text.ends_with('.');
        if !plain {
            return Err(refuse("must be a decimal amount in quotes, such as \"0.025\""));
        }
        text.parse().map(Self).map_err(|_| refuse("has too many digits"))
    }

    /// Rounded half-even to cents.
    #[must_use]
    pub fn to_cents(self) -> Self {
        Self(self.0.round_dp_with_strategy(2, RoundingStrategy::MidpointNearestEven))
    }
}

impl fmt::Display for Money {
    /// Always two decimals, half-even.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2}", self.to_cents().0))
    }
}

/// An ISO 4217 code: three capital letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Checks and wraps a code.
    pub fn new(text: &str) -> Result<Self, UnitError> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(UnitError {
                value: text.chars().take(80).collect(),
                why: "must be a currency code of three capital letters, such as USD",
            }),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl TryFrom<String> for Currency {
    type Error = UnitError;
    fn try_from(text: String) -> Result<Self, UnitError> {
        Self::new(&text)
    }
}

impl From<Currency> for String {
    fn from(code: Currency) -> String {
        code.to_string()
    }
}

/// SHA-256 in lower-case hex: of a plan, of steps that wait for approval, of a salted secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        // By hand: all files of a source are named so, each time it is read.
        let mut hex = String::with_capacity(64);
        for byte in sha2::Sha256::digest(bytes) {
            hex.extend([byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]));
        }
        Self(hex)
    }

    /// The digest of a value's canonical JSON (fields in declaration order, maps sorted, no white space).
    ///
    /// # Panics
    /// Never for the types of this crate: they hold string keys only.
    pub fn of_json<T: Serialize>(value: &T) -> Self {
        Self::of(&serde_json::to_vec(value).expect("plain values with string keys always serialize"))
    }

    /// What a person typed after `--approve`; compared by prefix of at least 12 digits.
    pub fn matches(&self, typed: &str) -> bool {
        typed.len() >= 12 && self.0.starts_with(typed)
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 digits: what previews show, and enough for `--approve`.
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(16)]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
