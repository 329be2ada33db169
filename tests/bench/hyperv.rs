//! Inventory of many Hyper-V hosts in the lab: calls, bytes, milliseconds and memory, first
//! and when nothing has changed.
//!
//! `cargo bench --bench hyperv [-- HOSTS VMS]`, 200 hosts of 50 VMs when nothing is said. Prints one line a round;
//! figures are to be read, not asserted. The lab runs in the same process, so its time is in the milliseconds; memory
//! is what the provider's side added.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use tierwright::lab::{Lab, LabEndpoint, LabOptions};
use tierwright::model::{EndpointName, HypervisorType, Secret};
use tierwright::plan::{EndpointState, Manage};
use tierwright::provider::{self, Provider};
use tierwright::settings::{Auth, EndpointSettings, PasswordFrom, Trust};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// What the provider tells of each host's inventory in its log.
#[derive(Debug, Default, Clone)]
struct Traffic {
    calls: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Visit for &Traffic {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "calls" => drop(self.calls.fetch_add(value, Ordering::Relaxed)),
            "bytes" => drop(self.bytes.fetch_add(value, Ordering::Relaxed)),
            _ => {}
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Traffic {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("tierwright::provider::hyperv")
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut &*self);
    }
}

/// Resident memory in KiB (Linux).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn connect(endpoint: &LabEndpoint) -> Arc<dyn Provider> {
    let pin = |hex: &String| {
        let mut pin = [0; 32];
        for (at, byte) in pin.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hex");
        }
        pin
    };
    let settings = EndpointSettings {
        name: EndpointName::new(&endpoint.name).expect("a name"),
        hypervisor: endpoint.hypervisor,
        urls: endpoint.urls.clone(),
        auth: if endpoint.auth == Some("basic") { Auth::Basic } else { Auth::Ntlm },
        username: endpoint.username.clone(),
        password: PasswordFrom::Given(Secret::new(endpoint.password.clone())),
        trust: Trust::Pins(endpoint.pins.iter().map(pin).collect()),
        manage: Manage::Enforce,
        state: EndpointState::Active,
        parallel: 8,
    };
    provider::connect(&settings).expect("settings are good")
}

#[tokio::main]
async fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let (hosts, vms) = (numbers.first().copied().unwrap_or(200), numbers.get(1).copied().unwrap_or(50));
    let traffic = Traffic::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(traffic.clone())).expect("the first");
    let options = LabOptions { only: vec![HypervisorType::Hyperv], hyperv_hosts: hosts, vms, ..LabOptions::default() };
    let began = tierwright::clock::instant();
    let lab = Lab::start(options).await.expect("the lab starts");
    println!("lab: {hosts} hosts of {vms} VMs ready in {} ms", began.elapsed().as_millis());
    let endpoints = lab.endpoints();
    // The sealed way leads to the first host once more.
    let providers: Vec<_> =
        endpoints.iter().filter(|endpoint| endpoint.urls[0].starts_with("https")).map(connect).collect();
    let before = resident();
    let mut kept = BTreeMap::new();
    for round in ["first inventory", "nothing changed", "nothing changed"] {
        traffic.calls.store(0, Ordering::Relaxed);
        traffic.bytes.store(0, Ordering::Relaxed);
        let began = tierwright::clock::instant();
        let observed = join_all(providers.iter().map(|provider| provider.collect(&[]))).await;
        let millis = began.elapsed().as_millis();
        let mut seen = 0;
        for (at, observed) in observed.into_iter().enumerate() {
            let observed = observed.expect("it answers");
            assert_eq!(observed.incomplete, None);
            seen += observed.vms.len();
            kept.insert(at, observed);
        }
        let (calls, bytes) = (traffic.calls.load(Ordering::Relaxed), traffic.bytes.load(Ordering::Relaxed));
        let memory = resident().saturating_sub(before);
        println!("{round}: {seen} VMs, {calls} calls, {bytes} bytes, {millis} ms, {memory} KiB more than before");
    }
}
