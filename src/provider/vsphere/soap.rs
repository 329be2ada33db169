//! vim25 over SOAP 1.1: envelopes out, answers in. Knows the shape of messages and nothing of VMs.
//!
//! Element order inside every message is the order of `vim25` types (base type first): vCenter is strict about it.
//! The shape of envelopes and faults was checked against recorded traffic of vCenter 6.0, 6.5 and 8.0.3.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::fault::{Failure, Fault};
use crate::model::{Secret, Words};
use crate::xml::{Element, Head, Limits, Reader, Writer, XSI, XmlError};

/// Namespace of everything vim25 says.
const VIM25: &str = "urn:vim25";

/// A managed object reference: type and value. Lasts as long as the object; never kept over restarts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moref {
    /// Such as `VirtualMachine`.
    pub kind: Cow<'static, str>,
    /// Such as `vm-42`.
    pub value: Arc<str>,
}

/// By its value alone, which hardly two references share whatever their types.
impl Hash for Moref {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

/// The types of most references: an inventory holds several references a VM, and none of them needs a copy of these.
const KINDS: [&str; 12] = [
    "VirtualMachine",
    "Folder",
    "Datacenter",
    "ClusterComputeResource",
    "ComputeResource",
    "HostSystem",
    "ResourcePool",
    "Datastore",
    "Network",
    "DistributedVirtualPortgroup",
    "VirtualApp",
    "Task",
];

fn kind(text: &str) -> Cow<'static, str> {
    let known = KINDS.iter().find(|known| **known == text);
    known.map_or_else(|| Cow::Owned(text.to_owned()), |known| Cow::Borrowed(*known))
}

impl Moref {
    pub(super) fn new(kind: &str, value: &str) -> Self {
        Self { kind: self::kind(kind), value: value.into() }
    }

    /// From an element whose `type` attribute and text are a reference.
    pub(super) fn of(element: &Element<'_>) -> Option<Self> {
        Self::with(element, |value| value.into())
    }

    /// The same for a reference that many have, such as a host's.
    pub(super) fn shared(element: &Element<'_>, words: &mut Words) -> Option<Self> {
        Self::with(element, |value| words.one(value))
    }

    fn with(element: &Element<'_>, text: impl FnOnce(&str) -> Arc<str>) -> Option<Self> {
        let value = element.trimmed();
        let kind = kind(element.attribute("type")?);
        (!value.is_empty()).then(|| Self { kind, value: text(value) })
    }
}

impl fmt::Display for Moref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

/// One method call, ready to be sent.
#[derive(Debug)]
pub(super) struct Request {
    /// The method, such as `ReconfigVM_Task`.
    pub method: &'static str,
    /// The whole envelope. May hold a password or cloud-init data.
    envelope: Secret,
}

impl Request {
    /// Writes a call of `method` on `this`; `arguments` writes the rest of its parameters, in order.
    pub(super) fn new(
        method: &'static str,
        this: &Moref,
        arguments: impl FnOnce(&mut Writer),
    ) -> Result<Self, XmlError> {
        let mut writer = Writer::document();
        writer
            .open("soapenv:Envelope")
            .attribute("xmlns:soapenv", "http://schemas.xmlsoap.org/soap/envelope/")
            .attribute("xmlns:xsd", "http://www.w3.org/2001/XMLSchema")
            .attribute("xmlns:xsi", XSI)
            .open("soapenv:Body")
            .open(method)
            .attribute("xmlns", VIM25);
        reference(&mut writer, "_this", this);
        arguments(&mut writer);
        Ok(Self { method, envelope: Secret::new(writer.finish()?) })
    }

    /// The bytes to send.
    pub(super) fn body(&self) -> String {
        self.envelope.expose().to_owned()
    }
}

/// Writes a managed object reference.
pub(super) fn reference(writer: &mut Writer, name: &str, target: &Moref) {
    writer.open(name).attribute("type", &target.kind).text(&target.value).close();
}

/// Writes an `OptionValue` whose value is a string.
pub(super) fn option(writer: &mut Writer, name: &str, key: &str, value: &str) {
    writer.open(name).attribute("xsi:type", "OptionValue").leaf("key", key);
    writer.open("value").attribute("xsi:type", "xsd:string").text(value).close();
    writer.close();
}

/// A whole answer that is not a fault.
#[derive(Debug)]
pub(super) struct Answer(String);

impl Answer {
    /// Judges what came: an answer, or the fault in it.
    pub(super) fn judge(bytes: Vec<u8>) -> Result<Self, Failure> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            XmlError::Refused { what: "text that is not UTF-8", at }
        })?;
        let fault = {
            let mut reader = Reader::of_text(&text, Limits::ANSWER)?;
            let response = descend(&mut reader)?;
            if response.name == "Fault" { Some(Fault::soap(&reader.element(response)?)) } else { None }
        };
        match fault {
            Some(fault) => Err(Failure::Fault(fault)),
            None => Ok(Self(text)),
        }
    }

    /// The `<MethodResponse>` as a tree; for small answers.
    pub(super) fn tree(&self) -> Result<Element<'_>, Failure> {
        let mut reader = Reader::of_text(&self.0, Limits::ANSWER)?;
        let response = descend(&mut reader)?;
        let element = reader.element(response)?;
        reader.finish()?;
        Ok(element)
    }

    /// The reference in `returnval`, if there is one.
    pub(super) fn returned(&self) -> Result<Option<Moref>, Failure> {
        Ok(self.tree()?.child("returnval").and_then(Moref::of))
    }

    /// The reference in `returnval`, which the method always gives.
    pub(super) fn reference(&self) -> Result<Moref, Failure> {
        self.returned()?.ok_or_else(|| Failure::senseless("an answer without a reference"))
    }
}

/// Down to the element in the envelope's body.
pub(super) fn descend<'a>(reader: &mut Reader<'a>) -> Result<Head<'a>, Failure> {
    let envelope = reader.root()?;
    let body = reader.child_named(&envelope, "Body")?;
    let body = body.ok_or_else(|| Failure::senseless("an answer that is not SOAP"))?;
    reader.child(&body)?.ok_or_else(|| Failure::senseless("an empty answer"))
}
