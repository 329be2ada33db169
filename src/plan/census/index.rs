//! Finding VMs by the hash of their key: two looks, whatever the size of the fleet.

use std::cmp::Ordering;

/// Positions of VMs by hash, in as many drawers as there are VMs, or half as many.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Hash and position, drawer by drawer.
    entries: Vec<(u64, u32)>,
    /// Where each drawer begins, and the end of the last.
    firsts: Vec<u32>,
    /// A hash's drawer is what remains of it when shifted so far.
    shift: u32,
}

impl Index {
    /// Of hashes and positions; those of one hash are put in this order.
    pub(super) fn of(hashes: &[(u64, u32)], order: impl Fn(u32, u32) -> Ordering) -> Self {
        let shift = u64::BITS - hashes.len().max(2).ilog2();
        let drawer = |hash: u64| usize::try_from(hash >> shift).unwrap_or_default();
        let mut firsts = vec![0; drawer(u64::MAX) + 2];
        for (hash, _) in hashes {
            firsts[drawer(*hash) + 1] += 1;
        }
        let mut sum = 0;
        for first in &mut firsts {
            sum += *first;
            *first = sum;
        }
        let mut next = firsts.clone();
        let mut entries = vec![(0, 0); hashes.len()];
        for entry in hashes {
            let place = &mut next[drawer(entry.0)];
            entries[*place as usize] = *entry;
            *place += 1;
        }
        for ends in firsts.windows(2) {
            entries[ends[0] as usize..ends[1] as usize]
                .sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| order(a.1, b.1)));
        }
        Self { entries, firsts, shift }
    }

    /// Positions of that hash.
    pub(super) fn of_hash(&self, hash: u64) -> impl Iterator<Item = usize> + use<'_> {
        let drawer = usize::try_from(hash >> self.shift).unwrap_or_default();
        let ends = self.firsts.get(drawer).zip(self.firsts.get(drawer + 1));
        let entries = ends.and_then(|(first, end)| self.entries.get(*first as usize..*end as usize));
        let entries = entries.unwrap_or_default().iter();
        entries.filter(move |(known, _)| *known == hash).map(|(_, position)| *position as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::Index;

    #[test]
    fn each_position_is_found_by_its_hash_and_no_other() {
        for count in [0_u32, 1, 2, 3, 100, 1000] {
            let hash = |position: u32| u64::from(position / 2).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let hashes: Vec<(u64, u32)> = (0..count).map(|position| (hash(position), position)).collect();
            let index = Index::of(&hashes, |a, b| b.cmp(&a));
            for position in 0..count {
                let found: Vec<usize> = index.of_hash(hash(position)).collect();
                let twin = position ^ 1;
                let wanted: Vec<usize> = [position.max(twin), position.min(twin)]
                    .into_iter()
                    .filter(|one| *one < count)
                    .map(|one| one as usize)
                    .collect();
                assert_eq!(found, wanted, "{position} of {count}");
            }
            assert_eq!(index.of_hash(1).count(), 0);
        }
        assert_eq!(Index::default().of_hash(7).count(), 0);
    }
}
