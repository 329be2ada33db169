//! What a failover cluster says of its nodes and of the VMs that are roles of it (root/MSCluster).
//!
//! The owner of a VM is its resource's OwnerNode; the VM's GUID stands in the resource's private property `VmID`
//! (`reference/hyperv/README.md`, last line). A host that is in no cluster does not have the namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cim::{Instance, Namespace, Reference};
use super::client::Client;
use super::fault::Failure;
use super::ident::is_guid;
use crate::xml::Element;

const CLUSTER: Namespace = Namespace::Cluster;
/// MSCluster_Node.State of one that takes part; 2 is paused, which keeps running what it runs.
const UP: u64 = 0;

/// A cluster as one of its nodes sees it.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub name: Arc<str>,
    /// Each node, and whether new VMs may go there.
    pub nodes: Vec<(Arc<str>, bool)>,
    /// By the VM's GUID in lower case.
    pub roles: BTreeMap<String, Role>,
}

/// A VM that the cluster keeps running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    pub owner: String,
    /// Its group: what is destroyed when the VM leaves the cluster.
    pub group: String,
}

/// The whole; `None` for a host that is in no cluster.
pub(super) async fn view(client: &Client) -> Result<Option<View>, Failure> {
    let name = |instance: &Instance<'_>| instance.text("Name").map(Arc::<str>::from);
    let names = match client.enumerate(CLUSTER, "SELECT Name FROM MSCluster_Cluster", name).await {
        Err(failure) if failure.is_missing() => return Ok(None),
        names => names?,
    };
    let Some(name) = names.into_iter().next() else { return Ok(None) };
    let node = |instance: &Instance<'_>| Some((instance.text("Name")?.into(), instance.number("State") == Some(UP)));
    let mut nodes = client.enumerate(CLUSTER, "SELECT Name, State FROM MSCluster_Node", node).await?;
    nodes.sort();
    Ok(Some(View { name, nodes, roles: roles(client).await? }))
}

/// The VMs of the cluster.
pub(super) async fn roles(client: &Client) -> Result<BTreeMap<String, Role>, Failure> {
    let query = "SELECT * FROM MSCluster_Resource WHERE Type = 'Virtual Machine'";
    Ok(client.enumerate(CLUSTER, query, role).await?.into_iter().collect())
}

fn role(instance: &Instance<'_>) -> Option<(String, Role)> {
    let guid = within(instance.object("PrivateProperties")?, "VmID")?;
    let role = Role { owner: instance.word("OwnerNode").to_owned(), group: instance.word("OwnerGroup").to_owned() };
    Some((guid, role))
}

/// A private property: an element of its own, or one of the properties of an instance written as text.
fn within(element: &Element<'_>, name: &str) -> Option<String> {
    let found = |element: &Element<'_>| {
        let text = element.trimmed().trim_matches(['{', '}']);
        (element.name() == name && is_guid(text)).then(|| text.to_ascii_lowercase())
    };
    let in_text = || {
        let properties = super::cim::embedded(element.trimmed()).ok()?;
        let (_, value) = properties.into_iter().find(|(found, _)| found == name)?;
        let guid = value.trim().trim_matches(['{', '}']).to_ascii_lowercase();
        is_guid(&guid).then_some(guid)
    };
    found(element)
        .or_else(|| element.children.iter().find_map(|child| within(child, name)))
        .or_else(|| element.trimmed().contains("<INSTANCE").then(in_text).flatten())
}

/// The cluster itself, to call its methods.
pub(super) fn reference(name: &str) -> Reference {
    Reference { uri: CLUSTER.uri("MSCluster_Cluster"), selectors: vec![("Name".to_owned(), name.to_owned())] }
}

/// A group, to call its methods.
pub(super) fn group(name: &str) -> Reference {
    Reference { uri: CLUSTER.uri("MSCluster_ResourceGroup"), selectors: vec![("Name".to_owned(), name.to_owned())] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Limits;

    #[test]
    fn the_vm_of_a_resource_is_found_however_its_properties_are_written() {
        let guid = "4764334D-E001-4176-82EE-5594EC9B530E";
        let text = "&lt;INSTANCE CLASSNAME=\"MSCluster_Property\"&gt;&lt;PROPERTY NAME=\"VmID\" TYPE=\"string\"&gt;\
                    &lt;VALUE&gt;4764334D-E001-4176-82EE-5594EC9B530E&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;/INSTANCE&gt;";
        for properties in [format!("<VmID>{{{guid}}}</VmID>"), format!("<x><VmID>{guid}</VmID></x>"), text.to_owned()] {
            let xml = format!("<r><OwnerNode>HV02</OwnerNode><PrivateProperties>{properties}</PrivateProperties></r>");
            let instance = Instance(Element::parse(xml.as_bytes(), Limits::ANSWER).unwrap());
            let (found, role) = role(&instance).unwrap();
            assert_eq!((found, role.owner.as_str()), (guid.to_ascii_lowercase(), "HV02"));
        }
    }
}
