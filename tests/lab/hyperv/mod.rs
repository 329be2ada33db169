//! The Hyper-V front over the wire.

pub mod wsman;

mod classes;
mod cluster;
mod life;
mod pypsrp;
mod recorded;
mod rules;
