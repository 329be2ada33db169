//! Faults: typed, with the words a real server says them with.
//!
//! Types and their fields are those of the data model; the words are vCenter's own, as its message catalogue has them.

use super::morefs::reference;
use super::value::{Data, Ref, Value};
use crate::lab::world::refusal::DeviceFault;
use crate::lab::world::{Power, Refusal, World};

/// A fault.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    /// Wire name; one of the data model unless a fault rule named another.
    pub kind: String,
    /// Its fields.
    pub data: Data,
    /// What is said with it.
    pub message: String,
}

impl Fault {
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), data: Data::new(kind), message: message.into() }
    }

    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.data = self.data.with(name, value);
        self
    }

    /// A fault by the name a rule gives.
    pub fn named(kind: &str, message: Option<&str>) -> Self {
        let message = message.unwrap_or("A general system error occurred: the lab was told to fail.");
        // It becomes the name of an element.
        let kind: String = kind.chars().filter(char::is_ascii_alphanumeric).take(80).collect();
        let known = super::schema::schema().find(&kind).map_or("MethodFault", |(known, _)| known);
        let mut fault = Self { kind, data: Data::new(known), message: message.into() };
        if matches!(known, "GenericVmConfigFault" | "SystemError") {
            fault = fault.with("reason", message);
        }
        fault
    }

    /// What cannot be parsed.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequest", message)
    }

    pub fn invalid_argument(field: &str) -> Self {
        Self::new("InvalidArgument", format!("A specified parameter was not correct: {field}"))
            .with("invalidProperty", field)
    }

    pub fn invalid_property(path: &str) -> Self {
        Self::new("InvalidProperty", "").with("name", path)
    }

    pub fn not_supported() -> Self {
        Self::new("NotSupported", "The operation is not supported on the object.")
    }

    /// As recorded in `basic_connection_bad_password.yaml`.
    pub fn invalid_login() -> Self {
        Self::new("InvalidLogin", "Cannot complete login due to an incorrect user name or password.")
    }

    pub fn not_authenticated(object: &Ref) -> Self {
        Self::new("NotAuthenticated", "The session is not authenticated.")
            .with("object", object.clone())
            .with("privilegeId", "System.View")
    }

    pub fn no_permission(object: &Ref, right: &str) -> Self {
        Self::new("NoPermission", "Permission to perform this operation was denied.")
            .with("object", object.clone())
            .with("privilegeId", right)
    }

    pub fn not_found(object: &Ref) -> Self {
        let message = format!(
            "The object 'vim.{}:{}' has already been deleted or has not been completely created",
            object.kind, object.id
        );
        Self::new("ManagedObjectNotFound", message).with("obj", object.clone())
    }

    /// As a data object holds it.
    pub fn localized(&self) -> Data {
        Data::new("LocalizedMethodFault").with("fault", self.data.clone()).with("localizedMessage", &*self.message)
    }

    /// How a front of vSphere says no.
    pub fn from_refusal(refusal: &Refusal, world: &World) -> Self {
        match refusal {
            Refusal::Gone(id) => Self::not_found(&reference(world, *id)),
            Refusal::NameTaken { name, by } => Self::new("DuplicateName", format!("The name '{name}' already exists."))
                .with("name", name.as_str())
                .with("object", reference(world, *by)),
            Refusal::Power { wanted, is } => invalid_power(*wanted, *is),
            Refusal::NoCpuHotAdd | Refusal::NoCpuHotRemove => {
                Self::new("CpuHotPlugNotSupported", "CPU hot plug is not supported for this virtual machine.")
            }
            Refusal::NoMemoryHotAdd | Refusal::NoMemoryHotRemove => {
                Self::new("MemoryHotPlugNotSupported", "Memory hot plug is not supported for this virtual machine.")
            }
            Refusal::MemoryStep { increment, limit } => {
                let reason = format!(
                    "Memory hot-add: the new size must be a multiple of {increment} MB and not above {limit} MB."
                );
                Self::new("GenericVmConfigFault", reason.clone()).with("reason", reason)
            }
            Refusal::Invalid { field } => Self::invalid_argument(field),
            Refusal::Device { index, why } => device(*index, *why),
            Refusal::NoFile(path) => {
                Self::new("FileNotFound", format!("File {path} was not found")).with("file", &**path)
            }
            Refusal::FileExists(path) => Self::new(
                "FileAlreadyExists",
                format!("Cannot complete the operation because the file or folder {path} already exists"),
            )
            .with("file", &**path),
            Refusal::FileLocked(path) => {
                Self::new("FileLocked", format!("Unable to access file {path} since it is locked"))
                    .with("file", &**path)
            }
            Refusal::NoRoom(id) => {
                let name = world.name_of(*id);
                Self::new("NoDiskSpace", format!("Insufficient disk space on datastore '{name}'."))
                    .with("file", format!("[{name}]"))
                    .with("datastore", name)
            }
            Refusal::NoMemory { .. } => Self::new("InsufficientResourcesFault", "The host has not enough memory."),
            Refusal::NoSnapshot => Self::new("NotFound", "The specified snapshot was not found."),
            Refusal::NoTools => Self::new(
                "ToolsUnavailable",
                "Cannot complete operation because VMware Tools is not running in this virtual machine.",
            ),
            Refusal::ChangedMeanwhile => Self::new(
                "ConcurrentAccess",
                "Cannot complete operation due to concurrent modification by another operation.",
            ),
            Refusal::Busy(task) => Self::new("TaskInProgress", "Another task is already in progress.")
                .with("task", Ref::new("Task", format!("task-{}", task.0))),
            Refusal::Unsupported | Refusal::Template => Self::not_supported(),
            Refusal::HostUnusable(_) => {
                Self::new("HostNotConnected", "Unable to communicate with the remote host, since it is disconnected.")
            }
            Refusal::Question => Self::new("QuestionPending", "A question of the virtual machine is pending.")
                .with("text", "A question of the virtual machine is pending."),
            Refusal::Rule { fault, message } => Self::named(fault, Some(message)),
        }
    }
}

/// As vSphere calls power states.
pub(super) const fn power_word(power: Power) -> &'static str {
    match power {
        Power::On => "poweredOn",
        Power::Off => "poweredOff",
        Power::Suspended => "suspended",
    }
}

fn invalid_power(wanted: Power, is: Power) -> Fault {
    let shown = match is {
        Power::On => "Powered on",
        Power::Off => "Powered off",
        Power::Suspended => "Suspended",
    };
    Fault::new(
        "InvalidPowerState",
        format!("The attempted operation cannot be performed in the current state ({shown})."),
    )
    .with("requestedState", Value::Word(power_word(wanted)))
    .with("existingState", Value::Word(power_word(is)))
}

fn device(index: usize, why: DeviceFault) -> Fault {
    let spec = |kind, field: &str, message: String| {
        Fault::new(kind, message).with("property", format!("virtualDeviceSpec.{field}")).with("deviceIndex", index)
    };
    let invalid = |field| spec("InvalidDeviceSpec", field, format!("Invalid configuration for device '{index}'."));
    let operation = || {
        spec("InvalidDeviceOperation", "operation", format!("Invalid operation for device '{index}'."))
            .with("badOp", Value::Word("edit"))
    };
    match why {
        DeviceFault::NotFound => invalid("device.key"),
        DeviceFault::NoController => spec(
            "MissingController",
            "device.controllerKey",
            format!("The device '{index}' is referring to a nonexisting controller."),
        ),
        DeviceFault::UnitTaken => invalid("device.unitNumber"),
        DeviceFault::Mac => invalid("device.macAddress"),
        DeviceFault::Backing => spec(
            "InvalidDeviceBacking",
            "device.backing",
            format!("Incompatible device backing specified for device '{index}'."),
        ),
        DeviceFault::Capacity | DeviceFault::Unsupported => operation(),
    }
}
