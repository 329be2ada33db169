//! Shared by the goldens and the properties: fleets made of plain values, and a hypervisor made of plain values.
//!
//! Written from the design, not from the planner: what is built here judges the planner, so it shares no rule with it.
//!
//! ```text
//! fleet.rs      tiers, desired VMs, and VMs as they look once applied, mark included
//! simulate.rs   World: executes a plan on an inventory as a correct provider would, and remembers as the journal does
//! hardware.rs   the operations one by one, with the refusals of a real host
//! ```

pub mod fleet;
pub mod hardware;
pub mod simulate;
