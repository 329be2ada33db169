//! A key that is wanted: what is known of it decides which rule answers.

use super::accounts::Tally;
use super::adopt;
use super::draft::{About, Draft, Size};
use crate::diff::{self, Candidate};
use crate::mark::Mark;
use crate::model::{Digest, Tier, VmSpec};
use crate::plan::census::{KeyStanding, LostMark, Seen, SeenKind};
use crate::plan::safety::{No, machine};
use crate::plan::{Action, BlockCode, halves};

/// What a glance at some of the desired VMs shows.
#[derive(Default)]
struct Glance<'a> {
    /// Which of the census' VMs name one of their keys.
    named: Vec<usize>,
    /// Those that are plainly in sync.
    tally: Tally<'a>,
    in_sync: u32,
    /// All others, in the order of keys.
    others: Vec<&'a VmSpec>,
}

impl<'a> Draft<'a> {
    /// Every desired VM, in the order of keys.
    pub fn decide_desired(&mut self) {
        let desired: Vec<&VmSpec> = self.input.desired.vms.values().map(|spec| &**spec).collect();
        let glances = halves::each(&desired, |specs| self.glance(specs));
        for Glance { named, tally, in_sync, others } in glances {
            for position in named {
                self.wanted[position] = true;
            }
            self.tally.add(&tally);
            self.in_sync += in_sync;
            for spec in others {
                match self.tier(&spec.tier) {
                    Some(tier) => self.decide(spec, tier),
                    None => self.block(
                        About::key(&spec.key, Action::Create),
                        No::flat(BlockCode::TargetMissing, format!("there is no tier {}", spec.tier)),
                        Vec::new(),
                    ),
                }
            }
        }
    }

    /// Takes out what is plainly in sync.
    fn glance(&self, specs: &[&'a VmSpec]) -> Glance<'a> {
        let mut glance = Glance::default();
        for spec in specs.iter().copied() {
            let plain = self.census.plain(&spec.key, &mut glance.named);
            match self.tier(&spec.tier).zip(plain) {
                Some((tier, seen)) if self.is_plainly_in_sync(spec, tier, seen) => {
                    glance.tally.there(&spec.tier, Size::of_spec(spec));
                    glance.in_sync += 1;
                }
                _ => glance.others.push(spec),
            }
        }
        glance
    }

    /// The quick look that nearly every VM of a fleet passes.
    fn is_plainly_in_sync(&self, spec: &VmSpec, tier: &Tier, seen: &Seen<'_>) -> bool {
        let Some(head) = seen.head.as_ref().filter(|_| tier.endpoints.contains(seen.endpoint)) else { return false };
        let data =
            spec.cloud_init.as_ref().map(|_| head.identity.parse().ok().and_then(|id| self.user_data(spec, id, None)));
        let user_data = match &data {
            None => None,
            Some(Some(digest)) => Some(digest),
            // User data that could not be read: the long way knows what that means.
            Some(None) => return false,
        };
        diff::is_plainly_in_sync(&Candidate { spec, tier, vm: seen.vm, config: seen.config, head, user_data })
    }

    fn decide(&mut self, spec: &'a VmSpec, tier: &'a Tier) {
        let census = self.census;
        let standing = census.standing(&spec.key);
        if let Some(old) = self.renames.get(&spec.key).filter(|_| standing.is_nowhere()) {
            return self.rekey(spec, old);
        }
        if spec.adopt.is_some() && adopt::may_adopt(&standing) {
            return self.adopt(spec, tier, &standing);
        }
        match standing {
            KeyStanding::Owned(seen) => self.update(spec, tier, seen),
            KeyStanding::Retired(seen) => self.restore(spec, tier, seen),
            KeyStanding::Unfinished(seen) => {
                self.finish_create(spec, tier, (seen.endpoint, seen.vm), Some(seen.mark()));
            }
            KeyStanding::Newborn(newborn) => self.finish_create(spec, tier, (newborn.endpoint, newborn.vm), None),
            KeyStanding::Gone | KeyStanding::Absent => self.create(spec, tier),
            KeyStanding::Reverted(seen, last) => self.accept_reverted(seen, last),
            KeyStanding::Stripped(stripped) if stripped.lost == LostMark::Removed => {
                self.accept_stripped(spec, tier, (stripped.endpoint, stripped.vm), Some(stripped.last));
            }
            KeyStanding::Damaged(seen) => {
                self.block(About::seen(&spec.key, seen, Action::Update), unreadable_mark(&seen.vm.name), Vec::new());
            }
            KeyStanding::Stripped(stripped) => {
                let (endpoint, own_id) = (Some(stripped.endpoint), Some(&stripped.vm.id));
                let about = About { key: &spec.key, endpoint, own_id, action: Action::Update };
                self.block(about, unreadable_mark(&stripped.vm.name), Vec::new());
            }
            KeyStanding::Unmarked(endpoint, vm) => self.accept_stripped(spec, tier, (endpoint, vm), None),
            KeyStanding::CloneOnly(clones) => self.block_clone(spec, &clones),
            KeyStanding::Twins(twins) => self.block_twins(&spec.key, &twins, Action::Update),
            KeyStanding::Unknown { endpoint, id, last, doubt } => {
                let action = if last.is_some() { Action::Update } else { Action::Create };
                self.block(About { key: &spec.key, endpoint, own_id: id, action }, doubt.into(), Vec::new());
            }
        }
    }

    fn block_clone(&mut self, spec: &VmSpec, clones: &[&Seen<'a>]) {
        let Some(first) = clones.first() else { return };
        let why = format!(
            "only a copy of its mark is there, on {} ({} on {}), which it was not written for; a restored backup is taken \
             over by `adopt`",
            first.vm.name, first.vm.id, first.endpoint
        );
        self.block(About::seen(&spec.key, first, Action::Create), No::flat(BlockCode::Clone, why), Vec::new());
    }

    /// Copies beside their original, or of a VM that nobody wants: left alone, and said so, since whoever made one may
    /// believe that it is looked after.
    pub fn note_clones(&mut self) {
        let census = self.census;
        for seen in census.all().iter().filter(|seen| seen.kind == SeenKind::Clone) {
            let key = &seen.mark().key;
            let blocked =
                self.input.desired.vms.contains_key(key) && matches!(census.standing(key), KeyStanding::CloneOnly(_));
            if !blocked {
                let text = format!(
                    "{} ({} on {}) carries a copy of its mark, which was written for another VM: it is left alone as unmanaged",
                    seen.vm.name, seen.vm.id, seen.endpoint
                );
                self.note(Some(key), text);
            }
        }
    }

    /// Two VMs or more claim one key. No approval says which of them is meant.
    pub fn block_twins(&mut self, key: &crate::model::VmKey, twins: &[&Seen<'a>], action: Action) {
        let list: Vec<String> =
            twins.iter().map(|seen| format!("{} ({} on {})", seen.vm.name, seen.vm.id, seen.endpoint)).collect();
        let why = format!(
            "{} VMs carry its mark: {}; remove the mark from all but one (a replica, or a migration cut short)",
            list.len(),
            list.join(", ")
        );
        self.block(About::key(key, action), No::flat(BlockCode::NeedsHuman, why), Vec::new());
    }

    /// The salted digest of a VM's user data as it is now. Data that could not be read counts as what it was.
    pub fn user_data(&self, spec: &VmSpec, identity: uuid::Uuid, mark: Option<&Mark>) -> Option<Digest> {
        let given = spec.cloud_init.as_ref()?;
        let text = match (self.input.user_data.get(&spec.key), given) {
            (Some(text), _) | (None, crate::model::CloudInit::Inline(text)) => text,
            (None, crate::model::CloudInit::File(_)) => {
                return mark.and_then(|mark| mark.applied.as_ref()).and_then(|applied| applied.user_data.clone());
            }
        };
        Some(diff::salted(identity, text))
    }

    /// May anything be done to this VM as it is? If not, it is blocked with what would have been done.
    pub fn is_touchable(&mut self, about: About<'_>, seen: &Seen<'_>, reasons: &[crate::plan::Reason]) -> bool {
        match machine::may_touch(self.input.policy, seen.endpoint, seen.config) {
            None => true,
            Some(no) => {
                self.block(about, no, reasons.to_vec());
                false
            }
        }
    }
}

/// A mark that nobody can read.
pub(super) fn unreadable_mark(name: &str) -> No {
    let why = format!("the mark on {name} cannot be read any more; put it right, or remove it and adopt the VM");
    No::flat(BlockCode::MarkUnreadable, why)
}
