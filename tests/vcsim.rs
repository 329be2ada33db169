//! The vSphere provider against vcsim, VMware's own simulator: nobody here wrote it, that is its worth.
//!
//! What vcsim gets wrong (hot-add rules, element order, faults of a real task) proves nothing here and is tested
//! against the lab. Without the simulator the tests say what they skip, and fail only with `TIERWRIGHT_PEERS=required`.

#[path = "vcsim/adoption.rs"]
mod adoption;
#[path = "vcsim/end_to_end.rs"]
mod end_to_end;
#[path = "vcsim/foreign.rs"]
mod foreign;
#[path = "vcsim/orders.rs"]
mod orders;
#[path = "vcsim/peer.rs"]
mod peer;
#[path = "vcsim/python.rs"]
mod python;
#[path = "vcsim/reading.rs"]
mod reading;
#[path = "conformance/recorder.rs"]
mod recorder;
#[path = "vcsim/site.rs"]
mod site;
