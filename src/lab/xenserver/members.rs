//! The members of a pool: who is master, where each listens, and what tests do to them.
//!
//! ```text
//!   member 0 (master)      member 1              member 2
//!   127.0.0.1:PORT         127.0.0.2:PORT        127.0.0.3:PORT
//!        |                      | HOST_IS_SLAVE       |
//!        +----------- one pool, one world ------------+
//! ```
//!
//! A member that is not the master answers `HOST_IS_SLAVE` with the master's address, as its host record has
//! it: without a port, as real pools do, since all members listen on one. Where the system has one loopback
//! address only, members differ by port and addresses carry it. A dead master leaves the others pointing at it
//! until one of them is promoted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Front;
use crate::lab::LabError;
use crate::lab::listener::{self, Certificate, TlsListener};
use crate::lab::world::{Id, Link};

/// Who is in the pool and who leads it.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub hosts: Vec<Id>,
    pub addresses: Vec<String>,
    pub master: usize,
}

impl Standing {
    /// The master's host.
    pub fn master(&self) -> Id {
        self.hosts.get(self.master).copied().unwrap_or(Id(0))
    }

    /// The address of a host's member.
    pub fn address_of(&self, host: Id) -> String {
        let at = self.hosts.iter().position(|known| *known == host);
        at.and_then(|at| self.addresses.get(at)).cloned().unwrap_or_default()
    }

    pub fn master_address(&self) -> String {
        self.address_of(self.master())
    }
}

/// A member's listener.
#[derive(Debug)]
pub(super) struct Member {
    address: SocketAddr,
    certificate: Certificate,
    stop: watch::Sender<bool>,
    serving: Option<JoinHandle<()>>,
}

/// Listeners of all members before they serve.
pub(in crate::lab) struct Bound(Vec<(TlsListener, Certificate, watch::Sender<bool>)>);

impl Bound {
    /// Listens for so many members, on one port where that can be had.
    pub async fn bind(first: SocketAddr, members: usize) -> Result<Self, LabError> {
        // The port of the first, if it is any free one, may be taken at another's address: then another.
        let mut attempts = if first.port() == 0 { 20 } else { 1 };
        loop {
            match Self::try_bind(first, members).await {
                Err(LabError::Listen { source, .. })
                    if attempts > 1 && source.kind() == std::io::ErrorKind::AddrInUse =>
                {
                    attempts -= 1;
                }
                other => return other,
            }
        }
    }

    async fn try_bind(first: SocketAddr, members: usize) -> Result<Self, LabError> {
        let mut bound: Vec<(TlsListener, Certificate, watch::Sender<bool>)> = Vec::new();
        for number in 0..members {
            let ip = nth(first.ip(), number);
            let port = match bound.first() {
                None => first.port(),
                // No second address to have: another port.
                Some(_) if ip == first.ip() => 0,
                Some((first, ..)) => first.address().port(),
            };
            let (stop, _) = watch::channel(false);
            let certificate = Certificate::fresh(ip)?;
            let listener = match TlsListener::bind_as((ip, port).into(), &certificate, &stop).await {
                Err(LabError::Listen { source, .. }) if source.kind() == std::io::ErrorKind::AddrNotAvailable => {
                    TlsListener::bind_as((first.ip(), 0).into(), &certificate, &stop).await?
                }
                other => other?,
            };
            bound.push((listener, certificate, stop));
        }
        Ok(Self(bound))
    }

    /// Where each listens.
    pub fn sockets(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|(listener, ..)| listener.address()).collect()
    }

    /// Each one's pin.
    pub fn pins(&self) -> Vec<String> {
        self.0.iter().map(|(_, certificate, _)| certificate.pin_sha256().to_owned()).collect()
    }

    /// Addresses as hosts show them: without the port where all have the same.
    pub(super) fn addresses(&self) -> Vec<String> {
        let sockets = self.sockets();
        let one_port = sockets.iter().all(|socket| Some(socket.port()) == sockets.first().map(SocketAddr::port));
        sockets.iter().map(|socket| if one_port { socket.ip().to_string() } else { socket.to_string() }).collect()
    }

    /// Begins to serve.
    pub(super) fn serve(self, front: &Arc<Front>) -> Vec<Member> {
        let serve =
            |(number, (listener, certificate, stop)): (usize, (TlsListener, Certificate, watch::Sender<bool>))| {
                let address = listener.address();
                let serving = tokio::spawn(listener::serve(listener, front.router(number), stop.subscribe()));
                Member { address, certificate, stop, serving: Some(serving) }
            };
        self.0.into_iter().enumerate().map(serve).collect()
    }
}

/// The address of a member: the next ones of 127.0.0.0/8.
fn nth(first: IpAddr, number: usize) -> IpAddr {
    match first {
        IpAddr::V4(address) => {
            let number = u32::try_from(number).unwrap_or_default();
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits().saturating_add(number)))
        }
        IpAddr::V6(_) => first,
    }
}

/// A hold on a pool, for tests and demos: its members die, come back and are promoted.
#[derive(Debug, Clone)]
pub struct PoolControl(pub(super) Arc<Front>);

impl PoolControl {
    /// How many members it has.
    pub fn members(&self) -> usize {
        self.0.inner().standing.hosts.len()
    }

    /// Which of them is the master.
    pub fn master(&self) -> usize {
        self.0.inner().standing.master
    }

    /// A member loses its power: connections break, its port is closed when this returns. With the master go all tasks;
    /// what they had not done is not done.
    pub async fn kill(&self, member: usize) {
        let serving = {
            let mut members = self.0.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.get_mut(member).and_then(|member| {
                member.stop.send_replace(true);
                member.serving.take()
            })
        };
        if let Some(serving) = serving {
            let _ = serving.await;
        }
        self.0.parts.world.with(|world| {
            let mut inner = self.0.inner();
            let host = inner.standing.hosts.get(member).copied();
            if let Some(host) = host.and_then(|host| world.hosts.get_mut(&host)) {
                host.link = Link::NotResponding;
            }
            if inner.standing.master == member {
                inner.lose_tasks(world);
            }
            world.bump();
        });
    }

    /// A member comes back, with the certificate it had. It follows whoever is master now.
    pub async fn revive(&self, member: usize) -> Result<(), LabError> {
        let again = {
            let members = self.0.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.get(member).map(|member| (member.address, member.certificate.clone()))
        };
        let Some((address, certificate)) = again else { return Ok(()) };
        let (stop, _) = watch::channel(false);
        let listener = TlsListener::bind_as(address, &certificate, &stop).await?;
        let serving = tokio::spawn(listener::serve(listener, self.0.router(member), stop.subscribe()));
        {
            let mut members = self.0.members.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = members.get_mut(member) {
                *at = Member { address, certificate, stop, serving: Some(serving) };
            }
        }
        self.0.parts.world.with(|world| {
            let host = self.0.inner().standing.hosts.get(member).copied();
            if let Some(host) = host.and_then(|host| world.hosts.get_mut(&host)) {
                host.link = Link::Connected;
            }
            world.bump();
        });
        Ok(())
    }

    /// Makes another member the master, as `pool.designate_new_master` or an emergency does: sessions and
    /// tasks of the old one are gone.
    pub fn promote(&self, member: usize) {
        self.0.promote(member);
    }

    /// What was imported into a VDI.
    pub fn imported(&self, vdi: uuid::Uuid) -> Option<bytes::Bytes> {
        self.0.inner().tables.contents.get(&vdi).cloned()
    }
}

impl Front {
    /// See [`PoolControl::promote`].
    pub(super) fn promote(&self, member: usize) {
        self.parts.world.with(|world| {
            let mut inner = self.inner();
            if member < inner.standing.hosts.len() && inner.standing.master != member {
                inner.lead(world, member);
            }
        });
        self.nudge();
    }

    /// Stops all listeners; what is to be awaited.
    pub(super) fn stop_members(&self) -> Vec<JoinHandle<()>> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members
            .iter_mut()
            .filter_map(|member| {
                member.stop.send_replace(true);
                member.serving.take()
            })
            .collect()
    }
}
