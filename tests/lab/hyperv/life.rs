//! A VM's whole life by the calls that known programs make (SEQUENCES.md of the reference).

use tierwright::lab::world::Power;

use super::wsman::{V2, Wsman, instance, lab, options, property, reference};

const RASD: &str = "Msvm_ResourceAllocationSettingData";

/// A VM that was made, with its settings' id and the path prefix of its host.
pub struct Made {
    pub guid: String,
    pub settings: String,
}

fn doubled(id: &str) -> String {
    id.replace('\\', "\\\\")
}

fn path(class: &str, id: &str) -> String {
    format!(r#"\\HV01\root\virtualization\v2:{class}.InstanceID="{}""#, doubled(id))
}

pub async fn define(client: &Wsman, name: &str, sub: u32) -> Made {
    define_in(client, name, sub, r"D:\Hyper-V").await
}

pub async fn define_in(client: &Wsman, name: &str, sub: u32, folder: &str) -> Made {
    let settings = instance(
        "Msvm_VirtualSystemSettingData",
        &[
            ("ElementName", name),
            ("VirtualSystemSubType", &format!("Microsoft:Hyper-V:SubType:{sub}")),
            ("ConfigurationDataRoot", &format!(r"{folder}\{name}")),
            ("Notes[]", "made by a test"),
        ],
    );
    client.vsms("DefineSystem", &format!("<p:SystemSettings>{settings}</p:SystemSettings>")).await.expect("defined");
    let query = format!("SELECT * FROM Msvm_ComputerSystem WHERE ElementName = '{name}'");
    let guid = property(&client.one(&query).await, "Name");
    Made { settings: format!("Microsoft:{guid}"), guid }
}

impl Made {
    fn affected(&self) -> String {
        let keys = [("InstanceID", self.settings.as_str())];
        format!(
            "<p:AffectedConfiguration>{}</p:AffectedConfiguration>",
            reference("Msvm_VirtualSystemSettingData", &keys)
        )
    }

    /// Adds one setting and gives its id.
    pub async fn add(&self, client: &Wsman, class: &str, properties: &[(&str, &str)]) -> Result<String, (u32, String)> {
        let settings = instance(class, properties);
        let parameters = format!("{}<p:ResourceSettings>{settings}</p:ResourceSettings>", self.affected());
        let reply = client.vsms("AddResourceSettings", &parameters).await?;
        let from = reply.text.find("ResultingResourceSettings").unwrap_or(0);
        let at = reply.text[from..].find("Name=\"InstanceID\">").map_or(0, |at| from + at + 18);
        Ok(reply.text[at..].split('<').next().unwrap_or_default().to_owned())
    }

    pub async fn modify(&self, client: &Wsman, class: &str, properties: &[(&str, &str)]) -> Result<(), (u32, String)> {
        let settings = instance(class, properties);
        let parameters = format!("<p:ResourceSettings>{settings}</p:ResourceSettings>");
        client.vsms("ModifyResourceSettings", &parameters).await.map(drop)
    }

    pub async fn remove(&self, client: &Wsman, class: &str, id: &str) -> Result<(), (u32, String)> {
        let parameters =
            format!("<p:ResourceSettings>{}</p:ResourceSettings>", reference(class, &[("InstanceID", id)]));
        client.vsms("RemoveResourceSettings", &parameters).await.map(drop)
    }

    pub async fn state(&self, client: &Wsman, wanted: u32) -> Result<(), (u32, String)> {
        let keys = [("CreationClassName", "Msvm_ComputerSystem"), ("Name", self.guid.as_str())];
        let parameters = format!("<p:RequestedState>{wanted}</p:RequestedState>");
        client.done("Msvm_ComputerSystem", &keys, "RequestStateChange", &parameters).await.map(drop)
    }

    /// A controller, a drive and a disk that is a copy of an image.
    pub async fn disk(&self, client: &Wsman, file: &str) -> String {
        let settings = instance(
            "Msvm_VirtualHardDiskSettingData",
            &[("Path", file), ("Type", "3"), ("Format", "3"), ("BlockSize", "0"), ("LogicalSectorSize", "0")],
        );
        let copy = format!(
            r"<p:SourcePath>D:\Images\debian-12.vhdx</p:SourcePath><p:VirtualDiskSettingData>{settings}</p:VirtualDiskSettingData>"
        );
        client.ims("ConvertVirtualHardDisk", &copy).await.expect("copied");
        let controller = [("ResourceType", "6"), ("ResourceSubType", "Microsoft:Hyper-V:Synthetic SCSI Controller")];
        let controller = self.add(client, RASD, &controller).await.expect("a controller");
        let parent = path(RASD, &controller);
        let drive = [
            ("ResourceType", "17"),
            ("ResourceSubType", "Microsoft:Hyper-V:Synthetic Disk Drive"),
            ("Parent", parent.as_str()),
            ("AddressOnParent", "0"),
        ];
        let drive = self.add(client, RASD, &drive).await.expect("a drive");
        let parent = path(RASD, &drive);
        let disk = [
            ("ResourceType", "31"),
            ("ResourceSubType", "Microsoft:Hyper-V:Virtual Hard Disk"),
            ("Parent", parent.as_str()),
            ("HostResource[]", file),
        ];
        self.add(client, "Msvm_StorageAllocationSettingData", &disk).await.expect("a disk")
    }

    /// A NIC on the first switch, in a VLAN.
    pub async fn nic(&self, client: &Wsman) -> String {
        let nic = [
            ("ResourceType", "10"),
            ("ResourceSubType", "Microsoft:Hyper-V:Synthetic Ethernet Port"),
            ("ElementName", "eth0"),
            ("Address", "00155DAABB01"),
            ("StaticMacAddress", "true"),
            ("VirtualSystemIdentifiers[]", "{11111111-2222-3333-4444-555555555555}"),
        ];
        let nic = self.add(client, "Msvm_SyntheticEthernetPortSettingData", &nic).await.expect("a NIC");
        let switch = client.one("SELECT * FROM Msvm_VirtualEthernetSwitch WHERE ElementName = 'vSwitch-QA'").await;
        let switch = format!(
            r#"\\HV01\Root\Virtualization\V2:Msvm_VirtualEthernetSwitch.CreationClassName="Msvm_VirtualEthernetSwitch",Name="{}""#,
            property(&switch, "Name")
        );
        let parent = path("Msvm_SyntheticEthernetPortSettingData", &nic);
        let port = [
            ("ResourceType", "33"),
            ("ResourceSubType", "Microsoft:Hyper-V:Ethernet Connection"),
            ("Parent", parent.as_str()),
            ("HostResource[]", switch.as_str()),
            ("EnabledState", "2"),
        ];
        let port = self.add(client, "Msvm_EthernetPortAllocationSettingData", &port).await.expect("a port");
        let vlan =
            instance("Msvm_EthernetSwitchPortVlanSettingData", &[("OperationMode", "1"), ("AccessVlanId", "110")]);
        let affected = reference("Msvm_EthernetPortAllocationSettingData", &[("InstanceID", &port)]);
        let parameters = format!(
            "<p:AffectedConfiguration>{affected}</p:AffectedConfiguration><p:FeatureSettings>{vlan}</p:FeatureSettings>"
        );
        client.vsms("AddFeatureSettings", &parameters).await.expect("a VLAN");
        nic
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_lives_by_the_calls_that_known_programs_make() {
    let (lab, client) = lab(options()).await;
    let made = define(&client, "erp-web-01", 2).await;
    let file = r"D:\Hyper-V\erp-web-01\root.vhdx";
    let disk = made.disk(&client, file).await;
    let nic = made.nic(&client).await;
    let processor = format!(r"{}\b637f346-6a0e-4dec-af52-bd70cb80a21d\0", made.settings);
    made.modify(&client, "Msvm_ProcessorSettingData", &[("InstanceID", &processor), ("VirtualQuantity", "4")])
        .await
        .unwrap();
    let world = lab.world();
    let vm = world.with(|world| world.vm_named("erp-web-01").cloned()).expect("the VM");
    assert_eq!((vm.cpus, vm.memory_mib, &*vm.annotation), (4, 1024, "made by a test"));
    assert_eq!((vm.disks.len(), &*vm.disks[0].file, vm.disks[0].capacity), (1, file, 8 << 30));
    assert_eq!(&*vm.nics[0].mac, "00:15:5d:aa:bb:01");
    let query =
        format!("SELECT * FROM Msvm_EthernetSwitchPortVlanSettingData WHERE InstanceID LIKE '{}%'", doubled(&nic));
    assert_eq!(property(&client.one(&query).await, "AccessVlanId"), "110");

    made.state(&client, 2).await.expect("on");
    assert_eq!(made.state(&client, 2).await.unwrap_err().0, 32775);
    // Hot: growing a disk on SCSI. Not hot: processors.
    let grow = format!("<p:Path>{file}</p:Path><p:MaxInternalSize>{}</p:MaxInternalSize>", 20_u64 << 30);
    client.ims("ResizeVirtualHardDisk", &grow).await.expect("grown");
    let more = [("InstanceID", processor.as_str()), ("VirtualQuantity", "8")];
    assert_eq!(made.modify(&client, "Msvm_ProcessorSettingData", &more).await.unwrap_err().0, 32775);
    assert_eq!(world.with(|world| world.vm_named("erp-web-01").unwrap().disks[0].capacity), 20 << 30);

    let component =
        client.one(&format!("SELECT * FROM Msvm_ShutdownComponent WHERE SystemName = '{}'", made.guid)).await;
    let device = property(&component, "DeviceID");
    let keys = [
        ("CreationClassName", "Msvm_ShutdownComponent"),
        ("DeviceID", device.as_str()),
        ("SystemCreationClassName", "Msvm_ComputerSystem"),
        ("SystemName", made.guid.as_str()),
    ];
    let parameters = "<p:Force>false</p:Force><p:Reason>test</p:Reason>";
    client.done("Msvm_ShutdownComponent", &keys, "InitiateShutdown", parameters).await.expect("asked");
    while world.with(|world| world.vm_named("erp-web-01").unwrap().power) != Power::Off {
        tokio::task::yield_now().await;
    }
    let renamed = [("InstanceID", made.settings.as_str()), ("ElementName", "erp-web-02"), ("Notes[]", "a\nb")];
    let settings = instance("Msvm_VirtualSystemSettingData", &renamed);
    client
        .vsms("ModifySystemSettings", &format!("<p:SystemSettings>{settings}</p:SystemSettings>"))
        .await
        .expect("renamed");
    assert_eq!(world.with(|world| world.vm_named("erp-web-02").unwrap().annotation.to_string()), "a\nb");

    made.remove(&client, "Msvm_StorageAllocationSettingData", &disk).await.expect("detached");
    made.remove(&client, RASD, &disk.replace(r"\L", r"\D")).await.expect("no drive");
    made.remove(&client, "Msvm_SyntheticEthernetPortSettingData", &nic).await.expect("no NIC");
    let keys = [("CreationClassName", "Msvm_ComputerSystem"), ("Name", made.guid.as_str())];
    let affected = format!("<p:AffectedSystem>{}</p:AffectedSystem>", reference("Msvm_ComputerSystem", &keys));
    client.vsms("DestroySystem", &affected).await.expect("destroyed");
    let gone = client.get(V2, "Msvm_ComputerSystem", &keys).await;
    assert!(gone.status == 500 && gone.text.contains("Code=\"2150858752\""), "{}", gone.text);
    let deleted = client.invoke_in("root/cimv2", "CIM_DataFile", &[("Name", file)], ("Delete", "")).await.unwrap();
    assert!(deleted.text.contains("<p:ReturnValue>0<"), "{}", deleted.text);
    assert!(!world.with(|world| world.files.contains_key(file)));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_turns_the_path_and_forbids_growth() {
    let (lab, client) = lab(options()).await;
    let made = define(&client, "snapped", 2).await;
    let file = r"D:\Hyper-V\snapped\root.vhdx";
    made.disk(&client, file).await;
    lab.world().with(|world| {
        let id = world.vm_named("snapped").unwrap().id;
        assert!(world.add_snapshot(id, "before"));
    });
    let query =
        format!("SELECT * FROM Msvm_StorageAllocationSettingData WHERE InstanceID LIKE 'Microsoft:{}%'", made.guid);
    let path = property(&client.one(&query).await, "HostResource");
    assert!(path.contains(".avhdx"), "{path}");
    for file in [file, path.as_str()] {
        let grow = format!("<p:Path>{file}</p:Path><p:MaxInternalSize>{}</p:MaxInternalSize>", 20_u64 << 30);
        assert_eq!(client.ims("ResizeVirtualHardDisk", &grow).await.unwrap_err().0, 32774, "{file}");
    }
    let kinds = client
        .list(V2, "SELECT * FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemIdentifier = ".to_owned().as_str())
        .await;
    assert!(kinds.is_err(), "half a query is none");
    let query = format!("SELECT * FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemIdentifier = '{}'", made.guid);
    let kinds: Vec<String> = client.list(V2, &query).await.map_err(|reply| reply.text).unwrap();
    let kinds: Vec<String> = kinds.iter().map(|item| property(item, "VirtualSystemType")).collect();
    assert_eq!(kinds, ["Microsoft:Hyper-V:System:Realized", "Microsoft:Hyper-V:Snapshot:Realized"]);
    lab.stop().await;
}
