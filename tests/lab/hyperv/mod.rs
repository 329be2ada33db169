//! The Hyper-V front over the wire.

pub mod wsman;

mod life;
mod pypsrp;
