//! Faults of WS-Management in the shape Windows gives them (recorded/*.yml; numbers from wsmerror.h).

use super::instance::{ADDRESSING, WSMAN};
use crate::lab::faults::NamedFault;
use crate::xml::Writer;

const DETAIL: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/";
const NOT_FOUND: &str = "The WS-Management service cannot process the request. The service cannot find the resource \
                         identified by the resource URI and selectors. ";

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// `s:Sender` or `s:Receiver`.
    pub code: &'static str,
    /// With the prefix of its namespace.
    pub subcode: &'static str,
    pub reason: String,
    /// Last part of `w:FaultDetail`.
    pub detail: Option<&'static str>,
    /// `Code` of `f:WSManFault`: a Win32 or WS-Management error.
    pub number: u32,
    pub message: String,
    /// It comes from the WMI provider, not from the service.
    pub from_provider: bool,
}

impl Fault {
    fn new(code: &'static str, subcode: &'static str, number: u32, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code, subcode, message: reason.clone(), reason, detail: None, number, from_provider: false }
    }

    fn with(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// 5: the account may not.
    pub fn access_denied() -> Self {
        Self::new("s:Sender", "w:AccessDenied", 5, "Access is denied. ")
    }

    /// There is no such instance.
    pub fn not_found() -> Self {
        let mut fault = Self::new("s:Sender", "a:DestinationUnreachable", 0x8033_8000, NOT_FOUND);
        fault.from_provider = true;
        fault.with("InvalidResourceURI")
    }

    /// There is no such class.
    pub fn no_class(namespace: &str, name: &str) -> Self {
        let message = format!(
            "The WS-Management service cannot process the request. The class {} does not exist in the {} namespace. ",
            cut(name),
            cut(namespace)
        );
        Self::not_found().saying(message)
    }

    /// The resource URI is of no kind that is known.
    pub fn no_resource(uri: &str) -> Self {
        let words = format!(
            "The WS-Management service cannot process the request. The resource URI ({}) was not found in the \
             WS-Management catalog. The catalog contains the metadata that describes resources, or logical endpoints. ",
            cut(uri)
        );
        Self::new("s:Sender", "a:DestinationUnreachable", 0x8033_803B, NOT_FOUND)
            .saying(words)
            .with("InvalidResourceURI")
    }

    /// Keys that the class does not have, or not all of them.
    pub fn selectors(message: impl Into<String>) -> Self {
        let reason = "The WS-Management service cannot process the request because the request contained invalid \
                      selectors for the resource. ";
        Self::new("s:Sender", "w:InvalidSelectors", 0x8033_803D, reason).with("UnexpectedSelectors").saying(message)
    }

    /// No such action, or no such method.
    pub fn action(action: &str) -> Self {
        let reason = "The WS-Management service cannot process the request. The WS-Addressing action URI is invalid. ";
        let message = format!("{reason}{}", cut(action));
        Self::new("s:Sender", "a:ActionNotSupported", 0x8033_8001, reason).saying(message)
    }

    /// A parameter or property that is not as it must be.
    pub fn parameter(message: impl Into<String>) -> Self {
        let mut fault = Self::new("s:Sender", "w:InvalidParameter", 87, "The parameter is incorrect. ");
        fault.from_provider = true;
        fault.with("InvalidValue").saying(message)
    }

    /// A header that makes no sense.
    pub fn header(message: impl Into<String>) -> Self {
        let reason = "The WS-Management service cannot process the request. The request contains one or more invalid \
                      SOAP headers. ";
        Self::new("s:Sender", "a:InvalidMessageInformationHeader", 0x8033_800F, reason).saying(message)
    }

    /// Not XML, or not an envelope.
    pub fn malformed(message: impl Into<String>) -> Self {
        let reason = "The WS-Management service cannot process the request because the XML is invalid. ";
        Self::new("s:Sender", "w:SchemaValidationError", 0x8033_8041, reason).saying(message)
    }

    /// A query that is none.
    pub fn filter(message: impl Into<String>) -> Self {
        let reason = "The data source could not process the filter. The filter might be missing or it might be invalid. \
                      Change the filter and try the request again. ";
        Self::new("s:Sender", "n:CannotProcessFilter", 0x8033_801A, reason).saying(message)
    }

    /// A query language other than WQL.
    pub fn dialect() -> Self {
        let reason = "The WS-Management service does not support the requested filter dialect. ";
        Self::new("s:Sender", "n:FilterDialectRequestedUnavailable", 0x8033_8019, reason)
    }

    /// An enumeration that is over.
    pub fn enumeration() -> Self {
        let reason = "The WS-Enumeration context in the enumeration is not valid. Enumeration may have been completed \
                      or canceled. You cannot use this enumeration context anymore. Start a new enumeration. ";
        Self::new("s:Receiver", "n:InvalidEnumerationContext", 0x8033_801B, reason)
    }

    /// The answer is larger than the client takes.
    pub fn too_large() -> Self {
        let reason = "The response that the WS-Management service computed exceeds the maximum envelope size in the \
                      request. ";
        Self::new("s:Sender", "w:EncodingLimit", 0x8033_8048, reason).with("MaxEnvelopeSizeExceeded")
    }

    /// The client wants larger answers than the service gives.
    pub fn size_over_policy(bytes: usize) -> Self {
        let reason = "The WS-Management service cannot process the request. The maximum envelope size in the request is \
                      too large. ";
        let message = format!("{reason}Change the maximum envelope size and try the request again: {bytes}. ");
        Self::new("s:Sender", "w:EncodingLimit", 0x8033_8047, reason).with("MaxEnvelopeSize").saying(message)
    }

    /// Nothing came within `OperationTimeout`: ask again.
    pub fn timed_out() -> Self {
        let words = "The WS-Management service cannot complete the operation within the time specified in \
                     OperationTimeout.  ";
        Self::new("s:Receiver", "w:TimedOut", 0x8033_8029, words)
    }

    /// Too much at once.
    pub fn quota() -> Self {
        let words = "The WS-Management service cannot process the request. The maximum number of concurrent operations \
                     for this user has been exceeded. Close existing operations for this user, or raise the quota for \
                     this user. ";
        Self::new("s:Receiver", "w:QuotaLimit", 0x8033_81A6, words)
    }

    /// Anything else.
    pub fn internal(number: u32, words: impl Into<String>) -> Self {
        let mut fault = Self::new("s:Receiver", "w:InternalError", number, words);
        fault.from_provider = true;
        fault
    }

    /// A fault that a rule names: by its subcode without prefix, else an internal error.
    pub fn named(named: &NamedFault) -> Self {
        let mut fault = match named.fault.as_str() {
            "AccessDenied" => Self::access_denied(),
            "QuotaLimit" => Self::quota(),
            "TimedOut" => Self::timed_out(),
            "EncodingLimit" => Self::too_large(),
            "DestinationUnreachable" => Self::not_found(),
            "InvalidSelectors" => Self::selectors(""),
            "InvalidParameter" => Self::parameter("The parameter is incorrect. "),
            "InvalidEnumerationContext" => Self::enumeration(),
            other => Self::internal(other.parse().unwrap_or(0x8004_1001), format!("{other} ")),
        };
        if let Some(message) = &named.message {
            fault.message.clone_from(message);
        }
        fault
    }

    /// Its name for the record.
    pub fn name(&self) -> &'static str {
        self.subcode.split_once(':').map_or(self.subcode, |(_, name)| name)
    }

    /// The action of the message that carries it.
    pub fn action_uri(&self) -> String {
        match self.subcode.split_once(':').map(|(prefix, _)| prefix) {
            Some("w") => format!("{}/fault", WSMAN.trim_end_matches(".xsd")),
            Some("n") => "http://schemas.xmlsoap.org/ws/2004/09/enumeration/fault".to_owned(),
            _ => format!("{ADDRESSING}/fault"),
        }
    }

    /// Writes what stands in the body.
    pub fn write(&self, writer: &mut Writer, machine: &str) {
        writer.open("s:Fault").open("s:Code").leaf("s:Value", self.code);
        writer.open("s:Subcode").leaf("s:Value", self.subcode).close().close();
        writer.open("s:Reason").open("s:Text").attribute("xml:lang", "en-US").text(&self.reason).close().close();
        writer.open("s:Detail");
        if let Some(detail) = self.detail {
            writer.leaf("w:FaultDetail", &format!("{DETAIL}{detail}"));
        }
        self.write_windows(writer, machine);
        writer.close().close();
    }

    fn write_windows(&self, writer: &mut Writer, machine: &str) {
        writer.open("f:WSManFault").attribute("xmlns:f", "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault");
        writer.attribute("Code", &self.number.to_string()).attribute("Machine", machine).open("f:Message");
        if self.from_provider {
            let path = r"%systemroot%\system32\WsmWmiPl.dll";
            writer.open("f:ProviderFault").attribute("provider", "WMI Provider").attribute("path", path);
            writer.text(&self.message).close();
        } else {
            writer.text(&self.message);
        }
        writer.close().close();
    }
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}
