//! Walks the tree of each document along the fields of its kind and goes on after each problem.
//!
//! ```text
//! mod.rs      files -> documents by kind       fields.rs   one mapping: known, required, unknown fields
//! scalars.rs  text, numbers, booleans, words   values.rs   names, sizes, money, durations
//! network.rs  MACs, addresses                  tier.rs instance_type.rs virtual_machine.rs   the kinds
//! ```
//!
//! A value that cannot be read is reported once, here, and is absent afterwards. Nothing here looks at a second document.

pub(crate) mod fields;
mod instance_type;
mod network;
mod scalars;
mod tier;
mod values;
mod virtual_machine;

pub(crate) use instance_type::MAX_CPUS;
pub use scalars::Words;
pub(crate) use values::seconds;

use super::codes;
use super::guard;
use super::report::{Place, Report, shown};
use super::schema::{API_VERSION, InstanceTypeManifest, KINDS, TierManifest, VmManifest, Written};
use super::tree::{self, Node, Spot, Value};

/// The manifests of all files, by kind, in the order of files and of documents.
#[derive(Debug, Default)]
pub struct Documents {
    /// Tiers.
    pub tiers: Vec<Written<TierManifest>>,
    /// Instance types.
    pub instance_types: Vec<Written<InstanceTypeManifest>>,
    /// VMs.
    pub vms: Vec<Written<VmManifest>>,
    /// How many documents there were, readable or not.
    pub found: usize,
    /// Something could not be read as far as its name: what is missing may stand there.
    pub incomplete: bool,
}

impl Documents {
    /// Numbers of the files that declare tiers or instance types, some of them more than once.
    pub(super) fn common(&self) -> impl Iterator<Item = u32> {
        let types = self.instance_types.iter().map(|written| written.file);
        self.tiers.iter().map(|written| written.file).chain(types)
    }
}

/// Reads one file.
pub fn file(file: u32, bytes: &[u8], documents: &mut Documents, report: &mut Report) {
    let Some(text) = guard::admit(file, bytes, report) else {
        documents.incomplete = true;
        return;
    };
    let tree = tree::parse(file, text, report);
    documents.incomplete |= tree.cut;
    for node in &tree.documents {
        documents.found += 1;
        if document(file, node, documents, report).is_none() {
            documents.incomplete = true;
        }
    }
}

/// Reads one document; `None` if not even its name is known.
fn document(file: u32, node: &Node<'_>, documents: &mut Documents, report: &mut Report) -> Option<()> {
    let mut reader = Reader { file, report };
    let slot = Slot { name: "a manifest", key: node.spot, node };
    let Value::Mapping { .. } = &node.value else {
        reader.error(
            node.spot,
            codes::WRONG_SHAPE,
            "a document must be a mapping with apiVersion, kind, metadata and spec",
        );
        return None;
    };
    let mut fields = reader.mapping(slot)?;
    if let Some(slot) = fields.required(&mut reader, "apiVersion") {
        reader.api_version(slot);
    }
    let kind = match fields.required(&mut reader, "kind") {
        Some(slot) => reader.kind(slot),
        None => None,
    };
    // Without its kind nothing else of a document can be judged.
    match kind? {
        Kind::Tier => {
            let manifest = reader.tier(fields);
            manifest.metadata.name.as_ref()?;
            documents.tiers.push(Written { file, manifest });
        }
        Kind::InstanceType => {
            let manifest = reader.instance_type(fields);
            manifest.metadata.name.as_ref()?;
            documents.instance_types.push(Written { file, manifest });
        }
        Kind::VirtualMachine => {
            let manifest = reader.virtual_machine(fields);
            let named = manifest.metadata.name.is_some();
            documents.vms.push(Written { file, manifest });
            return named.then_some(());
        }
    }
    Some(())
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Tier,
    InstanceType,
    VirtualMachine,
}

/// A field in a mapping, or an item of a list: what the readers of values take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot<'n> {
    /// What messages call it.
    pub(crate) name: &'n str,
    /// Where the key stands; of an item, the item.
    pub(crate) key: Spot,
    /// The value.
    pub(crate) node: &'n Node<'n>,
}

/// Reads the values of one file. The settings are read by it too, so that both kinds of file are judged alike.
pub(crate) struct Reader<'r> {
    pub(crate) file: u32,
    pub(crate) report: &'r mut Report,
}

impl Reader<'_> {
    pub(crate) fn place(&self, spot: Spot) -> Place {
        Place { file: self.file, spot }
    }

    pub(crate) fn error(
        &mut self,
        spot: Spot,
        code: &'static codes::Code,
        summary: impl Into<String>,
    ) -> &mut super::report::Problem {
        let place = self.place(spot);
        self.report.error(place, code, summary)
    }

    fn api_version(&mut self, slot: Slot<'_>) {
        let Some(text) = self.text(slot) else { return };
        if text != API_VERSION {
            self.error(slot.node.spot, codes::API_VERSION, format!("unknown apiVersion `{}`", shown(text)))
                .hint(format!("write `apiVersion: {API_VERSION}`"));
        }
    }

    fn kind(&mut self, slot: Slot<'_>) -> Option<Kind> {
        let text = self.text(slot)?;
        match text {
            "Tier" => Some(Kind::Tier),
            "InstanceType" => Some(Kind::InstanceType),
            "VirtualMachine" => Some(Kind::VirtualMachine),
            _ => {
                let meant = match text {
                    "VM" | "Vm" | "vm" => Some("VirtualMachine"),
                    _ => self.report.nearest(text, KINDS),
                };
                self.error(slot.node.spot, codes::KIND, format!("unknown kind `{}`", shown(text)))
                    .hint(format!("the kinds are {}", KINDS.join(", ")))
                    .meant(meant);
                None
            }
        }
    }
}
