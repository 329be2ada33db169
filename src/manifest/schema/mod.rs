//! The kinds and their fields: what a manifest may say, one to one with `schemas/*.json`.
//!
//! The types here are both the declaration that the JSON Schemas are generated from and what `read/` fills in, field by
//! field, each value with its position. They hold what was written, not what follows from it: defaults and references
//! are for `resolve.rs`. A field that could not be read is absent, and the problem is in the report. Unknown fields are
//! refused; no field takes `null`.

mod generate;
mod instance_type;
mod texts;
mod tier;
mod virtual_machine;

pub(crate) use generate::of;
pub use generate::{NAMES, generate};
pub use instance_type::{InstanceTypeManifest, InstanceTypeSpec};
pub use texts::{
    AddressText, CurrencyText, DurationText, EndpointText, FORMS, FileNameText, Form, IgnoreDriftText, IpText, KeyText,
    LabelKey, LabelValue, MacText, MoneyText, PlainText, ProjectText, SizeText, TierText, VmNameText, WordText,
};
pub use tier::{
    DefaultsSpec, ImageEntry, NetworkEntry, PlacementSpec, PriceSpec, StorageEntry, SyncSpec, TierManifest,
    TierMetadata, TierSpec,
};
pub use virtual_machine::{
    AdoptSpec, CloudInitSpec, DiskEntry, NicEntry, ShutdownSpec, VmBody, VmManifest, VmMetadata,
};

use schemars::JsonSchema;

use super::tree::Spot;

/// What every manifest says first.
pub const API_VERSION: &str = "tierwright.dev/v1";

/// The kinds there are.
pub const KINDS: [&str; 3] = ["Tier", "InstanceType", "VirtualMachine"];

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub spot: Spot,
}

/// Named entries in the order of the file: `images`, `networks`, `storage`, `labels`.
pub type Named<T> = Vec<(At<String>, T)>;

/// `apiVersion: tierwright.dev/v1`.
#[derive(Debug, Default, JsonSchema)]
pub enum ApiVersion {
    /// The one there is.
    #[default]
    #[schemars(rename = "tierwright.dev/v1")]
    V1,
}

/// `metadata` of a tier or an instance type.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct NameMetadata {
    /// Its name.
    #[schemars(with = "WordText")]
    pub name: Option<At<String>>,
}

/// One manifest, as written.
#[derive(Debug)]
pub struct Written<T> {
    /// Number of the file it stands in.
    pub file: u32,
    /// What it says.
    pub manifest: T,
}
