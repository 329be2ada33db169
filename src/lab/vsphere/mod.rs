//! The vSphere front: vim25 SOAP over the world, at `/sdk`, as a vCenter or as a standalone ESXi host.
//!
//! ```text
//! soap.rs, decode.rs, value.rs   requests and answers on the wire, judged and ordered by schema.rs (schema.txt)
//! answering.rs                   one call: fault rules, session, rights, the call itself, the record
//! calls/                         what each call does
//! properties/                    what each object shows
//! collector/                     which objects and properties: listings, pages, updates
//! session.rs, morefs.rs, fault.rs
//! ```
//!
//! Written from recorded traffic of vCenter 6.0, 6.5 and 8.0.3 and from the data model of the API; what is known to
//! differ from the recordings is listed beside the test that replays them. Where it is known to be simpler or stricter
//! than a real server: a VM that is being cloned is not listed until it is done; a folder that is not empty is not
//! destroyed; tasks cannot be cancelled; what is moved by a storage or host migration is not modelled
//! (`RelocateVM_Task` and `MoveIntoFolder_Task` are refused as not supported); changes are told property by property as
//! a whole, never by index; morefs of a standalone host have a vCenter's shape.

mod answering;
mod calls;
mod collector;
mod decode;
mod fault;
mod morefs;
mod properties;
mod schema;
mod session;
mod soap;
mod value;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::sync::watch;

use super::{FrontParts, Speaks};
use session::{Session, Sessions};

/// The largest request; a real one is below a hundredth of it.
const MAX_REQUEST: usize = 4 << 20;

/// As recorded (`basic_container_view.yaml`): clients choose the newest version both know.
const VERSIONS: &str = r#"<?xml version="1.0" encoding="UTF-8" ?><namespaces version="1.0"><namespace><name>urn:vim25</name><version>8.0.2.0</version><priorVersions><version>8.0.1.0</version><version>8.0.0.0</version><version>7.0.3.0</version><version>7.0.0.0</version><version>6.7</version><version>6.5</version><version>6.0</version><version>5.5</version></priorVersions></namespace></namespaces>
"#;

/// Who the front says it is and whom it lets in.
#[derive(Debug)]
struct Identity {
    standalone: bool,
    instance_uuid: String,
    users: Vec<User>,
}

#[derive(Debug)]
struct User {
    name: String,
    password: String,
}

/// One front.
#[derive(Debug)]
pub(in crate::lab) struct Front {
    parts: FrontParts,
    identity: Identity,
    sessions: Mutex<Sessions>,
    /// Calls that wait look again when this moves.
    nudge: watch::Sender<u64>,
}

impl Front {
    /// Makes a front; its world says whether it is a vCenter or a host.
    pub fn new(parts: FrontParts) -> Arc<Self> {
        let (standalone, instance_uuid) = parts.world.with(|world| (world.standalone, world.fresh_uuid().to_string()));
        let own = User { name: parts.endpoint.username.clone(), password: parts.endpoint.password.clone() };
        let identity = Identity { standalone, instance_uuid, users: vec![own] };
        let sessions = Mutex::new(Sessions::new(parts.seed));
        Arc::new(Self { parts, identity, sessions, nudge: watch::Sender::new(0) })
    }

    /// Its routes.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/sdk", post(answering::handle))
            .route("/sdk/", post(answering::handle))
            .route("/sdk/vimService", post(answering::handle))
            .route("/sdk/vimServiceVersions.xml", get(|| async { soap::reply(VERSIONS.into(), false, None) }))
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .with_state(self)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nudge(&self) {
        self.nudge.send_modify(|count| *count += 1);
    }
}

impl Speaks for Front {
    fn end_sessions(&self) {
        self.sessions().end_all();
        self.nudge();
    }
}
