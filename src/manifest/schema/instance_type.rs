//! The InstanceType kind.

use schemars::JsonSchema;

use super::{ApiVersion, At, NameMetadata, SizeText, TierText};
use crate::model::{Bytes, TierName};

/// An instance type: a named size of VM.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, title = "InstanceType")]
pub struct InstanceTypeManifest {
    /// The version of the manifest format.
    pub api_version: ApiVersion,
    /// InstanceType.
    pub kind: InstanceTypeKind,
    /// What it is called.
    pub metadata: NameMetadata,
    /// What it is.
    pub spec: InstanceTypeSpec,
}

/// `kind: InstanceType`.
#[derive(Debug, Default, JsonSchema)]
pub enum InstanceTypeKind {
    /// The one there is.
    #[default]
    InstanceType,
}

/// `spec` of an instance type.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceTypeSpec {
    /// Virtual CPUs.
    #[schemars(with = "u32", range(min = 1, max = 1024))]
    pub cpus: Option<At<u32>>,
    /// Memory: a multiple of 4 MiB, such as 32GiB.
    #[schemars(with = "SizeText")]
    pub memory: Option<At<Bytes>>,
    /// The tiers it is offered on; absent: all.
    #[schemars(with = "Option<Vec<TierText>>", length(min = 1), extend("uniqueItems" = true))]
    pub tiers: Option<Vec<At<TierName>>>,
}
