//! Starts the hosts, or the nodes of a cluster, that a lab is to have.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Front, Host, Node, seed};
use crate::lab::listener::{TlsListener, serve};
use crate::lab::world::{Id, World, WorldHandle};
use crate::lab::{self, HYPERV, HYPERV_CLUSTER, HYPERV_SEALED, Lab, LabEndpoint, LabError, LabOptions};
use crate::model::HypervisorType;

/// Name of the cluster itself.
const CLUSTER: &str = "hv-cluster";
/// Added to the lab's seed, so that the worlds of other fronts draw other ids.
const SITES: u64 = 0x4856_0000_0000;
/// Numbers of sites that are no host's.
const SEALED_SITE: usize = 1_000_000;
const CLUSTER_SITE: usize = 1_000_001;

impl Lab {
    /// Hosts and a cluster, as the options say.
    pub(in crate::lab) async fn start_hyperv(&mut self, options: &LabOptions) -> Result<(), LabError> {
        for number in 1..=options.hyperv_hosts {
            let name = if number == 1 { HYPERV.to_owned() } else { format!("{HYPERV}-{number}") };
            let world = self.site(options, number, &[format!("HV{number:02}")]);
            self.start_hosts(options, &name, &world, true).await?;
            if number == 1 {
                let world = self.site(options, SEALED_SITE, &["HVHTTP".to_owned()]);
                self.start_hosts(options, HYPERV_SEALED, &world, false).await?;
            }
        }
        if options.hyperv_nodes > 0 {
            let hosts: Vec<String> = (1..=options.hyperv_nodes).map(|number| format!("HVC{number:02}")).collect();
            let world = self.site(options, CLUSTER_SITE, &hosts);
            self.start_hosts(options, HYPERV_CLUSTER, &world, true).await?;
        }
        Ok(())
    }

    /// A world of its own. No two sites of a lab may draw the same ids.
    fn site(&self, options: &LabOptions, number: usize, hosts: &[String]) -> WorldHandle {
        let own = SITES.wrapping_add(u64::try_from(number).unwrap_or(0));
        let cluster = number == CLUSTER_SITE;
        let wish = seed::Wish { seed: options.seed.wrapping_add(own), vms: options.vms, hosts, cluster };
        self.handle(seed::world(&wish, self.clock.now_ms()), options)
    }

    /// One endpoint: each host of a world behind a listener of its own.
    async fn start_hosts(
        &mut self,
        options: &LabOptions,
        name: &str,
        world: &WorldHandle,
        tls: bool,
    ) -> Result<(), LabError> {
        let mut listeners = Vec::new();
        let mut port = self.port(options);
        for host in world.with(|world| hosts_of(world)) {
            let address = SocketAddr::from((options.bind, port));
            let listener = if tls {
                TlsListener::bind(address, &self.stop).await?
            } else {
                TlsListener::bind_plain(address, &self.stop).await?
            };
            port = if port == 0 { 0 } else { port.saturating_add(1) };
            listeners.push((host, listener));
        }
        let scheme = if tls { "https" } else { "http" };
        let (username, password) = options.login(name, "svc-tierwright");
        let endpoint = LabEndpoint {
            name: name.into(),
            hypervisor: HypervisorType::Hyperv,
            urls: listeners.iter().map(|(_, at)| format!("{scheme}://{}/wsman", at.address())).collect(),
            pins: listeners.iter().map(|(_, at)| at.pin_sha256().to_owned()).filter(|pin| !pin.is_empty()).collect(),
            auth: Some("ntlm"),
            username,
            password,
        };
        let parts = Arc::new(self.parts(&endpoint, world, options));
        let (mut nodes, mut tasks) = (Vec::new(), Vec::new());
        for (host, listener) in listeners {
            let node = Node::new(parts.clone(), host, digest(listener.pin_sha256()));
            tasks.push(tokio::spawn(serve(listener, node.clone().router(), self.stop.subscribe())));
            nodes.push(node);
        }
        let speaks = Arc::new(Front { nodes });
        self.fronts.push(lab::Front { endpoint, world: world.clone(), tasks, speaks });
        Ok(())
    }
}

fn hosts_of(world: &World) -> Vec<Host> {
    let clustered = world.clusters.values().any(|cluster| !cluster.single);
    let cluster = clustered.then(|| CLUSTER.to_owned());
    let host =
        |(id, host): (&Id, &lab::world::Host)| Host { id: *id, name: host.name.clone(), cluster: cluster.clone() };
    world.hosts.iter().map(host).collect()
}

/// The bytes of a pin.
fn digest(pin: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(pin.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
