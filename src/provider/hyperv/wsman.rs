//! Messages of WS-Management (DSP0226): envelopes out, answers in.
//!
//! Headers, their order and their `mustUnderstand` follow the recorded exchanges with real Windows hosts.
//! Pure but for the message's id.

use bytes::Bytes;

use super::cim::{self, Instance, Parameter, Reference};
use super::fault::{Failure, Fault};
use crate::ids;
use crate::xml::{Head, Limits, Reader, Writer};

/// The address that means "answer on this connection".
pub(super) const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
const WSMV: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd";
const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
const IDENTITY: &str = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd";
/// The dialect of filters ([MS-WSMV] 2.2.4.43, Filter).
const WQL: &str = "http://schemas.microsoft.com/wbem/wsman/1/WQL";

/// Largest answer asked for: the least that any host allows by default (`MaxEnvelopeSizekb` 150 before Windows 8).
pub(super) const MAX_ENVELOPE: usize = 153_600;
/// How long a host may take for one call before it says "ask again" (its own default limit, `MaxTimeoutms`).
const OPERATION_TIMEOUT: &str = "PT60S";

/// A message to a host.
#[derive(Debug, Clone)]
pub(super) struct Message {
    action: String,
    target: Option<Reference>,
    body: String,
}

impl Message {
    /// Asks for one instance.
    pub(super) fn get(target: Reference) -> Self {
        Self { action: format!("{TRANSFER}/Get"), target: Some(target), body: String::new() }
    }

    /// Replaces one instance by this fragment.
    #[cfg_attr(not(test), expect(dead_code, reason = "part of the protocol; whatever changes a VM is a method"))]
    pub(super) fn put(target: Reference, fragment: String) -> Self {
        Self { action: format!("{TRANSFER}/Put"), target: Some(target), body: fragment }
    }

    /// Begins an enumeration, with up to `items` in the first answer.
    pub(super) fn enumerate(namespace: cim::Namespace, wql: &str, items: u32) -> Result<Self, Failure> {
        let mut writer = Writer::fragment();
        writer.open("n:Enumerate").open("w:OptimizeEnumeration").close();
        writer.leaf("w:MaxElements", &items.to_string());
        writer.open("w:Filter").attribute("Dialect", WQL).text(wql).close();
        writer.close();
        let target = Reference { uri: namespace.uri("*"), selectors: Vec::new() };
        Ok(Self { action: format!("{ENUMERATION}/Enumerate"), target: Some(target), body: writer.finish()? })
    }

    /// Goes on with one.
    pub(super) fn pull(namespace: cim::Namespace, context: &str, items: u32) -> Result<Self, Failure> {
        let mut writer = Writer::fragment();
        writer.open("n:Pull").leaf("n:EnumerationContext", context).leaf("n:MaxElements", &items.to_string()).close();
        let target = Reference { uri: namespace.uri("*"), selectors: Vec::new() };
        Ok(Self { action: format!("{ENUMERATION}/Pull"), target: Some(target), body: writer.finish()? })
    }

    /// Calls a method (DSP0227, 9).
    pub(super) fn invoke(
        target: Reference,
        method: &str,
        parameters: &[(&'static str, Parameter)],
    ) -> Result<Self, Failure> {
        let mut writer = Writer::fragment();
        writer.open(&format!("p:{method}_INPUT")).attribute("xmlns:p", &target.uri);
        for (name, parameter) in parameters {
            parameter.write(&mut writer, &format!("p:{name}"))?;
        }
        writer.close();
        let action = format!("{}/{method}", target.uri);
        Ok(Self { action, target: Some(target), body: writer.finish()? })
    }

    /// Anything else of WS-Transfer's kind, such as a shell's commands.
    #[cfg(test)]
    pub(super) fn other(action: String, target: Reference, body: String) -> Self {
        Self { action, target: Some(target), body }
    }

    /// The whole envelope.
    pub(super) fn envelope(&self, to: &str) -> Result<String, Failure> {
        let mut writer = Writer::document();
        writer.open("s:Envelope").attribute("xmlns:s", SOAP).attribute("xmlns:a", ADDRESSING);
        writer.attribute("xmlns:w", WSMAN).attribute("xmlns:v", WSMV).attribute("xmlns:n", ENUMERATION);
        writer.open("s:Header");
        must(&mut writer, "a:Action").text(&self.action).close();
        must(&mut writer, "w:MaxEnvelopeSize").text(&MAX_ENVELOPE.to_string()).close();
        writer.leaf("a:MessageID", &format!("uuid:{}", ids::message_id()));
        writer.leaf("w:OperationTimeout", OPERATION_TIMEOUT);
        // The words of faults come in the host's language otherwise.
        for name in ["w:Locale", "v:DataLocale"] {
            writer.open(name).attribute("s:mustUnderstand", "false").attribute("xml:lang", "en-US").close();
        }
        writer.open("a:ReplyTo");
        must(&mut writer, "a:Address").text(ANONYMOUS).close().close();
        if let Some(target) = &self.target {
            must(&mut writer, "w:ResourceURI").text(&target.uri).close();
            if !target.selectors.is_empty() {
                cim::write_selectors(&mut writer, &target.selectors);
            }
        }
        writer.leaf("a:To", to).close();
        writer.open("s:Body").raw(&self.body).close();
        Ok(writer.finish()?)
    }
}

fn must<'w>(writer: &'w mut Writer, name: &str) -> &'w mut Writer {
    writer.open(name).attribute("s:mustUnderstand", "true")
}

/// Asks what a host is (DSP0226, 11); the one message without addressing.
pub(super) fn identify() -> String {
    format!(
        r#"<s:Envelope xmlns:s="{SOAP}" xmlns:i="{IDENTITY}"><s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>"#
    )
}

/// An answer that is no fault.
#[derive(Debug, Clone)]
pub(super) struct Answer(Bytes);

/// A page of an enumeration.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    /// To go on with; `None` at the end.
    pub context: Option<String>,
}

/// What a method answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    /// 0 for methods that return nothing.
    pub value: u64,
    pub job: Option<Reference>,
    texts: Vec<(String, String)>,
}

impl Output {
    /// The text given under this name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(found, _)| found == name).map(|(_, text)| text.as_str())
    }
}

impl Answer {
    /// Tells an answer from a fault.
    pub(super) fn judge(body: Bytes) -> Result<Self, Failure> {
        let fault = {
            let (mut reader, content) = Self::content_of(&body)?;
            match content {
                Some(content) if content.is(SOAP, "Fault") => Some(Fault::soap(&reader.element(content)?)),
                _ => None,
            }
        };
        fault.map_or(Ok(Self(body)), |fault| Err(Failure::Fault(fault)))
    }

    /// The reader, standing at the first element in the body.
    fn content_of(body: &Bytes) -> Result<(Reader<'_>, Option<Head<'_>>), Failure> {
        let mut reader = Reader::new(body, Limits::ANSWER)?;
        let root = reader.root()?;
        if !root.is(SOAP, "Envelope") {
            return Err(Failure::senseless("an answer that is no SOAP: is this WinRM's URL?"));
        }
        let soap_body = reader.child_named(&root, "Body")?;
        let soap_body = soap_body.ok_or_else(|| Failure::senseless("an answer without a body"))?;
        let content = reader.child(&soap_body)?;
        Ok((reader, content))
    }

    /// Product and version of an Identify.
    pub(super) fn product(&self) -> Result<String, Failure> {
        let (mut reader, content) = Self::content_of(&self.0)?;
        let Some(content) = content.filter(|head| head.name == "IdentifyResponse") else {
            return Err(Failure::senseless("no answer to Identify"));
        };
        let identity = reader.element(content)?;
        reader.finish()?;
        let fact = |name: &str| identity.text_of(name).unwrap_or_default().trim().to_owned();
        Ok(format!("{} {}", fact("ProductVendor"), fact("ProductVersion")))
    }

    /// The one instance of a Get.
    pub(super) fn instance<T>(&self, read: impl FnOnce(&Instance<'_>) -> T) -> Result<T, Failure> {
        let (mut reader, content) = Self::content_of(&self.0)?;
        let content = content.ok_or_else(|| Failure::senseless("an answer without an instance"))?;
        let element = reader.element(content)?;
        reader.finish()?;
        Ok(read(&Instance(element)))
    }

    /// The instances of one page; those that `read` makes nothing of are left out.
    pub(super) fn page<T>(&self, read: &mut impl FnMut(&Instance<'_>) -> Option<T>) -> Result<Page<T>, Failure> {
        let (mut reader, first) = Self::content_of(&self.0)?;
        let Some(first) = first.filter(|head| matches!(head.name, "EnumerateResponse" | "PullResponse")) else {
            return Err(Failure::senseless("no answer to an enumeration"));
        };
        let mut page = Page { items: Vec::new(), context: None };
        let mut ended = false;
        while let Some(part) = reader.child(&first)? {
            match part.name {
                "EnumerationContext" => {
                    let context = reader.element(part)?.trimmed().to_owned();
                    page.context = Some(context).filter(|context| !context.is_empty());
                }
                "Items" => {
                    while let Some(item) = reader.child(&part)? {
                        let instance = Instance(reader.element(item)?);
                        page.items.extend(read(&instance));
                    }
                }
                "EndOfSequence" => ended = true,
                _ => {}
            }
        }
        reader.finish()?;
        if ended {
            page.context = None;
        } else if page.context.is_none() {
            return Err(Failure::lost("an enumeration that neither ends nor can be gone on with"));
        }
        Ok(page)
    }

    /// What a method gave back.
    pub(super) fn output(&self) -> Result<Output, Failure> {
        let mut output = Output { value: 0, job: None, texts: Vec::new() };
        let (mut reader, content) = Self::content_of(&self.0)?;
        let Some(content) = content.filter(|head| head.name.ends_with("_OUTPUT")) else {
            return Err(Failure::lost("an answer that is not that of the method"));
        };
        let element = reader.element(content)?;
        reader.finish()?;
        for part in &element.children {
            let name = part.name().to_owned();
            match (name.as_str(), Reference::of(part)) {
                ("ReturnValue", _) => {
                    let value = part.trimmed().parse();
                    output.value = value.map_err(|_| Failure::lost("a return value that is no number"))?;
                }
                ("Job", reference) => output.job = reference,
                // What was made is looked for, since a job's answer does not name it.
                (_, Some(_)) => {}
                (_, None) => output.texts.push((name, part.text.to_string())),
            }
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Result<Answer, Failure> {
        let envelope = format!(r#"<s:Envelope xmlns:s="{SOAP}"><s:Header/><s:Body>{body}</s:Body></s:Envelope>"#);
        Answer::judge(Bytes::from(envelope))
    }

    #[test]
    fn a_page_tells_its_items_and_how_to_go_on() {
        let body = r#"<n:EnumerateResponse xmlns:n="e" xmlns:w="w"><n:EnumerationContext>uuid:1</n:EnumerationContext>
            <w:Items><p:X xmlns:p="u"><p:Name>a</p:Name></p:X><w:XmlFragment><Name>b</Name></w:XmlFragment></w:Items>
            </n:EnumerateResponse>"#;
        let page = answer(body).unwrap().page(&mut |item| item.text("Name").map(str::to_owned)).unwrap();
        assert_eq!((page.items, page.context.as_deref()), (vec!["a".to_owned(), "b".to_owned()], Some("uuid:1")));
        let last = body.replace("</n:EnumerateResponse>", "<w:EndOfSequence/></n:EnumerateResponse>");
        assert_eq!(answer(&last).unwrap().page(&mut |_| Some(())).unwrap().context, None);
    }

    #[test]
    fn an_enumeration_that_just_stops_is_no_end() {
        let body = r#"<n:PullResponse xmlns:n="e"><n:Items/></n:PullResponse>"#;
        assert!(matches!(answer(body).unwrap().page(&mut |_| Some(())), Err(Failure::Lost(..))));
    }

    #[test]
    fn a_job_and_what_was_made_are_read_from_an_output() {
        let reference = |id: &str| {
            format!(
                r#"<a:Address xmlns:a="a">x</a:Address><a:ReferenceParameters xmlns:a="a" xmlns:w="w"><w:ResourceURI>
                u/Msvm_ConcreteJob</w:ResourceURI><w:SelectorSet><w:Selector Name="InstanceID">{id}</w:Selector>
                </w:SelectorSet></a:ReferenceParameters>"#
            )
        };
        let body = format!(
            r#"<p:DefineSystem_OUTPUT xmlns:p="p"><p:ReturnValue>4096</p:ReturnValue><p:Job>{}</p:Job>
            <p:ResultingSystem>{}</p:ResultingSystem><p:Text>t</p:Text></p:DefineSystem_OUTPUT>"#,
            reference("J"),
            reference("S")
        );
        let output = answer(&body).unwrap().output().unwrap();
        assert_eq!((output.value, output.text("Text")), (4096, Some("t")));
        assert_eq!(output.job.unwrap().key("instanceid"), Some("J"));
    }

    #[test]
    fn a_put_carries_its_fragment_and_names_its_instance() {
        let target = Reference::setting("Msvm_VirtualSystemSettingData", r"Microsoft:4764334D");
        let envelope = Message::put(target, "<p:X xmlns:p=\"u\"/>".to_owned()).envelope("https://h/wsman").unwrap();
        let tree = crate::xml::Element::parse(envelope.as_bytes(), Limits::ANSWER).unwrap();
        let action = tree.path(&["Header", "Action"]).unwrap().trimmed();
        assert!(action.ends_with("/transfer/Put"), "{action}");
        let selector = tree.path(&["Header", "SelectorSet", "Selector"]).unwrap();
        assert_eq!((selector.attribute("Name"), selector.trimmed()), (Some("InstanceID"), "Microsoft:4764334D"));
        assert!(tree.path(&["Body", "X"]).is_some());
    }
}
