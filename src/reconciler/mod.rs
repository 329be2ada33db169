//! `serve`: the loop. Reads, looks, plans, and applies where the settings say `manage: enforce`.
//!
//! ```text
//!   source (reading.rs) ----> settle.rs: which revision is in force --+
//!   endpoints, each at its own pace (fleet.rs) --> answers -----------+--> plan (cycle.rs) --> status, log
//!                                      ^                              |
//!                                      |                              +--> steps that may begin (runs.rs)
//!                                      +---- asked again <---- ended <---------+
//! ```
//!
//! One task owns all of it (waking.rs: what wakes it); asking, reading and running are tasks of their own that tell it when
//! they are done, so that nothing which is slow, hangs or is dead holds up anything else. Readers get a [`Status`] through
//! a watch channel and a file (publish.rs).
//!
//! Where an endpoint is `suggest` or `observe` the loop only plans there. A broken source leaves the last good revision in
//! force and destroys nothing. Asked to end, it halts each run before its next call and is gone within ten seconds: a call
//! in flight then is an open intent in the journal, which the next start settles. The watchdog of systemd is fed by this
//! loop and nothing beside it, so that a loop which hangs is noticed.

mod cycle;
mod fleet;
mod publish;
mod reading;
mod reload;
mod runs;
mod settle;
mod standing;
mod telling;
mod waking;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use reload::Reload;

use crate::apply::Backoff;
use crate::clock::Clock;
use crate::events::{EventSink, EventStream};
use crate::inventory::View;
use crate::journal::Lock;
use crate::model::VmKey;
use crate::session::{Asked, Session, SessionError};
use crate::settings::Settings;
use crate::shutdown::Shutdown;
use crate::status::{Condition, Status};
use crate::systemd::Systemd;
use fleet::Fleet;
use publish::Publishing;
use reading::Reading;
use runs::Runs;
use settle::{InForce, Settling};
use standing::Standing;
use telling::Telling;
use watch::Watch;

/// Between the request to end and giving up on what is in flight: the whole must be over within ten seconds.
const END_GRACE: Duration = Duration::from_secs(7);

/// For telling what was done last, and for logging out.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// A running loop.
pub struct Reconciler {
    session: Arc<Session>,
    status: channel::Sender<Status>,
    events: EventSink,
    stream: Option<EventStream>,
    systemd: Systemd,
    reload: Reload,
    settling: Settling,
    in_force: InForce,
    reading: Reading,
    /// When to read the source again, whatever hints there are.
    read_at: Instant,
    watch: Watch,
    fleet: Fleet,
    asks: JoinSet<(Asked, View)>,
    runs: Runs,
    backoff: Backoff,
    /// VMs that were disturbed for the revision in force, and when.
    disturbed: BTreeMap<VmKey, Timestamp>,
    /// Something that a plan rests on has changed since the last one.
    plan_wanted: bool,
    /// When to plan again though nothing has changed.
    plan_at: Option<Instant>,
    /// What the last plan was made from, as long as that plan stands.
    standing: Option<Standing>,
    telling: Telling,
    _lock: Lock,
}

impl Reconciler {
    /// Takes serve.lock (a second `serve` fails at once) and opens a session.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, SessionError> {
        let lock = Lock::serve(&settings.state_dir)?;
        Self::with_session(Session::open(settings, clock).await?, lock).await
    }

    /// With a session at hand: for tests and embedders.
    #[expect(clippy::unused_async, reason = "callers should not care whether starting waits for anything")]
    pub async fn with_session(session: Session, lock: Lock) -> Result<Self, SessionError> {
        let mut settling = Settling::default();
        let watch = Watch::new(&session.settings().source);
        let now = crate::clock::instant();
        let mut fleet = Fleet::default();
        fleet.set(session.endpoint_names(), |_| true, (now, session.clock().now()));
        let (events, stream) = EventSink::channel();
        Ok(Self {
            in_force: settling.take_nothing(),
            session: Arc::new(session),
            status: channel::Sender::new(Status::default()),
            events,
            stream: Some(stream),
            systemd: Systemd::default(),
            reload: Reload::never(),
            settling,
            reading: Reading::default(),
            read_at: now,
            watch,
            fleet,
            asks: JoinSet::new(),
            runs: Runs::default(),
            backoff: Backoff::default(),
            disturbed: BTreeMap::new(),
            plan_wanted: false,
            plan_at: None,
            standing: None,
            telling: Telling::default(),
            _lock: lock,
        })
    }

    /// Tells systemd how it goes, and feeds its watchdog.
    #[must_use]
    pub fn watched_by(self, systemd: Systemd) -> Self {
        Self { systemd, ..self }
    }

    /// Reads its settings again when asked to.
    #[must_use]
    pub fn reloading(self, reload: Reload) -> Self {
        Self { reload, ..self }
    }

    /// What it sees and does, as it goes.
    pub fn status(&self) -> channel::Receiver<Status> {
        self.status.subscribe()
    }

    /// Runs until asked to end; what is in flight is finished or recorded first.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), SessionError> {
        let folding = self
            .stream
            .take()
            .map(|stream| tokio::spawn(fold(stream, self.status.clone(), self.session.clock().clone())));
        let publishing = Publishing::begin(self.status.subscribe(), &self.session);
        self.systemd.ready();
        tokio::select! {
            // Whatever it waits for may be dropped: each write to the journal is one transaction, and runs go on.
            () = self.turn() => {}
            () = shutdown.wait() => {}
        }
        self.systemd.stopping();
        self.end_runs().await;
        drop(std::mem::take(&mut self.events));
        if let Some(folding) = folding {
            // Everything that was sent is folded, unless a call in flight holds on to its end of the channel.
            let _ = tokio::time::timeout(CLOSE_GRACE, folding).await;
        }
        self.status.send_modify(|status| status.condition = Condition::Ended);
        publishing.end(CLOSE_GRACE).await;
        self.close().await;
        Ok(())
    }

    /// Halts all runs and waits for them, as long as it may.
    async fn end_runs(&mut self) {
        self.asks.abort_all();
        self.runs.halt_all();
        let ended = async {
            while !self.runs.is_idle() {
                drop(self.runs.ended().await);
            }
        };
        if tokio::time::timeout(END_GRACE, ended).await.is_err() {
            tracing::warn!("ending with calls in flight: the journal has them as open");
            self.runs.give_up().await;
        }
    }

    async fn close(self) {
        let Self { session, mut asks, reading, .. } = self;
        drop(reading);
        let logged_out = async {
            asks.shutdown().await;
            if let Some(session) = Arc::into_inner(session) {
                session.close().await;
            } else {
                tracing::debug!("something still reads: it is not waited for");
            }
        };
        if tokio::time::timeout(CLOSE_GRACE, logged_out).await.is_err() {
            tracing::debug!("logging out took too long");
        }
    }

    fn stall(&self, why: &str) {
        let stalled = Condition::Stalled(why.to_owned());
        if self.status.borrow().condition != stalled {
            tracing::warn!(why, "stalled");
            self.status.send_modify(|status| status.condition = stalled);
        }
    }

    /// This moment, for waiting and for people.
    fn moment(&self) -> (Instant, Timestamp) {
        (crate::clock::instant(), self.session.clock().now())
    }

    /// Between two looks. Never nothing, which would be a storm.
    fn interval(&self) -> Duration {
        self.session.settings().interval.max(Duration::from_secs(1))
    }
}

/// Folds events into the status until the last sink is gone.
async fn fold(mut stream: EventStream, status: channel::Sender<Status>, clock: Clock) {
    while let Some(event) = stream.recv().await {
        let now = clock.now();
        status.send_modify(|status| status.fold(&event, now));
    }
}
