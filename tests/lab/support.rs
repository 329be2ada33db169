//! What the lab's tests share: a bare SOAP client that knows nothing of types, and the way to peers.

use std::process::Command;
use std::sync::Mutex;

use tierwright::lab::{Lab, LabEndpoint, LabOptions};
use tierwright::settings::Trust;
use tierwright::tls;

/// Is a missing peer a failure?
fn required() -> bool {
    std::env::var("TIERWRIGHT_PEERS").is_ok_and(|peers| peers == "required")
}

/// A Python that has this package: `$TIERWRIGHT_PYTHON`. `None`: what is skipped was said.
pub fn python(package: &str) -> Option<String> {
    let python = std::env::var("TIERWRIGHT_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(!required(), "{package} is missing (TIERWRIGHT_PYTHON={python}) and TIERWRIGHT_PEERS=required");
    println!("skipped: no {package} for {python}");
    None
}

/// The folder of the reference data; `None`: what is skipped was said.
pub fn reference() -> Option<std::path::PathBuf> {
    let root = std::env::var("TIERWRIGHT_REFERENCE")
        .unwrap_or_else(|_| format!("{}/../shared/reference", env!("CARGO_MANIFEST_DIR")));
    let folder = std::path::PathBuf::from(root);
    if folder.join("vsphere").exists() {
        return Some(folder);
    }
    assert!(!required(), "{} is missing and TIERWRIGHT_PEERS=required", folder.display());
    println!("skipped: no reference data at {}", folder.display());
    None
}

/// A client that sends what it is given.
pub struct Soap {
    client: reqwest::Client,
    url: String,
    cookie: Mutex<Option<String>>,
}

/// An answer: HTTP status and body.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub text: String,
}

/// An HTTP client that takes this certificate alone.
pub fn pinned(hex: &str) -> reqwest::Client {
    let mut pin = [0_u8; 32];
    for (byte, pair) in pin.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
    }
    let config = tls::client_config(&Trust::Pins(vec![pin])).expect("client settings");
    reqwest::Client::builder().tls_backend_preconfigured(config).build().expect("a client")
}

impl Soap {
    pub fn new(endpoint: &LabEndpoint) -> Self {
        let client = pinned(&endpoint.pins[0]);
        Self { client, url: endpoint.url().to_owned(), cookie: Mutex::new(None) }
    }

    /// A client that is logged in.
    pub async fn logged_in(endpoint: &LabEndpoint) -> Self {
        let soap = Self::new(endpoint);
        let reply = soap.login(&endpoint.username, &endpoint.password).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        soap
    }

    pub async fn login(&self, user: &str, password: &str) -> Reply {
        self.call(
            "Login",
            "SessionManager",
            "SessionManager",
            &format!("<userName>{user}</userName><password>{password}</password>"),
        )
        .await
    }

    /// A call of vim25 in its envelope.
    pub async fn call(&self, method: &str, kind: &str, moref: &str, inside: &str) -> Reply {
        self.try_call(method, kind, moref, inside).await.expect("an answer")
    }

    /// A call that may get no answer.
    pub async fn try_call(&self, method: &str, kind: &str, moref: &str, inside: &str) -> reqwest::Result<Reply> {
        let body = format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\
             <soapenv:Body><{method} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{moref}</_this>{inside}</{method}>\
             </soapenv:Body></soapenv:Envelope>"
        );
        self.send(body).await
    }

    /// Any bytes.
    pub async fn send(&self, body: impl Into<reqwest::Body>) -> reqwest::Result<Reply> {
        let mut request = self.client.post(&self.url).header("content-type", "text/xml; charset=utf-8").body(body);
        let cookie = self.cookie.lock().expect("cookie").clone();
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let response = request.send().await?;
        if let Some(set) = response.headers().get("set-cookie").and_then(|set| set.to_str().ok()) {
            let pair = set.split(';').next().unwrap_or_default().to_owned();
            *self.cookie.lock().expect("cookie") = Some(pair);
        }
        Ok(Reply { status: response.status().as_u16(), text: response.text().await? })
    }

    /// Starts a task and waits for its end by reading it.
    pub async fn task(&self, method: &str, kind: &str, moref: &str, inside: &str) -> Reply {
        let started = self.call(method, kind, moref, inside).await;
        if started.status != 200 {
            return started;
        }
        let task = started.value("returnval").expect("a task");
        loop {
            let info = self.call("Fetch", "Task", &task, "<prop>info</prop>").await;
            if info.text.contains("<state>success</state>") || info.text.contains("<state>error</state>") {
                return info;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A property of an object, as its bare XML.
    pub async fn fetch(&self, kind: &str, moref: &str, path: &str) -> String {
        let reply = self.call("Fetch", kind, moref, &format!("<prop>{path}</prop>")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.text
    }
}

impl Reply {
    /// The text of the first element of that name.
    pub fn value(&self, name: &str) -> Option<String> {
        value(&self.text, name)
    }

    /// Wire name of the fault, of the call or of the task.
    pub fn fault(&self) -> Option<&str> {
        let from = self.text.find("<fault xsi:type=\"").map(|at| at + 17).or_else(|| {
            let detail = self.text.find("<detail>")?;
            self.text[detail..].find("xsi:type=\"").map(|at| detail + at + 10)
        })?;
        self.text[from..].split('"').next()
    }
}

/// The text of the first element of that name.
pub fn value(text: &str, name: &str) -> Option<String> {
    let start = text.find(&format!("<{name}>")).or_else(|| text.find(&format!("<{name} ")))?;
    let inside = start + text[start..].find('>')? + 1;
    Some(text[inside..inside + text[inside..].find('<')?].to_owned())
}

pub async fn lab(options: LabOptions) -> (Lab, LabEndpoint) {
    let lab = Lab::start(options).await.expect("the lab starts");
    let endpoint = lab.endpoints().remove(0);
    (lab, endpoint)
}

/// A lab, and a client that is logged in to it.
pub async fn ready(options: LabOptions) -> (Lab, Soap) {
    let (lab, endpoint) = lab(options).await;
    let soap = Soap::logged_in(&endpoint).await;
    (lab, soap)
}

/// `vm-42` of a VM by name.
pub fn moref(lab: &Lab, name: &str) -> String {
    lab.world().with(|world| format!("vm-{}", world.vm_named(name).expect("the VM").id.0))
}

/// A `specSet` over all VMs of a view.
pub fn over_view(view: &str, paths: &[&str]) -> String {
    let paths = format!("<pathSet>{}</pathSet>", paths.join("</pathSet><pathSet>"));
    format!(
        "<specSet><propSet><type>VirtualMachine</type>{paths}</propSet><objectSet><obj type=\"ContainerView\">{view}\
         </obj><skip>true</skip><selectSet xsi:type=\"TraversalSpec\"><name>v</name><type>ContainerView</type>\
         <path>view</path><skip>false</skip></selectSet></objectSet></specSet>"
    )
}

/// A view over all VMs.
pub async fn vm_view(soap: &Soap) -> String {
    let inside =
        "<container type=\"Folder\">group-d1</container><type>VirtualMachine</type><recursive>true</recursive>";
    let reply = soap.call("CreateContainerView", "ViewManager", "ViewManager", inside).await;
    reply.value("returnval").expect("a view")
}
