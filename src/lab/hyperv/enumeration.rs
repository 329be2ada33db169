//! Enumerations that are open: what was found when they were begun, and how far they were pulled.

use std::collections::BTreeMap;

use uuid::Uuid;

/// Nobody has more open at a time.
const MOST: usize = 500;
/// `EnumerationTimeoutms` of the service's configuration (recorded).
const LIFE_MS: i64 = 240_000;

/// One enumeration.
#[derive(Debug)]
pub(super) struct Enumeration {
    /// Items as they are written, the next one last.
    pub left: Vec<String>,
    /// Class that was asked for, for rules and the record.
    pub class: String,
    until: i64,
    /// Refuses to go on.
    pub broken: bool,
    /// Most items of a page, by a fault rule.
    pub page: Option<usize>,
}

/// All enumerations of a host.
#[derive(Debug, Default)]
pub(super) struct Enumerations {
    open: BTreeMap<Uuid, Enumeration>,
}

impl Enumerations {
    /// Begins one with these items; `None`: too many are open.
    pub fn begin(&mut self, id: Uuid, class: &str, mut items: Vec<String>, now: i64) -> Option<&mut Enumeration> {
        self.open.retain(|_, each| each.until > now);
        if self.open.len() >= MOST {
            return None;
        }
        items.reverse();
        let begun =
            Enumeration { left: items, class: class.to_owned(), until: now + LIFE_MS, broken: false, page: None };
        Some(self.open.entry(id).or_insert(begun))
    }

    /// One that is open.
    pub fn get(&mut self, id: Uuid, now: i64) -> Option<&mut Enumeration> {
        let found = self.open.get_mut(&id).filter(|each| each.until > now)?;
        found.until = now + LIFE_MS;
        Some(found)
    }

    /// Ends one; true if it was open.
    pub fn end(&mut self, id: Uuid) -> bool {
        self.open.remove(&id).is_some()
    }

    /// Ends all, as a host that was restarted.
    pub fn clear(&mut self) {
        self.open.clear();
    }
}

impl Enumeration {
    /// Takes the next items: at most so many, of at most so many bytes together. `None`: not even one fits.
    pub fn take(&mut self, most: usize, bytes: usize) -> Option<Vec<String>> {
        let most = most.min(self.page.unwrap_or(usize::MAX));
        let mut taken = Vec::new();
        let mut size = 0;
        while taken.len() < most
            && let Some(next) = self.left.last()
        {
            size += next.len();
            if size > bytes {
                break;
            }
            taken.extend(self.left.pop());
        }
        (!taken.is_empty() || self.left.is_empty()).then_some(taken)
    }
}
