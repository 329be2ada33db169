//! What `serve` shows: folded from events.

/// The loop's state as a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Cycles done.
    pub cycles: u64,
}
