//! A cluster over the wire: every node shows its own VMs, moves and deaths are seen, roles come and go.

use tierwright::lab::{HYPERV_CLUSTER, Lab, LabOptions};

use super::life::define_in;
use super::wsman::{V2, Wsman, options, property};

const CLUSTER: &str = "root/MSCluster";

struct Cluster {
    lab: Lab,
    nodes: Vec<Wsman>,
}

async fn cluster() -> Cluster {
    let lab =
        Lab::start(LabOptions { hyperv_hosts: 0, hyperv_nodes: 3, vms: 2, ..options() }).await.expect("it starts");
    let endpoint = lab.endpoints().into_iter().find(|endpoint| endpoint.name == HYPERV_CLUSTER).expect("a cluster");
    let nodes = (0..3).map(|node| Wsman::new(&endpoint, node)).collect();
    Cluster { lab, nodes }
}

impl Cluster {
    /// Names of the VMs a node shows; `None`: it does not answer.
    async fn vms(&self, node: usize, class: &str) -> Option<Vec<String>> {
        let client = &self.nodes[node];
        let query = format!("SELECT * FROM {class} WHERE Caption <> 'Hosting Computer System'");
        let body = format!(
            "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>100</w:MaxElements><w:Filter Dialect=\
             \"http://schemas.microsoft.com/wbem/wsman/1/WQL\">{}</w:Filter></n:Enumerate>",
            super::wsman::escaped(&query)
        );
        let uri = super::wsman::uri(V2, "*");
        let action = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate";
        let reply = client.ask(action, &uri, "", &body).await.ok()?;
        assert!(reply.text.contains("EndOfSequence"), "{}", reply.text);
        let mut names: Vec<String> = reply
            .text
            .split("<p:ElementName>")
            .skip(1)
            .filter_map(|rest| Some(rest.split('<').next()?.to_owned()))
            .collect();
        names.sort();
        Some(names)
    }

    async fn group(&self, asked: usize, name: &str) -> Option<String> {
        let query = format!("SELECT * FROM MSCluster_ResourceGroup WHERE GroupType = 111 AND Name = '{name}'");
        let found = self.nodes[asked].list(CLUSTER, &query).await.map_err(|reply| reply.text).expect("groups");
        found.first().map(|group| property(group, "OwnerNode"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_moves_keeps_its_guid_and_is_planned_at_its_target_meanwhile() {
    let cluster = cluster().await;
    let vm = "legacy-HVC01-001";
    assert_eq!(cluster.vms(0, "Msvm_ComputerSystem").await.unwrap(), ["legacy-HVC01-000", vm]);
    let query = format!("SELECT * FROM Msvm_ComputerSystem WHERE ElementName = '{vm}'");
    let before = property(&cluster.nodes[0].one(&query).await, "Name");
    assert!(cluster.lab.begin_migration(HYPERV_CLUSTER, vm, "HVC02"));
    assert_eq!(cluster.vms(0, "Msvm_ComputerSystem").await.unwrap().len(), 2);
    assert_eq!(cluster.vms(1, "Msvm_ComputerSystem").await.unwrap().len(), 2);
    assert_eq!(cluster.vms(1, "Msvm_PlannedComputerSystem").await.unwrap(), [vm]);
    assert_eq!(cluster.group(2, vm).await.unwrap(), "HVC01");
    let job = cluster.nodes[0].one("SELECT * FROM Msvm_MigrationJob WHERE JobState = 4").await;
    assert_eq!(
        (property(&job, "VirtualSystemName"), property(&job, "DestinationHost")),
        (before.clone(), "HVC02".into())
    );
    assert!(cluster.lab.end_migration(HYPERV_CLUSTER, vm));
    assert_eq!(cluster.vms(0, "Msvm_ComputerSystem").await.unwrap(), ["legacy-HVC01-000"]);
    assert!(cluster.vms(1, "Msvm_PlannedComputerSystem").await.unwrap().is_empty());
    assert_eq!(cluster.group(2, vm).await.unwrap(), "HVC02");
    assert_eq!(property(&cluster.nodes[1].one(&query).await, "Name"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_answers_nothing_and_the_others_still_say_whose_vms_it_has() {
    let cluster = cluster().await;
    assert!(cluster.lab.set_node_down(HYPERV_CLUSTER, "HVC02", true));
    assert_eq!(cluster.vms(1, "Msvm_ComputerSystem").await, None);
    assert_eq!(cluster.group(0, "legacy-HVC02-000").await.unwrap(), "HVC02");
    let nodes = cluster.nodes[0].list(CLUSTER, "MSCluster_Node").await.map_err(|reply| reply.text).expect("nodes");
    let states: Vec<_> = nodes.iter().map(|node| (property(node, "Name"), property(node, "State"))).collect();
    let expected = [("HVC01", "0"), ("HVC02", "1"), ("HVC03", "0")];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state.to_owned())));
    assert!(cluster.lab.set_node_down(HYPERV_CLUSTER, "HVC02", false));
    assert_eq!(cluster.vms(1, "Msvm_ComputerSystem").await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_becomes_a_role_and_leaves_the_cluster() {
    let cluster = cluster().await;
    let made = define_in(&cluster.nodes[0], "role-1", 2, r"C:\ClusterStorage\Volume1\Hyper-V").await;
    assert_eq!(cluster.group(0, "role-1").await, None);
    let parameters = ("AddVirtualMachine", "<p:VirtualMachine>role-1</p:VirtualMachine>");
    let elsewhere = cluster.nodes[1].invoke_in(CLUSTER, "MSCluster_Cluster", &[], parameters).await.unwrap();
    assert_eq!(elsewhere.status, 500, "{}", elsewhere.text);
    let added = cluster.nodes[0].invoke_in(CLUSTER, "MSCluster_Cluster", &[], parameters).await.unwrap();
    assert!(added.status == 200 && !added.text.contains("ReturnValue"), "{}", added.text);
    let resource = "SELECT * FROM MSCluster_Resource WHERE Type = 'Virtual Machine' AND OwnerGroup = 'role-1'";
    let found = cluster.nodes[2].list(CLUSTER, resource).await.map_err(|reply| reply.text).unwrap();
    assert_eq!(property(&found[0], "VmID").to_uppercase(), made.guid);
    let moved = ("MoveToNewNode", "<p:NodeName>HVC03</p:NodeName><p:TimeOut>60</p:TimeOut>");
    let keys = [("Name", "role-1")];
    cluster.nodes[1].invoke_in(CLUSTER, "MSCluster_ResourceGroup", &keys, moved).await.unwrap();
    assert_eq!(cluster.group(0, "role-1").await.unwrap(), "HVC03");
    let destroy = ("DestroyGroup", "<p:Options>1</p:Options>");
    cluster.nodes[1].invoke_in(CLUSTER, "MSCluster_ResourceGroup", &keys, destroy).await.unwrap();
    assert_eq!(cluster.group(0, "role-1").await, None);
    assert!(cluster.vms(2, "Msvm_ComputerSystem").await.unwrap().contains(&"role-1".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_has_the_same_guid_on_another_node_and_says_that_it_is_one() {
    let cluster = cluster().await;
    assert!(cluster.lab.replicate(HYPERV_CLUSTER, "legacy-HVC01-000", "HVC03"));
    let query = "SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'legacy-HVC01-000'";
    let (primary, replica) = (cluster.nodes[0].one(query).await, cluster.nodes[2].one(query).await);
    assert_eq!(property(&primary, "Name"), property(&replica, "Name"));
    assert_eq!(
        (property(&primary, "ReplicationMode"), property(&replica, "ReplicationMode")),
        ("1".into(), "2".into())
    );
    let keys = [("CreationClassName", "Msvm_ComputerSystem"), ("Name", &*property(&replica, "Name"))];
    let start = cluster.nodes[2].done(
        "Msvm_ComputerSystem",
        &keys,
        "RequestStateChange",
        "<p:RequestedState>2</p:RequestedState>",
    );
    assert_eq!(start.await.unwrap_err().0, 32775);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hosts_of_fifty_vms_start_and_answer() {
    let options = LabOptions { hyperv_hosts: 200, vms: 50, ..options() };
    let lab = Lab::start(options).await.expect("it starts");
    let endpoints = lab.endpoints();
    assert_eq!(endpoints.len(), 201); // the first one also without TLS
    let last = Wsman::new(endpoints.last().expect("a host"), 0);
    let systems = last.list(V2, "Msvm_ComputerSystem").await.map_err(|reply| reply.text).expect("systems");
    assert_eq!(systems.len(), 51);
    let names: std::collections::BTreeSet<&str> = endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(names.len(), 201);
}
