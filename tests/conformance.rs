//! One suite for all providers: each line of the contract in `provider/mod.rs`, run unchanged on every provider through
//! its real client, against the lab and against third-party servers where there are some.
//!
//! Prints case by provider. A case is skipped only for a capability that the provider says it lacks; more than three
//! skips of one provider fail. A new hypervisor is one line in `subjects()`.

#[path = "conformance/cases.rs"]
mod cases;
#[path = "conformance/faults.rs"]
mod faults;
#[path = "conformance/hyperv.rs"]
mod hyperv;
#[path = "vcsim/peer.rs"]
mod peer;
#[path = "conformance/pool.rs"]
mod pool;
#[path = "conformance/recorder.rs"]
mod recorder;
#[path = "conformance/subject.rs"]
mod subject;

use cases::CASES;
use subject::Subject;

/// Skips that one provider may have.
const MAX_SKIPS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn every_provider_keeps_every_line_of_the_contract() {
    for kind in subject::ALL {
        let Some(probe) = Subject::start(*kind).await else { continue };
        let capabilities = probe.provider.capabilities().await.unwrap();
        drop(probe);
        let mut skips = 0;
        for case in CASES {
            // Each case has a server of its own, so that none leans on another.
            let subject = Subject::start(*kind).await.expect("it was there a moment ago");
            print!("{:<14} {:<76} ", kind.name(), case.name);
            if let Some(lacking) = (case.needs)(&capabilities) {
                skips += 1;
                println!("skipped: no {lacking}");
            } else {
                (case.run)(&subject).await;
                println!("ok");
            }
        }
        assert!(skips <= MAX_SKIPS, "{} skips {skips} cases", kind.name());
    }
}
