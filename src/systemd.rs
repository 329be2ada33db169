//! The protocol of sd_notify(3): tells systemd that the service is ready, reloads, stops, is alive, and what it does.
//!
//! A datagram to the socket that `$NOTIFY_SOCKET` names, each line an assignment. Without that variable nothing is told
//! and nothing fails: the service may run under anything. Nothing here judges or waits; a manager that does not read is
//! not waited for either.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where to tell, if anywhere.
#[derive(Debug, Default)]
pub struct Systemd {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
    said: String,
}

impl Systemd {
    /// As the environment says: `$NOTIFY_SOCKET`, `$WATCHDOG_USEC`, `$WATCHDOG_PID`.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let socket = variable("NOTIFY_SOCKET").and_then(|address| {
            connect(&address)
                .inspect_err(|error| tracing::warn!(%error, "$NOTIFY_SOCKET cannot be used: systemd is told nothing"))
                .ok()
        });
        // Set for another process when it was handed down.
        let ours = variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC").filter(|_| ours && socket.is_some());
        let watchdog = watchdog.and_then(|text| text.parse().ok()).filter(|usec| *usec > 0).map(Duration::from_micros);
        Self { socket, watchdog, said: String::new() }
    }

    /// How often to say that all is well: twice in the time after which the service would be killed.
    pub fn alive_every(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// It has started, or is done reloading.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// It reads its settings again; `monotonic` is CLOCK_MONOTONIC in microseconds, which
    /// systemd compares with its own.
    pub fn reloading(&self, monotonic: u64) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={monotonic}"));
    }

    /// It is ending.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// It is alive.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
        }
    }

    /// What it does, for `systemctl status`; said once.
    pub fn status(&mut self, text: &str) {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
        if self.socket.is_some() && line != self.said {
            self.tell(&format!("STATUS={line}"));
            self.said = line;
        }
    }

    fn tell(&self, text: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(text.as_bytes()) {
            tracing::debug!(%error, "systemd was not told");
        }
    }
}

/// A path, or `@NAME` in the abstract namespace.
fn connect(address: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match address.strip_prefix('@') {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(address)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that is told, and what it is told.
    fn told(watchdog: Option<Duration>) -> (Systemd, UnixDatagram, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let socket = connect(path.to_str().unwrap()).unwrap();
        (Systemd { socket: Some(socket), watchdog, said: String::new() }, manager, dir)
    }

    fn next(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn each_word_is_one_datagram_and_a_status_is_said_once() {
        let (mut systemd, manager, _dir) = told(Some(Duration::from_secs(30)));
        systemd.ready();
        systemd.reloading(1_234);
        systemd.status("2 of 3 endpoints\nanswer");
        systemd.status("2 of 3 endpoints\nanswer");
        systemd.alive();
        systemd.stopping();
        assert_eq!(next(&manager), "READY=1");
        assert_eq!(next(&manager), "RELOADING=1\nMONOTONIC_USEC=1234");
        assert_eq!(next(&manager), "STATUS=2 of 3 endpoints answer");
        assert_eq!(next(&manager), "WATCHDOG=1");
        assert_eq!(next(&manager), "STOPPING=1");
    }

    #[test]
    fn without_a_watchdog_nothing_is_said_of_being_alive() {
        let (systemd, manager, _dir) = told(None);
        assert_eq!(systemd.alive_every(), None);
        systemd.alive();
        systemd.stopping();
        assert_eq!(next(&manager), "STOPPING=1");
    }

    #[test]
    fn a_manager_that_does_not_read_is_not_waited_for() {
        let (systemd, _manager, _dir) = told(None);
        for _ in 0..10_000 {
            systemd.ready();
        }
    }
}
