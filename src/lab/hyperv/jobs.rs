//! Jobs of one host: the world's tasks under the ids and error codes of WMI.

use std::collections::{BTreeMap, VecDeque};

use uuid::Uuid;

use crate::lab::faults::NamedFault;
use crate::lab::world::{Id, Refusal};

/// How many are remembered; Windows forgets them after five minutes.
const REMEMBERED: usize = 1000;

/// One job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub task: Id,
    /// `Msvm_ConcreteJob`, or `Msvm_StorageJob` for work on virtual disks.
    pub class: &'static str,
    /// The method that started it.
    pub operation: &'static str,
}

/// All jobs of a host.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    all: BTreeMap<Uuid, Job>,
    order: VecDeque<Uuid>,
}

impl Jobs {
    /// Adds one and gives its id.
    pub fn add(&mut self, host: &str, job: Job) -> Uuid {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("job {} of {host}", job.task.0).as_bytes());
        self.all.insert(id, job);
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        id
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Uuid, &Job)> {
        self.all.iter()
    }
}

/// `ErrorCode` and `ErrorDescription` of a failed job; the codes are the methods' return codes.
pub(super) fn error_of(refusal: &Refusal) -> (u32, String) {
    match refusal {
        Refusal::Busy(_) | Refusal::Power { .. } | Refusal::Unsupported | Refusal::HostUnusable(_) => {
            (32775, "The operation cannot be performed while the object is in its current state.".to_owned())
        }
        Refusal::NoFile(path) => (32779, format!("The system cannot find the file specified: '{path}'. (0x80070002)")),
        Refusal::FileExists(path) => (32768, format!("The file exists: '{path}'. (0x80070050)")),
        Refusal::FileLocked(path) => {
            (32774, format!("The process cannot access the file '{path}' because it is being used. (0x80070020)"))
        }
        Refusal::NoRoom(_) => (32768, "There is not enough space on the disk. (0x80070070)".to_owned()),
        Refusal::NoMemory { wanted_mib, free_mib } => (
            32778,
            format!(
                "Not enough memory in the system to start the virtual machine with ram size {wanted_mib} megabytes; \
                 {free_mib} megabytes are free. (0x8007000E)"
            ),
        ),
        Refusal::Invalid { field } => (32773, format!("A parameter is not valid: {field}. (0x80070057)")),
        Refusal::Device { why, .. } => (32773, format!("The device cannot be set up so: {why:?}. (0x80070057)")),
        Refusal::Gone(_) => (32768, "The object is not there any more. (0x80041002)".to_owned()),
        Refusal::Rule { fault, message } => (code_of(fault), message.clone()),
        other => (32768, format!("The operation failed: {other:?}.")),
    }
}

/// What a rule's fault becomes.
pub(super) fn ruled(named: &NamedFault) -> Refusal {
    let message = named.message.clone().unwrap_or_else(|| format!("'{}'", named.fault));
    Refusal::Rule { fault: named.fault.clone(), message }
}

/// Return codes by name (`virtualization-v2-classes.json`, `returns`), or by number.
fn code_of(name: &str) -> u32 {
    match name {
        "AccessDenied" => 32769,
        "NotSupported" => 32770,
        "Timeout" => 32772,
        "InvalidParameter" => 32773,
        "InUse" => 32774,
        "InvalidState" => 32775,
        "OutOfMemory" => 32778,
        "FileNotFound" => 32779,
        other => other.parse::<u16>().map_or(32768, u32::from),
    }
}
