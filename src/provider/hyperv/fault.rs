//! What went wrong, in the host's own words, sorted by what to do next.
//!
//! Three voices say no: WS-Management by a SOAP fault, a method by its return value, a job by its state. All become a
//! [`Fault`]. What could not be sent, and what was sent and not answered, are told apart, since only the first may be
//! done again.

use std::error::Error as StdError;

use crate::model::{EndpointName, VmKey};
use crate::provider::{ErrorKind, ProviderError};
use crate::tls::{CertificateMismatch, TlsError};
use crate::xml::{Element, XmlError};

/// "Nothing yet, ask again" (ERROR_WSMAN_OPERATION_TIMEDOUT; recorded in `test_winrs_operation_timeout.yml`).
pub(super) const ASK_AGAIN: u64 = 2_150_858_793;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// `WSManFault/@Code`, a method's return value or a job's ErrorCode; 0 when none was told.
    pub code: u64,
    /// The SOAP subcode without prefix, such as `InvalidSelectors`; else `ReturnValue` or `Job`.
    pub kind: String,
    /// The host's words.
    pub words: String,
}

impl Fault {
    /// From `<s:Fault>`; its shape is that of the recorded ones (SOAP 1.2, section 5.4, and [MS-WSMV] 2.2.4.43).
    pub(super) fn soap(fault: &Element<'_>) -> Self {
        let subcode = fault.path(&["Code", "Subcode", "Value"]).map(Element::trimmed).unwrap_or_default();
        let detail = fault.path(&["Detail", "WSManFault"]);
        let code = detail.and_then(|detail| detail.attribute("Code")).and_then(|code| code.trim().parse().ok());
        let mut parts: Vec<String> = Vec::new();
        let mut say = |text: &str| {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.is_empty() && !parts.iter().any(|part| part.contains(&text)) {
                parts.push(text);
            }
        };
        if let Some(message) = detail.and_then(|detail| detail.child("Message")) {
            say(&text_within(message));
        }
        say(fault.path(&["Reason", "Text"]).map(Element::trimmed).unwrap_or_default());
        let kind = subcode.rsplit(':').next().unwrap_or_default();
        let kind = if kind.is_empty() { "Fault" } else { kind };
        let words = if parts.is_empty() { kind.to_owned() } else { parts.join(" ") };
        Self { code: code.unwrap_or(0), kind: kind.to_owned(), words }
    }

    /// From a method's return value (`virtualization-v2-classes.json`, "returns" of each method).
    pub(super) fn returned(value: u64) -> Self {
        let words = match value {
            1 | 32_770 => "not supported",
            3 | 32_772 => "timed out",
            4 | 32_773 => "an invalid parameter",
            6 | 32_774 => "in use",
            4097 => "an invalid state transition",
            4099 => "busy",
            32_769 => "access denied",
            32_771 => "its status is unknown",
            32_775 => "an invalid state for this operation",
            32_776 => "an incorrect data type",
            32_777 => "the system is not available",
            32_778 => "out of memory",
            32_779 => "file not found",
            32_780 => "the guest is not ready",
            32_781 => "the guest is locked, and only force would shut it down",
            32_782 => "a shutdown is under way",
            32_789 => "object not found",
            _ => "failed",
        };
        Self { code: value, kind: "ReturnValue".to_owned(), words: words.to_owned() }
    }

    /// From CIM_DataFile.Delete, whose return values are its own (Win32 documentation, CIM_DataFile).
    pub(super) fn file_returned(value: u64) -> Self {
        let words = match value {
            2 => "access denied",
            9 => "the name is not valid",
            10 => "it exists already",
            11 => "the file system is not NTFS",
            14 => "the directory is not empty",
            15 => "in use by another program",
            16 => "an invalid start file",
            17 => "a privilege is not held",
            21 => "an invalid parameter",
            _ => "failed",
        };
        Self { code: value, kind: "FileReturnValue".to_owned(), words: words.to_owned() }
    }

    /// Sorted by what to do next.
    pub(super) fn error_kind(&self) -> ErrorKind {
        match self.kind.as_str() {
            "ReturnValue" => return returned_kind(self.code),
            "FileReturnValue" => {
                return match self.code {
                    2 | 17 => ErrorKind::Denied,
                    10 | 14 | 15 => ErrorKind::Conflict,
                    _ => ErrorKind::Unexpected,
                };
            }
            "AccessDenied" => return ErrorKind::Denied,
            "QuotaLimit" | "Concurrency" | "EndpointUnavailable" => return ErrorKind::RateLimited,
            "TimedOut" => return ErrorKind::Unreachable,
            "UnsupportedFeature" | "ActionNotSupported" => return ErrorKind::Unsupported,
            _ => {}
        }
        match self.code {
            // Win32 and WBEM: access denied.
            5 | 2_147_942_405 | 2_147_749_891 => ErrorKind::Denied,
            // WBEM_E_NOT_FOUND, WBEM_E_INVALID_CLASS, ERROR_WSMAN_INVALID_SELECTORS, file or path not found.
            2_147_749_890 | 2_147_749_904 | 2_150_858_843 | 2_147_942_402 | 2_147_942_403 => ErrorKind::NotFound,
            // Sharing violation, WBEM_E_INVALID_OPERATION, disk full, and the job's own codes for an invalid state.
            2_147_942_432 | 2_147_749_910 | 2_147_942_512 | 32_775 | 32_774 => ErrorKind::Conflict,
            // WBEM_E_QUOTA_VIOLATION, ERROR_WSMAN_QUOTA_*.
            2_147_749_996 | 2_150_859_173..=2_150_859_177 => ErrorKind::RateLimited,
            _ if self.is_missing() => ErrorKind::NotFound,
            _ => ErrorKind::Unexpected,
        }
    }

    /// The host knows no such class, namespace or object: what an optional role would answer that is not installed.
    pub(super) fn is_missing(&self) -> bool {
        const KINDS: [&str; 3] = ["DestinationUnreachable", "InvalidResourceURI", "InvalidSelectors"];
        // WBEM_E_NOT_FOUND, _INVALID_NAMESPACE, _INVALID_CLASS.
        const CODES: [u64; 3] = [2_147_749_890, 2_147_749_902, 2_147_749_904];
        KINDS.contains(&self.kind.as_str()) || CODES.contains(&self.code)
    }

    /// More items were asked for than an envelope may hold.
    pub(super) fn is_too_large(&self) -> bool {
        self.kind == "EncodingLimit" || self.words.contains("maximum envelope size")
    }
}

fn returned_kind(value: u64) -> ErrorKind {
    match value {
        32_769 => ErrorKind::Denied,
        1 | 32_770 => ErrorKind::Unsupported,
        6 | 4097 | 32_774 | 32_775 | 32_777 | 32_780 | 32_781 | 32_782 => ErrorKind::Conflict,
        4099 | 32_778 => ErrorKind::RateLimited,
        32_779 | 32_789 => ErrorKind::NotFound,
        _ => ErrorKind::Unexpected,
    }
}

/// All text in an element: messages come with a `ProviderFault` around them or without.
fn text_within(element: &Element<'_>) -> String {
    let mut text = element.trimmed().to_owned();
    for child in &element.children {
        text.push(' ');
        text.push_str(&text_within(child));
    }
    text
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind.as_str() {
            "ReturnValue" | "FileReturnValue" => write!(f, "{} (return value {})", self.words, self.code),
            "Job" => write!(f, "{} (job error {})", self.words, self.code),
            kind if self.code == 0 => write!(f, "{} ({kind})", self.words),
            kind => write!(f, "{} ({kind} {})", self.words, self.code),
        }
    }
}

/// Why a call has no good answer; becomes a [`ProviderError`] once it is known what was tried, and on what.
#[derive(Debug)]
pub(super) enum Failure {
    /// The host said no.
    Fault(Fault),
    /// The connection could not be made, or was closed before anything was sent: nothing happened.
    NotSent(String, Option<Box<dyn StdError + Send + Sync>>),
    /// It was sent, and no whole answer came back.
    Lost(String, Option<Box<dyn StdError + Send + Sync>>),
    /// The certificate is not the one expected.
    Certificate(CertificateMismatch),
    /// The login was refused.
    Refused(String),
    /// Our own judgement: the settings make no sense, something named in an order is not there.
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

    pub(super) fn lost(what: impl Into<String>) -> Self {
        Self::Lost(what.into(), None)
    }

    /// The refusal, if the host said no.
    pub(super) fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            _ => None,
        }
    }

    /// The class, namespace or object is not there.
    pub(super) fn is_missing(&self) -> bool {
        self.fault().is_some_and(Fault::is_missing)
    }

    /// What kind of error it becomes.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Fault(fault) => fault.error_kind(),
            Self::NotSent(..) | Self::Lost(..) => ErrorKind::Unreachable,
            Self::Certificate(_) => ErrorKind::Certificate,
            Self::Refused(_) => ErrorKind::Denied,
            Self::Setup(kind, ..) => *kind,
            Self::Senseless(_) => ErrorKind::Unexpected,
        }
    }

    /// With what was tried, and on what.
    pub(super) fn into_error(self, endpoint: &EndpointName, operation: &str, vm: Option<&VmKey>) -> ProviderError {
        let kind = self.kind();
        let message = self.to_string();
        let source = match self {
            Self::NotSent(_, source) | Self::Lost(_, source) | Self::Setup(_, _, source) => source,
            Self::Fault(_) | Self::Certificate(_) | Self::Refused(_) | Self::Senseless(_) => None,
        };
        let (endpoint, operation, vm) = (endpoint.clone(), operation.to_owned(), vm.cloned());
        ProviderError { kind, endpoint, operation, vm, message, source }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "{fault}"),
            Self::Certificate(mismatch) => write!(f, "{mismatch}"),
            Self::NotSent(what, _)
            | Self::Lost(what, _)
            | Self::Refused(what)
            | Self::Setup(_, what, _)
            | Self::Senseless(what) => f.write_str(what),
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
