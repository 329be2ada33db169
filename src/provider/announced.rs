//! One mutating call, announced before it is made and told of after: the same for every provider, since what the journal
//! knows of a call must not depend on whom it is made to.
//!
//! ```text
//! interrupted? -> before(call) -> act -+-> done                  -> after(Done)
//!                                      +-> refused, or not sent  -> after(Refused), error
//!                                      +-> lost -> settled? yes  -> after(Done)
//!                                                           no   -> Ambiguous, the intent stays open
//! ```

use std::error::Error as StdError;
use std::future::Future;

use super::{Call, ErrorKind, Outcome, ProviderError, Recorder, StepError};
use crate::model::{EndpointName, VmKey};

/// A call that is about to be made, and whom it is told to.
pub(super) struct Announced<'a> {
    pub(super) recorder: &'a dyn Recorder,
    pub(super) endpoint: &'a EndpointName,
    pub(super) vm: &'a VmKey,
    pub(super) call: Call,
}

/// Why a call did not come back with an answer that it is done.
pub(super) enum Unanswered {
    /// It was sent, and nobody knows what became of it.
    Lost(String, Option<Box<dyn StdError + Send + Sync>>),
    /// It was not done.
    Refused(ProviderError),
}

impl Announced<'_> {
    /// Does `act`; when its answer is lost, `settled` finds out whether it is done all the same, and then there is nothing
    /// that it gave. Neither is begun before it is its turn.
    pub(super) async fn make<T: Send>(
        self,
        act: impl Future<Output = Result<T, Unanswered>> + Send,
        settled: impl Future<Output = Result<bool, StepError>> + Send,
    ) -> Result<Option<T>, StepError> {
        let Self { recorder, endpoint, vm, call } = self;
        if let Some(halt) = recorder.interrupted() {
            return Err(halt.into());
        }
        let intent = recorder.before(&call).await?;
        let (why, source) = match act.await {
            Ok(made) => {
                recorder.after(intent, &Outcome::Done).await?;
                return Ok(Some(made));
            }
            Err(Unanswered::Refused(error)) => {
                recorder.after(intent, &Outcome::Refused(error.message.clone())).await?;
                return Err(error.into());
            }
            Err(Unanswered::Lost(why, source)) => (why, source),
        };
        tracing::warn!(%endpoint, call = call.name, why, "the answer was lost, looking for its effect");
        if settled.await? {
            recorder.after(intent, &Outcome::Done).await?;
            return Ok(None);
        }
        let error = ProviderError {
            kind: ErrorKind::Ambiguous,
            endpoint: endpoint.clone(),
            operation: call.name.to_owned(),
            vm: Some(vm.clone()),
            message: format!("the answer was lost ({why}) and the change is not to be seen"),
            source,
        };
        Err(error.into())
    }
}
