//! A bare HTTP client that makes the calls of a provider and throws the answers away: what the
//! network and the server cost.
//!
//! The calls are recorded once, through a proxy that stands between provider and server. Replayed, they are the same
//! but for what belongs to a session: cookie, view, page tokens.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use reqwest::Client;
use tierwright::lab::listener::TlsListener;
use tierwright::provider;
use tierwright::settings::{EndpointSettings, PasswordFrom, Trust};
use tokio::sync::watch;

/// The calls of one full inventory, in order.
#[derive(Clone)]
pub struct Calls(Vec<String>);

#[derive(Clone)]
struct Between {
    client: Client,
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

/// An HTTP client with no knowledge of anything.
pub fn client(endpoint: &EndpointSettings) -> Client {
    let tls = tierwright::tls::client_config(&endpoint.trust).expect("the pin is good");
    Client::builder().tls_backend_preconfigured(tls).no_proxy().build().expect("a client can be made")
}

/// Records the calls of a first inventory.
pub async fn record(endpoint: &EndpointSettings) -> Calls {
    let (stop, _) = watch::channel(false);
    let listener = TlsListener::bind(([127, 0, 0, 1], 0).into(), &stop).await.expect("a free port");
    let url = format!("https://{}/sdk", listener.address());
    let pin = std::array::from_fn(|at| {
        u8::from_str_radix(&listener.pin_sha256()[at * 2..at * 2 + 2], 16).expect("a pin is hex")
    });
    let between = Between { client: client(endpoint), url: endpoint.urls[0].clone(), seen: Arc::default() };
    let router = Router::new().fallback(pass_on).with_state(between.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let through = EndpointSettings { urls: vec![url], trust: Trust::Pins(vec![pin]), ..endpoint.clone() };
    let provider = provider::connect(&through).expect("the settings are good");
    provider.collect(&[]).await.expect("the lab answers");
    serving.abort();
    let seen = between.seen.lock().expect("nobody panics with it").clone();
    Calls(seen)
}

async fn pass_on(State(between): State<Between>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    between.seen.lock().expect("nobody panics with it").push(String::from_utf8_lossy(&body).into_owned());
    let mut call = between.client.post(&between.url).body(body);
    for name in ["soapaction", "cookie", "content-type"] {
        if let Some(value) = headers.get(name) {
            call = call.header(name, value);
        }
    }
    let answer = call.send().await.expect("the lab answers");
    let status = StatusCode::from_u16(answer.status().as_u16()).expect("a status");
    let cookie = answer.headers().get("set-cookie").cloned();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    headers.extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    (status, headers, answer.bytes().await.expect("a whole answer"))
}

impl Calls {
    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Makes them with a fresh client; gives the bytes of the answers.
    pub async fn replay(&self, endpoint: &EndpointSettings) -> usize {
        let client = client(endpoint);
        let (mut cookie, mut view, mut token) = (String::new(), None, None);
        let mut bytes = 0;
        for recorded in &self.0 {
            let mut body = recorded.clone();
            put(&mut body, "<token>", "</token>", token.as_deref());
            put(&mut body, "type=\"ContainerView\">", "<", view.as_deref());
            let mut call = client.post(&endpoint.urls[0]).header("SOAPAction", "urn:vim25/8.0.3.0");
            if !cookie.is_empty() {
                call = call.header("cookie", &cookie);
            }
            let answer = call.body(body).send().await.expect("the lab answers");
            assert!(answer.status().is_success(), "the lab refused a replayed call");
            if let Some(set) = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok()) {
                cookie = set.split(';').next().unwrap_or_default().to_owned();
            }
            let answer = answer.bytes().await.expect("a whole answer");
            bytes += answer.len();
            let start = String::from_utf8_lossy(&answer[..answer.len().min(4096)]).into_owned();
            token = between(&start, "<token>", "</token>").or(token);
            view = between(&start, "type=\"ContainerView\">", "<").or(view);
        }
        bytes
    }
}

fn between(text: &str, open: &str, close: &str) -> Option<String> {
    let rest = &text[text.find(open)? + open.len()..];
    Some(rest[..rest.find(close)?].to_owned())
}

fn put(text: &mut String, open: &str, close: &str, value: Option<&str>) {
    let (Some(value), Some(start)) = (value, text.find(open)) else { return };
    let start = start + open.len();
    if let Some(length) = text[start..].find(close) {
        text.replace_range(start..start + length, value);
    }
}

/// Sets the memory of a VM as a person at the console would.
pub async fn reconfigure(endpoint: &EndpointSettings, vm: &str, mebibytes: u32) {
    let client = client(endpoint);
    let envelope = |body: &str| {
        format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>{body}\
             </soapenv:Body></soapenv:Envelope>"
        )
    };
    let call = |body: String, cookie: Option<String>| {
        let mut call = client.post(&endpoint.urls[0]).header("SOAPAction", "urn:vim25/8.0.2.0").body(body);
        if let Some(cookie) = cookie {
            call = call.header("cookie", cookie);
        }
        async move { call.send().await.expect("the lab answers") }
    };
    let PasswordFrom::File(file) = &endpoint.password else { panic!("the lab writes password files") };
    let password = std::fs::read_to_string(file).expect("the lab wrote it");
    let login = format!(
        "<Login xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this><userName>{}</userName>\
         <password>{}</password></Login>",
        endpoint.username,
        password.trim()
    );
    let answer = call(envelope(&login), None).await;
    let cookie = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok()).expect("a session");
    let cookie = cookie.split(';').next().map(str::to_owned);
    let change = format!(
        "<ReconfigVM_Task xmlns=\"urn:vim25\"><_this type=\"VirtualMachine\">{vm}</_this><spec><memoryMB>{mebibytes}\
         </memoryMB></spec></ReconfigVM_Task>"
    );
    assert!(call(envelope(&change), cookie).await.status().is_success(), "the lab refused the change");
}
