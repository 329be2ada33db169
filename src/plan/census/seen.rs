//! A VM that carries a mark of ours: its beginning in place, the whole of it only when asked for.

use std::borrow::Cow;
use std::sync::OnceLock;

use uuid::Uuid;

use crate::mark::{self, Mark, Protection, Walk};
use crate::model::{EndpointName, ObservedVm, TierName, VmConfig, VmKey};

/// A VM that carries a mark of this installation, or a copy of one.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// Where.
    pub endpoint: &'a EndpointName,
    /// The VM.
    pub vm: &'a ObservedVm,
    /// Its configuration, which could be read or there would be no mark.
    pub config: &'a VmConfig,
    /// The beginning of the mark, where that is in our own form and says all that matters of an ordinary VM.
    pub head: Option<SeenHead<'a>>,
    /// What the mark is to this VM.
    pub kind: SeenKind,
    /// The generation last seen on this very VM, when that was a higher one.
    pub reverted_from: Option<u64>,
    /// The whole mark, read when first asked for; `None`: it cannot be read.
    pub(super) mark: OnceLock<Option<Box<Mark>>>,
}

/// What the beginning of a mark says beyond whose VM it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHead<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its identity.
    pub identity: &'a str,
    /// Its tier.
    pub tier: &'a str,
    /// What guards it.
    pub protection: Protection,
    /// What follows, from the disks on.
    pub tail: Walk<'a>,
}

impl Seen<'_> {
    /// The mark as far as it can be read. A text whose beginning is a mark's and whose end is not (cut off by something
    /// on its way) shows here.
    pub fn readable(&self) -> Option<&Mark> {
        let text = self.config.mark.as_deref().unwrap_or_default();
        self.mark.get_or_init(|| mark::parse(text).ok().map(Box::new)).as_deref()
    }

    /// The mark.
    ///
    /// # Panics
    /// Never for what a [`super::KeyStanding`] hands out: a standing names only VMs whose marks it has read.
    pub fn mark(&self) -> &Mark {
        self.readable().expect("a standing hands out only VMs whose marks it has read")
    }

    /// Its key, if the text is one.
    pub fn key(&self) -> Option<VmKey> {
        VmKey::parse(&self.key_text()).ok()
    }

    /// Its key, as text: does not need the whole mark.
    fn key_text(&self) -> Cow<'_, str> {
        match (&self.head, self.readable_if_full()) {
            (Some(head), _) => Cow::Borrowed(head.key),
            (None, Some(mark)) => Cow::Owned(mark.key.to_string()),
            (None, None) => Cow::Borrowed(""),
        }
    }

    fn readable_if_full(&self) -> Option<&Mark> {
        if self.head.is_some() { None } else { self.readable() }
    }

    /// Does its mark name this key?
    pub(super) fn names(&self, key: &VmKey) -> bool {
        match &self.head {
            Some(head) => is_key(head.key, key),
            None => self.readable().is_some_and(|mark| mark.key == *key),
        }
    }

    pub(super) fn tier(&self) -> Option<TierName> {
        match &self.head {
            Some(head) => TierName::new(head.tier).ok(),
            None => self.readable().map(|mark| mark.tier.clone()),
        }
    }

    pub(super) fn identity(&self) -> Option<Uuid> {
        match &self.head {
            Some(head) => head.identity.parse().ok(),
            None => self.readable().map(|mark| mark.identity),
        }
    }
}

/// Is this text this key?
fn is_key(text: &str, key: &VmKey) -> bool {
    let rest = text.strip_prefix(key.project()).and_then(|rest| rest.strip_prefix('/'));
    rest == Some(key.name().as_str())
}

/// What a mark is to the VM that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenKind {
    /// Written for it.
    Ours,
    /// Written while it is being made.
    Unfinished,
    /// Copied to it.
    Clone,
}

/// A VM known by its birth name alone: a create cut short before its mark was written.
#[derive(Debug, Clone, Copy)]
pub struct Newborn<'a> {
    /// Where.
    pub endpoint: &'a EndpointName,
    /// The VM.
    pub vm: &'a ObservedVm,
    /// Its configuration.
    pub config: &'a VmConfig,
    /// Whom it was to become.
    pub identity: Uuid,
}

/// The hash by which a key is found.
pub(super) fn hash_of(key: &VmKey) -> u64 {
    hash([key.project(), "/", key.name().as_str()])
}

/// FNV-1a, its bits mixed at the end: finding 100,000 keys by one number is several times faster than by two strings
/// each. Equal hashes are told apart by the key itself.
pub(super) fn hash(parts: [&str; 3]) -> u64 {
    let hash = parts
        .into_iter()
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
