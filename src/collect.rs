//! Asks endpoints in parallel and makes an [`Inventory`] of the answers.
//!
//! One slow, hanging or dead endpoint never holds the others beyond its own deadline, and what goes wrong at one (a panic
//! in its provider included) is that one's `Unreachable`. Nothing is judged here: what an inventory may lead to is
//! `plan/safety.rs`'s business.
//!
//! ```text
//! known ids (journal) --> provider.collect() per endpoint, all at once --> Inventory, each with its next generation
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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

/// Asks, and numbers the answers.
pub async fn collect(asking: &Asking<'_>, journal: &Journal, clock: &Clock) -> Result<Inventory, JournalError> {
    let mut endpoints = BTreeMap::new();
    for (name, view) in ask(asking).await {
        let generation = journal.next_generation(&name).await?;
        endpoints.insert(name, EndpointInventory { generation, taken_at: clock.now(), view });
    }
    Ok(Inventory { endpoints })
}

/// The answers as they came, by endpoint.
async fn ask(asking: &Asking<'_>) -> BTreeMap<EndpointName, View> {
    let mut asked = JoinSet::new();
    let mut views = BTreeMap::new();
    for endpoint in asking.endpoints.iter() {
        let name = endpoint.name();
        if asking.only.is_some_and(|only| !only.contains(name)) {
            continue;
        }
        // Should its task die without a word, this is what stands.
        views.insert(name.clone(), View::Unreachable("asking it failed inside tierwright (a bug)".into()));
        asking.events.send(Event::CollectStarted { endpoint: name.clone() });
        let endpoint = Arc::clone(endpoint);
        let known = asking.known.get(name).cloned().unwrap_or_default();
        let (deadline, events) = (asking.deadline, asking.events.clone());
        asked.spawn(async move {
            let view = ask_one(&endpoint, &known, deadline).await;
            events.send(collected(endpoint.name(), &view));
            (endpoint.name().clone(), view)
        });
    }
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((name, view)) => {
                views.insert(name, view);
            }
            Err(error) => tracing::error!(%error, "a collect task died"),
        }
    }
    views
}

async fn ask_one(endpoint: &Endpoint, known: &[Known], deadline: Duration) -> View {
    let answer = tokio::time::timeout(deadline, async { endpoint.provider().await?.collect(known).await });
    match answer.await {
        Ok(Ok(observed)) => View::Observed(Box::new(observed)),
        Ok(Err(error)) => View::Unreachable(chain(&error)),
        Err(_) => View::Unreachable(format!("no whole answer within {} s", deadline.as_secs())),
    }
}

fn collected(endpoint: &EndpointName, view: &View) -> Event {
    let (vms, why) = match view {
        View::Observed(observed) => (observed.vms.len(), observed.incomplete.clone()),
        View::Unreachable(why) => (0, Some(why.clone())),
    };
    Event::Collected { endpoint: endpoint.clone(), vms, why }
}
