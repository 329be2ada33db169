//! The Hyper-V front: WS-Management CIM over the world, at `/wsman`, as a host or as the nodes of a cluster.
//!
//! ```text
//! handling.rs, envelope.rs, fault.rs   one request: login, fault rules, the operation, the record
//! auth/                                Basic, NTLM, SPNEGO; sealed.rs: bodies that are encrypted
//! operations.rs, enumeration.rs, wql.rs, config.rs, rights.rs
//! schema.rs, instance.rs, embedded.rs  classes, instances and references on the wire (schema.txt)
//! cim/                                 the world as instances
//! methods/, jobs.rs                    what changes it
//! parts.rs, disks.rs                   names of the parts of a VM; files
//! start.rs, seed.rs, cluster.rs        hosts and clusters, the world the examples name, what befalls a cluster
//! ```
//!
//! Written from the class data of root/virtualization/v2, root/cimv2 and root/MSCluster, from the sequences of known
//! programs, from [MS-WSMV], DSP0226, DSP0227, [MS-NLMP], and from recorded traffic. Where it is known to be simpler
//! than Windows: DefineSystem takes no resource settings; a cluster's role goes away with its VM; the remote shell, Put
//! and subscriptions are refused; one MAC range and one processor group a host; WQL as far as `wql.rs` says.

mod auth;
mod cim;
mod cluster;
mod config;
mod disks;
mod embedded;
mod enumeration;
mod envelope;
mod fault;
mod handling;
mod instance;
mod jobs;
mod methods;
mod operations;
mod parts;
mod rights;
mod schema;
mod seed;
mod start;
mod wql;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use uuid::Uuid;

pub(in crate::lab) use cim::Host;
use enumeration::Enumerations;
use jobs::Jobs;

use super::FrontParts;

/// The largest request; clients keep to 500 KiB.
const MAX_REQUEST: usize = 1 << 20;

/// One host's listener.
#[derive(Debug)]
pub(in crate::lab) struct Node {
    parts: Arc<FrontParts>,
    host: Host,
    /// SHA-256 of its certificate; `None` without TLS.
    certificate: Option<[u8; 32]>,
    jobs: Mutex<Jobs>,
    enumerations: Mutex<Enumerations>,
    /// Counts the ids it gave out.
    ids: AtomicU64,
    /// Logins of an earlier one count no more.
    epoch: AtomicU64,
}

/// All nodes of one endpoint.
#[derive(Debug)]
pub(in crate::lab) struct Front {
    pub nodes: Vec<Arc<Node>>,
}

impl super::Speaks for Front {
    fn end_sessions(&self) {
        for node in &self.nodes {
            node.epoch.fetch_add(1, Ordering::SeqCst);
            node.enumerations().clear();
        }
    }
}

impl Node {
    /// A host behind a listener.
    pub fn new(parts: Arc<FrontParts>, host: Host, certificate: Option<[u8; 32]>) -> Arc<Self> {
        Arc::new(Self {
            parts,
            host,
            certificate,
            jobs: Mutex::default(),
            enumerations: Mutex::default(),
            ids: AtomicU64::new(1),
            epoch: AtomicU64::new(0),
        })
    }

    /// Its routes.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().route("/wsman", post(handling::handle)).layer(DefaultBodyLimit::max(MAX_REQUEST)).with_state(self)
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enumerations(&self) -> MutexGuard<'_, Enumerations> {
        self.enumerations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id nobody has yet; equal seeds and calls give equal ids.
    fn fresh_uuid(&self) -> Uuid {
        let number = self.ids.fetch_add(1, Ordering::SeqCst);
        Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("{} {} {number}", self.host.name, self.parts.seed).as_bytes())
    }

    /// `uuid:…` for a message.
    fn fresh_id(&self) -> String {
        format!("uuid:{}", parts::upper(self.fresh_uuid()))
    }
}
