//! The lab, over the wire: its vSphere front by raw SOAP and by vendors' clients, its world, faults, record and clock.

#[path = "lab/support.rs"]
mod support;

#[path = "lab/pyvmomi.rs"]
mod pyvmomi;
