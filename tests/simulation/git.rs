//! What the teams have in Git: tiers and VMs as values, written out as the YAML that the program reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// One tier.
#[derive(Debug, Clone)]
pub struct TierFile {
    pub name: String,
    pub endpoints: Vec<String>,
    /// Placement, images, networks and storage, as the hypervisor's words have them.
    pub places: &'static str,
    pub prune: &'static str,
    pub grace_days: u32,
}

/// One VM.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "a manifest's flags, each a field of its own")]
pub struct VmFile {
    pub tier: String,
    pub cpus: u32,
    pub memory_gib: u64,
    pub image: bool,
    pub disks: Vec<DiskLine>,
    pub nics: Vec<(String, &'static str)>,
    pub power: Option<&'static str>,
    pub prevent_destroy: bool,
    pub release: bool,
    pub reboot: bool,
    pub force: bool,
    pub delete_disks: bool,
    pub depends_on: Option<String>,
    pub renamed_from: Option<String>,
    pub adopt: Option<(String, String)>,
}

/// One disk of a VM.
#[derive(Debug, Clone)]
pub struct DiskLine {
    pub name: String,
    pub gib: u64,
    pub fast: bool,
}

/// How the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Good,
    /// One file has an error.
    Broken,
    /// The folder has no manifest in it.
    Empty,
    /// The folder is not there.
    Missing,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Git {
    pub tiers: BTreeMap<String, TierFile>,
    /// By key, such as `sim/vm-3`.
    pub vms: BTreeMap<String, VmFile>,
    pub shape: Shape,
}

/// Words of a vSphere tier in the lab's world.
pub const VSPHERE: &str = "  placement: {cluster: gold, folder: Prod, storage: flash-repl}
  images: {debian: {template: tmpl-debian-12}}
  networks: {app: {portGroup: PG-APP-10}, db: {portGroup: PG-DB-20}}
  storage: {fast: {datastore: nvme-01}}
";

/// The same world in XenServer's words.
pub const XENSERVER: &str = "  placement: {storage: flash-repl}
  images: {debian: {template: tmpl-debian-12}}
  networks: {app: {network: PG-APP-10}, db: {network: PG-DB-20}}
  storage: {fast: {sr: nvme-01}}
";

impl VmFile {
    /// A small VM.
    pub fn new(tier: &str, n: u32) -> Self {
        Self {
            tier: tier.to_owned(),
            cpus: 1 + n % 2,
            memory_gib: 1 + u64::from(n % 3),
            image: !n.is_multiple_of(3),
            // Different names, so that one that leaves and one that comes do not look like a rename.
            disks: vec![DiskLine { name: format!("root-{n}"), gib: 10, fast: false }],
            nics: vec![("eth0".to_owned(), "app")],
            power: None,
            prevent_destroy: false,
            release: false,
            reboot: true,
            force: n.is_multiple_of(4),
            delete_disks: false,
            depends_on: None,
            renamed_from: None,
            adopt: None,
        }
    }

    fn write(&self, key: &str, text: &mut String) {
        let (project, name) = key.split_once('/').expect("a key has a project");
        let mut line = |line: std::fmt::Arguments<'_>| text.write_fmt(format_args!("{line}\n")).expect("to a string");
        line(format_args!("---\napiVersion: tierwright.dev/v1\nkind: VirtualMachine"));
        line(format_args!("metadata: {{project: {project}, name: {name}}}\nspec:"));
        line(format_args!("  tier: {}\n  cpus: {}\n  memory: {}GiB", self.tier, self.cpus, self.memory_gib));
        if self.image {
            line(format_args!("  image: debian"));
        }
        line(format_args!("  firmware: uefi\n  disks:"));
        for disk in &self.disks {
            let storage = if disk.fast { ", storage: fast" } else { "" };
            line(format_args!("    - {{name: {}, size: {}GiB{storage}}}", disk.name, disk.gib));
        }
        if !self.nics.is_empty() {
            line(format_args!("  nics:"));
        }
        for (name, network) in &self.nics {
            line(format_args!("    - {{name: {name}, network: {network}}}"));
        }
        if let Some(power) = self.power {
            line(format_args!("  power: {power}"));
        }
        line(format_args!("  preventDestroy: {}\n  deleteDisks: {}", self.prevent_destroy, self.delete_disks));
        line(format_args!("  onRemove: {}", if self.release { "release" } else { "delete" }));
        line(format_args!("  allowReboot: {}", if self.reboot { "always" } else { "never" }));
        line(format_args!("  shutdown: {{timeout: 1s, force: {}}}", self.force));
        if let Some(other) = &self.depends_on {
            line(format_args!("  dependsOn: [{other}]"));
        }
        if let Some(old) = &self.renamed_from {
            line(format_args!("  renamedFrom: {old}"));
        }
        if let Some((endpoint, id)) = &self.adopt {
            line(format_args!("  adopt: {{endpoint: {endpoint}, id: \"{id}\"}}"));
        }
    }
}

impl TierFile {
    fn write(&self, text: &mut String) {
        let Self { name, endpoints, places, prune, grace_days } = self;
        let endpoints = endpoints.join(", ");
        write!(
            text,
            "---\napiVersion: tierwright.dev/v1\nkind: Tier\nmetadata: {{name: {name}}}\nspec:\n  \
             endpoints: [{endpoints}]\n{places}  sync: {{prune: {prune}, graceDays: {grace_days}}}\n"
        )
        .expect("to a string");
    }
}

impl Git {
    /// Writes it into a folder.
    pub fn write(&self, folder: &Path) {
        let _ = std::fs::remove_dir_all(folder);
        if self.shape == Shape::Missing {
            return;
        }
        std::fs::create_dir_all(folder).expect("a folder for manifests");
        if self.shape == Shape::Empty {
            return;
        }
        let mut text = String::new();
        self.tiers.values().for_each(|tier| tier.write(&mut text));
        self.vms.iter().for_each(|(key, vm)| vm.write(key, &mut text));
        if self.shape == Shape::Broken {
            text.push_str("---\napiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {name: half\n");
        }
        std::fs::write(folder.join("all.yaml"), text).expect("a manifest");
    }

    /// Takes a VM out, and what other manifests say of it.
    pub fn remove(&mut self, key: &str) {
        self.vms.remove(key);
        for vm in self.vms.values_mut() {
            vm.depends_on = vm.depends_on.take().filter(|other| other != key);
        }
    }
}
