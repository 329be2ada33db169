//! The demo is a test of everything at once.

use std::path::Path;

use crate::harness::{Bench, filter};

#[test]
fn the_demo_ends_by_itself_with_every_claim_held() {
    let bench = Bench::new();
    let ran = bench.run(&["demo", "--once"]).expect(0);
    assert!(ran.stdout.contains("claims held."), "{}", ran.stdout);
    assert!(!ran.stdout.contains("NOT SO"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'), "no colour in a pipe");
    let preview = filter(&readme_preview());
    assert!(filter(&ran.stdout).contains(&preview), "README shows what the demo no longer does:\n{preview}");
}

fn readme_preview() -> String {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("part of the crate");
    let block =
        readme.split_once("<!-- preview").and_then(|(_, rest)| rest.split_once("```text\n")).expect("it is there").1;
    let block = block.split_once("```").expect("it ends").0;
    block.strip_prefix("$ tierwright plan\n").expect("it begins with the command").to_owned()
}
