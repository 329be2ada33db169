//! Recorded traffic of real Windows hosts, read by the code that reads it in earnest.
//!
//! The recordings stand beside the project (`../shared/reference`, or `$TIERWRIGHT_REFERENCE`) and are not part of it;
//! without them the tests say what they skip.

use std::path::PathBuf;

use bytes::Bytes;
use serde_yaml::Value;

use super::fault::{ASK_AGAIN, Failure, Fault};
use super::wsman::Answer;
use crate::provider::ErrorKind;

/// The folder of recordings.
fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("TIERWRIGHT_REFERENCE")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference")), PathBuf::from);
    let folder = root.join("hyperv/recorded");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("TIERWRIGHT_PEERS").as_deref() != Ok("required"), "no recordings at {}", folder.display());
    eprintln!("skipped: no recorded Windows traffic at {}", folder.display());
    None
}

/// Every answer of every recording: file name, body.
fn answers() -> Option<Vec<(String, String)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder()?).unwrap() {
        let path = entry.unwrap().path();
        let recording: Value = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for message in recording["messages"].as_sequence().into_iter().flatten() {
            if let Some(response) = message["response"].as_str() {
                all.push((path.file_name().unwrap().to_string_lossy().into_owned(), response.to_owned()));
            }
        }
    }
    Some(all)
}

/// The faults of one recording.
fn faults(name: &str) -> Option<Vec<Fault>> {
    let mine = answers()?.into_iter().filter(|(file, _)| file == name);
    Some(
        mine.filter_map(|(_, body)| match Answer::judge(Bytes::from(body)) {
            Err(Failure::Fault(fault)) => Some(fault),
            _ => None,
        })
        .collect(),
    )
}

#[test]
fn every_recorded_answer_is_an_answer_or_a_fault_with_code_and_words() {
    let Some(answers) = answers() else { return };
    let (mut good, mut bad) = (0, 0);
    for (file, body) in answers {
        match Answer::judge(Bytes::from(body)) {
            Ok(answer) => match answer.instance(|_| ()) {
                Ok(()) => good += 1,
                // A DeleteResponse has an empty body.
                Err(Failure::Senseless(why)) if why.contains("without an instance") => good += 1,
                Err(failure) => panic!("{file}: {failure}"),
            },
            Err(Failure::Fault(fault)) => {
                assert!(fault.code > 0 && !fault.words.is_empty() && fault.kind != "Fault", "{file}: {fault}");
                bad += 1;
            }
            Err(failure) => panic!("{file}: {failure}"),
        }
    }
    assert!(good > 80 && bad >= 5, "{good} answers and {bad} faults");
}

#[test]
fn ask_again_is_told_by_its_code() {
    let Some(faults) = faults("test_winrs_operation_timeout.yml") else { return };
    assert!(!faults.is_empty());
    for fault in faults {
        assert_eq!((fault.code, fault.kind.as_str()), (ASK_AGAIN, "TimedOut"));
        assert_eq!(fault.error_kind(), ErrorKind::Unreachable);
    }
}

#[test]
fn unknown_selectors_are_not_found_in_the_hosts_words() {
    let Some(faults) = faults("test_winrs_bad_cmd_id.yml") else { return };
    assert_eq!(faults[0].error_kind(), ErrorKind::NotFound);
    assert!(faults[0].to_string().starts_with("The Windows Remote Shell received a request"), "{}", faults[0]);
    assert!(faults[0].to_string().ends_with("(InvalidSelectors 2150858843)"), "{}", faults[0]);
}

#[test]
fn a_provider_behind_winrm_speaks_through_the_fault() {
    let Some(faults) = faults("test_winrs_no_cmd_shell.yml") else { return };
    assert_eq!(faults[0].error_kind(), ErrorKind::NotFound);
    assert!(faults[0].words.starts_with("The system cannot find the file specified."));
}
