//! SOAP 1.2 envelopes of WS-Management: requests read, answers written, in the shape of recorded traffic.

use super::fault::Fault;
use super::instance::{ADDRESSING, WSMAN, selector};
use crate::xml::{Element, Limits, Writer, XmlError};

/// The envelope's namespace.
pub(super) const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Transfer.
pub(super) const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
/// WS-Enumeration.
pub(super) const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
/// Windows' own headers.
const WINDOWS: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd";
/// `MaxEnvelopeSizekb` of the service: what it takes and gives at most.
pub(super) const MAX_ENVELOPE: usize = 500 << 10;
/// What a client gets that names no size (DSP0226, 6.2: no limit; Windows takes its own default).
const DEFAULT_ENVELOPE: usize = 150 << 10;

/// A request.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// `a:Action`; empty for Identify, which needs no header.
    pub action: String,
    pub uri: String,
    pub message_id: String,
    pub selectors: Vec<(String, String)>,
    pub max_envelope: usize,
    pub timeout_ms: Option<i64>,
    /// What is in the body.
    pub body: Option<Element<'a>>,
}

/// Reads a request.
pub(super) fn read(bytes: &[u8]) -> Result<Asked<'_>, Fault> {
    let mut envelope =
        Element::parse(bytes, Limits::REQUEST).map_err(|error| Fault::malformed(format!("{error}. ")))?;
    if !envelope.head.is(SOAP, "Envelope") {
        return Err(Fault::malformed("The request is not a SOAP 1.2 envelope. "));
    }
    let body = envelope.children.iter().position(|child| child.head.is(SOAP, "Body"));
    let body = body.map(|at| envelope.children.swap_remove(at)).ok_or_else(|| Fault::malformed("No Body. "))?;
    let header = envelope.children.iter().find(|child| child.head.is(SOAP, "Header"));
    let text = |namespace: &str, name: &str| {
        let found = header?.children.iter().find(|child| child.head.is(namespace, name))?;
        Some(found.trimmed().to_owned())
    };
    let set = header.and_then(|header| header.children.iter().find(|child| child.head.is(WSMAN, "SelectorSet")));
    let asked = Asked {
        action: text(ADDRESSING, "Action").unwrap_or_default(),
        uri: text(WSMAN, "ResourceURI").unwrap_or_default(),
        message_id: text(ADDRESSING, "MessageID").unwrap_or_default(),
        selectors: set.into_iter().flat_map(|set| &set.children).filter_map(selector).collect(),
        max_envelope: max_envelope(text(WSMAN, "MaxEnvelopeSize"))?,
        timeout_ms: text(WSMAN, "OperationTimeout").map(|timeout| duration(&timeout)).transpose()?,
        body: body.children.into_iter().next(),
    };
    Ok(asked)
}

/// The `a:MessageID` of a request that is otherwise wrong, for `a:RelatesTo`.
pub(super) fn message_id(bytes: &[u8]) -> String {
    let parsed = Element::parse(bytes, Limits::REQUEST).ok();
    parsed.and_then(|found| found.path(&["Header", "MessageID"]).map(|id| id.trimmed().to_owned())).unwrap_or_default()
}

fn max_envelope(given: Option<String>) -> Result<usize, Fault> {
    let Some(given) = given else { return Ok(DEFAULT_ENVELOPE) };
    let bytes: usize = given.parse().map_err(|_| Fault::header(format!("MaxEnvelopeSize: {}. ", cut(&given))))?;
    match bytes {
        0..8192 => Err(Fault::header("MaxEnvelopeSize is smaller than 8192. ")), // DSP0226, R6.2-4
        bytes if bytes > MAX_ENVELOPE => Err(Fault::size_over_policy(bytes)),
        bytes => Ok(bytes),
    }
}

/// `PT20S`, `PT1M0.5S`, `P0DT0H1M0S` in milliseconds.
fn duration(text: &str) -> Result<i64, Fault> {
    let refuse = || {
        Fault::header(format!(
            "The WS-Management service cannot process the request. The XML contains an invalid timeout field in the \
             SOAP header: {}. ",
            cut(text)
        ))
    };
    let (days, times) = text.strip_prefix('P').ok_or_else(refuse)?.split_once('T').ok_or_else(refuse)?;
    let mut total = 0.0;
    let days = if days.is_empty() { Vec::new() } else { vec![(days.to_owned(), true)] };
    for (part, is_day) in days.into_iter().chain(split_units(times).into_iter().map(|part| (part, false))) {
        let unit = part.chars().last().ok_or_else(refuse)?;
        let number: f64 = part[..part.len() - unit.len_utf8()].parse().map_err(|_| refuse())?;
        let seconds = match (unit, is_day) {
            ('D', true) => 86_400.0,
            ('H', false) => 3600.0,
            ('M', false) => 60.0,
            ('S', false) => 1.0,
            _ => return Err(refuse()),
        };
        total += number * seconds * 1000.0;
    }
    if !(0.0..1.0e9).contains(&total) {
        return Err(refuse());
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be below 1e9")]
    Ok(total as i64)
}

fn split_units(text: &str) -> Vec<String> {
    text.split_inclusive(|c: char| c.is_ascii_alphabetic()).map(str::to_owned).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// An answer being written: the header is there, the body is open.
pub(super) fn answer(action: &str, message_id: &str, relates_to: &str) -> Writer {
    let mut writer = Writer::fragment();
    writer.open("s:Envelope").attribute("xml:lang", "en-US").attribute("xmlns:s", SOAP);
    writer.attribute("xmlns:a", ADDRESSING).attribute("xmlns:x", TRANSFER);
    writer.attribute("xmlns:e", "http://schemas.xmlsoap.org/ws/2004/08/eventing");
    writer.attribute("xmlns:n", ENUMERATION).attribute("xmlns:w", WSMAN).attribute("xmlns:p", WINDOWS);
    writer.open("s:Header").leaf("a:Action", action).leaf("a:MessageID", message_id);
    writer.leaf("a:To", &format!("{ADDRESSING}/role/anonymous"));
    if !relates_to.is_empty() {
        writer.leaf("a:RelatesTo", relates_to);
    }
    writer.close().open("s:Body").text("");
    writer
}

/// A whole message with a fault.
pub(super) fn fault(fault: &Fault, message_id: &str, relates_to: &str, machine: &str) -> String {
    let written = |relates_to: &str| -> Result<String, XmlError> {
        let mut writer = answer(&fault.action_uri(), message_id, relates_to);
        fault.write(&mut writer, machine);
        writer.finish()
    };
    // An id or words that XML cannot carry: then at least an empty fault goes out.
    written(relates_to).or_else(|_| written("")).unwrap_or_default()
}

/// What `Identify` answers; also to those who are not logged in, on Windows with less in it.
pub(super) fn identity() -> String {
    format!(
        "<s:Envelope xml:lang=\"en-US\" xmlns:s=\"{SOAP}\"><s:Header/><s:Body><wsmid:IdentifyResponse \
         xmlns:wsmid=\"{IDENTITY}\"><wsmid:ProtocolVersion>{WSMAN}</wsmid:ProtocolVersion><wsmid:ProductVendor>\
         Microsoft Corporation</wsmid:ProductVendor><wsmid:ProductVersion>OS: 10.0.20348 SP: 0.0 Stack: 3.0\
         </wsmid:ProductVersion></wsmid:IdentifyResponse></s:Body></s:Envelope>"
    )
}

/// Namespace of `Identify` (DSP0226, 11).
pub(super) const IDENTITY: &str = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd";
