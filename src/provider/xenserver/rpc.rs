//! JSON-RPC 2.0 as XAPI speaks it: bodies of calls and answers. Pure.
//!
//! An error is `{code: 1, message: CODE, data: [parameters]}`; a server older than that answers with the list
//! `[CODE, parameters…]` (recorded/05, 06). A null reference is `OpaqueRef:NULL`, at times an empty text; a void result
//! is an empty text (recorded/11).

use std::borrow::{Borrow, Cow};
use std::sync::Arc;

use bytes::Bytes;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::fault::{Failure, Fault};

/// A reference to an object, as long as it lives; never `OpaqueRef:NULL`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub(super) struct Ref(pub Arc<str>);

/// The reference to nothing.
pub(super) const NULL: &str = "OpaqueRef:NULL";

impl Ref {
    /// `None` for the reference to nothing.
    pub(super) fn of(text: &str) -> Option<Self> {
        (!text.is_empty() && text != NULL).then(|| Self(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Ref {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Ref {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|text| Self(text.0.into()))
    }
}

/// A text of an answer, lent by it where it stands there as it is. (A bare `Cow` in a list or map is always a copy.)
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A reference that may be one to nothing.
pub(super) fn maybe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ref>, D::Error> {
    Ok(Ref::of(&Text::deserialize(deserializer)?.0))
}

/// A 64-bit integer: a number, or a text, as some versions write it. A negative one counts as zero.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a whole number, or one as a text")
        }

        fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }

        fn visit_i64<E>(self, number: i64) -> Result<u64, E> {
            Ok(u64::try_from(number).unwrap_or(0))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u64, E> {
            self.visit_i64(text.trim().parse().map_err(E::custom)?)
        }
    }
    deserializer.deserialize_any(Number)
}

/// A call without its session.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The message, such as `VM.start`.
    pub method: &'static str,
    /// Answered by a task instead of a result.
    pub asynchronous: bool,
    params: Vec<Value>,
}

impl Request {
    pub(super) fn new(method: &'static str) -> Self {
        Self { method, asynchronous: false, params: Vec::new() }
    }

    /// The same message as a task: for what may take longer than a connection is patient.
    pub(super) fn task(method: &'static str) -> Self {
        Self { asynchronous: true, ..Self::new(method) }
    }

    /// With one more parameter.
    pub(super) fn with(mut self, value: impl Into<Value>) -> Self {
        self.params.push(value.into());
        self
    }

    /// With one more parameter, a reference.
    pub(super) fn on(self, reference: &Ref) -> Self {
        self.with(reference.as_str())
    }

    /// As it is sent; the session comes first, where there is one.
    pub(super) fn body(&self, session: Option<&str>) -> Vec<u8> {
        let mut params: Vec<Value> = session.map(Value::from).into_iter().collect();
        params.extend(self.params.iter().cloned());
        let prefix = if self.asynchronous { "Async." } else { "" };
        let method = format!("{prefix}{}", self.method);
        serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string().into_bytes()
    }
}

/// A good answer's result, still as it came.
#[derive(Debug, Clone)]
pub(super) struct Answer(Bytes);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Refusal>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Refusal {
    Second {
        message: String,
        #[serde(default)]
        data: Vec<Value>,
    },
    First(Vec<String>),
}

impl Answer {
    /// Sorts a body into a result, a fault, and what makes no sense.
    pub(super) fn judge(body: &Bytes) -> Result<Self, Failure> {
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(unreadable)?;
        match (envelope.error, envelope.result) {
            (Some(Refusal::Second { message, data }), _) => {
                let text = |value: Value| if let Value::String(text) = value { text } else { value.to_string() };
                Err(Failure::Fault(Fault::new(message, data.into_iter().map(text).collect())))
            }
            (Some(Refusal::First(list)), _) => Err(Failure::Fault(Fault::of_list(list))),
            (None, Some(result)) => Ok(Self(body.slice_ref(result.get().as_bytes()))),
            (None, None) => Err(Failure::senseless("an answer with neither a result nor an error: is this a Xen API?")),
        }
    }

    /// The result, as what it should be.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.0).map_err(unreadable)
    }

    /// A result that is one text: a reference, or nothing.
    pub(super) fn text(&self) -> Result<String, Failure> {
        self.read()
    }

    /// How long it is.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A body that breaks off is a lost answer, not a strange one.
fn unreadable(error: serde_json::Error) -> Failure {
    if error.is_eof() {
        Failure::Lost("the answer broke off".to_owned(), Some(Box::new(error)))
    } else {
        // The text of the error tells of types and positions; the bytes themselves may hold anything.
        Failure::senseless(format!("an answer that cannot be read: {error}"))
    }
}

/// The result of a task: `<value>OpaqueRef:…</value>`, or nothing (recorded/22).
pub(super) fn task_result(text: &str) -> Option<String> {
    let inner = text.strip_prefix("<value>").and_then(|rest| rest.strip_suffix("</value>")).unwrap_or(text).trim();
    (!inner.is_empty()).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(body: &'static str) -> Result<Answer, Failure> {
        Answer::judge(&Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn answers_of_both_versions_are_told_apart() {
        assert_eq!(judged(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).unwrap().text().unwrap(), "x");
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"VDI_IN_USE","data":["a","b"]}}"#,
            r#"{"id":1,"result":null,"error":["VDI_IN_USE","a","b"]}"#,
        ] {
            let Err(Failure::Fault(fault)) = judged(body) else { panic!("{body}") };
            assert_eq!((fault.code.as_str(), fault.data.len()), ("VDI_IN_USE", 2));
        }
        assert!(matches!(judged(r#"{"jsonrpc":"2.0","id":1,"resu"#), Err(Failure::Lost(..))));
        assert!(matches!(judged("<html>"), Err(Failure::Because(..))));
    }

    #[test]
    fn the_session_comes_first_and_a_task_is_asked_for_by_its_prefix() {
        let request = Request::task("VM.start").on(&Ref::of("OpaqueRef:vm").unwrap()).with(false);
        let body: Value = serde_json::from_slice(&request.body(Some("s"))).unwrap();
        assert_eq!(body["method"], "Async.VM.start");
        assert_eq!(body["params"], serde_json::json!(["s", "OpaqueRef:vm", false]));
    }

    #[test]
    fn a_task_tells_what_it_made() {
        assert_eq!(task_result("<value>OpaqueRef:1</value>").as_deref(), Some("OpaqueRef:1"));
        assert_eq!(task_result("<value></value>"), None);
        assert_eq!(task_result(""), None);
    }
}
