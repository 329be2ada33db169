//! The configured endpoints and their providers, each connected when it is first asked.
//!
//! An endpoint that cannot be connected to is an unreachable endpoint with a reason, never a missing one; the next ask
//! tries again. Which hypervisor an endpoint speaks for is `provider::connect`'s business alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use crate::model::EndpointName;
use crate::provider::{self, ErrorKind, Provider, ProviderError};
use crate::settings::EndpointSettings;

/// All configured endpoints.
#[derive(Default)]
pub struct Endpoints {
    by_name: BTreeMap<EndpointName, Arc<Endpoint>>,
}

/// One endpoint, connected or not.
pub struct Endpoint {
    name: EndpointName,
    parallel: usize,
    settings: Option<EndpointSettings>,
    provider: OnceCell<Arc<dyn Provider>>,
}

impl Endpoint {
    /// Its name.
    pub fn name(&self) -> &EndpointName {
        &self.name
    }

    /// Steps at a time.
    pub fn parallel(&self) -> usize {
        self.parallel.max(1)
    }

    /// Its provider, connected now if it was not.
    pub async fn provider(&self) -> Result<Arc<dyn Provider>, ProviderError> {
        let connect = async || match &self.settings {
            Some(settings) => provider::connect(settings),
            // Only `Endpoints::with` makes such an entry, and it fills the cell.
            None => Err(refused(&self.name, "there are no settings for it")),
        };
        self.provider.get_or_try_init(connect).await.cloned()
    }

    /// Logs out, if it was connected.
    pub(crate) async fn close(&self) {
        if let Some(provider) = self.provider.get() {
            provider.close().await;
        }
    }
}

impl Endpoints {
    /// Of the settings; connects to none yet.
    pub fn new(settings: &[EndpointSettings]) -> Self {
        let entry = |settings: &EndpointSettings| {
            let endpoint = Endpoint {
                name: settings.name.clone(),
                parallel: settings.parallel,
                settings: Some(settings.clone()),
                provider: OnceCell::new(),
            };
            (settings.name.clone(), Arc::new(endpoint))
        };
        Self { by_name: settings.iter().map(entry).collect() }
    }

    /// Adds an endpoint whose provider is at hand, in place of one of that name: for tests and embedders.
    #[must_use]
    pub fn with(mut self, name: EndpointName, provider: Arc<dyn Provider>, parallel: usize) -> Self {
        let endpoint =
            Endpoint { name: name.clone(), parallel, settings: None, provider: OnceCell::new_with(Some(provider)) };
        self.by_name.insert(name, Arc::new(endpoint));
        self
    }

    /// The endpoints of other settings: those whose connection is the same stay connected.
    pub(crate) fn under(&self, settings: &[EndpointSettings]) -> Self {
        let mut endpoints = Self::new(settings);
        for (name, fresh) in &mut endpoints.by_name {
            let same = |ours: &&Arc<Endpoint>| match (&ours.settings, &fresh.settings) {
                (Some(ours), Some(theirs)) => ours.connects_like(theirs),
                // Made in code and named by the settings: those cannot say that it is another.
                _ => true,
            };
            if let Some(ours) = self.by_name.get(name).filter(same) {
                *fresh = Arc::clone(ours);
            }
        }
        endpoints
    }

    /// The endpoint of that name.
    pub fn get(&self, name: &EndpointName) -> Option<&Arc<Endpoint>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.by_name.values()
    }

    /// Logs out of those that were connected to, all at once.
    pub async fn close(self) {
        join_all(self.by_name.values().map(|endpoint| endpoint.close())).await;
    }
}

fn refused(endpoint: &EndpointName, message: &str) -> ProviderError {
    ProviderError {
        kind: ErrorKind::Unsupported,
        endpoint: endpoint.clone(),
        operation: "connect".into(),
        vm: None,
        message: message.to_owned(),
        source: None,
    }
}
