//! tierwright: GitOps for virtual machines on several hypervisors at once.
//!
//! ```text
//! git / folder -> Revision -> Manifest -> Desired ---+
//!                                                    +-> diff -> plan -> gate -> apply -> events -> status
//! hypervisors  -> collect  -> Inventory -------------+     (pure: no I/O)       (I/O)
//! ```

pub mod diagnostic;
pub mod diff;
pub mod events;
pub mod gate;
pub mod inventory;
pub mod mark;
pub mod model;
pub mod plan;
pub mod provider;
pub mod settings;
pub mod tls;
pub mod xml;
