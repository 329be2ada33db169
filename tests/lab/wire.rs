//! The front by raw SOAP: sessions, strictness, listings.

use tierwright::lab::{LabOptions, world::Power};

use crate::support::{Soap, lab, moref, over_view, ready, vm_view};

#[tokio::test]
async fn a_wrong_password_is_refused_in_vcenters_words() {
    let (_lab, endpoint) = lab(LabOptions::default()).await;
    let soap = Soap::new(&endpoint);
    let reply = soap.login(&endpoint.username, "wrong").await;
    assert_eq!(reply.status, 500);
    assert_eq!(reply.fault(), Some("InvalidLogin"));
    assert!(
        reply.text.contains("<InvalidLoginFault xmlns=\"urn:vim25\" xsi:type=\"InvalidLogin\"></InvalidLoginFault>")
    );
    assert_eq!(
        reply.value("faultstring").as_deref(),
        Some("Cannot complete login due to an incorrect user name or password.")
    );
}

#[tokio::test]
async fn nobody_gets_in_without_a_session_and_sessions_end() {
    let (lab, endpoint) = lab(LabOptions::default()).await;
    let soap = Soap::new(&endpoint);
    let open = soap.call("RetrieveServiceContent", "ServiceInstance", "ServiceInstance", "").await;
    assert_eq!(open.status, 200);
    let closed = soap.call("Fetch", "Folder", "group-d1", "<prop>childEntity</prop>").await;
    assert_eq!(closed.fault(), Some("NotAuthenticated"));
    soap.login(&endpoint.username, &endpoint.password).await;
    soap.fetch("Folder", "group-d1", "childEntity").await;
    lab.end_sessions();
    let ended = soap.call("Fetch", "Folder", "group-d1", "<prop>childEntity</prop>").await;
    assert_eq!(ended.fault(), Some("NotAuthenticated"));
    soap.login(&endpoint.username, &endpoint.password).await;
    lab.clock().advance(std::time::Duration::from_hours(1));
    let idle = soap.call("Fetch", "Folder", "group-d1", "<prop>childEntity</prop>").await;
    assert_eq!(idle.fault(), Some("NotAuthenticated"));
}

#[tokio::test]
async fn elements_out_of_order_unknown_or_missing_are_refused() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-000");
    let refused = async |spec: &str| {
        let reply = soap.call("ReconfigVM_Task", "VirtualMachine", &vm, spec).await;
        (reply.fault().map(str::to_owned), reply.value("faultstring").unwrap_or_default())
    };
    let (fault, words) = refused("<spec><memoryMB>4096</memoryMB><numCPUs>2</numCPUs></spec>").await;
    assert_eq!(fault.as_deref(), Some("InvalidRequest"));
    assert!(words.starts_with("Unexpected element tag \"numCPUs\" seen"), "{words}");
    let (fault, _) = refused("<spec><nonsense>1</nonsense></spec>").await;
    assert_eq!(fault.as_deref(), Some("InvalidRequest"));
    let (_, words) = refused("").await;
    assert!(words.starts_with("Required property \"spec\" is missing"), "{words}");
    let (_, words) =
        refused("<spec><deviceChange><operation>add</operation><device xsi:type=\"VirtualDisk\"></device></deviceChange></spec>").await;
    assert!(words.starts_with("Required property \"key\" is missing from data object of type VirtualDisk"), "{words}");
    for bad in [
        "<spec><numCPUs>two</numCPUs></spec>",
        "<spec><numCPUs>99999999999</numCPUs></spec>",
        "<spec><deviceChange><operation>invent</operation><device><key>1</key></device></deviceChange></spec>",
        "<spec><deviceChange><device xsi:type=\"OptionValue\"><key>1</key></device></deviceChange></spec>",
    ] {
        let (fault, _) = refused(bad).await;
        assert_eq!(fault.as_deref(), Some("InvalidRequest"), "{bad}");
    }
    assert_eq!(lab.record().mutating_counts().len(), 0);
}

#[tokio::test]
async fn hostile_bodies_get_a_fault_and_nothing_falls_over() {
    let (_lab, soap) = ready(LabOptions::default()).await;
    let deep = format!("{}{}", "<a>".repeat(5_000), "</a>".repeat(5_000));
    let envelope = |inside: &str| {
        format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>{inside}</e:Body></e:Envelope>"
        )
    };
    let entity = "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>".to_owned();
    let bodies = [
        String::new(),
        "not xml".into(),
        deep.clone(),
        envelope(&deep),
        entity,
        envelope(""),
        envelope("<Login xmlns=\"urn:other\"/>"),
        envelope("<Nonsense xmlns=\"urn:vim25\"><_this type=\"VirtualMachine\">vm-1</_this></Nonsense>"),
        envelope(
            "<PowerOnVM_Task xmlns=\"urn:vim25\"><_this type=\"VirtualMachine\">vm-99999999999</_this></PowerOnVM_Task>",
        ),
        envelope("<PowerOnVM_Task xmlns=\"urn:vim25\"><_this type=\"Nonsense\">vm-1</_this></PowerOnVM_Task>"),
        envelope("<PowerOnVM_Task xmlns=\"urn:vim25\"/>"),
        format!("<a>{}</a>", "x".repeat(3 << 20)),
    ];
    for body in bodies {
        let shown: String = body.chars().take(60).collect();
        let reply = soap.send(body).await.expect("an answer");
        assert_eq!(reply.status, 500, "{shown}: {}", reply.text);
        assert!(reply.fault().is_some(), "{shown}");
    }
    let too_large = soap.send("x".repeat(5 << 20)).await;
    assert!(too_large.is_err() || too_large.is_ok_and(|reply| reply.status == 413));
    soap.fetch("Folder", "group-d1", "name").await;
}

#[tokio::test]
async fn a_listing_comes_in_pages_and_a_token_is_used_once() {
    let (_lab, soap) = ready(LabOptions { vms: 23, ..LabOptions::default() }).await;
    let view = vm_view(&soap).await;
    let spec =
        format!("{}<options><maxObjects>10</maxObjects></options>", over_view(&view, &["name", "runtime.powerState"]));
    let mut reply = soap.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &spec).await;
    let mut counts = vec![reply.text.matches("<objects>").count()];
    let first = reply.value("token");
    while let Some(token) = reply.value("token") {
        let inside = format!("<token>{token}</token>");
        reply = soap.call("ContinueRetrievePropertiesEx", "PropertyCollector", "propertyCollector", &inside).await;
        counts.push(reply.text.matches("<objects>").count());
    }
    assert_eq!(counts, [10, 10, 5]);
    let again = format!("<token>{}</token>", first.expect("a token"));
    let again = soap.call("ContinueRetrievePropertiesEx", "PropertyCollector", "propertyCollector", &again).await;
    assert_eq!(again.fault(), Some("InvalidArgument"));
}

#[tokio::test]
async fn an_unknown_path_fails_the_whole_call_and_an_unset_one_is_left_out() {
    let (_lab, soap) = ready(LabOptions::default()).await;
    let view = vm_view(&soap).await;
    for bad in ["config.nonsense", "nonsense", "config.hardware.device.key", "name.first", ""] {
        let spec = format!("{}<options></options>", over_view(&view, &["name", bad]));
        let reply = soap.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &spec).await;
        assert_eq!(reply.fault(), Some("InvalidProperty"), "{bad}: {}", reply.text);
        assert_eq!(reply.value("name").as_deref(), Some(bad));
    }
    let spec = format!("{}<options></options>", over_view(&view, &["config.cpuFeatureMask", "layoutEx"]));
    let reply = soap.call("RetrievePropertiesEx", "PropertyCollector", "propertyCollector", &spec).await;
    assert_eq!(reply.text.matches("<objects>").count(), 14);
    assert!(!reply.text.contains("propSet") && !reply.text.contains("missingSet"));
}

#[tokio::test]
async fn folders_can_be_walked_by_selections_that_name_each_other() {
    let (_lab, soap) = ready(LabOptions::default()).await;
    // As govmomi and old samples do: a ring of named selections from the root folder down.
    let spec = "<specSet><propSet><type>ManagedEntity</type><pathSet>name</pathSet></propSet><objectSet>\
        <obj type=\"Folder\">group-d1</obj><skip>false</skip>\
        <selectSet xsi:type=\"TraversalSpec\"><name>folders</name><type>Folder</type><path>childEntity</path>\
        <selectSet><name>folders</name></selectSet><selectSet><name>vms</name></selectSet>\
        <selectSet><name>hosts</name></selectSet><selectSet><name>cluster</name></selectSet></selectSet>\
        <selectSet xsi:type=\"TraversalSpec\"><name>vms</name><type>Datacenter</type><path>vmFolder</path>\
        <selectSet><name>folders</name></selectSet></selectSet>\
        <selectSet xsi:type=\"TraversalSpec\"><name>hosts</name><type>Datacenter</type><path>hostFolder</path>\
        <selectSet><name>folders</name></selectSet></selectSet>\
        <selectSet xsi:type=\"TraversalSpec\"><name>cluster</name><type>ComputeResource</type><path>host</path></selectSet>\
        </objectSet></specSet>";
    let reply = soap.call("RetrieveProperties", "PropertyCollector", "propertyCollector", spec).await;
    for name in ["Datacenters", "dc1", "Prod", "legacy-001", "tmpl-debian-12", "gold", "esx03.lab.example"] {
        assert!(reply.text.contains(&format!("<val xsi:type=\"xsd:string\">{name}</val>")), "{name}: {}", reply.text);
    }
    let unknown = spec.replace("<name>cluster</name><type>", "<name>other</name><type>");
    let reply = soap.call("RetrieveProperties", "PropertyCollector", "propertyCollector", &unknown).await;
    assert_eq!(reply.fault(), Some("InvalidArgument"));
}

#[tokio::test]
async fn a_standalone_host_says_so_and_cannot_clone() {
    let (lab, _) = lab(LabOptions { esxi: true, ..LabOptions::default() }).await;
    let endpoint = lab.endpoints().remove(1);
    assert_eq!(endpoint.name, "esx-lab");
    let soap = Soap::logged_in(&endpoint).await;
    let content = soap.call("RetrieveServiceContent", "ServiceInstance", "ServiceInstance", "").await;
    assert_eq!(content.value("apiType").as_deref(), Some("HostAgent"));
    let world = lab.world_of("esx-lab").expect("its world");
    let (vm, folder) = world.with(|world| {
        let vm = world.vms().next().expect("a VM");
        (format!("vm-{}", vm.id.0), format!("group-v{}", vm.folder.0))
    });
    let inside = format!(
        "<folder type=\"Folder\">{folder}</folder><name>copy</name><spec><location></location><template>false</template>\
         <powerOn>false</powerOn></spec>"
    );
    let reply = soap.call("CloneVM_Task", "VirtualMachine", &vm, &inside).await;
    assert_eq!(reply.fault(), Some("NotSupported"));
    let made = soap.call("CreateFolder", "Folder", &folder, "<name>sub</name>").await;
    assert_eq!(made.fault(), Some("NotSupported"));
}

#[tokio::test]
async fn what_changes_behind_our_back_is_seen_at_once() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-000");
    let before = soap.fetch("VirtualMachine", &vm, "config.changeVersion").await;
    lab.world().with(|world| {
        assert!(world.edit_named("legacy-000", |vm| {
            vm.memory_mib = 12_288;
            vm.set_setting("tierwright.mark", "{\"copied\":true}");
        }));
    });
    assert_ne!(soap.fetch("VirtualMachine", &vm, "config.changeVersion").await, before);
    assert!(soap.fetch("VirtualMachine", &vm, "config.hardware.memoryMB").await.contains(">12288<"));
    let version = soap.fetch("VirtualMachine", &vm, "config.changeVersion").await;
    lab.world().with(|world| {
        let id = world.vm_named("legacy-000").expect("the VM").id;
        world.set_power(id, Power::Off);
    });
    // Power is not configuration.
    assert_eq!(soap.fetch("VirtualMachine", &vm, "config.changeVersion").await, version);
    assert!(soap.fetch("VirtualMachine", &vm, "runtime.powerState").await.contains("poweredOff"));
    assert_eq!(lab.record().mutating_counts().len(), 0);
}
