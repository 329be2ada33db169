//! Login and inventory.

use std::fmt::Write as _;

use tierwright::model::{PowerState, Secret};
use tierwright::provider::{self, ErrorKind};
use tierwright::settings::{PasswordFrom, Trust};

use crate::peer::Vcsim;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_denied_in_the_servers_words() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let mut settings = vcsim.settings();
    settings.password = PasswordFrom::Given(Secret::new("wrong-canary".to_owned()));
    let provider = provider::connect(&settings).unwrap();
    let error = provider.capabilities().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert_eq!(error.to_string(), "vcsim: log in: Login failure (InvalidLogin)");
    assert!(!format!("{error:?}").contains("wrong-canary"));
    let error = provider.capabilities().await.unwrap_err();
    assert!(error.message.contains("not tried again"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_is_refused_and_its_digest_shown() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let mut settings = vcsim.settings();
    settings.trust = Trust::Pins(vec![[7; 32]]);
    let error = provider::connect(&settings).unwrap().capabilities().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Certificate);
    let mut shown = String::new();
    for byte in vcsim.pin {
        write!(shown, "{byte:02x}").unwrap();
    }
    assert!(error.to_string().contains(&shown), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_no_root_signed_is_refused_too() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let mut settings = vcsim.settings();
    settings.trust = Trust::SystemRoots;
    let error = provider::connect(&settings).unwrap().capabilities().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Certificate, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vcenter_is_read_whole() {
    let Some(vcsim) = Vcsim::start(&["-vms", "30"]) else { return };
    let provider = vcsim.connect();
    let observed = provider.collect(&[]).await.unwrap();
    assert_eq!(observed.incomplete, None);
    assert!(observed.capabilities.create_from_image);
    assert_eq!(observed.vms.len(), 60);
    let vm = observed.vms.iter().find(|vm| &*vm.name == "DC0_C0_RP0_VM0").unwrap();
    assert_eq!(vm.placed.cluster.as_deref(), Some("DC0_C0"));
    assert_eq!(vm.placed.datacenter.as_deref(), Some("DC0"));
    let config = vm.readable().unwrap();
    assert_eq!((config.cpus, config.memory.as_mib(), config.power), (1, 32, PowerState::Running));
    assert_eq!(&*config.disks[0].slot, "scsi0:0");
    assert_eq!(config.disks[0].storage.as_deref(), Some("LocalDS_0"));
    assert_eq!(config.nics[0].network.as_ref().unwrap().name, "DC0_DVPG0");
    assert_eq!(config.mark, None);
    let hosts = &observed.catalog.hosts;
    assert_eq!(hosts.len(), 4);
    assert_eq!(hosts.iter().filter(|host| host.cluster.as_deref() == Some("DC0_C0")).count(), 3);
    assert!(hosts.iter().all(|host| host.usable && host.memory.0 > 0));
    assert_eq!(observed.catalog.storage.len(), 2);
    assert!(observed.catalog.networks.iter().any(|network| network.target.name == "VM Network"));
    let again = provider.collect(&[]).await.unwrap();
    assert_eq!(again, observed);
    provider.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_alone_is_read_whole() {
    let Some(vcsim) = Vcsim::start(&["-esx"]) else { return };
    let observed = vcsim.connect().collect(&[]).await.unwrap();
    assert_eq!(observed.incomplete, None);
    assert!(!observed.capabilities.create_from_image);
    assert_eq!(observed.vms.len(), 2);
    assert!(observed.vms.iter().all(|vm| vm.readable().is_some_and(|config| !config.disks.is_empty())));
    assert_eq!(observed.catalog.hosts.len(), 1);
    assert_eq!(observed.catalog.hosts[0].cluster, None);
}
