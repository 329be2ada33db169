//! The status file, kept up with the status by a task of its own: at once, then a second after it is no longer so.
//!
//! An endpoint that is asked, its answer, the plan made from it and the end of that cycle are four
//! changes and one news: all that comes within the second is one writing. That an endpoint is being asked
//! is news only when it takes long.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::sync::watch::error::RecvError;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::session::Session;
use crate::shutdown::Shutdown;
use crate::status::{Conditions, Status, StatusFile};

/// From a change to its writing: a run of a thousand steps tells of each.
const TOGETHER: Duration = Duration::from_secs(1);

/// From a question to its writing: most are answered sooner, and that is then written.
const ASKED_LONG: Duration = Duration::from_secs(10);

/// The task.
pub(super) struct Publishing {
    stop: Shutdown,
    task: JoinHandle<()>,
}

impl Publishing {
    /// Begins.
    pub(super) fn begin(status: channel::Receiver<Status>, session: &Arc<Session>) -> Self {
        let (settings, stop) = (session.settings(), Shutdown::new());
        let publisher = Publisher {
            state_dir: settings.state_dir.clone(),
            installation: settings.installation.clone(),
            clock: session.clock().clone(),
            conditions: None,
            failed: false,
        };
        let task = tokio::spawn(publisher.run(status, stop.clone()));
        Self { stop, task }
    }

    /// Writes what stands at the end, and ends; waits no longer than this.
    pub(super) async fn end(self, grace: Duration) {
        self.stop.request();
        if tokio::time::timeout(grace, self.task).await.is_err() {
            tracing::debug!("the status file could not be written in time");
        }
    }
}

struct Publisher {
    state_dir: PathBuf,
    installation: String,
    clock: Clock,
    /// As written last: they say since when.
    conditions: Option<Conditions>,
    failed: bool,
}

impl Publisher {
    async fn run(mut self, mut status: channel::Receiver<Status>, stop: Shutdown) {
        while !stop.requested() {
            let now = status.borrow_and_update().clone();
            self.write(now.clone()).await;
            tokio::select! {
                due = is_due(&mut status, &now) => if due.is_err() { return },
                () = stop.wait() => {}
            }
        }
        let last = status.borrow().clone();
        self.write(last).await;
    }

    async fn write(&mut self, status: Status) {
        let file = StatusFile::of(status, &self.installation, self.conditions.as_ref(), self.clock.now());
        self.conditions = Some(file.conditions.clone());
        let state_dir = self.state_dir.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&state_dir)).await;
        let error = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        match &error {
            Some(error) if !self.failed => tracing::warn!(error, "the status file cannot be written"),
            None if self.failed => tracing::info!("the status file is written again"),
            _ => {}
        }
        self.failed = error.is_some();
    }
}

/// Returns when what was written is to be written anew.
async fn is_due(status: &mut channel::Receiver<Status>, written: &Status) -> Result<(), RecvError> {
    status.changed().await?;
    let mut due = crate::clock::instant() + ASKED_LONG;
    loop {
        if is_news(&status.borrow_and_update(), written) {
            due = due.min(crate::clock::instant() + TOGETHER);
        }
        tokio::select! {
            () = tokio::time::sleep_until(due) => return Ok(()),
            changed = status.changed() => changed?,
        }
    }
}

/// Has more changed than who is being asked?
fn is_news(now: &Status, written: &Status) -> bool {
    let mut but_asking = now.clone();
    for (name, endpoint) in &mut but_asking.endpoints {
        endpoint.asking = written.endpoints.get(name).is_some_and(|written| written.asking);
    }
    but_asking != *written
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::events::Event;
    use crate::model::EndpointName;

    fn vc() -> EndpointName {
        EndpointName::new("vc").unwrap()
    }

    fn answered() -> Event {
        Event::Collected { endpoint: vc(), vms: 1, product: Some("vCenter".into()), why: None }
    }

    /// A status, and how often it would have been written.
    struct Told {
        status: channel::Sender<Status>,
        writings: Arc<AtomicU32>,
        asked: i64,
    }

    impl Told {
        fn new() -> Self {
            let mut known = Status::default();
            known.fold(&answered(), jiff::Timestamp::UNIX_EPOCH);
            let status = channel::Sender::new(known);
            let (writings, mut reader) = (Arc::new(AtomicU32::new(0)), status.subscribe());
            let counted = Arc::clone(&writings);
            let mut written = reader.borrow_and_update().clone();
            tokio::spawn(async move {
                while is_due(&mut reader, &written).await.is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                    written = reader.borrow_and_update().clone();
                }
            });
            Self { status, writings, asked: 0 }
        }

        fn ask(&mut self) {
            self.asked += 1;
            self.fold(&Event::CollectStarted { endpoint: vc() });
        }

        async fn answer_after(&self, time: Duration) {
            tokio::time::sleep(time).await;
            self.fold(&answered());
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.status.send_modify(|status| status.cycles += 1);
            tokio::time::sleep(Duration::from_mins(1)).await;
        }

        fn fold(&self, event: &Event) {
            let at = jiff::Timestamp::from_second(self.asked).unwrap();
            self.status.send_modify(|status| status.fold(event, at));
        }

        fn writings(&self) -> u32 {
            self.writings.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_asked_its_answer_and_the_cycle_that_follows_are_one_writing() {
        let mut told = Told::new();
        for cycle in 1..=3 {
            told.ask();
            told.answer_after(Duration::from_secs(4)).await;
            assert_eq!(told.writings(), cycle);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_takes_long_to_answer_is_told_of_before_it_does() {
        let mut told = Told::new();
        told.ask();
        tokio::time::sleep(ASKED_LONG * 2).await;
        assert_eq!(told.writings(), 1);
        told.answer_after(Duration::from_secs(1)).await;
        assert_eq!(told.writings(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_all_the_time_is_written_once_a_second() {
        let told = Told::new();
        for _ in 0..100 {
            tokio::time::sleep(TOGETHER / 10).await;
            told.status.send_modify(|status| status.cycles += 1);
        }
        assert!((8..=10).contains(&told.writings()), "{}", told.writings());
    }
}
