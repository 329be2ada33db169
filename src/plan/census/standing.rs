//! What is known of one key: the first question of every rule.

use super::past::{Proof, Stripped, Unlisted, given_up};
use super::{Census, LostMark, Newborn, Seen, SeenKind};
use crate::model::{Config, EndpointName, ObservedVm, OwnId, VmKey};
use crate::plan::BlockCode;
use crate::plan::safety::unknown::Doubt;

/// What is known of one key.
#[derive(Debug)]
pub enum KeyStanding<'a, 'c> {
    /// One VM, ours, alive.
    Owned(&'c Seen<'a>),
    /// One VM, ours, retired.
    Retired(&'c Seen<'a>),
    /// A create that was cut short, with its mark.
    Unfinished(&'c Seen<'a>),
    /// A create that was cut short before its mark was written.
    Newborn(Newborn<'a>),
    /// Only copies of its mark are there, on VMs it was not written for.
    CloneOnly(Vec<&'c Seen<'a>>),
    /// Two VMs or more claim to be it.
    Twins(Vec<&'c Seen<'a>>),
    /// Its VM carries a mark that begins as ours and cannot be read to its end.
    Damaged(&'c Seen<'a>),
    /// Its mark is older than the one last seen: a snapshot was put back.
    Reverted(&'c Seen<'a>, u64),
    /// The VM it was when last seen is there, without a readable mark.
    Stripped(Stripped<'a>),
    /// A VM with its identity as own id is there without a mark, and nothing else is known.
    Unmarked(&'a EndpointName, &'a ObservedVm),
    /// It cannot be told whether it is there.
    Unknown {
        /// Where it was last seen, if it was.
        endpoint: Option<&'a EndpointName>,
        /// Its own id there.
        id: Option<&'a OwnId>,
        /// What the mark said when last seen.
        last: Option<&'a crate::plan::LastOwned>,
        /// Why.
        doubt: Doubt,
    },
    /// It was there, and is proven gone.
    Gone,
    /// Nothing of it was ever seen.
    Absent,
}

/// What is known of `key`.
pub(super) fn of<'a, 'c>(census: &'c Census<'a>, key: &VmKey) -> KeyStanding<'a, 'c> {
    let named: Vec<&Seen<'a>> = census.named(key).collect();
    if let Some(damaged) = named.iter().find(|seen| seen.readable().is_none()) {
        return KeyStanding::Damaged(damaged);
    }
    // The usual case first: exactly one VM, and nothing odd about its past.
    let missing = census.past.unlisted.get(key).map(Vec::as_slice).unwrap_or_default();
    let missing: Vec<&Unlisted<'a>> = missing.iter().filter(|past| !given_up(census.policy, past.endpoint)).collect();
    let lost = missing.iter().find_map(|past| match &past.proof {
        Proof::Unknown(doubt) => Some(unknown(past, doubt)),
        Proof::Gone => None,
    });
    let mut own = named.iter().copied().filter(|seen| seen.kind != SeenKind::Clone);
    match (own.next(), own.next()) {
        (Some(_), Some(_)) => {
            return KeyStanding::Twins(named.iter().copied().filter(|seen| seen.kind != SeenKind::Clone).collect());
        }
        // It is here, and what it was elsewhere cannot be told: perhaps a replica. Nobody moves until that is clear.
        (Some(_), None) if lost.is_some() => return lost.expect("just seen"),
        (Some(seen), None) => return single(seen),
        (None, _) => {}
    }
    if let Some(newborn) = newborn(census, key) {
        return KeyStanding::Newborn(newborn);
    }
    if let Some(lost) = lost {
        return lost;
    }
    if let Some(stripped) = census.past.stripped.get(key).and_then(|all| all.first()) {
        return stripped_standing(stripped);
    }
    if !named.is_empty() {
        return KeyStanding::CloneOnly(named);
    }
    if let Some((endpoint, vm)) = unmarked(census, key) {
        return match &vm.config {
            Config::Readable(_) => KeyStanding::Unmarked(endpoint, vm),
            Config::Unreadable(why) => unreadable(endpoint, vm, None, why),
        };
    }
    if missing.is_empty() { KeyStanding::Absent } else { KeyStanding::Gone }
}

fn single<'a, 'c>(seen: &'c Seen<'a>) -> KeyStanding<'a, 'c> {
    match (seen.reverted_from, seen.kind) {
        (Some(last), _) => KeyStanding::Reverted(seen, last),
        (None, SeenKind::Unfinished) => KeyStanding::Unfinished(seen),
        (None, _) if seen.mark().retired.is_some() => KeyStanding::Retired(seen),
        (None, _) => KeyStanding::Owned(seen),
    }
}

fn unknown<'a, 'c>(past: &Unlisted<'a>, doubt: &Doubt) -> KeyStanding<'a, 'c> {
    KeyStanding::Unknown {
        endpoint: Some(past.endpoint),
        id: Some(past.id),
        last: Some(past.last),
        doubt: doubt.clone(),
    }
}

fn stripped_standing<'a, 'c>(stripped: &Stripped<'a>) -> KeyStanding<'a, 'c> {
    match (&stripped.vm.config, stripped.lost) {
        (Config::Unreadable(why), _) => unreadable(stripped.endpoint, stripped.vm, Some(stripped.last), why),
        (Config::Readable(_), LostMark::Removed | LostMark::Unreadable | LostMark::Unknown) => {
            KeyStanding::Stripped(*stripped)
        }
    }
}

fn unreadable<'a, 'c>(
    endpoint: &'a EndpointName,
    vm: &'a ObservedVm,
    last: Option<&'a crate::plan::LastOwned>,
    why: &str,
) -> KeyStanding<'a, 'c> {
    KeyStanding::Unknown {
        endpoint: Some(endpoint),
        id: Some(&vm.id),
        last,
        doubt: Doubt {
            code: BlockCode::VmUnknown,
            why: format!("the configuration of its VM {} on {endpoint} could not be read: {why}", vm.id),
            digest: None,
        },
    }
}

/// A VM that bears the birth name of this key's identity.
fn newborn<'a>(census: &Census<'a>, key: &VmKey) -> Option<Newborn<'a>> {
    if census.newborn.is_empty() {
        return None;
    }
    let identity = census.free_identity(key);
    census.newborn.iter().find(|newborn| newborn.identity == identity).copied()
}

/// A VM whose own id is the identity this key would get: ours, with the mark removed, even if the history was lost.
fn unmarked<'a>(census: &Census<'a>, key: &VmKey) -> Option<(&'a EndpointName, &'a ObservedVm)> {
    let identity = census.free_identity(key).to_string();
    census.by_id().get(identity.as_str())?.first().copied()
}

impl KeyStanding<'_, '_> {
    /// Does it say for certain that nothing of this key is anywhere?
    pub fn is_nowhere(&self) -> bool {
        matches!(self, Self::Gone | Self::Absent)
    }
}
