//! The whole inventory in a number of calls that grows with pages, never with VMs.
//!
//! ```text
//! first, and hourly    one view over everything: all properties of all VMs, and the rest
//! otherwise            the same view: light properties; then the heavy ones of VMs whose changeVersion moved
//! what a folder, cluster or pool holds and the view did not show: asked for by reference, in one call
//! VMs known before and seen nowhere: looked up one by one
//! ```
//!
//! A list is only believed whole when, from the root folder down, everything that something claims to hold was told of:
//! datacenters, folders, clusters, hosts, pools, VMs. Nothing here waits for a guest.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::convert::{self, HEAVY, Heavy, LIGHT, Light};
use super::fault::Failure;
use super::property::{self, From, Object, Wanted};
use super::session::{Door, Session};
use super::soap::Moref;
use super::tree::{self, Entity, Tree};
use super::{capabilities, find};
use crate::inventory::{Image, Known, Missing, Observed};
use crate::model::{Config, ObservedVm, OwnId, Placed};

/// Heavy properties are read of all VMs at least so often, should a server not move `changeVersion` for some change.
const ALL_EVERY: Duration = Duration::from_hours(1);

/// What was read before, so that not everything is read again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    heavy: HashMap<Moref, (String, Arc<Heavy>)>,
    /// When all was last read.
    all_at: Option<Instant>,
    /// Where each VM was last seen, for direct reads by id.
    pub seen: HashMap<OwnId, Moref>,
    /// VMs and templates by name, for those that serve as images.
    pub images: HashMap<Arc<str>, Vec<Moref>>,
}

/// One object of the big answer.
enum Item {
    Vm(Box<Light>, Option<Box<Heavy>>),
    Other(Box<Entity>),
}

fn item(object: &Object<'_, '_>) -> Option<Item> {
    match convert::light(object) {
        Some(light) => Some(Item::Vm(Box::new(light), convert::heavy(object).map(Box::new))),
        None => tree::entity(object).map(|entity| Item::Other(Box::new(entity))),
    }
}

/// Everything of one endpoint.
pub(super) async fn collect(door: &Door, memory: &Mutex<Memory>, known: &[Known]) -> Result<Observed, Failure> {
    // Held throughout: two collections at once would only do the same work twice.
    let mut memory = memory.lock().await;
    let memory = &mut *memory;
    let session = door.session().await?;
    let outcome = collect_in(door, &session, memory, known).await;
    match outcome {
        // Views die with the session, so all of it is done again.
        Err(failure) if failure.is_not_authenticated() => {
            door.forget(&session).await;
            let session = door.session().await?;
            collect_in(door, &session, memory, known).await
        }
        outcome => outcome,
    }
}

async fn collect_in(door: &Door, session: &Session, memory: &mut Memory, known: &[Known]) -> Result<Observed, Failure> {
    let all = memory.all_at.is_none_or(|at| at.elapsed() > ALL_EVERY);
    let kinds: Vec<&str> = std::iter::once("VirtualMachine").chain(tree::KINDS.iter().copied()).collect();
    let view = find::view_of(door, session, &kinds).await?;
    let items = read_view(door, session, &view, all).await;
    find::drop_view(door, session, &view).await;
    let mut reading = Reading::sort(items?);
    reading.ask_again(door, session).await?;
    reading.read_heavy(door, session, memory).await?;
    if all {
        memory.all_at = Some(crate::clock::instant());
    }
    let mut observed = reading.observed(session);
    memory.remember(&reading);
    let listed: HashSet<&OwnId> = reading.vms.iter().map(|light| &light.id).collect();
    let mut missing = BTreeMap::new();
    for known in known.iter().filter(|known| !listed.contains(&known.id)) {
        let answer = match find::missing(door, session, memory, known).await {
            Err(failure) if failure.is_not_authenticated() => return Err(failure),
            Err(failure) => Missing::Unknown(failure.to_string()),
            Ok(answer) => answer,
        };
        missing.insert(known.id.clone(), answer);
    }
    observed.missing = missing;
    Ok(observed)
}

async fn read_view(door: &Door, session: &Session, view: &Moref, all: bool) -> Result<Vec<Item>, Failure> {
    let mut paths = LIGHT.to_vec();
    if all {
        paths.extend(HEAVY);
    }
    let mut wanted = vec![Wanted { kind: "VirtualMachine", paths: &paths }];
    wanted.extend(tree::WANTED);
    property::read(door, session, &wanted, &From::Rooted(view, &session.content.root_folder), item).await
}

impl Memory {
    fn remember(&mut self, reading: &Reading) {
        self.seen.extend(reading.vms.iter().map(|light| (light.id.clone(), light.moref.clone())));
        self.images.clear();
        for light in &reading.vms {
            self.images.entry(Arc::clone(&light.name)).or_default().push(light.moref.clone());
        }
        self.heavy = reading
            .vms
            .iter()
            .filter(|light| !light.change_version.is_empty())
            .filter_map(|light| {
                let heavy = reading.heavy.get(&light.moref)?;
                Some((light.moref.clone(), (light.change_version.clone(), Arc::clone(heavy))))
            })
            .collect();
    }
}

/// One reading, being completed.
struct Reading {
    vms: Vec<Light>,
    heavy: HashMap<Moref, Arc<Heavy>>,
    tree: Tree,
    /// What something claims and nothing tells of.
    lost: Vec<Moref>,
}

impl Reading {
    fn sort(items: Vec<Item>) -> Self {
        let mut reading = Self { vms: Vec::new(), heavy: HashMap::new(), tree: Tree::default(), lost: Vec::new() };
        let mut entities = Vec::new();
        for item in items {
            match item {
                Item::Vm(light, heavy) => reading.add(light, heavy),
                Item::Other(entity) => entities.push(*entity),
            }
        }
        reading.tree = Tree::new(entities);
        reading
    }

    fn add(&mut self, light: Box<Light>, heavy: Option<Box<Heavy>>) {
        if let Some(heavy) = heavy {
            self.heavy.insert(light.moref.clone(), Arc::from(heavy));
        }
        self.vms.push(*light);
    }

    /// What folders, clusters and pools claim and the view did not show: made a moment ago, or left out. What turns up
    /// may claim more.
    async fn ask_again(&mut self, door: &Door, session: &Session) -> Result<(), Failure> {
        let root = &session.content.root_folder;
        let paths: Vec<_> = LIGHT.iter().chain(HEAVY).copied().collect();
        let mut wanted = vec![Wanted { kind: "VirtualMachine", paths: &paths }];
        wanted.extend(tree::WANTED);
        let mut asked = BTreeSet::new();
        loop {
            let unseen: BTreeSet<Moref> =
                self.unseen(root).into_iter().filter(|moref| !asked.contains(moref)).collect();
            if unseen.is_empty() {
                break;
            }
            let list: Vec<Moref> = unseen.iter().cloned().collect();
            asked.extend(unseen);
            for item in property::read(door, session, &wanted, &From::Objects(&list), item).await? {
                match item {
                    Item::Vm(light, heavy) => self.add(light, heavy),
                    Item::Other(entity) => self.tree.add(*entity),
                }
            }
        }
        self.lost = self.unseen(root).into_iter().collect();
        Ok(())
    }

    /// The root, and what something claims, as far as nothing told of it.
    fn unseen(&self, root: &Moref) -> BTreeSet<Moref> {
        let vms: HashSet<&Moref> = self.vms.iter().map(|light| &light.moref).collect();
        self.tree
            .claims()
            .chain(std::iter::once(root))
            .filter(|moref| tree::is_read(&moref.kind) && !vms.contains(moref) && self.tree.get(moref).is_none())
            .cloned()
            .collect()
    }

    /// Heavy properties of the VMs whose configuration changed, from memory for the rest.
    async fn read_heavy(&mut self, door: &Door, session: &Session, memory: &Memory) -> Result<(), Failure> {
        let mut stale = Vec::new();
        for light in &self.vms {
            if self.heavy.contains_key(&light.moref) {
                continue;
            }
            match memory.heavy.get(&light.moref) {
                Some((version, heavy)) if *version == light.change_version => {
                    self.heavy.insert(light.moref.clone(), Arc::clone(heavy));
                }
                _ => stale.push(light.moref.clone()),
            }
        }
        let wanted = [Wanted { kind: "VirtualMachine", paths: HEAVY }];
        let read = property::read(door, session, &wanted, &From::Objects(&stale), convert::heavy).await?;
        self.heavy.extend(read.into_iter().map(|heavy| (heavy.moref.clone(), Arc::new(heavy))));
        Ok(())
    }

    fn observed(&self, session: &Session) -> Observed {
        let networks = self.tree.network_names();
        let mut catalog = self.tree.catalog();
        let mut vms = Vec::with_capacity(self.vms.len());
        for light in &self.vms {
            let heavy = self.heavy.get(&light.moref);
            if light.template
                && let Some(heavy) = heavy
            {
                catalog.images.push(Image {
                    source: Arc::clone(&light.name),
                    datacenter: self.datacenter(light),
                    disks: heavy.disks.iter().map(|disk| disk.size).collect(),
                    firmware: Some(heavy.firmware),
                });
                // A template is an image; it is a VM of ours only when it carries a mark.
                if heavy.mark.is_none() {
                    continue;
                }
            }
            vms.push(self.vm(light, convert::config(light, heavy.map(AsRef::as_ref), &networks)));
        }
        vms.sort_by(|a, b| (&a.id, &a.handle).cmp(&(&b.id, &b.handle)));
        catalog.images.sort_by(|a, b| (&a.source, &a.datacenter).cmp(&(&b.source, &b.datacenter)));
        Observed {
            capabilities: capabilities(session),
            incomplete: self.incomplete(),
            vms,
            catalog,
            missing: BTreeMap::new(),
        }
    }

    fn incomplete(&self) -> Option<String> {
        let lost = (!self.lost.is_empty())
            .then(|| format!("{} things that others hold are not told of, such as {}", self.lost.len(), self.lost[0]));
        match (lost, self.tree.gaps()) {
            (Some(lost), Some(gaps)) => Some(format!("{lost}; {gaps}")),
            (lost, gaps) => lost.or(gaps),
        }
    }

    fn vm(&self, light: &Light, config: Config) -> ObservedVm {
        vm(&self.tree, light, config)
    }

    fn datacenter(&self, light: &Light) -> Option<Arc<str>> {
        let parent = light.parent.as_ref().or(light.vapp.as_ref())?;
        self.tree.datacenter(parent).map(|found| Arc::clone(&found.name))
    }
}

/// A VM with its place.
pub(super) fn vm(tree: &Tree, light: &Light, config: Config) -> ObservedVm {
    let parent = light.parent.as_ref();
    let name = |entity: &Entity| Arc::clone(&entity.name);
    let host = light.host.as_ref();
    let inside = parent.or(light.vapp.as_ref()).or(host);
    ObservedVm {
        id: light.id.clone(),
        handle: Arc::clone(&light.moref.value),
        name: Arc::clone(&light.name),
        placed: Placed {
            host: host.and_then(|host| tree.get(host)).map(name),
            cluster: host.and_then(|host| tree.cluster(host)).map(name),
            folder: parent
                .and_then(|folder| tree.vm_folder_path(folder))
                .filter(|path| !path.is_empty())
                .map(Into::into),
            datacenter: inside.and_then(|moref| tree.datacenter(moref)).map(name),
        },
        config,
    }
}
