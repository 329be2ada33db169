//! The nouns: plain values that every other part speaks in.
//!
//! Newtypes are checked when made, so a value in hand is a value that holds. Nothing here does I/O, reads a clock or
//! draws a random number; hypervisor words stay out (a port group is a network *target*, an opaque string that only
//! the provider of that tier understands).
//!
//! ```text
//! names.rs      VmKey, VmName, TierName, EndpointName, OwnId
//! units.rs      Bytes, Money, Digest
//! hypervisor.rs the closed list of endpoint types
//! tier.rs       Tier: resolved targets, prices, sync policy, placement
//! desired.rs    Desired, VmSpec: what the manifests ask for, complete
//! observed.rs   ObservedVm: what a hypervisor reports
//! secret.rs     Secret: a string that never shows itself
//! words.rs      Words: one copy of each text that comes again
//! ```

pub mod desired;
pub mod hypervisor;
pub mod names;
pub mod observed;
pub mod secret;
pub mod tier;
pub mod units;
pub mod words;

pub use desired::{
    Adopt, AllowReboot, CloudInit, Desired, DiskSpec, Firmware, GuestOs, NicSpec, OnRemove, Origin, PowerGoal, Prune,
    Revision, Shutdown, VmSpec,
};
pub use hypervisor::HypervisorType;
pub use names::{EndpointName, NameError, OwnId, TierName, VmKey, VmName};
pub use observed::{Config, GuestAgent, Hot, ObservedDisk, ObservedNic, ObservedVm, Placed, PowerState, VmConfig};
pub use secret::Secret;
pub use tier::{ImageMode, ImageTarget, NetworkTarget, Placement, Price, SyncPolicy, Tier};
pub use units::{Bytes, Currency, Digest, Money, UnitError};
pub use words::Words;

#[cfg(test)]
mod tests;
