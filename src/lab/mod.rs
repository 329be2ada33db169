//! Simulated hypervisors on loopback that speak the real protocols, TLS included.
//!
//! ```text
//!  vendors' clients, our providers          tests, demo
//!            | https                            | calls
//!            v                                  v
//!   listener.rs -> vsphere/ ---------------> world/  <- clock.rs
//!                  hyperv/ xenserver/
//!                     |  ^ what goes wrong: faults.rs
//!                     +--> what was asked:  record.rs
//! ```
//!
//! Good enough that the vendors' own clients work unmodified. It shares no code with the providers but the XML reader
//! and writer, so that a mistake there is not copied here; it is written from recorded traffic of real servers and the
//! API's data model. Everything is seeded: equal seeds and calls give equal answers (keys and certificates aside).

pub mod clock;
pub mod command;
pub mod faults;
mod hyperv;
pub mod listener;
pub mod record;
pub mod settings;
pub mod vsphere;
pub mod world;
pub mod xenserver;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

pub use clock::{ClockMode, LabClock};
pub use command::{LabArgs, run};
pub use faults::{Effect, FaultRule, Faults, NamedFault};
pub use record::{CallOutcome, CallRecord, Record};
pub use world::{World, WorldHandle};
pub use xenserver::PoolControl;

use crate::model::HypervisorType;

/// Name of the vCenter endpoint, as the examples use it.
pub const VCENTER: &str = "vc-prod";
/// Name of the standalone ESXi endpoint.
pub const ESXI: &str = "esx-lab";
/// Name of the Hyper-V host, as the examples use it: NTLM over HTTPS.
pub const HYPERV: &str = "hv-lab";
/// A second Hyper-V host, over HTTP, where messages are sealed.
pub const HYPERV_SEALED: &str = "hv-lab-http";
/// Name of the Hyper-V cluster.
pub const HYPERV_CLUSTER: &str = "hv-cluster";
/// Name of the XenServer pool, as the examples use it.
pub const XENSERVER: &str = "xs-hosted";

/// All fronts, in the order they are started.
pub const FRONTS: &[HypervisorType] = &[HypervisorType::Vsphere, HypervisorType::Hyperv, HypervisorType::Xenserver];

/// What a lab is to be.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// Seeds ids, addresses and the unmanaged VMs.
    pub seed: u64,
    /// Unmanaged VMs per front.
    pub vms: usize,
    /// Which fronts; empty: all that the product can speak to.
    pub only: Vec<HypervisorType>,
    /// Also a standalone ESXi host, as endpoint [`ESXI`].
    pub esxi: bool,
    /// Standalone Hyper-V hosts, as endpoints [`HYPERV`], `hv-lab-2` and so on; with the first comes [`HYPERV_SEALED`].
    pub hyperv_hosts: usize,
    /// Nodes of a Hyper-V cluster, as endpoint [`HYPERV_CLUSTER`]; 0: none.
    pub hyperv_nodes: usize,
    /// User and password of every front; `None`: its own user and a password made from the seed.
    pub login: Option<(String, String)>,
    /// Rules in force from the start.
    pub faults: Vec<FaultRule>,
    /// How time moves.
    pub clock: ClockMode,
    /// How long tasks take, in percent of the default (a clone 40 ms, anything else about 10).
    pub pace_percent: u32,
    /// Address to listen on; must be of this machine only.
    pub bind: IpAddr,
    /// Port of the first front, the next ones follow; 0: any free ones.
    pub port: u16,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            vms: 12,
            only: vec![HypervisorType::Vsphere],
            esxi: false,
            hyperv_hosts: 1,
            hyperv_nodes: 0,
            login: None,
            faults: Vec::new(),
            clock: ClockMode::Real,
            pace_percent: 100,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
        }
    }
}

impl LabOptions {
    /// User and password of a front.
    fn login(&self, front: &str, own_user: &str) -> (String, String) {
        self.login.clone().unwrap_or_else(|| (own_user.to_owned(), format!("lab-{front}-{}", self.seed)))
    }
}

/// What a front is made of.
#[derive(Debug)]
pub(in crate::lab) struct FrontParts {
    pub endpoint: LabEndpoint,
    pub world: WorldHandle,
    pub record: Record,
    pub faults: Faults,
    pub seed: u64,
}

/// Where a front listens and how to get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabEndpoint {
    /// Its name, as settings and examples use it.
    pub name: String,
    /// What it speaks.
    pub hypervisor: HypervisorType,
    /// Its URLs: one, or one per host of a pool or cluster.
    pub urls: Vec<String>,
    /// SHA-256 of each certificate's DER, lower-case hex, in the order of the URLs.
    pub pins: Vec<String>,
    /// The settings' word for how to log in, where the type has a choice.
    pub auth: Option<&'static str>,
    /// A user with all rights.
    pub username: String,
    /// That user's password. It guards simulated machines only.
    pub password: String,
}

impl LabEndpoint {
    /// The first URL.
    pub fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }
}

/// Why a lab could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// It would be reachable from other machines.
    #[error("the lab listens on this machine only; {0} is not a loopback address")]
    NotLoopback(IpAddr),
    /// The port is taken or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The fault rules are not readable.
    #[error(transparent)]
    Faults(#[from] faults::FaultFileError),
    /// Signals of the system cannot be waited for.
    #[error("cannot wait for signals")]
    Signals(#[source] std::io::Error),
}

/// A running lab. Dropping it stops it.
#[derive(Debug)]
pub struct Lab {
    fronts: Vec<Front>,
    record: Record,
    faults: Faults,
    clock: LabClock,
    stop: watch::Sender<bool>,
}

/// What a lab asks of a front, whatever it speaks.
pub(in crate::lab) trait Speaks: std::fmt::Debug + Send + Sync {
    /// Ends all sessions, as a server that was restarted.
    fn end_sessions(&self);

    /// Stops listeners of its own; what is to be awaited.
    fn stop(&self) -> Vec<tokio::task::JoinHandle<()>> {
        Vec::new()
    }

    /// A hold on its members, where it is a pool.
    fn pool(&self) -> Option<PoolControl> {
        None
    }
}

#[derive(Debug)]
struct Front {
    endpoint: LabEndpoint,
    world: WorldHandle,
    /// One per listener.
    tasks: Vec<tokio::task::JoinHandle<()>>,
    speaks: Arc<dyn Speaks>,
}

impl Lab {
    /// Starts the fronts; when this returns, each of them answers.
    pub async fn start(options: LabOptions) -> Result<Self, LabError> {
        if !options.bind.is_loopback() {
            return Err(LabError::NotLoopback(options.bind));
        }
        let faults = Faults::seeded(options.seed);
        for rule in &options.faults {
            faults.add(rule.clone());
        }
        let (stop, _) = watch::channel(false);
        let clock = LabClock::new(options.clock);
        let mut lab = Self { fronts: Vec::new(), record: Record::default(), faults, clock, stop };
        // In this order whatever order they are asked for in: ports and ids follow from it.
        let wanted = if options.only.is_empty() { FRONTS } else { &options.only };
        for kind in FRONTS.iter().filter(|kind| wanted.contains(kind)) {
            match kind {
                HypervisorType::Vsphere => lab.start_vsphere(&options).await?,
                HypervisorType::Hyperv => lab.start_hyperv(&options).await?,
                HypervisorType::Xenserver => lab.start_xenserver(&options).await?,
            }
        }
        Ok(lab)
    }

    async fn start_vsphere(&mut self, options: &LabOptions) -> Result<(), LabError> {
        self.start_vim(options, VCENTER, false).await?;
        if options.esxi {
            self.start_vim(options, ESXI, true).await?;
        }
        Ok(())
    }

    /// A vCenter or a standalone host.
    async fn start_vim(&mut self, options: &LabOptions, name: &str, standalone: bool) -> Result<(), LabError> {
        let world = world::seed::world(options.seed, options.vms, standalone, self.clock.now_ms());
        let world = self.handle(world, options);
        let listener = listener::TlsListener::bind((options.bind, self.port(options)).into(), &self.stop).await?;
        let own = if standalone { "root" } else { "svc-tierwright@vsphere.local" };
        let (username, password) = options.login(name, own);
        let endpoint = LabEndpoint {
            name: name.into(),
            hypervisor: HypervisorType::Vsphere,
            urls: vec![format!("https://{}/sdk", listener.address())],
            pins: vec![listener.pin_sha256().to_owned()],
            auth: None,
            username,
            password,
        };
        let front = vsphere::Front::new(self.parts(&endpoint, &world, options));
        let task = tokio::spawn(listener::serve(listener, front.clone().router(), self.stop.subscribe()));
        self.fronts.push(Front { endpoint, world, tasks: vec![task], speaks: front });
        Ok(())
    }

    /// A pool of as many members as its world has hosts.
    async fn start_xenserver(&mut self, options: &LabOptions) -> Result<(), LabError> {
        let world = world::seed::pool(options.seed, options.vms, self.clock.now_ms());
        let members = world.hosts.len();
        let world = self.handle(world, options);
        let bound = xenserver::bind((options.bind, self.port(options)).into(), members).await?;
        let (username, password) = options.login(XENSERVER, "svc-tierwright");
        let endpoint = LabEndpoint {
            name: XENSERVER.into(),
            hypervisor: HypervisorType::Xenserver,
            urls: bound.sockets().iter().map(|socket| format!("https://{socket}")).collect(),
            pins: bound.pins(),
            auth: None,
            username,
            password,
        };
        let front = xenserver::Front::serve(self.parts(&endpoint, &world, options), bound);
        self.fronts.push(Front { endpoint, world, tasks: Vec::new(), speaks: front });
        Ok(())
    }

    /// A world at this lab's clock, with its faults.
    fn handle(&self, mut world: World, options: &LabOptions) -> WorldHandle {
        world.pace.percent = i64::from(options.pace_percent);
        WorldHandle::new(world, self.clock.clone(), self.faults.clone())
    }

    /// The port of the next front.
    fn port(&self, options: &LabOptions) -> u16 {
        match options.port {
            0 => 0,
            first => {
                let taken: usize = self.fronts.iter().map(|front| front.endpoint.urls.len()).sum();
                first.saturating_add(u16::try_from(taken).unwrap_or(u16::MAX))
            }
        }
    }

    fn parts(&self, endpoint: &LabEndpoint, world: &WorldHandle, options: &LabOptions) -> FrontParts {
        FrontParts {
            endpoint: endpoint.clone(),
            world: world.clone(),
            record: self.record.clone(),
            faults: self.faults.clone(),
            seed: options.seed,
        }
    }

    /// All fronts.
    pub fn endpoints(&self) -> Vec<LabEndpoint> {
        self.fronts.iter().map(|front| front.endpoint.clone()).collect()
    }

    /// The world behind the first front.
    pub fn world(&self) -> WorldHandle {
        self.fronts[0].world.clone()
    }

    /// The world behind the front of this name.
    pub fn world_of(&self, endpoint: &str) -> Option<WorldHandle> {
        self.fronts.iter().find(|front| front.endpoint.name == endpoint).map(|front| front.world.clone())
    }

    /// A hold on the members of the pool of this name.
    pub fn pool(&self, endpoint: &str) -> Option<PoolControl> {
        self.fronts.iter().find(|front| front.endpoint.name == endpoint)?.speaks.pool()
    }

    /// What was asked of it.
    pub fn record(&self) -> Record {
        self.record.clone()
    }

    /// What goes wrong.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Its time.
    pub fn clock(&self) -> LabClock {
        self.clock.clone()
    }

    /// Writes `tierwright.yaml` into a folder (made if need be) with password files, stateDir and secretsDir beside it;
    /// `source` is the folder of the manifests. Returns the settings file.
    pub fn write_settings(&self, folder: &Path, source: &Path) -> Result<PathBuf, LabError> {
        settings::write(&self.endpoints(), &folder.join("tierwright.yaml"), source)
    }

    /// Ends all sessions of all fronts, as if the servers had been restarted: the next call of each client is refused.
    pub fn end_sessions(&self) {
        for front in &self.fronts {
            front.speaks.end_sessions();
        }
    }

    /// Stops all fronts and waits until they are down; open connections are closed.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for front in std::mem::take(&mut self.fronts) {
            for task in front.tasks.into_iter().chain(front.speaks.stop()) {
                let _ = task.await;
            }
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for front in &self.fronts {
            front.tasks.iter().for_each(tokio::task::JoinHandle::abort);
            front.speaks.stop().iter().for_each(tokio::task::JoinHandle::abort);
        }
    }
}
