//! The front against the whole data model of the API: no type, property or order of its own.

use std::process::Command;

use tierwright::lab::{Effect, FaultRule, Lab, LabOptions};

use crate::support::{Reply, Soap, moref, python, ready, reference};

/// Answers of all kinds, for the checker.
#[derive(Default)]
struct Collected(Vec<[String; 3]>);

impl Collected {
    /// Makes a call on `Type:moref`.
    async fn call(&mut self, soap: &Soap, on: &str, call: &str, inside: &str) -> Reply {
        let (kind, moref) = on.split_once(':').unwrap_or((on, on));
        let reply = soap.call(call, kind, moref, inside).await;
        self.0.push([kind.into(), call.into(), reply.text.clone()]);
        reply
    }
}

/// A reconfigure that touches everything, and what comes of it.
const SPEC: &str = "<spec><annotation>all</annotation><deviceChange><operation>add</operation>\
    <fileOperation>create</fileOperation><device xsi:type=\"VirtualDisk\"><key>-1</key>\
    <backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName></fileName><diskMode>persistent</diskMode></backing>\
    <controllerKey>1000</controllerKey><capacityInKB>1048576</capacityInKB></device></deviceChange></spec>";

async fn collect(lab: &Lab, soap: &Soap) -> Collected {
    let mut all = Collected::default();
    all.call(soap, "ServiceInstance", "RetrieveServiceContent", "").await;
    all.call(soap, "ServiceInstance", "CurrentTime", "").await;
    for prop in ["currentSession", "sessionList"] {
        all.call(soap, "SessionManager", "Fetch", &format!("<prop>{prop}</prop>")).await;
    }
    let vm = format!("VirtualMachine:{}", moref(lab, "legacy-005"));
    changes(lab, soap, &vm, &mut all).await;
    ask(lab);
    listings(lab, soap, &mut all).await;
    rights_and_searches(soap, &vm, &mut all).await;
    let wrong = "<userName>a</userName><password>b</password>";
    all.call(soap, "SessionManager", "Login", wrong).await;
    all.call(soap, "SessionManager", "Logout", "").await;
    all.call(soap, &vm, "Destroy_Task", "").await;
    all
}

async fn changes(lab: &Lab, soap: &Soap, vm: &str, all: &mut Collected) {
    for spec in [SPEC, "<spec><numCPUs>0</numCPUs></spec>", "<spec><wrong/></spec>"] {
        all.call(soap, vm, "ReconfigVM_Task", spec).await;
    }
    all.call(soap, "VirtualMachine:vm-9999", "Destroy_Task", "").await;
    for _ in 0..2 {
        lab.clock().advance(std::time::Duration::from_secs(5));
        all.call(soap, vm, "PowerOnVM_Task", "").await;
    }
    lab.clock().advance(std::time::Duration::from_secs(5));
}

/// Has a VM's host ask something.
fn ask(lab: &Lab) {
    let (id, text) = ("1".into(), "Did you move it, or did you copy it?".into());
    let choices = vec!["Cancel".into(), "I moved it".into()];
    let question = tierwright::lab::world::Question { id, text, choices };
    lab.world().with(|world| {
        let id = world.vm_named("legacy-000").expect("it").id;
        world.edit_runtime(id, |vm| vm.question = Some(question));
    });
}

async fn listings(lab: &Lab, soap: &Soap, all: &mut Collected) {
    let container = "<container type=\"Folder\">group-d1</container><recursive>true</recursive>";
    let view = all.call(soap, "ViewManager", "CreateContainerView", container).await;
    let view = view.value("returnval").expect("a view");
    lab.faults().add(FaultRule::always(None, Some("legacy-001"), Effect::Deny("System.Read".into())));
    let types = ["ManagedEntity", "TaskManager", "Task", "VirtualMachineSnapshot", "ContainerView"];
    let sets = types.map(|kind| format!("<propSet><type>{kind}</type><all>true</all></propSet>")).concat();
    let spec = format!(
        "{sets}<objectSet><obj type=\"ContainerView\">{view}</obj><selectSet xsi:type=\"TraversalSpec\"><name>v</name>\
         <type>ContainerView</type><path>view</path><selectSet xsi:type=\"TraversalSpec\"><name>s</name>\
         <type>VirtualMachine</type><path>rootSnapshot</path></selectSet></selectSet></objectSet>\
         <objectSet><obj type=\"TaskManager\">TaskManager</obj><selectSet xsi:type=\"TraversalSpec\"><name>t</name>\
         <type>TaskManager</type><path>recentTask</path></selectSet></objectSet>"
    );
    let listing = format!("<specSet>{spec}</specSet>");
    let main = "PropertyCollector:propertyCollector";
    let listed = all.call(soap, main, "RetrieveProperties", &listing).await;
    let parts =
        ["VirtualMachineConfigInfo", "VirtualMachineSnapshotInfo", "TaskInfo", "DVPortgroupConfigInfo", "missingSet"];
    for part in parts {
        assert!(listed.text.contains(part), "no {part}");
    }
    let paged = format!("{listing}<options><maxObjects>3</maxObjects></options>");
    let page = all.call(soap, main, "RetrievePropertiesEx", &paged).await;
    let token = format!("<token>{}</token>", page.value("token").expect("a token"));
    all.call(soap, main, "ContinueRetrievePropertiesEx", &token).await;
    all.call(soap, main, "ContinueRetrievePropertiesEx", &token).await;
    all.call(soap, main, "CreateFilter", &format!("<spec>{spec}</spec><partialUpdates>false</partialUpdates>")).await;
    let options = "<options><maxWaitSeconds>0</maxWaitSeconds><maxObjectUpdates>9</maxObjectUpdates></options>";
    all.call(soap, main, "WaitForUpdatesEx", &format!("<version></version>{options}")).await;
    all.call(soap, main, "WaitForUpdatesEx", &format!("<version>77</version>{options}")).await;
}

async fn rights_and_searches(soap: &Soap, vm: &str, all: &mut Collected) {
    let vm = vm.trim_start_matches("VirtualMachine:");
    let entity =
        format!("<entity type=\"VirtualMachine\">{vm}</entity><sessionId>s</sessionId><privId>System.View</privId>");
    all.call(soap, "AuthorizationManager", "HasPrivilegeOnEntities", &entity).await;
    let entity = format!("<entities type=\"VirtualMachine\">{vm}</entities><userName>a</userName>");
    all.call(soap, "AuthorizationManager", "FetchUserPrivilegeOnEntities", &entity).await;
    all.call(soap, "SearchIndex", "FindByInventoryPath", "<inventoryPath>dc1/vm/Prod</inventoryPath>").await;
    all.call(soap, "SearchIndex", "FindByDnsName", "<dnsName>legacy-002</dnsName><vmSearch>true</vmSearch>").await;
    all.call(soap, "Folder:group-d1", "Fetch", "<prop>nonsense</prop>").await;
    let ghost = "00000000-0000-0000-0000-000000000000";
    let inside = format!("<uuid>{ghost}</uuid><vmSearch>true</vmSearch><instanceUuid>true</instanceUuid>");
    all.call(soap, "SearchIndex", "FindAllByUuid", &inside).await;
}

#[tokio::test]
async fn every_type_property_and_order_is_the_data_models() {
    let (Some(reference), Some(python)) = (reference(), python("json")) else { return };
    let (lab, soap) = ready(LabOptions::default()).await;
    let all = collect(&lab, &soap).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("answers");
    let lines: Vec<String> = all.0.iter().map(|each| serde_json::to_string(each).expect("JSON")).collect();
    std::fs::write(&file, lines.join("\n")).expect("written");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/check_answers.py");
    let output = Command::new(&python).arg(script).arg(&reference).arg(&file).output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
    // The checker itself can fail: an answer with two elements changed about is not let through.
    let mut wrong = all.0.iter().find(|each| each[2].contains("<apiType>")).expect("the content").clone();
    wrong[2] = wrong[2].replacen("<vendor>", "<version>", 1).replacen("</vendor>", "</version>", 1);
    std::fs::write(&file, format!("{}\n{}", lines.join("\n"), serde_json::to_string(&wrong).expect("JSON")))
        .expect("written");
    let output = Command::new(&python).arg(script).arg(&reference).arg(&file).output().expect("python runs");
    assert!(!output.status.success(), "a wrong order was let through");
}

#[test]
fn the_fronts_schema_is_made_from_the_data_model() {
    let (Some(reference), Some(python)) = (reference(), python("json")) else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/vim25_schema.py");
    let output = Command::new(python).arg(script).arg(reference).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let here = include_str!("../../src/lab/vsphere/schema.txt");
    assert!(String::from_utf8_lossy(&output.stdout) == here, "src/lab/vsphere/schema.txt is stale: run {script}");
}
