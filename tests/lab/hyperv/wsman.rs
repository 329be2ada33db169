//! A bare WS-Management client with Basic over TLS: sends what it is given and keeps what went over the wire.

use std::fmt::Write as _;
use std::sync::Mutex;

use tierwright::lab::{HYPERV, Lab, LabEndpoint, LabOptions};
use tierwright::model::HypervisorType;
use tierwright::settings::Trust;
use tierwright::tls;
use tierwright::xml::{Element, Limits};

use crate::support::{Reply, value};

pub const V2: &str = "root/virtualization/v2";
const WQL: &str = "http://schemas.microsoft.com/wbem/wsman/1/WQL";
const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";

/// Keys of an instance.
pub type Keys<'a> = &'a [(&'a str, &'a str)];

pub struct Wsman {
    client: reqwest::Client,
    pub url: String,
    user: String,
    password: String,
    /// Requests and answers, in order.
    pub seen: Mutex<Vec<String>>,
}

/// A lab with only a Hyper-V host.
pub fn options() -> LabOptions {
    LabOptions { only: vec![HypervisorType::Hyperv], ..LabOptions::default() }
}

pub async fn lab(options: LabOptions) -> (Lab, Wsman) {
    let lab = Lab::start(options).await.expect("the lab starts");
    let endpoint = lab.endpoints().into_iter().find(|endpoint| endpoint.name == HYPERV).expect("a host");
    let client = Wsman::new(&endpoint, 0);
    (lab, client)
}

pub fn uri(namespace: &str, class: &str) -> String {
    format!("http://schemas.microsoft.com/wbem/wsman/1/wmi/{namespace}/{class}")
}

pub fn selectors(keys: Keys<'_>) -> String {
    let mut text = String::from("<w:SelectorSet>");
    for (name, value) in keys {
        let _ = write!(text, "<w:Selector Name=\"{name}\">{}</w:Selector>", escaped(value));
    }
    text + "</w:SelectorSet>"
}

/// An endpoint reference as a parameter holds it.
pub fn reference(class: &str, keys: Keys<'_>) -> String {
    format!(
        "<a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address><a:ReferenceParameters>\
         <w:ResourceURI>{}</w:ResourceURI>{}</a:ReferenceParameters>",
        uri(V2, class),
        selectors(keys)
    )
}

/// An embedded instance; a name that ends in `[]` is an array of one.
pub fn instance(class: &str, properties: &[(&str, &str)]) -> String {
    let mut text = format!("<INSTANCE CLASSNAME=\"{class}\">");
    for (name, value) in properties {
        let value = escaped(value);
        let _ = match name.strip_suffix("[]") {
            None => write!(text, "<PROPERTY NAME=\"{name}\" TYPE=\"string\"><VALUE>{value}</VALUE></PROPERTY>"),
            Some(name) => write!(
                text,
                "<PROPERTY.ARRAY NAME=\"{name}\" TYPE=\"string\"><VALUE.ARRAY><VALUE>{value}</VALUE></VALUE.ARRAY>\
                 </PROPERTY.ARRAY>"
            ),
        };
    }
    format!("<![CDATA[{text}</INSTANCE>]]>")
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

impl Wsman {
    pub fn new(endpoint: &LabEndpoint, node: usize) -> Self {
        let pin = &endpoint.pins[node];
        let mut bytes = [0_u8; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&pin[at * 2..at * 2 + 2], 16).expect("hex");
        }
        let config = tls::client_config(&Trust::Pins(vec![bytes])).expect("client settings");
        let client = reqwest::Client::builder().tls_backend_preconfigured(config).build().expect("a client");
        Self {
            client,
            url: endpoint.urls[node].clone(),
            user: endpoint.username.clone(),
            password: endpoint.password.clone(),
            seen: Mutex::default(),
        }
    }

    pub async fn send(&self, body: String) -> reqwest::Result<Reply> {
        self.seen.lock().expect("seen").push(body.clone());
        let request = self.client.post(&self.url).header("content-type", "application/soap+xml;charset=UTF-8");
        let response = request.basic_auth(&self.user, Some(&self.password)).body(body).send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        self.seen.lock().expect("seen").push(text.clone());
        Ok(Reply { status, text })
    }

    /// A request in its envelope; `header` stands after the usual headers.
    pub async fn ask(&self, action: &str, uri: &str, header: &str, body: &str) -> reqwest::Result<Reply> {
        self.send(envelope(action, uri, header, body)).await
    }

    pub async fn get(&self, namespace: &str, class: &str, keys: Keys<'_>) -> Reply {
        self.ask(&format!("{TRANSFER}/Get"), &uri(namespace, class), &selectors(keys), "").await.expect("an answer")
    }

    /// All instances: by class, or by query over a namespace.
    pub async fn list(&self, namespace: &str, class_or_query: &str) -> Result<Vec<String>, Reply> {
        let (class, filter) = if class_or_query.contains(' ') {
            ("*", format!("<w:Filter Dialect=\"{WQL}\">{}</w:Filter>", escaped(class_or_query)))
        } else {
            (class_or_query, String::new())
        };
        let uri = uri(namespace, class);
        let begun = self
            .ask(&format!("{ENUMERATION}/Enumerate"), &uri, "", &format!("<n:Enumerate>{filter}</n:Enumerate>"))
            .await
            .expect("an answer");
        let Some(context) = value(&begun.text, "n:EnumerationContext") else { return Err(begun) };
        let mut items = Vec::new();
        loop {
            let body = format!(
                "<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext><n:MaxElements>32000</n:MaxElements></n:Pull>"
            );
            let page = self.ask(&format!("{ENUMERATION}/Pull"), &uri, "", &body).await.expect("an answer");
            if page.status != 200 {
                return Err(page);
            }
            items.extend(parts(&page.text));
            if page.text.contains("EndOfSequence") {
                return Ok(items);
            }
        }
    }

    /// The one instance a query gives.
    pub async fn one(&self, query: &str) -> String {
        let mut all = self.list(V2, query).await.unwrap_or_else(|reply| panic!("{query}: {}", reply.text));
        assert_eq!(all.len(), 1, "{query}: {all:?}");
        all.remove(0)
    }

    pub async fn invoke(&self, class: &str, keys: Keys<'_>, method: &str, parameters: &str) -> Reply {
        self.invoke_in(V2, class, keys, (method, parameters)).await.expect("an answer")
    }

    pub async fn invoke_in(
        &self,
        namespace: &str,
        class: &str,
        keys: Keys<'_>,
        (method, parameters): (&str, &str),
    ) -> reqwest::Result<Reply> {
        let uri = uri(namespace, class);
        let body = format!("<p:{method}_INPUT xmlns:p=\"{uri}\">{parameters}</p:{method}_INPUT>");
        self.ask(&format!("{uri}/{method}"), &uri, &selectors(keys), &body).await
    }

    /// A method whose job is awaited: `Err` is the return value or the job's error code, and the words.
    pub async fn done(
        &self,
        class: &str,
        keys: Keys<'_>,
        method: &str,
        parameters: &str,
    ) -> Result<Reply, (u32, String)> {
        let reply = self.invoke(class, keys, method, parameters).await;
        assert_eq!(reply.status, 200, "{method}: {}", reply.text);
        let code: u32 = value(&reply.text, "p:ReturnValue").expect("a return value").parse().expect("a number");
        match code {
            0 => Ok(reply),
            4096 => self.job(&reply.text).await.map(|()| reply),
            code => Err((code, reply.text)),
        }
    }

    async fn job(&self, answer: &str) -> Result<(), (u32, String)> {
        let class = if answer.contains("/Msvm_StorageJob<") { "Msvm_StorageJob" } else { "Msvm_ConcreteJob" };
        let from = answer.find("Selector Name=\"InstanceID\">").expect("a job") + 27;
        let id = answer[from..].split('<').next().expect("an id").to_owned();
        loop {
            let job = self.get(V2, class, &[("InstanceID", &id)]).await;
            match value(&job.text, "p:JobState").as_deref() {
                Some("7") => return Ok(()),
                Some("10") => {
                    let code = value(&job.text, "p:ErrorCode").expect("a code").parse().expect("a number");
                    return Err((code, value(&job.text, "p:ErrorDescription").expect("words")));
                }
                Some("4") => tokio::task::yield_now().await,
                other => panic!("{other:?} {}", job.text),
            }
        }
    }

    /// Methods of the services that change VMs, and virtual disks.
    pub async fn vsms(&self, method: &str, parameters: &str) -> Result<Reply, (u32, String)> {
        self.done("Msvm_VirtualSystemManagementService", &[], method, parameters).await
    }

    pub async fn ims(&self, method: &str, parameters: &str) -> Result<Reply, (u32, String)> {
        self.done("Msvm_ImageManagementService", &[], method, parameters).await
    }
}

pub fn envelope(action: &str, uri: &str, header: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:n=\"{ENUMERATION}\" \
         xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\"><s:Header><a:To>http://lab/wsman</a:To>\
         <a:Action s:mustUnderstand=\"true\">{action}</a:Action><a:MessageID>uuid:1</a:MessageID>\
         <w:ResourceURI s:mustUnderstand=\"true\">{uri}</w:ResourceURI>\
         <w:MaxEnvelopeSize s:mustUnderstand=\"true\">512000</w:MaxEnvelopeSize>\
         <w:OperationTimeout>PT60S</w:OperationTimeout>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// The text of each item of a page.
fn parts(page: &str) -> Vec<String> {
    let Some(start) = page.find("Items>").map(|at| at + 6) else { return Vec::new() };
    let end = page.rfind("</n:Items>").or_else(|| page.rfind("</w:Items>")).expect("an end");
    let whole = Element::parse(page.as_bytes(), Limits::ANSWER).expect("XML");
    let body = whole.child("Body").and_then(|body| body.children.first()).expect("a body");
    let count = body.child("Items").map_or(0, |items| items.children.len());
    let mut items = Vec::new();
    let mut rest = &page[start..end];
    for _ in 0..count {
        let name = rest[1..].split([' ', '>']).next().expect("a name");
        let close = format!("</{name}>");
        let at = rest.find(&close).expect("its end") + close.len();
        items.push(rest[..at].to_owned());
        rest = &rest[at..];
    }
    items
}

/// The text of a property of an instance.
pub fn property(item: &str, name: &str) -> String {
    let found = value(item, &format!("p:{name}")).unwrap_or_default();
    found.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
