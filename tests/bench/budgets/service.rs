//! `serve` with 10,000 VMs.

use crate::Row;

/// All of it.
pub async fn rows() -> Vec<Row> {
    Vec::new()
}
