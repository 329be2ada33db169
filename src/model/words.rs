//! One copy of each text that is said over and over: of thousands of VMs most have the same few words for slots, storage,
//! networks, images and disk names.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Hands out shared texts, equal ones from one copy. Lives as long as one reading; the texts live on by themselves.
#[derive(Debug, Default)]
pub struct Words(BTreeSet<Arc<str>>);

impl Words {
    /// This text is the one copy from now on, if there is none yet.
    pub fn take_up(&mut self, text: &Arc<str>) {
        if !self.0.contains(text) {
            self.0.insert(Arc::clone(text));
        }
    }

    /// The one copy of this text. Meant for texts that come again: each is kept as long as `self`.
    pub fn one(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let first: Arc<str> = text.into();
        self.0.insert(Arc::clone(&first));
        first
    }
}
