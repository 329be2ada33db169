//! The rules of a real host: hot-add, names, disks, power, snapshots.

use tierwright::lab::{Lab, LabOptions, world::Power};

use crate::support::{Reply, Soap, moref, ready};

async fn reconfigure(soap: &Soap, vm: &str, spec: &str) -> Reply {
    soap.task("ReconfigVM_Task", "VirtualMachine", vm, &format!("<spec>{spec}</spec>")).await
}

/// A running VM with or without hot-add flags.
fn running(lab: &Lab, hot: bool) -> String {
    lab.world().with(|world| {
        let id = world.vm_named("legacy-000").expect("the VM").id;
        world.set_power(id, Power::On);
        world.edit(id, |vm| {
            vm.hot_add_cpu = hot;
            vm.hot_add_memory = hot;
            vm.cpus = 2;
            vm.memory_mib = 4096;
            vm.memory_at_boot_mib = 4096;
        });
        format!("vm-{}", id.0)
    })
}

fn disk(operation: &str, file: &str, key: i32, gib: u64, name: &str) -> String {
    let file = if file.is_empty() { String::new() } else { format!("<fileOperation>{file}</fileOperation>") };
    format!(
        "<deviceChange><operation>{operation}</operation>{file}<device xsi:type=\"VirtualDisk\"><key>{key}</key>\
         <backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>{name}</fileName><diskMode>persistent</diskMode>\
         </backing><controllerKey>1000</controllerKey><unitNumber>1</unitNumber><capacityInKB>{}</capacityInKB></device>\
         </deviceChange>",
        gib << 20
    )
}

#[tokio::test]
async fn cpu_and_memory_of_a_running_vm_follow_its_own_flags() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = running(&lab, false);
    let more_memory = reconfigure(&soap, &vm, "<memoryMB>8192</memoryMB>").await;
    assert_eq!(more_memory.fault(), Some("MemoryHotPlugNotSupported"));
    let more_cpus = reconfigure(&soap, &vm, "<numCPUs>4</numCPUs>").await;
    assert_eq!(more_cpus.fault(), Some("CpuHotPlugNotSupported"));
    let flags = reconfigure(&soap, &vm, "<memoryHotAddEnabled>true</memoryHotAddEnabled>").await;
    assert_eq!(flags.fault(), Some("InvalidPowerState"));
    // Nothing of it was done, not even the half that would have been allowed.
    let half = reconfigure(&soap, &vm, "<annotation>half</annotation><numCPUs>4</numCPUs>").await;
    assert_eq!(half.fault(), Some("CpuHotPlugNotSupported"));
    assert!(!soap.fetch("VirtualMachine", &vm, "config.annotation").await.contains("half"));

    let vm = running(&lab, true);
    let hot = reconfigure(&soap, &vm, "<numCPUs>4</numCPUs><memoryMB>8192</memoryMB>").await;
    assert_eq!(hot.fault(), None, "{}", hot.text);
    assert_eq!(reconfigure(&soap, &vm, "<memoryMB>4096</memoryMB>").await.fault(), Some("MemoryHotPlugNotSupported"));
    assert_eq!(reconfigure(&soap, &vm, "<numCPUs>2</numCPUs>").await.fault(), Some("CpuHotPlugNotSupported"));
    let limit = reconfigure(&soap, &vm, "<memoryMB>131072</memoryMB>").await;
    assert_eq!(limit.fault(), Some("GenericVmConfigFault"));
}

#[tokio::test]
async fn disks_grow_and_never_shrink_and_a_snapshot_stands_in_the_way() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-000");
    let size =
        |lab: &Lab| lab.world().with(|world| world.vm_named("legacy-000").expect("the VM").disks[0].capacity >> 30);
    let now = size(&lab);
    assert_eq!(reconfigure(&soap, &vm, &disk("edit", "", 2000, 1, "")).await.fault(), Some("InvalidDeviceOperation"));
    assert_eq!(reconfigure(&soap, &vm, &disk("edit", "", 2000, now + 5, "")).await.fault(), None);
    assert_eq!(size(&lab), now + 5);
    assert_eq!(reconfigure(&soap, &vm, &disk("edit", "", 2222, 99, "")).await.fault(), Some("InvalidDeviceSpec"));
    let snapshot = "<name>before</name><memory>false</memory><quiesce>false</quiesce>";
    assert_eq!(soap.task("CreateSnapshot_Task", "VirtualMachine", &vm, snapshot).await.fault(), None);
    assert_eq!(reconfigure(&soap, &vm, &disk("edit", "", 2000, 99, "")).await.fault(), Some("InvalidDeviceOperation"));
    assert_eq!(
        reconfigure(&soap, &vm, &disk("remove", "destroy", 2000, 99, "")).await.fault(),
        Some("InvalidDeviceOperation")
    );
    assert_eq!(soap.task("RemoveAllSnapshots_Task", "VirtualMachine", &vm, "").await.fault(), None);
    assert_eq!(reconfigure(&soap, &vm, &disk("edit", "", 2000, 99, "")).await.fault(), None);
    assert_eq!(size(&lab), 99);
}

#[tokio::test]
async fn a_detached_disk_keeps_its_file_and_can_be_attached_again() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-000");
    assert_eq!(reconfigure(&soap, &vm, &disk("add", "create", -1, 3, "")).await.fault(), None);
    let file = |lab: &Lab| {
        lab.world()
            .with(|world| world.vm_named("legacy-000").expect("the VM").disk(2001).map(|disk| disk.file.to_string()))
    };
    let path = file(&lab).expect("the disk");
    assert_eq!(reconfigure(&soap, &vm, &disk("add", "create", -1, 3, "")).await.fault(), Some("InvalidDeviceSpec"));
    assert_eq!(reconfigure(&soap, &vm, &disk("remove", "", 2001, 3, "")).await.fault(), None);
    assert_eq!(file(&lab), None);
    let id = lab.world().with(|world| world.files[path.as_str()].uuid);
    assert_eq!(reconfigure(&soap, &vm, &disk("add", "", -1, 3, &path)).await.fault(), None);
    assert_eq!(lab.world().with(|world| world.files[path.as_str()].uuid), id);
    assert_eq!(reconfigure(&soap, &vm, &disk("remove", "destroy", 2001, 3, "")).await.fault(), None);
    assert!(lab.world().with(|world| !world.files.contains_key(path.as_str())));
    assert_eq!(reconfigure(&soap, &vm, &disk("add", "", -1, 3, &path)).await.fault(), Some("FileNotFound"));
    assert_eq!(
        reconfigure(&soap, &vm, &disk("add", "create", -1, 900_000, "")).await.fault(),
        Some("InvalidDeviceOperation")
    );
    assert_eq!(reconfigure(&soap, &vm, &disk("add", "create", -1, 50_000, "")).await.fault(), Some("NoDiskSpace"));
}

#[tokio::test]
async fn names_are_unique_in_a_folder_and_only_there() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-001");
    let taken = soap.task("Rename_Task", "VirtualMachine", &vm, "<newName>legacy-002</newName>").await;
    assert_eq!(taken.fault(), Some("DuplicateName"));
    assert!(taken.text.contains(&format!("<object type=\"VirtualMachine\">{}</object>", moref(&lab, "legacy-002"))));
    // legacy-000 lies in another folder.
    let free = soap.task("Rename_Task", "VirtualMachine", &vm, "<newName>legacy-000</newName>").await;
    assert_eq!(free.fault(), None, "{}", free.text);
    let by_reconfigure = reconfigure(&soap, &vm, "<name>legacy-002</name>").await;
    assert_eq!(by_reconfigure.fault(), Some("DuplicateName"));
    let folder = lab.world().with(|world| format!("group-v{}", world.vm_folder("Prod").expect("Prod").0));
    let made = soap.call("CreateFolder", "Folder", &folder, "<name>tierwright</name>").await;
    assert_eq!(made.status, 200);
    let again = soap.call("CreateFolder", "Folder", &folder, "<name>tierwright</name>").await;
    assert_eq!(again.fault(), Some("DuplicateName"));
}

#[tokio::test]
async fn two_tasks_do_not_work_on_one_vm_at_once() {
    let (lab, soap) = ready(LabOptions { pace_percent: 100_000, ..LabOptions::default() }).await;
    let vm = moref(&lab, "legacy-000");
    let first = soap.call("ReconfigVM_Task", "VirtualMachine", &vm, "<spec><annotation>a</annotation></spec>").await;
    assert_eq!(first.status, 200);
    let second = reconfigure(&soap, &vm, "<annotation>b</annotation>").await;
    assert_eq!(second.fault(), Some("TaskInProgress"));
}

#[tokio::test]
async fn an_instance_uuid_that_is_taken_is_replaced_by_another() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let (vm, other) = (moref(&lab, "legacy-000"), moref(&lab, "legacy-001"));
    let id = lab.world().with(|world| world.vm_named("legacy-001").expect("the VM").instance_uuid);
    let reply = reconfigure(&soap, &vm, &format!("<instanceUuid>{id}</instanceUuid>")).await;
    assert_eq!(reply.fault(), None);
    assert!(!soap.fetch("VirtualMachine", &vm, "config.instanceUuid").await.contains(&id.to_string()));
    assert!(soap.fetch("VirtualMachine", &other, "config.instanceUuid").await.contains(&id.to_string()));
}

#[tokio::test]
async fn a_snapshot_takes_settings_back_with_it() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let vm = moref(&lab, "legacy-001");
    let set = |value: &str| {
        format!("<extraConfig><key>tierwright.mark</key><value xsi:type=\"xsd:string\">{value}</value></extraConfig>")
    };
    reconfigure(&soap, &vm, &set("old")).await;
    lab.world().with(|world| {
        let id = world.vm_named("legacy-001").expect("the VM").id;
        assert!(world.add_snapshot(id, "then"));
    });
    reconfigure(&soap, &vm, &set("new")).await;
    let mark = |lab: &Lab| {
        lab.world()
            .with(|world| world.vm_named("legacy-001").and_then(|vm| vm.setting("tierwright.mark").map(str::to_owned)))
    };
    assert_eq!(mark(&lab).as_deref(), Some("new"));
    let reverted = soap.task("RevertToCurrentSnapshot_Task", "VirtualMachine", &vm, "").await;
    assert_eq!(reverted.fault(), None, "{}", reverted.text);
    assert_eq!(mark(&lab).as_deref(), Some("old"));
    // An empty value takes a setting away.
    reconfigure(&soap, &vm, &set("")).await;
    assert_eq!(mark(&lab), None);
}

#[tokio::test]
async fn a_template_is_not_powered_on_and_a_clone_copies_its_settings() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let template = moref(&lab, "tmpl-debian-12");
    let on = soap.task("PowerOnVM_Task", "VirtualMachine", &template, "").await;
    assert_eq!(on.fault(), Some("NotSupported"));
    lab.world().with(|world| world.edit_named("tmpl-debian-12", |vm| vm.set_setting("tierwright.mark", "x")));
    let (folder, pool) = lab.world().with(|world| {
        let pool = world.pools.values().next().expect("a pool").id;
        (world.vm_folder("Prod").expect("Prod"), pool)
    });
    let clone = |location: &str| {
        format!(
            "<folder type=\"Folder\">group-v{}</folder><name>copy</name><spec><location>{location}</location>\
             <template>false</template><powerOn>false</powerOn></spec>",
            folder.0
        )
    };
    let poolless = soap.task("CloneVM_Task", "VirtualMachine", &template, &clone("")).await;
    assert_eq!(poolless.fault(), Some("InvalidArgument"));
    let location = format!("<pool type=\"ResourcePool\">resgroup-{}</pool>", pool.0);
    let made = soap.task("CloneVM_Task", "VirtualMachine", &template, &clone(&location)).await;
    assert_eq!(made.fault(), None, "{}", made.text);
    lab.world().with(|world| {
        let (copy, template) = (world.vm_named("copy").expect("it"), world.vm_named("tmpl-debian-12").expect("it"));
        assert_eq!(copy.setting("tierwright.mark"), Some("x"));
        assert_ne!((copy.instance_uuid, copy.bios_uuid), (template.instance_uuid, template.bios_uuid));
        assert_ne!((&copy.disks[0].file, &copy.nics[0].mac), (&template.disks[0].file, &template.nics[0].mac));
        assert!(!copy.template && copy.pool.is_some());
    });
    let gone = soap.task("Destroy_Task", "VirtualMachine", &moref(&lab, "copy"), "").await;
    assert_eq!(gone.fault(), None);
    lab.world().with(|world| {
        assert!(world.vm_named("copy").is_none());
        assert!(!world.files.keys().any(|path| path.contains("copy/")));
        assert!(world.files.keys().any(|path| path.contains("tmpl-debian-12/")));
    });
}

#[tokio::test]
async fn a_copy_made_behind_our_back_has_the_mark_and_may_have_the_name_and_id() {
    let (lab, soap) = ready(LabOptions::default()).await;
    let (first, twin) = lab.world().with(|world| {
        world.edit_named("legacy-001", |vm| vm.set_setting("tierwright.mark", "m"));
        let id = world.vm_named("legacy-001").expect("it").id;
        (id, world.copy(id, "legacy-001", true).expect("a copy"))
    });
    let moref = |id: tierwright::lab::world::Id| format!("vm-{}", id.0);
    let own = |text: String| crate::support::value(&text, "returnval");
    let ids = [
        own(soap.fetch("VirtualMachine", &moref(first), "config.instanceUuid").await),
        own(soap.fetch("VirtualMachine", &moref(twin), "config.instanceUuid").await),
    ];
    assert_eq!(ids[0], ids[1]);
    let inside = format!(
        "<uuid>{}</uuid><vmSearch>true</vmSearch><instanceUuid>true</instanceUuid>",
        ids[0].as_deref().expect("an id")
    );
    let both = soap.call("FindAllByUuid", "SearchIndex", "SearchIndex", &inside).await;
    assert_eq!(both.text.matches("<returnval").count(), 2);
    assert!(soap.fetch("VirtualMachine", &moref(twin), "config.extraConfig").await.contains("tierwright.mark"));
    // The name stays taken when one of the two goes.
    lab.world().with(|world| world.remove(twin, true));
    let other = lab.world().with(|world| world.vm_named("legacy-002").expect("it").id);
    let taken = soap.task("Rename_Task", "VirtualMachine", &moref(other), "<newName>legacy-001</newName>").await;
    assert_eq!(taken.fault(), Some("DuplicateName"));
}
