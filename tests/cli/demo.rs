//! The demo is a test of everything at once.

use crate::harness::Bench;

#[test]
fn the_demo_ends_by_itself_with_every_claim_held() {
    let bench = Bench::new();
    let ran = bench.run(&["demo", "--once"]).expect(0);
    assert!(ran.stdout.contains("claims held."), "{}", ran.stdout);
    assert!(!ran.stdout.contains("NOT SO"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'), "no colour in a pipe");
}
