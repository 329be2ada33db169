//! The lab, over the wire: its vSphere front by raw SOAP and by vendors' clients, its world, faults, record and clock.

#[path = "lab/support.rs"]
mod support;

#[path = "lab/command.rs"]
mod command;
#[path = "lab/faults.rs"]
mod faults;
#[path = "lab/hyperv/mod.rs"]
mod hyperv;
#[path = "lab/model.rs"]
mod model;
#[path = "lab/pyvmomi.rs"]
mod pyvmomi;
#[path = "lab/recorded.rs"]
mod recorded;
#[path = "lab/rules.rs"]
mod rules;
#[path = "lab/start.rs"]
mod start;
#[path = "lab/updates.rs"]
mod updates;
#[path = "lab/wire.rs"]
mod wire;
