//! SOAP 1.1 around calls and answers, in the shape of recorded traffic.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::decode;
use super::fault::Fault;
use super::schema::{Call, Field, schema};
use super::value::{Data, Ref, Value, write_any, write_field, write_fields};
use crate::xml::{Element, Limits, Writer, XmlError};

/// The namespace of vim25.
const VIM25: &str = "urn:vim25";
/// The namespace of SOAP 1.1.
const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// A call that was understood.
#[derive(Debug)]
pub(super) struct Asked {
    pub this: Ref,
    pub call: &'static str,
    /// Parameters by name.
    pub parameters: Data,
    /// What the call is in the data model; `None` for `Fetch`, which is in none.
    pub model: Option<&'static Call>,
}

/// Reads a request. The name of the call comes with a fault too, as soon as it is known.
pub(super) fn read(body: &[u8]) -> Result<Asked, (String, Fault)> {
    let nameless = |fault| (String::new(), fault);
    let envelope =
        Element::parse(body, Limits::REQUEST).map_err(|error| nameless(Fault::invalid_request(parse_words(&error))))?;
    let call = Some(&envelope)
        .filter(|envelope| envelope.head.is(ENVELOPE, "Envelope"))
        .and_then(|envelope| envelope.children.iter().find(|child| child.head.is(ENVELOPE, "Body")))
        .and_then(|body| body.children.first())
        .filter(|call| call.head.namespace == VIM25);
    let Some(call) = call else {
        return Err(nameless(Fault::invalid_request("Unable to parse the request: no call of urn:vim25 in its body")));
    };
    let name: String = call.name().chars().take(80).collect();
    understand(call).map_err(|fault| (name, fault))
}

fn parse_words(error: &XmlError) -> String {
    format!("XML document element could not be parsed: {error}")
}

fn understand(element: &Element<'_>) -> Result<Asked, Fault> {
    let name = element.name();
    let Some((first, rest)) = element.children.split_first().filter(|(first, _)| first.name() == "_this") else {
        return Err(Fault::invalid_request(format!("Missing parameter _this of {}", cut(name))));
    };
    let this = decode::reference("ManagedObject", first)?;
    // Not in the data model, but how pyvmomi reads single properties (recorded throughout).
    if name == "Fetch" {
        let known = [Field { name: "prop", kind: super::schema::Kind::Plain("string"), many: false, optional: false }];
        let parameters = Data { kind: "DynamicData", fields: decode::fields("Fetch", &known, rest)? };
        return Ok(Asked { this, call: "Fetch", parameters, model: None });
    }
    let Some(call) = schema().call(this.kind, name) else {
        if schema().knows_call(name) {
            return Err(Fault::new("MethodNotFound", "The method is not found on the object."));
        }
        return Err(Fault::invalid_request(format!(
            "Unable to resolve WSDL method name {} for an object of type {}",
            cut(name),
            this.kind
        )));
    };
    let parameters = Data { kind: "DynamicData", fields: decode::fields(call.name, &call.parameters, rest)? };
    Ok(Asked { this, call: call.name, parameters, model: Some(call) })
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// What a call answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// As the data model says.
    Value(Option<Value>),
    /// A single property, told with its type.
    Property(Field, Option<Value>),
    /// A `returnval` that is written already.
    Written(String),
}

/// Writes an answer.
pub(super) fn answer(asked: &Asked, answer: &Answer) -> Result<String, Fault> {
    let mut writer = envelope();
    let name = format!("{}Response", asked.call);
    writer.open(&name).attribute("xmlns", VIM25).text("");
    match answer {
        Answer::Value(value) => {
            let returns = asked.model.and_then(|model| model.returns);
            if let (Some(field), Some(value)) = (returns, value) {
                write_field(&mut writer, &field, value);
            }
        }
        Answer::Property(field, Some(value)) => write_any(&mut writer, "returnval", field, value),
        Answer::Property(_, None) => {}
        Answer::Written(text) => {
            writer.raw(text);
        }
    }
    writer.close();
    end(writer).map_err(|error| Fault::new("SystemError", format!("A general system error occurred: {error}")))
}

/// Writes a fault.
pub(super) fn fault(fault: &Fault) -> String {
    let mut writer = envelope();
    writer.open("soapenv:Fault");
    writer.leaf("faultcode", "ServerFaultCode").leaf("faultstring", &fault.message).open("detail");
    writer.open(&format!("{}Fault", fault.kind)).attribute("xmlns", VIM25).attribute("xsi:type", &fault.kind).text("");
    write_fields(&mut writer, &fault.data, schema());
    // Names of a fault rule may hold anything; then at least an empty fault goes out.
    end(writer).unwrap_or_else(|_| end(envelope()).unwrap_or_default())
}

fn envelope() -> Writer {
    let mut writer = Writer::document();
    writer
        .text("")
        .open("soapenv:Envelope")
        .attribute("xmlns:soapenc", "http://schemas.xmlsoap.org/soap/encoding/")
        .attribute("xmlns:soapenv", ENVELOPE)
        .attribute("xmlns:xsd", "http://www.w3.org/2001/XMLSchema")
        .attribute("xmlns:xsi", crate::xml::XSI)
        .text("\n")
        .open("soapenv:Body")
        .text("\n");
    writer
}

fn end(writer: Writer) -> Result<String, XmlError> {
    writer.finish()
}

/// An HTTP reply: 200, or 500 for a fault, as recorded.
pub(super) fn reply(text: String, is_fault: bool, cookie: Option<&str>) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    if is_fault {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(cookie) = cookie
        && let Ok(value) =
            HeaderValue::from_str(&format!("vmware_soap_session=\"{cookie}\"; Path=/; HttpOnly; Secure; "))
    {
        headers.insert(header::SET_COOKIE, value);
    }
    response
}
