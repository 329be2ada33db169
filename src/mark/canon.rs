//! Reading a mark in the exact form we write it, without copying anything.
//!
//! Nearly every VM of a large fleet is as applied, and its mark is byte for byte what [`super::write`] made: then a
//! walk over the text says all there is to know, several times faster than building a [`super::Mark`]. Whatever is not
//! in that form (another order, white space, escapes, work pending, a retired VM) is `None` here, and read in full.
//!
//! Invariant: what is told here is what [`super::parse`] would say of the same text. Tests compare the two.

use super::Protection;
use crate::model::{OnRemove, Prune, Shutdown};

/// The beginning of a mark: whose VM it is. Nothing is pending, and it is not retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// Which installation owns it.
    pub installation: &'a str,
    /// Its key.
    pub key: &'a str,
    /// Its identity.
    pub identity: &'a str,
    /// The own id it was written for.
    pub own_id: &'a str,
    /// Its tier.
    pub tier: &'a str,
    /// Its generation.
    pub generation: u64,
    /// What guards it.
    pub protection: Protection,
    /// What follows, from the disks on.
    pub tail: Walk<'a>,
}

/// A position in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk<'a> {
    rest: &'a str,
}

impl<'a> Head<'a> {
    /// Reads the beginning, if it is in our own form.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut walk = Walk { rest: text };
        walk.literal("{\"version\":1,\"installation\":")?;
        let installation = walk.string()?;
        walk.literal(",\"key\":")?;
        let key = walk.string()?;
        walk.literal(",\"identity\":")?;
        let identity = walk.string()?;
        walk.literal(",\"ownId\":")?;
        let own_id = walk.string()?;
        walk.literal(",\"tier\":")?;
        let tier = walk.string()?;
        walk.literal(",\"generation\":")?;
        let generation = walk.number()?;
        // `pending` would stand here.
        walk.literal(",\"protection\":")?;
        let protection = walk.protection()?;
        let tail = walk;
        // `retired` would stand here.
        walk.literal(",\"disks\":")?;
        is_plain(&text[..text.len() - tail.rest.len()]).then_some(())?;
        Some(Self { installation, key, identity, own_id, tier, generation, protection, tail })
    }
}

impl<'a> Walk<'a> {
    /// Is what follows without escapes and control characters? Only then it can be walked.
    pub fn is_plain(&self) -> bool {
        is_plain(self.rest)
    }

    /// Goes over exactly this.
    pub fn literal(&mut self, literal: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    /// Goes over this if it stands here.
    pub fn takes(&mut self, literal: &str) -> bool {
        self.literal(literal).is_some()
    }

    /// A string; the text has no escapes.
    pub fn string(&mut self) -> Option<&'a str> {
        let text = self.rest.strip_prefix('"')?;
        let (string, rest) = text.split_once('"')?;
        self.rest = rest;
        Some(string)
    }

    /// A number without sign, leading zero or fraction.
    pub fn number(&mut self) -> Option<u64> {
        let end = self.rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let digits = &self.rest[..end];
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.rest = &self.rest[end..];
        digits.parse().ok()
    }

    /// `true` or `false`.
    fn boolean(&mut self) -> Option<bool> {
        match () {
            () if self.takes("true") => Some(true),
            () if self.takes("false") => Some(false),
            () => None,
        }
    }

    /// A whole protection.
    fn protection(&mut self) -> Option<Protection> {
        self.literal("{\"preventDestroy\":")?;
        let prevent_destroy = self.boolean()?;
        self.literal(",\"onRemove\":")?;
        let on_remove = match self.string()? {
            "delete" => OnRemove::Delete,
            "release" => OnRemove::Release,
            _ => return None,
        };
        self.literal(",\"prune\":")?;
        let prune = match self.string()? {
            "never" => Prune::Never,
            "confirm" => Prune::Confirm,
            "auto" => Prune::Auto,
            _ => return None,
        };
        self.literal(",\"graceDays\":")?;
        let grace_days = u32::try_from(self.number()?).ok()?;
        self.literal(",\"deleteDisks\":")?;
        let delete_disks = self.boolean()?;
        self.literal(",\"shutdown\":{\"timeoutSeconds\":")?;
        let timeout_seconds = u32::try_from(self.number()?).ok()?;
        self.literal(",\"force\":")?;
        let shutdown = Shutdown { timeout_seconds, force: self.boolean()? };
        self.literal("}}")?;
        Some(Protection { prevent_destroy, on_remove, prune, grace_days, delete_disks, shutdown })
    }

    /// Goes over an object, calling `each` at each value; says how many there were. Names must ascend, as they do in
    /// what we write: a name given twice is not our form.
    pub fn object(&mut self, mut each: impl FnMut(&'a str, &mut Self) -> Option<()>) -> Option<usize> {
        self.literal("{")?;
        let mut count = 0;
        let mut before = "";
        while !self.takes("}") {
            if count > 0 {
                self.literal(",")?;
            }
            let name = self.string()?;
            if count > 0 && name <= before {
                return None;
            }
            self.literal(":")?;
            each(name, self)?;
            before = name;
            count += 1;
        }
        Some(count)
    }

    /// Is the text over?
    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }
}

/// No escape and no control character: then every string in it is a search for its quote.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(0u8, |odd, byte| odd | u8::from(byte == b'\\') | u8::from(byte < b' ')) == 0
}
