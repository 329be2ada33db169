//! A provider to be judged, with a fresh server behind it and the names of that server's places.

use std::sync::Arc;

use tierwright::lab::{ESXI, HYPERV, HYPERV_CLUSTER, Lab, LabEndpoint, LabOptions, VCENTER, XENSERVER};
use tierwright::model::{EndpointName, HypervisorType, Placement, Secret};
use tierwright::plan::{EndpointState, Manage};
use tierwright::provider::{self, Provider};
use tierwright::settings::{Auth, EndpointSettings, PasswordFrom, Trust};

use crate::peer::Vcsim;
use crate::recorder::Wanted;

/// What a provider is judged against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    VcsimVcenter,
    VcsimEsxi,
    LabVcenter,
    LabEsxi,
    LabHyperv,
    LabHypervCluster,
    LabXenserver,
}

/// The list.
pub const ALL: &[Kind] = &[
    Kind::LabVcenter,
    Kind::LabEsxi,
    Kind::LabHyperv,
    Kind::LabHypervCluster,
    Kind::LabXenserver,
    Kind::VcsimVcenter,
    Kind::VcsimEsxi,
];

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::VcsimVcenter => "vcsim vCenter",
            Self::VcsimEsxi => "vcsim ESXi",
            Self::LabVcenter => "lab vCenter",
            Self::LabEsxi => "lab ESXi",
            Self::LabHyperv => "lab Hyper-V",
            Self::LabHypervCluster => "lab HV cluster",
            Self::LabXenserver => "lab XenServer",
        }
    }
}

/// Holds the server up.
enum Server {
    Vcsim(#[expect(dead_code, reason = "held for its Drop")] Vcsim),
    Lab(Lab),
}

/// A provider and what it may name.
pub struct Subject {
    pub provider: Arc<dyn Provider>,
    pub placement: Placement,
    /// Two networks.
    pub networks: [&'static str; 2],
    /// An image with one disk.
    pub image: &'static str,
    server: Server,
}

impl Subject {
    /// A fresh one; `None` where its server is not to be had.
    pub async fn start(kind: Kind) -> Option<Self> {
        match kind {
            Kind::VcsimVcenter => {
                let vcsim = Vcsim::start(&[])?;
                let placement = Placement {
                    cluster: Some("DC0_C0".to_owned()),
                    host: Some("DC0_C0_H0".to_owned()),
                    folder: Some("Prod".to_owned()),
                    create_folders: true,
                    storage: Some("LocalDS_0".to_owned()),
                    ..Placement::default()
                };
                Some(Self {
                    provider: vcsim.connect(),
                    placement,
                    networks: ["DC0_DVPG0", "VM Network"],
                    image: "DC0_H0_VM0",
                    server: Server::Vcsim(vcsim),
                })
            }
            Kind::VcsimEsxi => {
                let vcsim = Vcsim::start(&["-esx"])?;
                let placement = Placement { storage: Some("LocalDS_0".to_owned()), ..Placement::default() };
                Some(Self {
                    provider: vcsim.connect(),
                    placement,
                    networks: ["VM Network", "VM Network"],
                    image: "none",
                    server: Server::Vcsim(vcsim),
                })
            }
            Kind::LabXenserver => Some(Self::pool(LabOptions::default()).await),
            Kind::LabVcenter => Some(Self::lab(LabOptions::default()).await),
            Kind::LabHyperv => Some(Self::hyperv(LabOptions::default()).await),
            Kind::LabHypervCluster => {
                Some(Self::hyperv(LabOptions { hyperv_nodes: 2, vms: 3, ..LabOptions::default() }).await)
            }
            Kind::LabEsxi => {
                let options = LabOptions { esxi: true, ..LabOptions::default() };
                let lab = Lab::start(options).await.expect("the lab starts");
                let endpoint =
                    lab.endpoints().into_iter().find(|endpoint| endpoint.name == ESXI).expect("an ESXi front");
                Some(Self {
                    provider: connect_to(&endpoint),
                    placement: Placement { storage: Some("datastore1".to_owned()), ..Placement::default() },
                    networks: ["VM Network", "PG-APP-10"],
                    image: "none",
                    server: Server::Lab(lab),
                })
            }
        }
    }

    /// The lab's Hyper-V host, or its cluster.
    pub async fn hyperv(options: LabOptions) -> Self {
        let cluster = options.hyperv_nodes > 0;
        let lab =
            Lab::start(LabOptions { only: vec![HypervisorType::Hyperv], ..options }).await.expect("the lab starts");
        let name = if cluster { HYPERV_CLUSTER } else { HYPERV };
        let endpoint = lab.endpoints().into_iter().find(|endpoint| endpoint.name == name).expect("a Hyper-V front");
        let (folder, image) = if cluster {
            (r"C:\ClusterStorage\Volume1\Hyper-V", r"C:\ClusterStorage\Volume1\Images\debian-12.vhdx")
        } else {
            (r"D:\Hyper-V", r"D:\Images\debian-12.vhdx")
        };
        let placement = Placement {
            host: cluster.then(|| "HVC01".to_owned()),
            path: Some(folder.to_owned()),
            storage: Some(folder.to_owned()),
            ..Placement::default()
        };
        let provider = connect_to(&endpoint);
        Self { provider, placement, networks: ["vSwitch-QA", "vSwitch-Lab"], image, server: Server::Lab(lab) }
    }

    /// The lab's vCenter.
    pub async fn lab(options: LabOptions) -> Self {
        let lab = Lab::start(options).await.expect("the lab starts");
        let endpoint = lab.endpoints().into_iter().find(|endpoint| endpoint.name == VCENTER).expect("a vCenter front");
        let placement = Placement {
            cluster: Some("gold".to_owned()),
            folder: Some("Prod/tierwright".to_owned()),
            create_folders: true,
            storage: Some("flash-repl".to_owned()),
            ..Placement::default()
        };
        Self {
            provider: connect_to(&endpoint),
            placement,
            networks: ["PG-DB-20", "PG-APP-10"],
            image: "tmpl-debian-12",
            server: Server::Lab(lab),
        }
    }

    /// The lab's XenServer pool.
    pub async fn pool(options: LabOptions) -> Self {
        let options = LabOptions { only: vec![HypervisorType::Xenserver], ..options };
        let lab = Lab::start(options).await.expect("the lab starts");
        let endpoint = lab.endpoints().into_iter().find(|endpoint| endpoint.name == XENSERVER).expect("a pool");
        Self {
            provider: connect_to(&endpoint),
            placement: Placement { storage: Some("sr-hosted".to_owned()), ..Placement::default() },
            networks: ["hosted-public", "hosted-private"],
            image: "tmpl-debian-12",
            server: Server::Lab(lab),
        }
    }

    /// A VM to be made there.
    pub async fn wanted(&self, name: &str) -> Wanted {
        let capabilities = self.provider.capabilities().await.expect("it answers");
        let mut wanted = if capabilities.own_id_is_identity { Wanted::new(name) } else { Wanted::told(name) };
        wanted.cloud_init = capabilities.cloud_init;
        wanted
    }

    /// The lab behind it.
    pub fn of_lab(&self) -> &Lab {
        match &self.server {
            Server::Lab(lab) => lab,
            Server::Vcsim(_) => panic!("this one is vcsim"),
        }
    }

    /// A provider of its own for the same lab, as a new process has: it remembers nothing.
    pub fn fresh(&self) -> Arc<dyn Provider> {
        connect_to(&self.of_lab().endpoints()[0])
    }
}

/// A provider for a front.
pub fn connect_to(endpoint: &LabEndpoint) -> Arc<dyn Provider> {
    let settings = EndpointSettings {
        name: EndpointName::new(&endpoint.name).expect("a name"),
        hypervisor: endpoint.hypervisor,
        urls: endpoint.urls.clone(),
        auth: if endpoint.auth == Some("basic") { Auth::Basic } else { Auth::Ntlm },
        username: endpoint.username.clone(),
        password: PasswordFrom::Given(Secret::new(endpoint.password.clone())),
        trust: Trust::Pins(endpoint.pins.iter().map(|pin| bytes(pin)).collect()),
        manage: Manage::Enforce,
        state: EndpointState::Active,
        parallel: 8,
    };
    provider::connect(&settings).expect("settings are good")
}

pub fn bytes(hex: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hex"))
}
