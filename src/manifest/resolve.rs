//! Tier defaults and instance types -> complete tiers and VMs.
//!
//! Runs after the checks and reports nothing that they know of: what cannot be resolved here was already told, and the
//! caller gives no `Desired` away then. As a last guard a VM that cannot be resolved without a reason told is an error
//! of ours, never a VM that silently leaves the desired state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::SourceText;
use super::check::{Known, KnownTier};
use super::codes;
use super::report::{Place, Report};
use super::schema::{
    AdoptSpec, At, CloudInitSpec, DiskEntry, ImageEntry, InstanceTypeManifest, NetworkEntry, NicEntry, PlacementSpec,
    PriceSpec, ShutdownSpec, StorageEntry, VmManifest, Written,
};
use crate::model::{
    Adopt, CloudInit, DiskSpec, ImageTarget, Money, NetworkTarget, NicSpec, Origin, Placement, Price, Shutdown,
    SyncPolicy, Tier, TierName, VmSpec, Words,
};

/// Completes every tier.
pub(super) fn tiers(known: &Known<'_>, texts: &[&SourceText], report: &mut Report) -> BTreeMap<TierName, Tier> {
    let mut tiers = BTreeMap::new();
    for known in known.tiers.values() {
        let Some(name) = &known.written.manifest.metadata.name else { continue };
        let place = Place { file: known.written.file, spot: name.spot };
        match tier(known, origin(place, texts)) {
            Some(tier) => {
                tiers.insert(tier.name.clone(), tier);
            }
            None => unresolved(place, report),
        }
    }
    tiers
}

/// Completes these VMs, in their order.
pub(super) fn vms(
    written: &[Written<VmManifest>],
    known: &Known<'_>,
    texts: &[&SourceText],
    (shared, report): (&mut Shared, &mut Report),
) -> Vec<Arc<VmSpec>> {
    let mut vms = Vec::with_capacity(written.len());
    for written in written {
        let spot = written.manifest.metadata.name.as_ref().map(|name| name.spot).unwrap_or_default();
        let place = Place { file: written.file, spot };
        match vm(written, known, origin(place, texts), shared) {
            Some(vm) => vms.push(Arc::new(vm)),
            None => unresolved(place, report),
        }
    }
    vms
}

fn origin(place: Place, texts: &[&SourceText]) -> Origin {
    let Place { file, spot } = place;
    let path = texts.get(file as usize).map(|text| text.path.clone()).unwrap_or_default();
    Origin { path, line: spot.line, column: spot.column }
}

/// What many VMs say alike is kept once.
#[derive(Default)]
pub(super) struct Shared {
    labels: BTreeSet<Arc<BTreeMap<String, String>>>,
    ignored: BTreeSet<Arc<BTreeSet<String>>>,
    words: Words,
}

impl Shared {
    /// What this VM says is the one copy from now on, of what nobody said before it.
    pub(super) fn take_up(&mut self, vm: &VmSpec) {
        if !self.labels.contains(&vm.labels) {
            self.labels.insert(Arc::clone(&vm.labels));
        }
        if !self.ignored.contains(&vm.ignore_drift) {
            self.ignored.insert(Arc::clone(&vm.ignore_drift));
        }
        self.words.take_up(vm.key.shared_project());
        let of_disks = vm.disks.iter().flat_map(|disk| [Some(&disk.name), disk.storage.as_ref()]);
        let of_nics = vm.nics.iter().flat_map(|nic| [Some(&nic.name), Some(&nic.network)]);
        let words = of_disks.chain(of_nics).chain([vm.instance_type.as_ref(), vm.image.as_ref()]);
        words.flatten().for_each(|word| self.words.take_up(word));
    }
}

/// The one copy of a value.
fn one<T: Ord>(kept: &mut BTreeSet<Arc<T>>, value: T) -> Arc<T> {
    if let Some(found) = kept.get(&value) {
        return Arc::clone(found);
    }
    let first = Arc::new(value);
    kept.insert(Arc::clone(&first));
    first
}

fn unresolved(place: Place, report: &mut Report) {
    report
        .error(place, codes::UNRESOLVED, "this manifest was accepted and then not understood")
        .hint("this is a fault of tierwright; please report it with the manifest");
}

fn plain(at: Option<&At<String>>) -> Option<String> {
    at.map(|at| at.value.clone())
}

fn shared(at: Option<&At<String>>, words: &mut Words) -> Option<Arc<str>> {
    at.map(|at| words.one(&at.value))
}

fn copied<T: Copy>(at: Option<&At<T>>) -> Option<T> {
    at.map(|at| at.value)
}

fn tier(known: &KnownTier<'_>, origin: Origin) -> Option<Tier> {
    let spec = &known.written.manifest.spec;
    let images = spec.images.as_ref()?.iter().map(|(name, entry)| Some((name.value.clone(), image(entry)?)));
    let networks = spec.networks.as_ref()?.iter().map(|(name, entry)| Some((name.value.clone(), network(entry)?)));
    let storage = spec.storage.as_ref()?.iter().map(|(name, entry)| Some((name.value.clone(), storage(entry)?)));
    let default = SyncPolicy::default();
    Some(Tier {
        name: known.written.manifest.metadata.name.as_ref()?.value.clone(),
        description: plain(spec.description.as_ref()),
        hypervisor: known.hypervisor,
        endpoints: spec.endpoints.as_ref()?.iter().map(|endpoint| endpoint.value.clone()).collect(),
        placement: placement(&spec.placement),
        images: images.collect::<Option<_>>()?,
        networks: networks.collect::<Option<_>>()?,
        storage: storage.collect::<Option<_>>()?,
        price: match &spec.price {
            Some(written) => Some(price(written)?),
            None => None,
        },
        sync: SyncPolicy {
            prune: copied(spec.sync.prune.as_ref()).unwrap_or(default.prune),
            grace_days: copied(spec.sync.grace_days.as_ref()).unwrap_or(default.grace_days),
        },
        firmware: copied(spec.defaults.firmware.as_ref()),
        allow_reboot: copied(spec.defaults.allow_reboot.as_ref()),
        origin,
    })
}

fn placement(written: &PlacementSpec) -> Placement {
    let PlacementSpec { datacenter, cluster, host, resource_pool, folder, create_folders, storage, path } = written;
    Placement {
        datacenter: plain(datacenter.as_ref()),
        cluster: plain(cluster.as_ref()),
        host: plain(host.as_ref()),
        resource_pool: plain(resource_pool.as_ref()),
        folder: plain(folder.as_ref()),
        create_folders: copied(create_folders.as_ref()).unwrap_or(false),
        storage: plain(storage.as_ref()),
        path: plain(path.as_ref()),
    }
}

fn image(written: &ImageEntry) -> Option<ImageTarget> {
    let ImageEntry { template, vhdx, mode } = written;
    Some(ImageTarget { source: plain(template.as_ref().or(vhdx.as_ref()))?, mode: copied(mode.as_ref()) })
}

fn network(written: &NetworkEntry) -> Option<NetworkTarget> {
    let NetworkEntry { port_group, switch, vlan, network } = written;
    let name = port_group.as_ref().or(switch.as_ref()).or(network.as_ref());
    Some(NetworkTarget { name: plain(name)?, vlan: copied(vlan.as_ref()) })
}

fn storage(written: &StorageEntry) -> Option<String> {
    let StorageEntry { datastore, path, sr } = written;
    plain(datastore.as_ref().or(path.as_ref()).or(sr.as_ref()))
}

fn price(written: &PriceSpec) -> Option<Price> {
    let amount = |at: &Option<At<Money>>| copied(at.as_ref()).unwrap_or_default();
    Some(Price {
        currency: written.currency.as_ref()?.value.clone(),
        vcpu_hour: amount(&written.vcpu_hour),
        memory_gib_hour: amount(&written.memory_gib_hour),
        storage_gib_month: amount(&written.storage_gib_month),
        vm_month: amount(&written.vm_month),
    })
}

fn vm(written: &Written<VmManifest>, known: &Known<'_>, origin: Origin, shared: &mut Shared) -> Option<VmSpec> {
    let VmManifest { api_version: _, kind: _, metadata, spec } = &written.manifest;
    let tier = &known.tiers.get(spec.tier.as_ref()?.value.as_str())?.written.manifest;
    let defaults = &tier.spec.defaults;
    let instance_type: Option<&Written<InstanceTypeManifest>> = match &spec.instance_type {
        Some(name) => Some(known.instance_types.get(name.value.as_str())?),
        None => None,
    };
    let size = instance_type.map(|written| &written.manifest.spec);
    Some(VmSpec {
        key: super::check::key(&written.manifest)?.sharing(&mut shared.words),
        labels: one(
            &mut shared.labels,
            metadata.labels.iter().map(|(name, value)| (name.value.clone(), value.value.clone())).collect(),
        ),
        tier: tier.metadata.name.as_ref()?.value.clone(),
        instance_type: self::shared(spec.instance_type.as_ref(), &mut shared.words),
        cpus: copied(spec.cpus.as_ref().or(size.and_then(|size| size.cpus.as_ref())))?,
        memory: copied(spec.memory.as_ref().or(size.and_then(|size| size.memory.as_ref())))?,
        image: self::shared(spec.image.as_ref(), &mut shared.words),
        guest_os: copied(spec.guest_os.as_ref()).unwrap_or_default(),
        firmware: copied(spec.firmware.as_ref().or(defaults.firmware.as_ref())).unwrap_or_default(),
        disks: made_to_measure(spec.disks.iter().flatten().map(|written| disk(written, &mut shared.words)))?,
        nics: made_to_measure(spec.nics.iter().flatten().map(|written| nic(written, &mut shared.words)))?,
        power: copied(spec.power.as_ref()),
        cloud_init: match &spec.cloud_init {
            Some(written) => Some(cloud_init(written)?),
            None => None,
        },
        prevent_destroy: copied(spec.prevent_destroy.as_ref()).unwrap_or(false),
        on_remove: copied(spec.on_remove.as_ref()).unwrap_or_default(),
        allow_reboot: copied(spec.allow_reboot.as_ref().or(defaults.allow_reboot.as_ref())).unwrap_or_default(),
        shutdown: shutdown(&spec.shutdown),
        delete_disks: copied(spec.delete_disks.as_ref()).unwrap_or(false),
        ignore_drift: one(&mut shared.ignored, spec.ignore_drift.iter().map(|path| path.value.clone()).collect()),
        depends_on: spec.depends_on.iter().map(|key| key.value.clone()).collect(),
        renamed_from: spec.renamed_from.as_ref().map(|key| key.value.clone()),
        adopt: match &spec.adopt {
            Some(written) => Some(adopt(written)?),
            None => None,
        },
        origin,
    })
}

/// All of them or none, without the room that a list keeps for more.
fn made_to_measure<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut items = items.collect::<Option<Vec<T>>>()?;
    items.shrink_to_fit();
    Some(items)
}

fn disk(written: &DiskEntry, words: &mut Words) -> Option<DiskSpec> {
    let DiskEntry { name, size, storage } = written;
    let storage = shared(storage.as_ref(), words);
    Some(DiskSpec { name: shared(name.as_ref(), words)?, size: copied(size.as_ref())?, storage })
}

fn nic(written: &NicEntry, words: &mut Words) -> Option<NicSpec> {
    let NicEntry { name, network, mac, addresses, gateway } = written;
    Some(NicSpec {
        name: shared(name.as_ref(), words)?,
        network: shared(network.as_ref(), words)?,
        mac: plain(mac.as_ref()),
        addresses: addresses.iter().map(|address| address.value.clone()).collect(),
        gateway: copied(gateway.as_ref()),
    })
}

fn cloud_init(written: &CloudInitSpec) -> Option<CloudInit> {
    match (&written.user_data, &written.user_data_file) {
        (Some(data), None) => Some(CloudInit::Inline(data.value.clone())),
        (None, Some(file)) => Some(CloudInit::File(file.value.clone())),
        _ => None,
    }
}

fn shutdown(written: &ShutdownSpec) -> Shutdown {
    let default = Shutdown::default();
    Shutdown {
        timeout_seconds: copied(written.timeout.as_ref()).unwrap_or(default.timeout_seconds),
        force: copied(written.force.as_ref()).unwrap_or(default.force),
    }
}

fn adopt(written: &AdoptSpec) -> Option<Adopt> {
    Some(Adopt { endpoint: written.endpoint.as_ref()?.value.clone(), id: written.id.as_ref()?.value.clone() })
}
