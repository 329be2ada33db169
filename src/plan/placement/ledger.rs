//! What is free on each endpoint, and what this plan has already taken: room, names and MACs.
//!
//! Filled per endpoint when first asked: most plans place nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::Observed;
use crate::model::{Bytes, EndpointName, ObservedVm, OwnId, PowerState};

/// The books of one plan.
#[derive(Debug, Default)]
pub struct Ledger<'a> {
    endpoints: BTreeMap<&'a EndpointName, Books<'a>>,
}

#[derive(Debug, Default)]
struct Books<'a> {
    memory: BTreeMap<&'a str, u64>,
    storage: BTreeMap<&'a str, u64>,
    /// Lower-case name -> VMs of that name.
    names: BTreeMap<String, Vec<&'a ObservedVm>>,
    /// Lower-case MAC -> VMs that have it.
    macs: BTreeMap<String, Vec<&'a OwnId>>,
    planned_names: BTreeSet<(Option<String>, String)>,
    planned_macs: BTreeSet<String>,
    names_by_folder: bool,
}

impl<'a> Ledger<'a> {
    fn books(&mut self, endpoint: &'a EndpointName, observed: &'a Observed) -> &mut Books<'a> {
        self.endpoints.entry(endpoint).or_insert_with(|| Books::open(observed))
    }

    /// Memory of a host that neither a running VM nor this plan has.
    pub fn memory_free(&mut self, endpoint: &'a EndpointName, observed: &'a Observed, host: &str) -> u64 {
        self.books(endpoint, observed).memory.get(host).copied().unwrap_or(0)
    }

    /// Free bytes of a storage that this plan has not taken.
    pub fn storage_free(&mut self, endpoint: &'a EndpointName, observed: &'a Observed, storage: &str) -> u64 {
        self.books(endpoint, observed).storage.get(storage).copied().unwrap_or(0)
    }

    /// Takes memory of a host.
    pub fn take_memory(&mut self, endpoint: &EndpointName, host: &str, memory: Bytes) {
        if let Some(free) = self.endpoints.get_mut(endpoint).and_then(|books| books.memory.get_mut(host)) {
            *free = free.saturating_sub(memory.0);
        }
    }

    /// Takes bytes of a storage.
    pub fn take_storage(&mut self, endpoint: &EndpointName, storage: &str, bytes: u64) {
        if let Some(free) = self.endpoints.get_mut(endpoint).and_then(|books| books.storage.get_mut(storage)) {
            *free = free.saturating_sub(bytes);
        }
    }

    /// Takes a name for the VM `own` (`None`: one to come), or says who has it. Where names count per folder, the same
    /// name elsewhere is free; a folder that is not told counts as the same.
    pub fn take_name(
        &mut self,
        (endpoint, observed): (&'a EndpointName, &'a Observed),
        name: &str,
        folder: Option<&str>,
        own: Option<&OwnId>,
    ) -> Result<(), String> {
        let books = self.books(endpoint, observed);
        let name = name.to_ascii_lowercase();
        let folder = books.names_by_folder.then(|| folder.unwrap_or_default().trim_matches('/').to_owned());
        let same_folder = |vm: &ObservedVm| match (&folder, &vm.placed.folder) {
            (Some(folder), Some(placed)) => placed.trim_matches('/') == folder,
            (Some(_) | None, None) | (None, Some(_)) => true,
        };
        let holders = books.names.get(&name).map(Vec::as_slice).unwrap_or_default();
        if let Some(vm) = holders.iter().find(|vm| Some(&vm.id) != own && same_folder(vm)) {
            let unmarked = vm.readable().is_some_and(|config| config.mark.is_none());
            let way_out =
                if unmarked && own.is_none() { ", which nobody manages; `adopt` would take it over" } else { "" };
            return Err(format!("the name {} is taken on {endpoint} by VM {}{way_out}", vm.name, vm.id));
        }
        if books.planned_names.insert((folder, name.clone())) {
            Ok(())
        } else {
            Err(format!("another VM of this plan gets the name {name} on {endpoint}"))
        }
    }

    /// Takes a MAC for the VM `own`, or says who has it.
    pub fn take_mac(
        &mut self,
        (endpoint, observed): (&'a EndpointName, &'a Observed),
        mac: &str,
        own: Option<&OwnId>,
    ) -> Result<(), String> {
        let books = self.books(endpoint, observed);
        let mac = mac.to_ascii_lowercase();
        let holders = books.macs.get(&mac).map(Vec::as_slice).unwrap_or_default();
        if let Some(holder) = holders.iter().find(|holder| Some(**holder) != own) {
            return Err(format!("the MAC {mac} is taken on {endpoint} by VM {holder}"));
        }
        if books.planned_macs.insert(mac.clone()) {
            Ok(())
        } else {
            Err(format!("another VM of this plan gets the MAC {mac} on {endpoint}"))
        }
    }
}

impl<'a> Books<'a> {
    fn open(observed: &'a Observed) -> Self {
        let Observed { capabilities, incomplete: _, vms, catalog, missing: _ } = observed;
        let mut books = Self { names_by_folder: capabilities.names_by_folder, ..Self::default() };
        books.memory = catalog.hosts.iter().map(|host| (&*host.name, host.memory.0)).collect();
        books.storage = catalog.storage.iter().map(|storage| (&*storage.name, storage.free.0)).collect();
        for vm in vms {
            books.names.entry(vm.name.to_ascii_lowercase()).or_default().push(vm);
            let Some(config) = vm.readable() else { continue };
            for nic in &config.nics {
                books.macs.entry(nic.mac.to_ascii_lowercase()).or_default().push(&vm.id);
            }
            // Suspended VMs come back with their memory; only stopped ones have given it up for sure.
            let holds_memory = config.power != PowerState::Stopped && !config.template;
            let free = vm.placed.host.as_deref().and_then(|host| books.memory.get_mut(host));
            if let (true, Some(free)) = (holds_memory, free) {
                *free = free.saturating_sub(config.memory.0);
            }
        }
        books
    }
}
