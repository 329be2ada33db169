//! One hypervisor per tier: its type follows from the fields that are used.

use HypervisorType::{Hyperv, Vsphere, Xenserver};

use crate::manifest::codes;
use crate::manifest::report::{Place, Report};
use crate::manifest::schema::{At, ImageEntry, NetworkEntry, PlacementSpec, StorageEntry, TierManifest, Written};
use crate::manifest::tree::Spot;
use crate::model::HypervisorType;

/// A field that stands in the tier, and the hypervisors that have it.
#[derive(Debug, Clone, Copy)]
struct Used {
    spot: Spot,
    field: &'static str,
    of: &'static [HypervisorType],
}

/// The tier's type, `None` if no field tells; tells of fields that do not go together.
pub(super) fn hypervisor(written: &Written<TierManifest>, report: &mut Report) -> Option<HypervisorType> {
    let mut used = used(&written.manifest);
    used.sort_by_key(|used| used.spot);
    let telling = used.iter().find(|used| used.of.len() == 1)?;
    let of = telling.of[0];
    let mut told: Vec<&[HypervisorType]> = Vec::new();
    for other in used.iter().filter(|other| !other.of.contains(&of)) {
        if told.contains(&other.of) {
            continue;
        }
        told.push(other.of);
        let kinds = other.of.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ");
        report
            .error(
                Place { file: written.file, spot: other.spot },
                codes::MIXED_HYPERVISORS,
                format!("`{}` is a field of {kinds}, in a tier of {of}", other.field),
            )
            .hint("a tier is for one kind of hypervisor: make a second Tier")
            .related(
                Place { file: written.file, spot: telling.spot },
                format!("`{}` is a field of {of}", telling.field),
            );
    }
    if of == Vsphere {
        check_placement(written, report);
    }
    Some(of)
}

fn used(manifest: &TierManifest) -> Vec<Used> {
    let spec = &manifest.spec;
    let mut used = placement(&spec.placement);
    used.extend(spec.images.iter().flatten().flat_map(|(_, image)| image_fields(image)));
    used.extend(spec.networks.iter().flatten().flat_map(|(_, network)| network_fields(network)));
    used.extend(spec.storage.iter().flatten().flat_map(|(_, storage)| storage_fields(storage)));
    used
}

fn field<T>(at: Option<&At<T>>, field: &'static str, of: &'static [HypervisorType]) -> Option<Used> {
    at.map(|at| Used { spot: at.spot, field, of })
}

fn placement(placement: &PlacementSpec) -> Vec<Used> {
    // Every field is named, so that a new one is given its hypervisors here.
    let PlacementSpec { datacenter, cluster, host: _, resource_pool, folder, create_folders, storage, path } =
        placement;
    [
        field(datacenter.as_ref(), "datacenter", &[Vsphere]),
        field(cluster.as_ref(), "cluster", &[Vsphere]),
        field(resource_pool.as_ref(), "resourcePool", &[Vsphere]),
        field(folder.as_ref(), "folder", &[Vsphere]),
        field(create_folders.as_ref(), "createFolders", &[Vsphere]),
        field(storage.as_ref(), "storage", &[Vsphere, Xenserver]),
        field(path.as_ref(), "path", &[Hyperv]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn image_fields(image: &ImageEntry) -> impl Iterator<Item = Used> {
    let ImageEntry { template, vhdx, mode } = image;
    let fields = [
        field(template.as_ref(), "template", &[Vsphere, Xenserver]),
        field(vhdx.as_ref(), "vhdx", &[Hyperv]),
        field(mode.as_ref(), "mode", &[Hyperv]),
    ];
    fields.into_iter().flatten()
}

fn network_fields(network: &NetworkEntry) -> impl Iterator<Item = Used> {
    let NetworkEntry { port_group, switch, vlan, network } = network;
    let fields = [
        field(port_group.as_ref(), "portGroup", &[Vsphere]),
        field(switch.as_ref(), "switch", &[Hyperv]),
        field(vlan.as_ref(), "vlan", &[Hyperv]),
        field(network.as_ref(), "network", &[Xenserver]),
    ];
    fields.into_iter().flatten()
}

fn storage_fields(storage: &StorageEntry) -> impl Iterator<Item = Used> {
    let StorageEntry { datastore, path, sr } = storage;
    let fields = [
        field(datastore.as_ref(), "datastore", &[Vsphere]),
        field(path.as_ref(), "path", &[Hyperv]),
        field(sr.as_ref(), "sr", &[Xenserver]),
    ];
    fields.into_iter().flatten()
}

fn check_placement(written: &Written<TierManifest>, report: &mut Report) {
    let placement = &written.manifest.spec.placement;
    let place = |spot| Place { file: written.file, spot };
    if let (Some(cluster), Some(host)) = (&placement.cluster, &placement.host) {
        report
            .error(place(host.spot), codes::PLACEMENT, "a vSphere tier names a `cluster` or a `host`, not both")
            .hint("in a cluster, DRS and tierwright choose the host")
            .related(place(cluster.spot), "the cluster is named here");
    }
    if let (Some(At { value: true, spot }), None) = (&placement.create_folders, &placement.folder) {
        report.error(place(*spot), codes::PLACEMENT, "`createFolders` needs a `folder` beside it");
    }
}
