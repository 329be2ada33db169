//! The whole inventory: all at first, then only what changed.
//!
//! ```text
//! event.from ""       a snapshot of every object of the classes that count: one call, whatever the number of VMs
//! event.from TOKEN    what changed since: one call; nothing changed, nothing comes
//! ```
//!
//! All is read again in a new session (another master may count otherwise), when a token is no longer understood, when
//! the numbers of objects that come with each answer are not the numbers held, and hourly. The same memory serves every
//! look at one VM: brought up to date by one call, it says what the server says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::convert;
use super::fault::Failure;
use super::places;
use super::rpc::{Answer, Ref, Request};
use super::session::{Door, Session};
use super::store::{Batch, CLASSES, Places, Store, get};
use super::{capabilities, find};
use crate::inventory::{Known, Missing, Observed};
use crate::model::{ObservedVm, OwnId};
use crate::provider::ErrorKind;

/// All is read at least so often, should a change ever not be told.
const ALL_EVERY: Duration = Duration::from_hours(1);
/// How often what changed is asked for before all is read again, when numbers do not agree: an object that came and
/// went while the server wrote its answer is counted there and told of in the next (xapi's `event.from`).
const PATIENCE: usize = 2;

/// What is known of a pool.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub store: Store,
    token: String,
    /// Which session the token is of.
    session: Option<Arc<Session>>,
    read_at: Option<Instant>,
    /// Why not all is known, if so.
    pub gaps: Option<String>,
    /// The pool's uuid.
    pub pool: Arc<str>,
}

impl Memory {
    /// Brings it up to date.
    pub(super) async fn refresh(&mut self, door: &Door) -> Result<(), Failure> {
        // A session that ends in between is another one afterwards: then all is read again.
        for _ in 0..PATIENCE {
            let session = door.session().await?;
            match self.refresh_in(door, &session).await {
                Err(failure) if failure.is_session_over() || matches!(failure, Failure::NotSent(_)) => {
                    door.forget(&session).await;
                }
                outcome => return outcome,
            }
        }
        let session = door.session().await?;
        self.refresh_in(door, &session).await
    }

    async fn refresh_in(&mut self, door: &Door, session: &Arc<Session>) -> Result<(), Failure> {
        if self.is_current(session) {
            for _ in 0..PATIENCE {
                match self.read_changes(door, session).await {
                    Ok(counts) if self.store.gaps(&counts).is_none() => return Ok(()),
                    Ok(_) => {}
                    Err(failure) if failure.code() == Some("EVENT_FROM_TOKEN_PARSE_FAILURE") => break,
                    Err(failure) => return Err(failure),
                }
            }
            tracing::debug!("what changed does not add up; all is read again");
        }
        self.read_all(door, session).await
    }

    fn is_current(&self, session: &Arc<Session>) -> bool {
        self.session.as_ref().is_some_and(|known| Arc::ptr_eq(known, session))
            && self.gaps.is_none()
            && self.read_at.is_some_and(|at| at.elapsed() < ALL_EVERY)
    }

    async fn read_all(&mut self, door: &Door, session: &Arc<Session>) -> Result<(), Failure> {
        // Forgotten first: what is half read must not be taken for a beginning.
        self.session = None;
        (self.store, self.token) = (Store::default(), String::new());
        let mut counts = self.read_changes(door, session).await?;
        for _ in 0..PATIENCE {
            if self.store.gaps(&counts).is_none() {
                break;
            }
            counts = self.read_changes(door, session).await?;
        }
        self.gaps = self.store.gaps(&counts);
        self.pool = Arc::clone(&session.pool);
        self.read_at = Some(crate::clock::instant());
        self.session = Some(Arc::clone(session));
        let hosts = self.store.places.hosts.values().filter_map(|host| host.as_ref().ok());
        door.learn(hosts.map(|host| host.address.as_str()).filter(|address| !address.is_empty()));
        Ok(())
    }

    /// One answer of `event.from`; gives the numbers of objects that came with it.
    async fn read_changes(&mut self, door: &Door, session: &Session) -> Result<HashMap<String, u64>, Failure> {
        let answer = events(door, session, CLASSES.iter().map(ToString::to_string).collect(), &self.token).await?;
        tracing::debug!(bytes = answer.len(), from = self.token, "inventory");
        let batch: Batch<'_> = answer.read()?;
        self.store.apply(&batch);
        self.token = batch.token;
        Ok(batch.valid_ref_counts)
    }

    /// What is not all known must not be asked whether something is there.
    pub(super) fn check_whole(&self) -> Result<(), Failure> {
        match &self.gaps {
            None => Ok(()),
            Some(gaps) => Err(Failure::because(ErrorKind::Unreachable, gaps.clone())),
        }
    }

    /// The VM of this uuid, as it was when last brought up to date.
    pub(super) fn by_uuid(&self, uuid: &str) -> Option<Ref> {
        let named = |(at, vm): (&Ref, &_)| -> Option<Ref> {
            let vm: &super::record::Vm = Result::as_ref(vm).ok()?;
            (*vm.uuid == *uuid && convert::is_vm(vm)).then(|| at.clone())
        };
        self.store.vms.iter().find_map(named)
    }

    /// The places, for a look at one VM.
    pub(super) fn places(&self) -> Places {
        self.store.places.clone()
    }

    /// Every VM of this identity: under its birth name, or with its mark on the very VM that the mark was written for.
    pub(super) fn by_identity(&self, identity: uuid::Uuid) -> Vec<Ref> {
        let born = crate::mark::birth_name(identity);
        let text = identity.to_string();
        let is_it = |vm: &super::record::Vm| {
            if *vm.name == *born {
                return true;
            }
            // Most marks are somebody else's: a glance saves reading them.
            let mark = vm.mark().filter(|mark| mark.contains(&text)).and_then(|mark| crate::mark::parse(mark).ok());
            mark.is_some_and(|mark| {
                mark.identity == identity && mark.own_id.is_none_or(|id| id == OwnId::new(&vm.uuid))
            })
        };
        let vms = self.store.vms.iter().filter_map(|(at, vm)| Some((at, vm.as_ref().ok()?)));
        let mut found: Vec<Ref> =
            vms.filter(|(_, vm)| convert::is_vm(vm) && is_it(vm)).map(|(at, _)| at.clone()).collect();
        found.sort();
        found
    }

    /// Templates of this name, or else VMs: what a VM can be made from.
    pub(super) fn images(&self, name: &str) -> Vec<Ref> {
        let named = |wanted: fn(&super::record::Vm) -> bool| {
            let vms = self
                .store
                .vms
                .keys()
                .filter(|at| get(&self.store.vms, at).is_some_and(|vm| *vm.name == *name && wanted(vm)));
            vms.cloned().collect::<Vec<_>>()
        };
        let templates = named(convert::is_image);
        if templates.is_empty() { named(|vm| convert::is_vm(vm) && !vm.template) } else { templates }
    }
}

/// `event.from` that answers at once.
pub(super) async fn events(
    door: &Door,
    session: &Session,
    classes: Vec<String>,
    token: &str,
) -> Result<Answer, Failure> {
    let request = Request::new("event.from").with(classes).with(token).with(0.0);
    door.call_in(session, &request).await
}

/// Everything of one endpoint.
pub(super) async fn collect(door: &Door, memory: &Mutex<Memory>, known: &[Known]) -> Result<Observed, Failure> {
    // Held throughout: two collections at once would only do the same work twice.
    let mut memory = memory.lock().await;
    memory.refresh(door).await?;
    let session = door.session().await?;
    let mut vms: Vec<ObservedVm> = (memory.store.vms.iter())
        .filter_map(|(at, vm)| convert::observe(&memory.store, &memory.pool, at, vm))
        .collect();
    vms.sort_by(|a, b| (&a.id, &a.handle).cmp(&(&b.id, &b.handle)));
    let listed: HashSet<&OwnId> = vms.iter().map(|vm| &vm.id).collect();
    let mut missing = BTreeMap::new();
    for known in known.iter().filter(|known| !listed.contains(&known.id)) {
        let answer = find::missing(door, &memory.pool, known).await;
        missing.insert(known.id.clone(), answer.unwrap_or_else(|failure| Missing::Unknown(failure.to_string())));
    }
    Ok(Observed {
        capabilities: capabilities(&session),
        incomplete: memory.gaps.clone(),
        vms,
        catalog: places::catalog(&memory.store),
        missing,
    })
}
