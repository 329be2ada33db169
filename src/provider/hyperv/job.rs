//! Jobs: work that goes on after a method has answered, followed to its end.
//!
//! A host tells of a job only when asked, so it is asked: soon at first, since most jobs take less than a second, and
//! then ever more seldom. Its class is the one the reference names: jobs of disks are Msvm_StorageJob, which is no
//! Msvm_ConcreteJob (`reference/hyperv/README.md`, "Jobs").

use std::time::Duration;

use super::cim::{Instance, Reference};
use super::client::Client;
use super::fault::{Failure, Fault};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a job tells of itself (Msvm_ConcreteJob.JobState).
#[derive(Debug, PartialEq, Eq)]
enum State {
    Going(Option<u8>),
    Done,
    Failed(Fault),
}

fn state(job: &Instance<'_>) -> State {
    match job.number("JobState") {
        // New, starting, running, suspended, shutting down.
        Some(2..=6) => State::Going(job.number("PercentComplete").and_then(|percent| u8::try_from(percent).ok())),
        // Completed; completed with warnings.
        Some(7 | 32_768) => match job.number("ErrorCode") {
            None | Some(0) => State::Done,
            Some(code) => State::Failed(failed(job, code)),
        },
        _ => State::Failed(failed(job, job.number("ErrorCode").unwrap_or(0))),
    }
}

fn failed(job: &Instance<'_>, code: u64) -> Fault {
    let told = ["ErrorDescription", "ErrorSummaryDescription", "JobStatus"].map(|name| job.word(name).trim());
    let words = told.into_iter().find(|text| !text.is_empty()).unwrap_or("the job failed");
    Fault { code, kind: "Job".to_owned(), words: words.to_owned() }
}

/// Waits for a job's end. The job goes on whatever we do, so whatever keeps us from seeing its end leaves its outcome
/// open: it is then told as lost.
pub(super) async fn wait(client: &Client, job: &Reference, told: &(dyn Fn(Option<u8>) + Sync)) -> Result<(), Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        match client.get(job.clone(), state).await {
            Ok(State::Done) => return Ok(()),
            Ok(State::Failed(fault)) => return Err(Failure::Fault(fault)),
            Ok(State::Going(percent)) => told(percent),
            Err(failure) => return Err(Failure::lost(format!("its job cannot be followed: {failure}"))),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Element, Limits};

    fn of(properties: &str) -> State {
        let xml = format!("<Msvm_ConcreteJob>{properties}</Msvm_ConcreteJob>");
        state(&Instance(Element::parse(xml.as_bytes(), Limits::ANSWER).unwrap()))
    }

    #[test]
    fn a_job_is_done_only_when_it_says_so_without_an_error() {
        assert_eq!(of("<JobState>7</JobState><ErrorCode>0</ErrorCode>"), State::Done);
        assert_eq!(of("<JobState>4</JobState><PercentComplete>30</PercentComplete>"), State::Going(Some(30)));
        for failed in [
            "<JobState>10</JobState><ErrorCode>32768</ErrorCode><ErrorDescription>words</ErrorDescription>",
            "<JobState>7</JobState><ErrorCode>32768</ErrorCode><ErrorDescription>words</ErrorDescription>",
        ] {
            let State::Failed(fault) = of(failed) else { panic!("{failed}") };
            assert_eq!(fault.to_string(), "words (job error 32768)");
        }
        assert!(matches!(of(""), State::Failed(_)));
    }
}
