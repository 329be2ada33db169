//! What changed: `event.from`, its tokens, and the numbers behind them.
//!
//! ```text
//! shadow.rs   which objects there are, when each came, last changed, and went
//! batch.rs    one answer: what a client has not seen yet, as it asked for it
//! ```

mod batch;
mod shadow;

pub(super) use batch::{Subscriptions, batch, parse_token, write};
pub(super) use shadow::Shadow;
