//! What every provider needs around it: time limits, patient reads, a limit on steps at a time.
//!
//! Reads are tried again with back-off when the failure says so; `execute` never is, since only the planner may decide
//! that a step is still wanted. Changes take no time limit here either: a clone may take hours and a guest its time to
//! shut down, so the provider bounds each of its own calls.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{ErrorKind, Found, MissingRight, Next, Order, Provider, ProviderError, Recorder, StepError, Target};
use crate::inventory::{Capabilities, Known, Observed};
use crate::model::EndpointName;
use crate::plan::Step;
use crate::settings::EndpointSettings;

/// A whole inventory of a large, busy endpoint stays well below this; a hung one is given up.
const COLLECT_LIMIT: Duration = Duration::from_mins(10);
/// One VM, or a question about the endpoint.
const READ_LIMIT: Duration = Duration::from_mins(2);
/// Pauses before the second and third attempt of a read.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// A provider with all of that around it.
pub(super) struct Wrapped {
    inner: Arc<dyn Provider>,
    endpoint: EndpointName,
    steps: Semaphore,
}

impl Wrapped {
    pub(super) fn new(inner: Arc<dyn Provider>, settings: &EndpointSettings) -> Self {
        Self { inner, endpoint: settings.name.clone(), steps: Semaphore::new(settings.parallel.max(1)) }
    }

    /// A read, within its limit, tried again when that may help.
    async fn patiently<T, F>(
        &self,
        what: &str,
        limit: Duration,
        read: impl Fn() -> F + Send,
    ) -> Result<T, ProviderError>
    where
        T: Send,
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
        let attempts = async {
            for pause in PAUSES {
                match read().await {
                    Err(error) if error.kind.next() == Next::Retry => {
                        tracing::debug!(endpoint = %self.endpoint, %error, "trying again");
                        tokio::time::sleep(pause).await;
                    }
                    outcome => return outcome,
                }
            }
            read().await
        };
        match tokio::time::timeout(limit, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ProviderError {
                kind: ErrorKind::Unreachable,
                endpoint: self.endpoint.clone(),
                operation: what.to_owned(),
                vm: None,
                message: format!("no answer within {} s", limit.as_secs()),
                source: None,
            }),
        }
    }
}

#[async_trait]
impl Provider for Wrapped {
    async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
        self.patiently("log in", READ_LIMIT, || self.inner.capabilities()).await
    }

    async fn collect(&self, known: &[Known]) -> Result<Observed, ProviderError> {
        self.patiently("read the inventory", COLLECT_LIMIT, || self.inner.collect(known)).await
    }

    async fn find(&self, target: &Target) -> Result<Found, ProviderError> {
        self.patiently("find a VM", READ_LIMIT, || self.inner.find(target)).await
    }

    async fn settle(&self, step: &Step) -> Result<(), ProviderError> {
        // No time limit, for the same reason as with `execute`.
        self.inner.settle(step).await
    }

    async fn execute(&self, order: &Order<'_>, recorder: &dyn Recorder) -> Result<(), StepError> {
        // The semaphore is never closed, so this only waits.
        let _permit = self.steps.acquire().await;
        self.inner.execute(order, recorder).await
    }

    async fn rights(&self) -> Result<Vec<MissingRight>, ProviderError> {
        self.patiently("ask for rights", READ_LIMIT, || self.inner.rights()).await
    }

    async fn close(&self) {
        // Logging out is a courtesy; a server that does not answer must not hold up the end of the program.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.inner.close()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::model::HypervisorType;

    /// Fails so many times, then answers; or never answers.
    struct Shaky {
        fails: usize,
        kind: ErrorKind,
        asked: AtomicUsize,
        silent: bool,
    }

    #[async_trait]
    impl Provider for Shaky {
        async fn capabilities(&self) -> Result<Capabilities, ProviderError> {
            if self.silent {
                std::future::pending::<()>().await;
            }
            if self.asked.fetch_add(1, Ordering::SeqCst) < self.fails {
                return Err(ProviderError {
                    kind: self.kind,
                    endpoint: EndpointName::new("e").unwrap(),
                    operation: "ask".to_owned(),
                    vm: None,
                    message: String::new(),
                    source: None,
                });
            }
            Ok(Capabilities {
                hypervisor: HypervisorType::Vsphere,
                product: String::new(),
                create_from_image: true,
                create_blank: true,
                cloud_init: true,
                own_id_is_identity: true,
                names_by_folder: true,
            })
        }

        async fn collect(&self, _: &[crate::inventory::Known]) -> Result<Observed, ProviderError> {
            unreachable!("not asked for")
        }

        async fn find(&self, _: &Target) -> Result<Found, ProviderError> {
            unreachable!("not asked for")
        }

        async fn execute(&self, _: &Order<'_>, _: &dyn Recorder) -> Result<(), StepError> {
            unreachable!("not asked for")
        }

        async fn rights(&self) -> Result<Vec<MissingRight>, ProviderError> {
            unreachable!("not asked for")
        }

        async fn close(&self) {}
    }

    /// The outcome, and how often was asked.
    async fn ask(fails: usize, kind: ErrorKind, silent: bool) -> (Result<(), ErrorKind>, usize) {
        let shaky = Arc::new(Shaky { fails, kind, asked: AtomicUsize::new(0), silent });
        let endpoint = EndpointName::new("e").unwrap();
        let wrapped = Wrapped { inner: shaky.clone(), endpoint, steps: Semaphore::new(1) };
        let outcome = wrapped.capabilities().await.map(drop).map_err(|error| error.kind);
        (outcome, shaky.asked.load(Ordering::SeqCst))
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_is_tried_again_when_that_may_help_and_only_then() {
        assert_eq!(ask(2, ErrorKind::Unreachable, false).await, (Ok(()), 3));
        assert_eq!(ask(3, ErrorKind::RateLimited, false).await, (Err(ErrorKind::RateLimited), 3));
        assert_eq!(ask(1, ErrorKind::Denied, false).await, (Err(ErrorKind::Denied), 1));
        assert_eq!(ask(1, ErrorKind::Certificate, false).await, (Err(ErrorKind::Certificate), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_given_up() {
        assert_eq!(ask(0, ErrorKind::Denied, true).await.0, Err(ErrorKind::Unreachable));
    }
}
