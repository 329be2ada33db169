//! What went wrong, in the server's own words, sorted by what to do next.

use std::error::Error as StdError;

use crate::model::{EndpointName, VmKey};
use crate::provider::{ErrorKind, ProviderError};
use crate::tls::{CertificateMismatch, TlsError};
use crate::xml::{Element, XmlError};

/// A fault as vim25 tells it, from a SOAP fault or from a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The fault's type, such as `InvalidPowerState`.
    pub kind: String,
    /// The server's words, with the details it gives.
    pub words: String,
}

impl Fault {
    /// From a `<Fault>` in the body: the type stands on the element in its detail.
    pub(super) fn soap(fault: &Element<'_>) -> Self {
        let detail = fault.child("detail").and_then(|detail| detail.children.first());
        let kind = detail.map_or("", |detail| {
            detail.xsi_type().unwrap_or_else(|| detail.name().strip_suffix("Fault").unwrap_or(detail.name()))
        });
        Self::of(kind, fault.text_of("faultstring").unwrap_or_default(), detail)
    }

    /// From a `LocalizedMethodFault`: a task's error, or why a property is missing.
    pub(super) fn localized(element: &Element<'_>) -> Self {
        let fault = element.child("fault");
        let kind = fault.and_then(Element::xsi_type).unwrap_or_default();
        Self::of(kind, element.text_of("localizedMessage").unwrap_or_default(), fault)
    }

    fn of(kind: &str, words: &str, detail: Option<&Element<'_>>) -> Self {
        let mut parts = vec![words.trim().to_owned()];
        let more = detail.into_iter().flat_map(|detail| detail.children("faultMessage"));
        parts.extend(more.filter_map(|message| message.text_of("message")).map(|message| message.trim().to_owned()));
        // Facts that the words often leave out (vCenter says `A specified parameter was not correct:` and no more).
        for name in ["privilegeId", "invalidProperty", "property", "name", "existingState", "file", "reason"] {
            let fact = detail.and_then(|detail| detail.child(name)).map(Element::trimmed).unwrap_or_default();
            if !fact.is_empty() && !parts.iter().any(|part| part.contains(fact)) {
                parts.push(format!("[{name}: {fact}]"));
            }
        }
        parts.dedup();
        parts.retain(|part| !part.is_empty());
        let text = parts.join(" ");
        let kind = if kind.is_empty() { "Fault" } else { kind };
        let text = if text.is_empty() { kind.to_owned() } else { text };
        Self { kind: kind.to_owned(), words: text }
    }

    /// Sorted by what to do next.
    pub(super) fn error_kind(&self) -> ErrorKind {
        match self.kind.as_str() {
            "InvalidLogin"
            | "NoPermission"
            | "NotAuthenticated"
            | "InvalidLocale"
            | "SecurityError"
            | "RestrictedByAdministrator"
            | "PasswordExpired"
            | "HostAccessRestrictedToManagingServer" => ErrorKind::Denied,
            "ManagedObjectNotFound" | "NotFound" | "FileNotFound" => ErrorKind::NotFound,
            "InvalidPowerState"
            | "TaskInProgress"
            | "FileLocked"
            | "InvalidState"
            | "ConcurrentAccess"
            | "DuplicateName"
            | "AlreadyExists"
            | "FileAlreadyExists"
            | "ResourceInUse"
            | "ToolsUnavailable"
            | "InvalidVmState"
            | "VmToolsUpgradeFault"
            | "InsufficientResourcesFault"
            | "NoDiskSpace"
            | "InsufficientHostMemoryCapacityFault"
            | "QuestionPending"
            | "DisallowedOperationOnFailoverHost" => ErrorKind::Conflict,
            "NotSupported"
            | "RestrictedVersion"
            | "MethodNotFound"
            | "NotImplemented"
            | "MethodDisabled"
            | "NotEnoughLicenses"
            | "CpuHotPlugNotSupported"
            | "MemoryHotPlugNotSupported"
            | "InvalidDeviceOperation"
            | "DeviceNotSupported" => ErrorKind::Unsupported,
            "HostConnectFault" | "HostNotConnected" | "HostNotReachable" | "HostCommunication" | "NoHost" => {
                ErrorKind::Conflict
            }
            "LimitExceeded" | "TooManyConcurrentNativeClones" | "OutOfBounds" => ErrorKind::RateLimited,
            _ => ErrorKind::Unexpected,
        }
    }

    /// The session is gone; nothing was done.
    pub(super) fn is_not_authenticated(&self) -> bool {
        self.kind == "NotAuthenticated"
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.words.contains(&self.kind) {
            f.write_str(&self.words)
        } else {
            write!(f, "{} ({})", self.words, self.kind)
        }
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
    /// The client settings make no sense.
    Setup(ErrorKind, String, Option<Box<dyn StdError + Send + Sync>>),
    /// An answer that cannot be understood.
    Senseless(String),
}

impl Failure {
    pub(super) fn senseless(what: &str) -> Self {
        Self::Senseless(what.to_owned())
    }

    /// A failure of our own making, such as something named in an order that is not there.
    pub(super) fn because(kind: ErrorKind, why: impl Into<String>) -> Self {
        Self::Setup(kind, why.into(), None)
    }

    /// The session is gone; nothing was done.
    pub(super) fn is_not_authenticated(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_not_authenticated())
    }

    /// The fault's type, if the server said no.
    pub(super) fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            _ => None,
        }
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
            Self::Setup(kind, what, source) => (kind, what, source),
            Self::Senseless(what) => (ErrorKind::Unexpected, what, None),
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
            Self::Lost(what, _) | Self::Setup(_, what, _) | Self::Senseless(what) => f.write_str(what),
        }
    }
}

impl From<XmlError> for Failure {
    fn from(error: XmlError) -> Self {
        match error {
            // A body that breaks off is a lost answer, not a strange one.
            XmlError::Truncated { .. } => Self::Lost("the answer broke off".to_owned(), Some(Box::new(error))),
            error => Self::Senseless(error.to_string()),
        }
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::Setup(ErrorKind::Certificate, "the TLS settings cannot be used".to_owned(), Some(Box::new(error)))
    }
}
