//! The Tier kind.

use schemars::JsonSchema;

use super::texts::{Images, Networks, Stores};
use super::{ApiVersion, At, CurrencyText, EndpointText, MoneyText, Named, PlainText, TierText};
use crate::model::{AllowReboot, Currency, EndpointName, Firmware, ImageMode, Money, Prune, TierName};

/// A tier: a class of VM hosting, with its endpoints, what logical names mean there, prices and policy.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, title = "Tier")]
pub struct TierManifest {
    /// The version of the manifest format.
    pub api_version: ApiVersion,
    /// Tier.
    pub kind: TierKind,
    /// What it is called.
    pub metadata: TierMetadata,
    /// What it is.
    pub spec: TierSpec,
}

/// `kind: Tier`.
#[derive(Debug, Default, JsonSchema)]
pub enum TierKind {
    /// The one there is.
    #[default]
    Tier,
}

/// `metadata` of a tier.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct TierMetadata {
    /// Its name, such as tier-1: what VM manifests say.
    #[schemars(with = "TierText")]
    pub name: Option<At<TierName>>,
}

/// `spec` of a tier. The fields that differ by hypervisor decide its type; mixing them is an error.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct TierSpec {
    /// For people.
    #[schemars(with = "Option<PlainText>")]
    pub description: Option<At<String>>,
    /// Names of endpoints in the administrator's settings; one, or several of the same type.
    #[schemars(with = "Vec<EndpointText>", length(min = 1), extend("uniqueItems" = true))]
    pub endpoints: Option<Vec<At<EndpointName>>>,
    /// Where new VMs go.
    #[schemars(with = "Option<PlacementSpec>")]
    pub placement: PlacementSpec,
    /// What VMs can be made from, by the name that VM manifests use.
    #[schemars(with = "Option<Images>")]
    pub images: Option<Named<ImageEntry>>,
    /// What NICs can be connected to, by the name that VM manifests use.
    #[schemars(with = "Option<Networks>")]
    pub networks: Option<Named<NetworkEntry>>,
    /// Where disks can lie besides the placement's storage, by the name that VM manifests use.
    #[schemars(with = "Option<Stores>")]
    pub storage: Option<Named<StorageEntry>>,
    /// What VMs cost here.
    pub price: Option<PriceSpec>,
    /// What happens to VMs that leave Git.
    #[schemars(with = "Option<SyncSpec>")]
    pub sync: SyncSpec,
    /// Defaults of the tier's VMs.
    #[schemars(with = "Option<DefaultsSpec>")]
    pub defaults: DefaultsSpec,
}

/// Where new VMs of a tier go.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementSpec {
    /// vSphere: the datacenter, needed where there are several.
    #[schemars(with = "Option<PlainText>")]
    pub datacenter: Option<At<String>>,
    /// vSphere: the cluster. Or host.
    #[schemars(with = "Option<PlainText>")]
    pub cluster: Option<At<String>>,
    /// vSphere: a host outside of clusters. Hyper-V: a host in the cluster. XenServer: the host that VMs prefer.
    #[schemars(with = "Option<PlainText>")]
    pub host: Option<At<String>>,
    /// vSphere: a resource pool below the cluster or host.
    #[schemars(with = "Option<PlainText>")]
    pub resource_pool: Option<At<String>>,
    /// vSphere: a VM folder below the datacenter, such as Prod/tierwright.
    #[schemars(with = "Option<PlainText>")]
    pub folder: Option<At<String>>,
    /// vSphere: make the folder if it is not there (default false).
    #[schemars(with = "Option<bool>")]
    pub create_folders: Option<At<bool>>,
    /// vSphere: the datastore, XenServer: the storage repository, where disks lie that name no other.
    #[schemars(with = "Option<PlainText>")]
    pub storage: Option<At<String>>,
    /// Hyper-V: the folder of VM and VHDX files.
    #[schemars(with = "Option<PlainText>")]
    pub path: Option<At<String>>,
}

/// What an image name means.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields,
    extend("oneOf" = [{"required": ["template"]}, {"required": ["vhdx"]}]))]
pub struct ImageEntry {
    /// vSphere: a template or a VM. XenServer: a template.
    #[schemars(with = "Option<PlainText>")]
    pub template: Option<At<String>>,
    /// Hyper-V: the path of a VHDX.
    #[schemars(with = "Option<PlainText>")]
    pub vhdx: Option<At<String>>,
    /// Hyper-V: a full copy (default), or a differencing child of the VHDX.
    #[schemars(with = "Option<ImageMode>")]
    pub mode: Option<At<ImageMode>>,
}

/// What a network name means.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields,
    extend("oneOf" = [{"required": ["portGroup"]}, {"required": ["switch"]}, {"required": ["network"]}]))]
pub struct NetworkEntry {
    /// vSphere: a port group, standard or distributed.
    #[schemars(with = "Option<PlainText>")]
    pub port_group: Option<At<String>>,
    /// Hyper-V: a virtual switch.
    #[schemars(with = "Option<PlainText>")]
    pub switch: Option<At<String>>,
    /// Hyper-V: the access VLAN, 1 to 4094.
    #[schemars(with = "Option<u16>", range(min = 1, max = 4094))]
    pub vlan: Option<At<u16>>,
    /// XenServer: a network.
    #[schemars(with = "Option<PlainText>")]
    pub network: Option<At<String>>,
}

/// What a storage name means.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields,
    extend("oneOf" = [{"required": ["datastore"]}, {"required": ["path"]}, {"required": ["sr"]}]))]
pub struct StorageEntry {
    /// vSphere: a datastore.
    #[schemars(with = "Option<PlainText>")]
    pub datastore: Option<At<String>>,
    /// Hyper-V: a folder.
    #[schemars(with = "Option<PlainText>")]
    pub path: Option<At<String>>,
    /// XenServer: a storage repository.
    #[schemars(with = "Option<PlainText>")]
    pub sr: Option<At<String>>,
}

/// What VMs cost. A month has 730 hours; declared sizes count whatever the power. An amount left out is 0.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceSpec {
    /// Of all amounts.
    #[schemars(with = "CurrencyText")]
    pub currency: Option<At<Currency>>,
    /// Per virtual CPU and hour.
    #[schemars(with = "Option<MoneyText>")]
    pub vcpu_hour: Option<At<Money>>,
    /// Per GiB of memory and hour.
    #[schemars(with = "Option<MoneyText>", rename = "memoryGiBHour")]
    pub memory_gib_hour: Option<At<Money>>,
    /// Per GiB of disk and month.
    #[schemars(with = "Option<MoneyText>", rename = "storageGiBMonth")]
    pub storage_gib_month: Option<At<Money>>,
    /// Per VM and month.
    #[schemars(with = "Option<MoneyText>")]
    pub vm_month: Option<At<Money>>,
}

/// What happens to VMs that leave Git.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncSpec {
    /// Whether they are destroyed, and on whose word: never, confirm (default) or auto.
    #[schemars(with = "Option<Prune>")]
    pub prune: Option<At<Prune>>,
    /// Days between retire and delete (default 7).
    #[schemars(with = "Option<u32>", range(max = 3650))]
    pub grace_days: Option<At<u32>>,
}

/// Defaults of a tier's VMs.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct DefaultsSpec {
    /// bios or uefi.
    #[schemars(with = "Option<Firmware>")]
    pub firmware: Option<At<Firmware>>,
    /// May an update that needs it power a VM off?
    #[schemars(with = "Option<AllowReboot>")]
    pub allow_reboot: Option<At<AllowReboot>>,
}
