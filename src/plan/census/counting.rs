//! Whose each listed VM is: by the beginning of its mark where that is enough, else by all of it.
//!
//! Each VM is judged by itself, so that any part of a listing may be counted apart from the others.

use std::sync::OnceLock;

use super::past::{LostMark, Stripped};
use super::seen::{self, Newborn, Seen, SeenHead, SeenKind};
use crate::mark::{self, Head, Mark, Standing};
use crate::model::{EndpointName, ObservedVm, VmConfig};
use crate::plan::LastVm;

/// A part of a listing, counted; all in the order of the listing.
#[derive(Debug, Default)]
pub(super) struct Counted<'a> {
    /// VMs with a mark of ours, or a copy of one.
    pub seen: Vec<Seen<'a>>,
    /// The hash of each one's key.
    pub hashes: Vec<u64>,
    /// VMs known by their birth name alone.
    pub newborn: Vec<Newborn<'a>>,
    /// How many carry no mark of ours, copies included.
    pub unmanaged: u32,
    /// VMs of ours that are listed without their mark.
    pub stripped: Vec<Stripped<'a>>,
}

/// One VM as it is listed, and as it was known before.
#[derive(Clone, Copy)]
struct Listed<'a> {
    endpoint: &'a EndpointName,
    vm: &'a ObservedVm,
    known: Option<&'a LastVm>,
}

/// Counts VMs of one endpoint, each with what was known of it before.
pub(super) fn count<'a>(
    installation: &str,
    endpoint: &'a EndpointName,
    listed: &[(&'a ObservedVm, Option<&'a LastVm>)],
) -> Counted<'a> {
    let mut counted = Counted {
        seen: Vec::with_capacity(listed.len()),
        hashes: Vec::with_capacity(listed.len()),
        ..Counted::default()
    };
    for (vm, known) in listed {
        counted.count(installation, Listed { endpoint, vm, known: *known });
    }
    counted
}

impl<'a> Counted<'a> {
    fn count(&mut self, installation: &str, listed: Listed<'a>) {
        let Listed { endpoint, vm, known } = listed;
        let Some(config) = vm.readable() else { return self.strip(listed, LostMark::Unknown) };
        let head = config.mark.as_deref().and_then(Head::read);
        let ours = head.filter(|head| head.installation == installation && head.own_id == vm.id.as_str());
        let (kind, generation, key_hash, mark) = match &ours {
            Some(head) => (SeenKind::Ours, head.generation, seen::hash([head.key, "", ""]), OnceLock::new()),
            None => match self.judge(installation, listed, config) {
                Some((mark, kind)) => (kind, mark.generation, seen::hash_of(&mark.key), OnceLock::from(Some(mark))),
                None => return,
            },
        };
        self.unmanaged += u32::from(kind == SeenKind::Clone);
        let last = known.and_then(|known| known.owned.as_ref()).map(|owned| owned.generation);
        let reverted_from = last.filter(|last| *last > generation && kind != SeenKind::Clone);
        let head = ours.map(|head| SeenHead {
            key: head.key,
            identity: head.identity,
            tier: head.tier,
            protection: head.protection,
            tail: head.tail,
        });
        self.seen.push(Seen { endpoint, vm, config, head, kind, reverted_from, mark });
        self.hashes.push(key_hash);
    }

    /// Whose it is, by all of its mark. Counts what is nobody's, and notices a mark that was lost.
    fn judge(&mut self, installation: &str, listed: Listed<'a>, config: &'a VmConfig) -> Option<(Box<Mark>, SeenKind)> {
        let Listed { endpoint, vm, .. } = listed;
        let lost = match mark::judge(vm, installation) {
            Standing::Ours(mark) => return Some((mark, SeenKind::Ours)),
            Standing::Unfinished { mark: Some(mark), .. } => return Some((mark, SeenKind::Unfinished)),
            Standing::Clone(mark) => return Some((mark, SeenKind::Clone)),
            Standing::Unfinished { identity, mark: None } => {
                self.newborn.push(Newborn { endpoint, vm, config, identity });
                return None;
            }
            // Another's mark on it is no loss: then it is simply not ours.
            Standing::Foreign(_) => None,
            Standing::NoMark => Some(LostMark::Removed),
            Standing::Unreadable(_) => Some(LostMark::Unreadable),
            Standing::Unknown(_) => return None,
        };
        self.unmanaged += 1;
        if let Some(lost) = lost {
            self.strip(listed, lost);
        }
        None
    }

    /// Notes a VM that was ours when last seen, if it was.
    fn strip(&mut self, Listed { endpoint, vm, known }: Listed<'a>, lost: LostMark) {
        if let Some(last) = known.and_then(|known| known.owned.as_ref()) {
            self.stripped.push(Stripped { endpoint, vm, last, lost });
        }
    }
}
