//! One host: its connection, what it is, and what stands around its VMs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::cim::{Instance, Namespace, quoted};
use super::client::Client;
use super::collect::Memory;
use super::fault::Failure;
use crate::inventory::Storage;
use crate::model::Bytes;
use crate::settings::EndpointSettings;

/// A host and what is remembered of it.
#[derive(Debug)]
pub(super) struct Host {
    pub client: Client,
    facts: Mutex<Option<Facts>>,
    pub memory: Mutex<Memory>,
}

/// What a host is.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// NetBIOS name: what paths and the cluster call it.
    pub name: Arc<str>,
    pub memory: Bytes,
    /// For people.
    pub product: String,
}

impl Host {
    pub(super) fn new(url: &str, settings: &EndpointSettings) -> Result<Self, Failure> {
        Ok(Self { client: Client::new(url, settings)?, facts: Mutex::default(), memory: Mutex::default() })
    }

    /// What it is, asked once.
    pub(super) async fn facts(&self) -> Result<Facts, Failure> {
        // Held while asking: many callers at once ask together.
        let mut held = self.facts.lock().await;
        if let Some(facts) = held.as_ref() {
            return Ok(facts.clone());
        }
        let facts = self.ask_facts().await?;
        *held = Some(facts.clone());
        Ok(facts)
    }

    async fn ask_facts(&self) -> Result<Facts, Failure> {
        let query = "SELECT Name, TotalPhysicalMemory FROM Win32_ComputerSystem";
        let machine = |instance: &Instance<'_>| {
            Some((instance.text("Name")?.trim().to_owned(), instance.number("TotalPhysicalMemory")?))
        };
        let system = self.client.enumerate(Namespace::Cimv2, query, machine).await?.pop();
        let (name, memory) = system.ok_or_else(|| Failure::senseless("a host that does not tell its name"))?;
        let query = "SELECT Caption, Version FROM Win32_OperatingSystem";
        let product = |instance: &Instance<'_>| {
            Some(format!("{} {}", instance.word("Caption").trim(), instance.word("Version").trim()))
        };
        let product = self.client.enumerate(Namespace::Cimv2, query, product).await?.pop().unwrap_or_default();
        Ok(Facts { name: name.into(), memory: Bytes(memory), product: format!("Hyper-V on {}", product.trim()) })
    }

    /// GUID of each switch in lower case, and its name.
    pub(super) async fn switches(&self) -> Result<BTreeMap<String, Arc<str>>, Failure> {
        let query = "SELECT Name, ElementName FROM Msvm_VirtualEthernetSwitch";
        let switch = |instance: &Instance<'_>| {
            Some((instance.text("Name")?.to_ascii_lowercase(), Arc::from(instance.word("ElementName"))))
        };
        Ok(self.client.enumerate(Namespace::Virtualization, query, switch).await?.into_iter().collect())
    }

    /// Local volumes with a place in the file system, and those a cluster shares, by the path they are mounted at.
    pub(super) async fn volumes(&self) -> Result<Vec<Storage>, Failure> {
        let query = "SELECT Name, Capacity, FreeSpace FROM Win32_Volume WHERE DriveType = 3";
        let volume = |instance: &Instance<'_>| {
            let name = instance.text("Name").filter(|name| name.ends_with('\\') && !name.starts_with(r"\\"))?;
            Some(Storage {
                name: name.into(),
                datacenter: None,
                capacity: Bytes(instance.number("Capacity")?),
                free: Bytes(instance.number("FreeSpace")?),
                hosts: Vec::new(),
                usable: true,
            })
        };
        let mut volumes = self.client.enumerate(Namespace::Cimv2, query, volume).await?;
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    /// Is there such a folder? A volume's root always is one.
    pub(super) async fn has_folder(&self, path: &str) -> Result<bool, Failure> {
        let path = path.trim_end_matches('\\');
        if path.len() <= 2 {
            let root = format!(r"{path}\");
            return Ok(self.volumes().await?.iter().any(|volume| volume.name.eq_ignore_ascii_case(&root)));
        }
        let query = format!("SELECT Name FROM Win32_Directory WHERE Name = {}", quoted(path));
        Ok(!self.client.enumerate(Namespace::Cimv2, &query, |_| Some(())).await?.is_empty())
    }

    /// Is there such a file?
    pub(super) async fn has_file(&self, path: &str) -> Result<bool, Failure> {
        let query = format!("SELECT Name FROM CIM_DataFile WHERE Name = {}", quoted(path));
        Ok(!self.client.enumerate(Namespace::Cimv2, &query, |_| Some(())).await?.is_empty())
    }
}

/// Are these the names of one node? A cluster may tell the short one, a host the long one, in either case.
pub(super) fn same_node(one: &str, other: &str) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    !one.is_empty() && short(one) == short(other)
}
