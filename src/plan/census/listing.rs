//! Every VM of an inventory with whose it is: what `get vms` shows.

use serde::Serialize;

use crate::inventory::Inventory;
use crate::mark::{self, Standing};
use crate::model::{EndpointName, OwnId, PowerState, VmKey};

/// One VM and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedVm {
    /// Its key, when a mark of this installation names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<VmKey>,
    /// Where.
    pub endpoint: EndpointName,
    /// Its own id.
    pub id: OwnId,
    /// Its name there.
    pub name: String,
    /// Its power; `None` when its configuration could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerState>,
    /// Whose it is.
    pub class: Class,
    /// More about that: the other installation, or why it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whose a VM is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// Ours.
    Owned,
    /// Ours, retired.
    Retired,
    /// Ours, being made.
    Unfinished,
    /// Nobody's mark.
    Unmanaged,
    /// Another installation's.
    Foreign,
    /// A copy of a mark of ours: not ours.
    Clone,
    /// A mark that cannot be understood.
    MarkUnreadable,
    /// Its configuration could not be read.
    Unknown,
}

/// Lists every VM of an inventory, by endpoint, name and id.
pub fn listing(inventory: &Inventory, installation: &str) -> Vec<ListedVm> {
    let mut listed = Vec::new();
    for endpoint in inventory.endpoints.keys() {
        for vm in inventory.observed(endpoint).iter().flat_map(|observed| &observed.vms) {
            let (class, key, detail) = class(mark::judge(vm, installation));
            listed.push(ListedVm {
                key,
                endpoint: endpoint.clone(),
                id: vm.id.clone(),
                name: vm.name.to_string(),
                power: vm.readable().map(|config| config.power),
                class,
                detail,
            });
        }
    }
    listed.sort_by(|a, b| (&a.endpoint, &a.name, &a.id).cmp(&(&b.endpoint, &b.name, &b.id)));
    listed
}

fn class(standing: Standing) -> (Class, Option<VmKey>, Option<String>) {
    match standing {
        Standing::NoMark => (Class::Unmanaged, None, None),
        Standing::Ours(mark) if mark.retired.is_some() => (Class::Retired, Some(mark.key), None),
        Standing::Ours(mark) => (Class::Owned, Some(mark.key), None),
        Standing::Unfinished { mark, .. } => (Class::Unfinished, mark.map(|mark| mark.key), None),
        Standing::Foreign(installation) => (Class::Foreign, None, Some(installation)),
        Standing::Clone(mark) => (Class::Clone, Some(mark.key), None),
        Standing::Unreadable(why) => (Class::MarkUnreadable, None, Some(why)),
        Standing::Unknown(why) => (Class::Unknown, None, Some(why)),
    }
}
