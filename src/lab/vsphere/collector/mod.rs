//! The property collector: which objects, which properties, page by page or as they change.
//!
//! ```text
//! spec.rs     what is asked, checked: paths against the data model, traversals by number
//! walk.rs     which objects that is now
//! listing.rs  RetrievePropertiesEx and its pages
//! updates.rs  filters and WaitForUpdatesEx
//! ```

mod listing;
mod spec;
mod updates;
mod walk;

pub(super) use listing::{Listing, list_all, next_page, read_one};
pub(super) use spec::Spec;
pub(super) use updates::Collector;
