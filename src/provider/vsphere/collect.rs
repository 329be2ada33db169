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

use tokio::sync::Mutex;

use super::convert::{self, HEAVY, Heavy, LIGHT, Light};
use super::fault::Failure;
use super::memory::{self, Listing, Memory, VM, Vm};
use super::pages::{self, Each};
use super::property::{From, Object, Wanted};
use super::session::{Door, Session};
use super::soap::Moref;
use super::tree::{self, Entity, Tree};
use super::{capabilities, find};
use crate::inventory::{Image, Known, Missing, Observed};
use crate::model::{Config, ObservedVm, OwnId, Placed, Words};

/// One object of the big answer.
enum Item {
    Vm(Vm),
    Other(Box<Entity>),
}

fn item(object: &Object<'_>, words: &mut Words) -> Option<Item> {
    match convert::light(object, words) {
        Some(light) => Some(Item::Vm(Vm { light: Box::new(light), heavy: convert::heavy(object, words) })),
        None => tree::entity(object, words).map(|entity| Item::Other(Box::new(entity))),
    }
}

/// Everything of one endpoint.
pub(super) async fn collect(door: &Door, memory: &Arc<Mutex<Memory>>, known: &[Known]) -> Result<Observed, Failure> {
    // Held throughout: two collections at once would only do the same work twice.
    let mut memory = Arc::clone(memory).lock_owned().await;
    let session = door.session().await?;
    let outcome = collect_in(door, &session, &memory, known).await;
    let (observed, listing) = match outcome {
        // Views die with the session, so all of it is done again.
        Err(failure) if failure.is_not_authenticated() => {
            door.forget(&session).await;
            let session = door.session().await?;
            collect_in(door, &session, &memory, known).await?
        }
        outcome => outcome?,
    };
    // Only who comes next waits for it.
    tokio::task::spawn_blocking(move || memory.remember(listing));
    Ok(observed)
}

/// And what is to be remembered of it.
async fn collect_in(
    door: &Door,
    session: &Session,
    memory: &Memory,
    known: &[Known],
) -> Result<(Observed, Listing), Failure> {
    let all = memory.wants_all();
    let kinds: Vec<&str> = std::iter::once(VM).chain(tree::KINDS.iter().copied()).collect();
    let view = find::view_of(door, session, &kinds).await?;
    let items = read_view(door, session, &view, all).await;
    find::drop_view(door, session, &view).await;
    let mut reading = Reading::sort(items?);
    reading.ask_again(door, session).await?;
    reading.read_heavy(door, session, memory).await?;
    let mut observed = reading.observed(session);
    let unlisted: Vec<&Known> = if known.is_empty() {
        Vec::new()
    } else {
        let listed: HashSet<&OwnId> = reading.vms.iter().map(|vm| &vm.light.id).collect();
        known.iter().filter(|known| !listed.contains(&known.id)).collect()
    };
    let mut missing = BTreeMap::new();
    for known in unlisted {
        let answer = match find::missing(door, session, memory, known).await {
            Err(failure) if failure.is_not_authenticated() => return Err(failure),
            Err(failure) => Missing::Unknown(failure.to_string()),
            Ok(answer) => answer,
        };
        missing.insert(known.id.clone(), answer);
    }
    observed.missing = missing;
    Ok((observed, Listing { vms: reading.vms, all }))
}

async fn read_view(door: &Door, session: &Session, view: &Moref, all: bool) -> Result<Vec<Item>, Failure> {
    let mut paths = LIGHT.to_vec();
    if all {
        paths.extend(HEAVY);
    }
    let mut wanted = vec![Wanted { kind: VM, paths: &paths }];
    wanted.extend(tree::WANTED);
    let from = From::Rooted(view, &session.content.root_folder);
    pages::read(door, session, &wanted, &from, Each::facts(item)).await
}

/// One reading, being completed.
struct Reading {
    /// In the order of references.
    vms: Vec<Vm>,
    tree: Tree,
    /// What something claims and nothing tells of.
    lost: BTreeSet<Moref>,
}

impl Reading {
    fn sort(items: Vec<Item>) -> Self {
        let mut vms = Vec::with_capacity(items.len());
        let mut entities = Vec::new();
        for item in items {
            match item {
                Item::Vm(vm) => vms.push(vm),
                Item::Other(entity) => entities.push(*entity),
            }
        }
        memory::sort(&mut vms);
        Self { vms, tree: Tree::new(entities), lost: BTreeSet::new() }
    }

    /// What folders, clusters and pools claim and the view did not show: made a moment ago, or left out. What turns up
    /// may claim more. And VMs without a configuration, whose id stands elsewhere.
    async fn ask_again(&mut self, door: &Door, session: &Session) -> Result<(), Failure> {
        let root = &session.content.root_folder;
        let paths = convert::all_paths();
        let mut wanted = vec![Wanted { kind: VM, paths: &paths }];
        wanted.extend(tree::WANTED);
        let mut asked = BTreeSet::new();
        let mut nameless: BTreeSet<Moref> =
            self.vms.extract_if(.., |vm| !vm.light.has_id).map(|vm| vm.light.moref).collect();
        loop {
            self.lost = self.unseen(root);
            let mut list = std::mem::take(&mut nameless);
            list.extend(self.lost.difference(&asked).cloned());
            let list = Vec::from_iter(list);
            if list.is_empty() {
                return Ok(());
            }
            for item in pages::read(door, session, &wanted, &From::Objects(&list), Each::facts(item)).await? {
                match item {
                    Item::Vm(vm) => self.vms.push(vm),
                    Item::Other(entity) => self.tree.add(*entity),
                }
            }
            memory::sort(&mut self.vms);
            asked.extend(list);
        }
    }

    /// The root, and what something claims, as far as nothing told of it.
    fn unseen(&self, root: &Moref) -> BTreeSet<Moref> {
        let mut at = 0;
        let mut is_seen = |moref: &Moref| match &*moref.kind {
            VM => memory::find_in(&self.vms, &moref.value, &mut at).is_some(),
            kind => !tree::is_read(kind) || self.tree.get(moref).is_some(),
        };
        self.tree.claims().chain(std::iter::once(root)).filter(|moref| !is_seen(moref)).cloned().collect()
    }

    /// Heavy properties of the VMs whose configuration changed, from memory for the rest.
    async fn read_heavy(&mut self, door: &Door, session: &Session, memory: &Memory) -> Result<(), Failure> {
        let (mut stale, mut at) = (Vec::new(), 0);
        for Vm { light, heavy } in self.vms.iter_mut().filter(|vm| vm.heavy.is_none()) {
            *heavy = memory.heavy_of(light, &mut at);
            if heavy.is_none() {
                stale.push(light.moref.clone());
            }
        }
        let wanted = [Wanted { kind: VM, paths: HEAVY }];
        let named =
            |object: &Object<'_>, words: &mut Words| Some((object.moref.clone(), convert::heavy(object, words)?));
        let read = pages::read(door, session, &wanted, &From::Objects(&stale), Each::facts(named)).await?;
        let mut read: HashMap<Moref, Heavy> = read.into_iter().collect();
        for vm in self.vms.iter_mut().filter(|vm| vm.heavy.is_none()) {
            vm.heavy = read.remove(&vm.light.moref);
        }
        Ok(())
    }

    fn observed(&mut self, session: &Session) -> Observed {
        let networks = self.tree.network_names();
        let mut places = Places::of(&self.tree);
        let mut catalog = self.tree.catalog();
        let mut vms = Vec::with_capacity(self.vms.len());
        for Vm { light, heavy } in &mut self.vms {
            if light.template
                && let Some(Heavy { config, .. }) = heavy
            {
                catalog.images.push(Image {
                    source: Arc::clone(&light.name),
                    datacenter: places.of_vm(light).datacenter,
                    disks: config.disks.iter().map(|disk| disk.size).collect(),
                    firmware: Some(config.firmware),
                });
                // A template is an image; it is a VM of ours only when it carries a mark.
                if config.mark.is_none() {
                    continue;
                }
            }
            vms.push(vm(&mut places, light, convert::config(light, heavy.as_mut(), &networks)));
        }
        // First by a part of the ids that stands here and not elsewhere in memory: few are left to be put right.
        vms.sort_by_cached_key(|vm| vm.id.as_str().bytes().take(8).fold(0_u64, |key, byte| key << 8 | u64::from(byte)));
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
        let lost = self
            .lost
            .first()
            .map(|first| format!("{} things that others hold are not told of, such as {first}", self.lost.len()));
        match (lost, self.tree.gaps()) {
            (Some(lost), Some(gaps)) => Some(format!("{lost}; {gaps}")),
            (lost, gaps) => lost.or(gaps),
        }
    }
}

/// Where VMs are, by what they stand in and on: a few of each, so every name is looked up and kept once.
pub(super) struct Places<'t> {
    tree: &'t Tree,
    hosts: HashMap<Moref, Place>,
    folders: HashMap<Moref, Place>,
}

/// What a host or a folder says of where a VM on it is.
struct Place {
    host: Option<Arc<str>>,
    cluster: Option<Arc<str>>,
    folder: Option<Arc<str>>,
    datacenter: Option<Arc<str>>,
}

impl<'t> Places<'t> {
    pub(super) fn of(tree: &'t Tree) -> Self {
        Self { tree, hosts: HashMap::new(), folders: HashMap::new() }
    }

    fn of_vm(&mut self, light: &Light) -> Placed {
        let host = light.host.as_ref().map(|host| Self::once(self.tree, &mut self.hosts, host));
        // A VM in a vApp has no folder; the vApp still tells the datacenter.
        let inside = light.parent.as_ref().or(light.vapp.as_ref());
        let inside = inside.map(|inside| Self::once(self.tree, &mut self.folders, inside));
        let folder = inside.filter(|_| light.parent.is_some());
        Placed {
            host: host.and_then(|host| host.host.clone()),
            cluster: host.and_then(|host| host.cluster.clone()),
            folder: folder.and_then(|inside| inside.folder.clone()),
            datacenter: inside.or(host).and_then(|place| place.datacenter.clone()),
        }
    }

    fn once<'p>(tree: &Tree, known: &'p mut HashMap<Moref, Place>, moref: &Moref) -> &'p Place {
        known.entry(moref.clone()).or_insert_with(|| Self::look(tree, moref))
    }

    fn look(tree: &Tree, moref: &Moref) -> Place {
        let name = |entity: &Entity| Arc::clone(&entity.name);
        Place {
            host: tree.get(moref).map(name),
            cluster: tree.cluster(moref).map(name),
            folder: tree.vm_folder_path(moref).filter(|path| !path.is_empty()).map(Into::into),
            datacenter: tree.datacenter(moref).map(name),
        }
    }
}

/// A VM with its place.
pub(super) fn vm(places: &mut Places<'_>, light: &Light, config: Config) -> ObservedVm {
    ObservedVm {
        id: light.id.clone(),
        handle: Arc::clone(&light.moref.value),
        name: Arc::clone(&light.name),
        placed: places.of_vm(light),
        config,
    }
}
