//! The lab, over the wire: its fronts by raw calls and by vendors' clients, its world, faults, record and clock.

#[path = "lab/support.rs"]
mod support;

#[path = "lab/xapi.rs"]
mod xapi;

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
#[path = "lab/xapi_faults.rs"]
mod xapi_faults;
#[path = "lab/xapi_model.rs"]
mod xapi_model;
#[path = "lab/xapi_pool.rs"]
mod xapi_pool;
#[path = "lab/xapi_recorded.rs"]
mod xapi_recorded;
#[path = "lab/xapi_rules.rs"]
mod xapi_rules;
#[path = "lab/xenapi.rs"]
mod xenapi;
