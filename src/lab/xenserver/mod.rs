//! The XenServer front: XAPI over the world, as a pool of several members.
//!
//! ```text
//! wire.rs, value.rs      JSON-RPC at /jsonrpc, XML-RPC at / and /RPC2
//! answering.rs           one call: fault rules, session, rights, the call itself, the record
//! calls/, operations.rs  what each call does, and when a VM allows it
//! tasks.rs               calls that take time; Async.
//! events/                event.from: what changed since a token
//! records/, schema.rs    what each object shows (schema.txt: the data model as far as it is spoken)
//! members.rs             members, master, HOST_IS_SLAVE
//! import.rs              PUT /import_raw_vdi
//! tables.rs, refs.rs, session.rs, failure.rs
//! ```
//!
//! Written from traffic recorded at a real xapi and from the API's data model; what is known to differ from the
//! recordings is listed beside the test that replays them. VMs, disks, NICs, power, hosts and stores are the world's:
//! `name_label` is a VM's name (not unique here), `uuid` its lasting id, `other_config` its free settings,
//! `VCPUs_at_startup` its CPUs, `memory_static_max` its memory, a VDI a disk file.
//!
//! Fault rules, as this API has them: an operation is named `VM.start` whether it comes as `Async.VM.start` or not, and
//! so it stands in the record. `hide`: the VM and what belongs to it are missing from listings, events and their
//! counts, and there when asked for. `unsetConfig`, and `deny: System.Read` on a VM: the VM is listed, its VBDs and
//! VIFs are not and cannot be read, so that it names devices nobody finds. `deny: System.View` on a VM: reading it is
//! refused. `deny: VM.x`: that message is refused with RBAC_PERMISSION_DENIED and missing in `rbac_permissions`.
//! `truncate`: a listing or an event batch ends early; the counts stay true. `loseTask`: an asynchronous call is done,
//! its task is not to be found. `breakAfterPage`: one longer than that is an error.
//!
//! Simpler than a real pool: roles other than one that may do all of this; snapshots go with their VM; SRs are shared
//! and thick; consoles, metrics over time, GPUs, HA, patches and migrations are not there.

mod answering;
mod calls;
mod events;
mod failure;
mod import;
mod members;
mod operations;
mod records;
mod refs;
mod schema;
mod session;
mod tables;
mod tasks;
mod value;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{post, put};
use tokio::sync::watch;

use super::faults::StateRules;
use super::world::World;
use super::{FrontParts, LabError, Speaks};
pub use failure::CODES;
pub(in crate::lab) use members::Bound;
pub use members::PoolControl;
use members::{Member, Standing};
use records::View;
use refs::Codec;
use session::Sessions;
use tables::Tables;

/// The largest request but for imports; a real one is below a hundredth of it.
const MAX_REQUEST: usize = 4 << 20;

/// One pool.
#[derive(Debug)]
pub(in crate::lab) struct Front {
    parts: FrontParts,
    inner: Mutex<Inner>,
    members: Mutex<Vec<Member>>,
    /// Calls that wait look again when this moves.
    nudge: watch::Sender<u64>,
    this: Weak<Self>,
}

/// What changes; locked only by who holds the world already.
#[derive(Debug)]
struct Inner {
    tables: Tables,
    sessions: Sessions,
    standing: Standing,
    codec: Codec,
    rules: StateRules,
    /// User and password.
    account: (String, String),
}

impl Front {
    /// Makes a pool and begins to serve it.
    pub fn serve(parts: FrontParts, bound: Bound) -> Arc<Self> {
        let hosts = parts.world.with(|world| world.hosts.keys().copied().collect());
        let standing = Standing { hosts, addresses: bound.addresses(), master: 0 };
        let codec = Codec::new(parts.seed);
        let (tables, sessions, rules) = (Tables::default(), Sessions::default(), StateRules::default());
        let account = (parts.endpoint.username.clone(), parts.endpoint.password.clone());
        let inner = Mutex::new(Inner { tables, sessions, standing, codec, rules, account });
        let front = Arc::new_cyclic(|this| Self {
            parts,
            inner,
            members: Mutex::default(),
            nudge: watch::Sender::new(0),
            this: this.clone(),
        });
        *front.members.lock().unwrap_or_else(PoisonError::into_inner) = bound.serve(&front);
        front
    }

    /// The routes of a member.
    fn router(self: &Arc<Self>, member: usize) -> Router {
        let at = answering::At { front: self.clone(), member };
        Router::new()
            .route("/jsonrpc", post(answering::json))
            .route("/", post(answering::xml))
            .route("/RPC2", post(answering::xml))
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .route("/import_raw_vdi", put(import::import))
            .route("/import_raw_vdi/", put(import::import))
            .layer(DefaultBodyLimit::disable())
            .with_state(at)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nudge(&self) {
        self.nudge.send_modify(|count| *count += 1);
    }

    /// Looks at the world and the tables, or changes them.
    fn with<R>(&self, look: impl FnOnce(&mut World, &mut Inner) -> R) -> R {
        let rules = self.parts.faults.on_state();
        self.parts.world.with(|world| {
            let mut inner = self.inner();
            inner.rules = rules;
            look(world, &mut inner)
        })
    }
}

impl Inner {
    fn view<'a>(&'a self, world: &'a World) -> View<'a> {
        View::new(world, &self.tables, &self.sessions, (self.codec, &self.standing, &self.rules))
    }

    /// Another member leads: what only the old master knew is gone.
    fn lead(&mut self, world: &mut World, member: usize) {
        self.standing.master = member;
        self.sessions.end_all();
        self.lose_tasks(world);
        world.bump();
    }

    /// Brings the numbers behind `event.from` up to date.
    fn follow(&mut self, world: &mut World) {
        let moved = {
            let view = self.view(world);
            self.tables.shadow.moved_places(&view)
        };
        if !moved.is_empty() {
            let number = world.bump();
            self.tables.shadow.note_places(moved, number);
        }
        if self.tables.shadow.current(world) {
            return;
        }
        let mut shadow = std::mem::take(&mut self.tables.shadow);
        let lost = shadow.follow(&self.view(world));
        self.tables.shadow = shadow;
        for obj in &lost {
            self.tables.forget(obj);
        }
    }
}

impl Speaks for Front {
    fn end_sessions(&self) {
        self.with(|_, inner| inner.sessions.end_all());
        self.nudge();
    }

    fn stop(&self) -> Vec<tokio::task::JoinHandle<()>> {
        self.stop_members()
    }

    fn pool(&self) -> Option<PoolControl> {
        self.this.upgrade().map(PoolControl)
    }
}

/// Listens for so many members.
pub(in crate::lab) async fn bind(first: SocketAddr, members: usize) -> Result<Bound, LabError> {
    Bound::bind(first, members).await
}
