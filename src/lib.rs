//! tierwright: GitOps for virtual machines on several hypervisors at once.
//!
//! ```text
//! git / folder -> Revision -> Manifest -> Desired ---+
//!                                                    +-> diff -> plan -> gate -> apply -> events -> status
//! hypervisors  -> collect  -> Inventory -------------+     (pure: no I/O)       (I/O)
//! ```

pub mod apply;
pub mod cli;
pub mod clock;
pub mod collect;
pub mod diagnostic;
pub mod diff;
pub mod endpoints;
pub mod events;
pub mod explain;
pub mod gate;
pub mod ids;
pub mod import;
pub mod inventory;
pub mod journal;
pub mod lab;
pub mod manifest;
pub mod mark;
pub mod model;
pub mod outcome;
pub mod pause;
pub mod plan;
pub mod provider;
pub mod reconciler;
pub mod session;
pub mod settings;
pub mod shutdown;
pub mod source;
pub mod status;
pub mod systemd;
pub mod tls;
pub mod userdata;
pub mod xml;
