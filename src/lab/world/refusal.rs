//! Why a host says no, in no protocol's words; each front has its own for every one of these.

use super::{Id, Power};

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No such object.
    Gone(Id),
    /// Another object has this name in this place.
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        by: Id,
    },
    /// Its power does not allow it.
    Power {
        /// What it would have to be.
        wanted: Power,
        /// What it is.
        is: Power,
    },
    /// CPUs cannot be added while it runs.
    NoCpuHotAdd,
    /// CPUs cannot be removed while it runs.
    NoCpuHotRemove,
    /// Memory cannot be added while it runs.
    NoMemoryHotAdd,
    /// Memory cannot be taken away while it runs.
    NoMemoryHotRemove,
    /// Hot-added memory must be a multiple of this many MiB, up to a limit.
    MemoryStep {
        /// The step.
        increment: u64,
        /// The limit.
        limit: u64,
    },
    /// A field of the request cannot be what it is.
    Invalid {
        /// Path of the field in the request.
        field: String,
    },
    /// A device of the request is wrong.
    Device {
        /// Position in the list of device changes.
        index: usize,
        /// What is wrong with it.
        why: DeviceFault,
    },
    /// A file is not there.
    NoFile(String),
    /// A file is there already.
    FileExists(String),
    /// A file is in use by another VM or as a parent.
    FileLocked(String),
    /// Not enough room.
    NoRoom(Id),
    /// Not enough memory on the host.
    NoMemory {
        /// What the VM needs.
        wanted_mib: u64,
        /// What is left.
        free_mib: u64,
    },
    /// There is no such snapshot.
    NoSnapshot,
    /// The guest has no tools that run.
    NoTools,
    /// The VM changed since the version the request names.
    ChangedMeanwhile,
    /// Another task works on it.
    Busy(Id),
    /// The place cannot do it (ESXi cannot clone).
    Unsupported,
    /// The host is not reachable or in maintenance.
    HostUnusable(Id),
    /// It is a template, or is not one.
    Template,
    /// It waits for an answer to a question.
    Question,
    /// A fault rule said so, by wire name and words.
    Rule {
        /// Type name.
        fault: String,
        /// What is said.
        message: String,
    },
}

/// What is wrong with a device of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceFault {
    /// No such device on this VM.
    NotFound,
    /// Its controller is not there.
    NoController,
    /// Its place is taken.
    UnitTaken,
    /// Its capacity is smaller than before, or none.
    Capacity,
    /// Its backing cannot be found.
    Backing,
    /// It cannot be changed in this state.
    Unsupported,
    /// Its hardware address is malformed.
    Mac,
}
