//! Requests and replies on the wire: JSON-RPC (2.0, and 1.0 as old clients send it) and XML-RPC.
//!
//! Shapes as recorded: a JSON-RPC 2.0 error is an object with the code as its message and the parameters as its data; a
//! 1.0 error is one list. XML-RPC wraps everything in a struct of `Status` and `Value` or `ErrorDescription`.

use axum::body::Body;
use axum::http::{Response, header};

use super::failure::{Failure, INTERNAL_ERROR};
use super::value::{Value, write_xml_text};
use crate::xml::{Element, Limits};

/// How a request came, and its reply goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wire {
    /// JSON-RPC: the version, and the request's id as it was written.
    Json {
        two: bool,
        id: String,
    },
    Xml,
}

/// A request that was understood.
#[derive(Debug)]
pub(super) struct Asked {
    pub wire: Wire,
    pub method: String,
    pub parameters: Vec<Value>,
}

/// Reads a JSON-RPC request.
pub(super) fn read_json(body: &[u8]) -> Result<Asked, (Wire, Failure)> {
    let plain = || Wire::Json { two: true, id: "null".to_owned() };
    let refuse = |why: &str| (plain(), Failure::new(INTERNAL_ERROR, [why]));
    let request: serde_json::Value = serde_json::from_slice(body).map_err(|_| refuse("the request is not JSON-RPC"))?;
    let id = request.get("id").map_or_else(|| "null".to_owned(), serde_json::Value::to_string);
    let wire = Wire::Json { two: request.get("jsonrpc").is_some(), id };
    let method = request.get("method").and_then(serde_json::Value::as_str);
    let parameters = request.get("params").map_or(Some(Vec::new()), |params| params.as_array().cloned());
    match (method, parameters) {
        (Some(method), Some(parameters)) => {
            let parameters = parameters.into_iter().map(Value::from_json).collect();
            Ok(Asked { wire, method: method.chars().take(120).collect(), parameters })
        }
        _ => Err((wire, Failure::new(INTERNAL_ERROR, ["a request has a method and a list of params"]))),
    }
}

/// Reads an XML-RPC request.
pub(super) fn read_xml(body: &[u8]) -> Result<Asked, (Wire, Failure)> {
    let refuse = |why: String| (Wire::Xml, Failure::new(INTERNAL_ERROR, [why]));
    let call = Element::parse(body, Limits::REQUEST).map_err(|error| refuse(error.to_string()))?;
    let method = call.text_of("methodName").filter(|_| call.name() == "methodCall");
    let Some(method) = method else { return Err(refuse("no methodCall".to_owned())) };
    let values = call.child("params").map_or_else(Vec::new, |params| {
        params.children("param").map(|param| param.child("value").and_then(Value::from_xml)).collect()
    });
    let parameters: Option<Vec<Value>> = values.into_iter().collect();
    let parameters = parameters.ok_or_else(|| refuse("a parameter is no value of XML-RPC".to_owned()))?;
    Ok(Asked { wire: Wire::Xml, method: method.trim().chars().take(120).collect(), parameters })
}

impl Wire {
    /// The reply.
    pub fn reply(&self, result: &Result<Value, Failure>) -> Response<Body> {
        let (kind, text) = match self {
            Self::Json { two, id } => ("application/json", json(*two, id, result)),
            Self::Xml => ("text/xml", xml(result)),
        };
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
    }
}

fn json(two: bool, id: &str, result: &Result<Value, Failure>) -> String {
    let mut out = String::with_capacity(256);
    out.push('{');
    if two {
        out.push_str("\"jsonrpc\":\"2.0\",");
    }
    match result {
        Ok(value) => {
            out.push_str("\"result\":");
            value.write_json(&mut out);
            out.push_str(if two { "" } else { ",\"error\":null" });
        }
        Err(failure) if two => {
            out.push_str("\"error\":{\"code\":1,\"message\":");
            Value::from(failure.code.clone()).write_json(&mut out);
            out.push_str(",\"data\":");
            failure.parameters.iter().cloned().collect::<Value>().write_json(&mut out);
            out.push('}');
        }
        Err(failure) => {
            out.push_str("\"result\":null,\"error\":");
            failure.list().into_iter().collect::<Value>().write_json(&mut out);
        }
    }
    out.push_str(",\"id\":");
    out.push_str(id);
    out.push('}');
    out
}

fn xml(result: &Result<Value, Failure>) -> String {
    let mut out = String::with_capacity(256);
    let member = |out: &mut String, name: &str| {
        out.push_str("<member><name>");
        write_xml_text(out, name);
        out.push_str("</name>");
    };
    out.push_str("<?xml version=\"1.0\"?><methodResponse><params><param><value><struct>");
    member(&mut out, "Status");
    match result {
        Ok(value) => {
            out.push_str("<value>Success</value></member>");
            member(&mut out, "Value");
            value.write_xml(&mut out);
        }
        Err(failure) => {
            out.push_str("<value>Failure</value></member>");
            member(&mut out, "ErrorDescription");
            failure.list().into_iter().collect::<Value>().write_xml(&mut out);
        }
    }
    out.push_str("</member></struct></value></param></params></methodResponse>");
    out
}
