//! Asks endpoints in parallel and makes an [`Inventory`] of the answers.
//!
//! One-shot commands ask all at once and wait for all; `serve` asks each at its own pace (`reconciler/fleet.rs`).
//! One slow, hanging or dead endpoint never holds the others beyond its own deadline, and what goes wrong at one (a
//! panic in its provider included) is that one's `Unreachable`. Nothing is judged here: what an inventory may lead to
//! is `plan/safety.rs`'s business.
//!
//! ```text
//! known ids (journal) --> provider.collect() per endpoint, all at once --> Inventory, each with its next generation
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::endpoints::{Endpoint, Endpoints};
use crate::events::{Event, EventSink, chain};
use crate::inventory::{EndpointInventory, Inventory, Known, View};
use crate::journal::{Journal, JournalError};
use crate::model::EndpointName;

/// How long one endpoint may take for a whole answer. A full inventory of 10,000 VMs takes a vCenter well under a
/// minute; past two it is hanging, and the others should not wait for it any longer.
pub const DEADLINE: Duration = Duration::from_mins(2);

/// Whom to ask, and with what.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The endpoints.
    pub endpoints: &'a Endpoints,
    /// Only these; `None`: all.
    pub only: Option<&'a [EndpointName]>,
    /// Ids seen before, by endpoint: those not listed are read one by one.
    pub known: &'a BTreeMap<EndpointName, Vec<Known>>,
    /// Per endpoint.
    pub deadline: Duration,
    /// Progress.
    pub events: &'a EventSink,
}

/// Numbers the inventories to come, and asks.
pub async fn collect(asking: &Asking<'_>, journal: &Journal, clock: &Clock) -> Result<Inventory, JournalError> {
    let mut generations = BTreeMap::new();
    for name in asking.endpoints.iter().map(|endpoint| endpoint.name()).filter(|name| asking.asks(name)) {
        generations.insert(name.clone(), journal.next_generation(name).await?);
    }
    let mut endpoints = BTreeMap::new();
    for (name, (view, taken_at)) in ask(asking, clock).await {
        let generation = generations.get(&name).copied().unwrap_or_default();
        endpoints.insert(name, EndpointInventory { generation, taken_at, view });
    }
    Ok(Inventory { endpoints })
}

impl Asking<'_> {
    fn asks(&self, endpoint: &EndpointName) -> bool {
        self.only.is_none_or(|only| only.contains(endpoint))
    }
}

/// The answers as they came, by endpoint, and when.
async fn ask(asking: &Asking<'_>, clock: &Clock) -> BTreeMap<EndpointName, (View, Timestamp)> {
    let mut asked = JoinSet::new();
    let mut views = BTreeMap::new();
    for endpoint in asking.endpoints.iter() {
        let name = endpoint.name();
        if !asking.asks(name) {
            continue;
        }
        // Should its task die without a word, this is what stands.
        let died = View::Unreachable("asking it failed inside tierwright (a bug)".into());
        views.insert(name.clone(), (died, clock.now()));
        asking.events.send(Event::CollectStarted { endpoint: name.clone() });
        let endpoint = Arc::clone(endpoint);
        let known = asking.known.get(name).cloned().unwrap_or_default();
        let (deadline, events, clock) = (asking.deadline, asking.events.clone(), clock.clone());
        asked.spawn(async move {
            let view = ask_one(&endpoint, &known, deadline).await;
            events.send(collected(endpoint.name(), &view));
            (endpoint.name().clone(), view, clock.now())
        });
    }
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((name, view, taken_at)) => {
                views.insert(name, (view, taken_at));
            }
            Err(error) => tracing::error!(%error, "a collect task died"),
        }
    }
    views
}

/// Asks one endpoint; what goes wrong there, too late an answer included, is its `Unreachable`.
pub(crate) async fn ask_one(endpoint: &Endpoint, known: &[Known], deadline: Duration) -> View {
    let answer = tokio::time::timeout(deadline, async { endpoint.provider().await?.collect(known).await });
    match answer.await {
        Ok(Ok(observed)) => View::Observed(Box::new(observed)),
        Ok(Err(error)) => View::Unreachable(chain(&error)),
        Err(_) => View::Unreachable(format!("no whole answer within {} s", deadline.as_secs())),
    }
}

/// The answer as an event.
pub(crate) fn collected(endpoint: &EndpointName, view: &View) -> Event {
    let (vms, product, why) = match view {
        View::Observed(observed) => {
            (observed.vms.len(), Some(observed.capabilities.product.clone()), observed.incomplete.clone())
        }
        View::Unreachable(why) => (0, None, Some(why.clone())),
    };
    Event::Collected { endpoint: endpoint.clone(), vms, product, why }
}
