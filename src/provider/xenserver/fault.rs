//! What went wrong, in the server's own words, sorted by what to do next.

use std::error::Error as StdError;

use crate::model::{EndpointName, VmKey};
use crate::provider::{ErrorKind, ProviderError};
use crate::tls::{CertificateMismatch, TlsError};

/// An error of the Xen API, from an answer or from a task: a code and its parameters. Some 460 codes exist and more
/// come with each version, so the type is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Such as `VM_BAD_POWER_STATE`.
    pub code: String,
    /// What it is about.
    pub data: Vec<String>,
}

impl Fault {
    pub(super) fn new(code: String, data: Vec<String>) -> Self {
        // What names the session is as good as the session.
        let data = if code == "SESSION_INVALID" { Vec::new() } else { data };
        Self { code, data }
    }

    /// From a list of code and parameters, as tasks and version 1 of the protocol have it.
    pub(super) fn of_list(mut list: Vec<String>) -> Self {
        if list.is_empty() {
            return Self::new("UNKNOWN_ERROR".to_owned(), list);
        }
        let code = list.remove(0);
        Self::new(code, list)
    }

    /// Sorted by what to do next.
    pub(super) fn error_kind(&self) -> ErrorKind {
        match self.code.as_str() {
            "SESSION_AUTHENTICATION_FAILED"
            | "SESSION_INVALID"
            | "RBAC_PERMISSION_DENIED"
            | "PERMISSION_DENIED"
            | "USER_IS_NOT_LOCAL_SUPERUSER" => ErrorKind::Denied,
            "HANDLE_INVALID" | "UUID_INVALID" => ErrorKind::NotFound,
            "VM_SHUTDOWN_TIMEOUT" | "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT" => ErrorKind::GuestTimeout,
            "MESSAGE_METHOD_UNKNOWN"
            | "NOT_IMPLEMENTED"
            | "FEATURE_RESTRICTED"
            | "LICENCE_RESTRICTION"
            | "SR_OPERATION_NOT_SUPPORTED"
            | "SR_FEATURE_NOT_SUPPORTED"
            | "NOT_SUPPORTED_DURING_UPGRADE" => ErrorKind::Unsupported,
            "TOO_BUSY" | "TOO_MANY_PENDING_TASKS" => ErrorKind::RateLimited,
            "HOST_IS_SLAVE" | "HOST_STILL_BOOTING" | "HOST_HAS_NO_MANAGEMENT_IP" => ErrorKind::Unreachable,
            code if is_state(code) => ErrorKind::Conflict,
            _ => ErrorKind::Unexpected,
        }
    }

    /// Is this session over, here? Nothing was done.
    pub(super) fn is_session_over(&self) -> bool {
        self.code == "SESSION_INVALID" || self.code == "HOST_IS_SLAVE"
    }
}

/// Codes that say: not as things stand now.
fn is_state(code: &str) -> bool {
    const STATES: &[&str] = &[
        "ALREADY_ATTACHED",
        "BOOTLOADER_FAILED",
        "CANNOT_CONTACT_HOST",
        "DEVICE_ALREADY_ATTACHED",
        "DEVICE_ALREADY_DETACHED",
        "DEVICE_ALREADY_EXISTS",
        "DEVICE_ATTACH_TIMEOUT",
        "DEVICE_DETACH_REJECTED",
        "DEVICE_DETACH_TIMEOUT",
        "DOMAIN_EXISTS",
        "MAC_STILL_EXISTS",
        "MAP_DUPLICATE_KEY",
        "NETWORK_CONTAINS_VIF",
        "NO_HOSTS_AVAILABLE",
        "OPERATION_BLOCKED",
        "OPERATION_NOT_ALLOWED",
        "OTHER_OPERATION_IN_PROGRESS",
        "TASK_CANCELLED",
    ];
    const FAMILIES: &[&str] = &["VM_", "VBD_", "VIF_", "VDI_", "SR_", "HOST_", "HA_"];
    STATES.contains(&code) || FAMILIES.iter().any(|family| code.starts_with(family))
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.code)?;
        for (index, part) in self.data.iter().filter(|part| !part.is_empty()).enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// Why a call has no good answer; becomes a [`ProviderError`] once it is known what was tried, and on what.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said no.
    Fault(Fault),
    /// The connection could not be made: nothing was sent.
    NotSent(reqwest::Error),
    /// It was sent, and no whole answer came back.
    Lost(String, Option<Box<dyn StdError + Send + Sync>>),
    /// The certificate is not the one expected.
    Certificate(CertificateMismatch),
    /// A failure of our own making, or one that names itself.
    Because(ErrorKind, String, Option<Box<dyn StdError + Send + Sync>>),
}

impl Failure {
    pub(super) fn senseless(what: impl Into<String>) -> Self {
        Self::because(ErrorKind::Unexpected, what)
    }

    /// Such as something named in an order that is not there.
    pub(super) fn because(kind: ErrorKind, why: impl Into<String>) -> Self {
        Self::Because(kind, why.into(), None)
    }

    /// Is the session over, with nothing done?
    pub(super) fn is_session_over(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_session_over())
    }

    /// The code, if the server said no.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Fault(fault) => Some(&fault.code),
            _ => None,
        }
    }

    /// Does the server say that there is no such object?
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.code(), Some("HANDLE_INVALID" | "UUID_INVALID"))
    }

    /// With what was tried, and on what.
    pub(super) fn into_error(self, endpoint: &EndpointName, operation: &str, vm: Option<&VmKey>) -> ProviderError {
        let (kind, message, source): (_, _, Option<Box<dyn StdError + Send + Sync>>) = match self {
            Self::Fault(fault) => (fault.error_kind(), fault.to_string(), None),
            Self::NotSent(error) => {
                (ErrorKind::Unreachable, "no connection".to_owned(), Some(Box::new(error.without_url())))
            }
            Self::Lost(what, source) => (ErrorKind::Unreachable, what, source),
            Self::Certificate(mismatch) => (ErrorKind::Certificate, mismatch.to_string(), None),
            Self::Because(kind, what, source) => (kind, what, source),
        };
        ProviderError {
            kind,
            endpoint: endpoint.clone(),
            operation: operation.to_owned(),
            vm: vm.cloned(),
            message,
            source,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "{fault}"),
            Self::NotSent(_) => f.write_str("no connection"),
            Self::Certificate(mismatch) => write!(f, "{mismatch}"),
            Self::Lost(what, _) | Self::Because(_, what, _) => f.write_str(what),
        }
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::Because(ErrorKind::Certificate, "the TLS settings cannot be used".to_owned(), Some(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_never_shows_the_session_and_says_what_to_do() {
        let fault = |code: &str| Fault::new(code.to_owned(), vec!["OpaqueRef:1".to_owned(), String::new()]);
        assert_eq!(fault("SESSION_INVALID").to_string(), "SESSION_INVALID");
        assert_eq!(fault("VDI_IN_USE").to_string(), "VDI_IN_USE: OpaqueRef:1");
        let kinds = ["RBAC_PERMISSION_DENIED", "HANDLE_INVALID", "VM_BAD_POWER_STATE", "SR_FULL", "NEW_IN_2031"];
        assert_eq!(
            kinds.map(|code| fault(code).error_kind()),
            [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::Conflict, ErrorKind::Conflict, ErrorKind::Unexpected]
        );
    }
}
