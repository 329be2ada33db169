//! An inventory of a large XenServer pool over the wire, beside a bare HTTP client that asks for the same.
//!
//! Budget (two cores, release): the first inventory 1.1 times the bare client's time for the same answer; one with
//! nothing changed 0.3 times the first. The lab answers in the same process, so that its time is in both. Run with
//! `cargo bench --bench pool`.

#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tierwright::lab::{Lab, LabEndpoint, LabOptions};
use tierwright::model::{EndpointName, HypervisorType, Secret};
use tierwright::plan::{EndpointState, Manage};
use tierwright::provider::{self, Provider};
use tierwright::settings::{EndpointSettings, PasswordFrom, Trust};
use tierwright::tls;

const CLASSES: &[&str] =
    &["vm", "vbd", "vdi", "vif", "vm_guest_metrics", "network", "pif", "sr", "pbd", "host", "host_metrics", "pool"];

#[tokio::main]
async fn main() {
    for vms in [1_000, 10_000] {
        measure(vms).await;
    }
}

async fn measure(vms: usize) {
    let options = LabOptions { vms, only: vec![HypervisorType::Xenserver], ..LabOptions::default() };
    let lab = Lab::start(options).await.expect("the lab starts");
    let endpoint = lab.endpoints().remove(0);
    let bare = Bare::login(&endpoint).await;
    // The first answer fills the lab's own caches.
    let (_, _, token) = bare.events("").await;
    let (whole, bare_time, _) = bare.events("").await;
    let provider = provider(&endpoint);
    provider.capabilities().await.expect("it answers");
    let first = time(&provider, vms).await;
    lab.record().clear();
    let idle = time(&provider, vms).await;
    let calls: u64 = lab.record().counts().values().sum();
    lab.world().with(|world| world.edit_named("legacy-003", |vm| vm.memory_mib += 1024));
    let (delta, ..) = bare.events(&token).await;
    let changed = time(&provider, vms).await;
    println!(
        "{vms} VMs: snapshot {whole} bytes, bare client {bare_time:.0?}; first inventory {first:.0?} ({:.2} x bare); \
         nothing changed {idle:.1?} ({:.2} x first, {calls} call); one change {changed:.1?}, delta {delta} bytes",
        first.as_secs_f64() / bare_time.as_secs_f64(),
        idle.as_secs_f64() / first.as_secs_f64(),
    );
    provider.close().await;
    lab.stop().await;
}

async fn time(provider: &Arc<dyn Provider>, vms: usize) -> Duration {
    let start = Instant::now();
    let observed = provider.collect(&[]).await.expect("it answers");
    let took = start.elapsed();
    assert_eq!((observed.incomplete, observed.vms.len()), (None, vms));
    took
}

/// A client that knows nothing but HTTP.
struct Bare {
    http: reqwest::Client,
    url: String,
    session: String,
}

impl Bare {
    async fn login(endpoint: &LabEndpoint) -> Self {
        let config = tls::client_config(&trust(endpoint)).expect("pins");
        let http = reqwest::Client::builder().tls_backend_preconfigured(config).build().expect("a client");
        let mut bare = Self { http, url: format!("{}/jsonrpc", endpoint.url()), session: String::new() };
        let login = json!([endpoint.username, endpoint.password, "1.0", "bench"]);
        let answer = bare.send("session.login_with_password", login).await;
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        answer["result"].as_str().expect("a session").clone_into(&mut bare.session);
        bare
    }

    /// Bytes and time of an answer, and the token in it.
    async fn events(&self, token: &str) -> (usize, Duration, String) {
        let start = Instant::now();
        let answer = self.send("event.from", json!([self.session, CLASSES, token, 0.0])).await;
        let took = start.elapsed();
        let read: Value = serde_json::from_slice(&answer).expect("JSON");
        (answer.len(), took, read["result"]["token"].as_str().expect("a token").to_owned())
    }

    async fn send(&self, method: &str, params: Value) -> bytes::Bytes {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let call = self.http.post(&self.url).header("content-type", "application/json").body(body);
        call.send().await.expect("an answer").bytes().await.expect("all of it")
    }
}

fn trust(endpoint: &LabEndpoint) -> Trust {
    let bytes = |pin: &String| std::array::from_fn(|at| u8::from_str_radix(&pin[at * 2..at * 2 + 2], 16).expect("hex"));
    Trust::Pins(endpoint.pins.iter().map(bytes).collect())
}

fn provider(endpoint: &LabEndpoint) -> Arc<dyn Provider> {
    let settings = EndpointSettings {
        name: EndpointName::new(&endpoint.name).expect("a name"),
        hypervisor: endpoint.hypervisor,
        urls: endpoint.urls.clone(),
        auth: tierwright::settings::Auth::default(),
        username: endpoint.username.clone(),
        password: PasswordFrom::Given(Secret::new(endpoint.password.clone())),
        trust: trust(endpoint),
        manage: Manage::Enforce,
        state: EndpointState::Active,
        parallel: 8,
    };
    provider::connect(&settings).expect("settings are good")
}
