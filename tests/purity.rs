//! Where things may happen: the core is pure, time and chance have one home each, the lab knows no provider.
//!
//! Source text is read as tokens (`purity/tokens.rs`), so a word in a comment, a string or a doc test is no finding.
//! Test code inside `src` is left out: it may read files. Each rule is first shown to catch a planted line.

#[path = "purity/rules.rs"]
mod rules;
#[path = "purity/tokens.rs"]
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use rules::{core_finding, lab_finding, time_or_chance_finding};
use tokens::{Token, production_tokens};

/// Modules of the pure core: `src/NAME.rs` or `src/NAME/`.
const CORE: [&str; 9] = ["model", "diagnostic", "manifest", "mark", "inventory", "diff", "plan", "gate", "import"];

/// Where the core may use threads: scoped ones, which end before anything of it is seen.
const THREADS: &str = "src/plan/halves.rs";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder, in order; build output and version control aside.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_symlink() || ["target", ".git"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let test = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
    files(folder).into_iter().filter(|path| rust(path) && !test(path)).collect()
}

fn core_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for module in CORE {
        let before = found.len();
        found.extend(Some(root().join(format!("src/{module}.rs"))).filter(|path| path.exists()));
        found.extend(sources(&root().join("src").join(module)));
        assert!(found.len() > before, "the core module `{module}` is nowhere: is the list in this test stale?");
    }
    found
}

/// Findings of a rule in files, as `path:line: what`.
fn findings(paths: &[PathBuf], rule: fn(&[Token], usize) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths {
        let tokens = production_tokens(&fs::read_to_string(path).unwrap());
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let hits = (0..tokens.len()).filter_map(|at| Some((tokens[at].line, rule(&tokens, at)?)));
        found.extend(hits.map(|(line, what)| format!("{shown}:{line}: {what}")));
    }
    found
}

fn caught(rule: fn(&[Token], usize) -> Option<String>, source: &str) -> bool {
    let tokens = production_tokens(source);
    (0..tokens.len()).any(|at| rule(&tokens, at).is_some())
}

#[test]
fn the_core_does_no_io_and_knows_no_time_chance_or_log() {
    let (threads, found): (Vec<_>, Vec<_>) = findings(&core_sources(), core_finding).into_iter().partition(|found| {
        found.starts_with(&format!("{THREADS}:")) && found.ends_with("std::thread in the pure core")
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(threads.len(), 1, "{THREADS} is the one home of threads in the core");
}

#[test]
fn only_clock_and_ids_call_now_and_random() {
    // The lab's clock is its own on purpose: it can be made to jump, and it shares nothing with the product.
    let homes = ["src/clock.rs", "src/ids.rs", "src/lab/clock.rs"].map(|path| root().join(path));
    for home in &homes {
        assert!(home.exists(), "{} is where time or chance comes from", home.display());
    }
    let paths: Vec<_> = sources(&root().join("src")).into_iter().filter(|path| !homes.contains(path)).collect();
    let found = findings(&paths, time_or_chance_finding);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_lab_shares_nothing_with_the_providers() {
    let paths = sources(&root().join("src/lab"));
    assert!(!paths.is_empty(), "the lab is nowhere: is this test stale?");
    let found = findings(&paths, lab_finding);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_file_names_the_place_where_it_was_written() {
    // In pieces, so that this file is clean itself.
    let places = [["/wo", "rk/"], ["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"]].map(|pieces| pieces.concat());
    let mut found = Vec::new();
    for path in files(&root()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            let begins_path = |place: &String| {
                line.match_indices(place.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|before: char| before.is_alphanumeric() || ".-_~}$/".contains(before))
                })
            };
            if places.iter().any(begins_path) {
                found.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_impurity_would_be_caught() {
    let planted = [
        "async fn plan() {}",
        "let vms = collect().await;",
        "use tokio::sync::watch;",
        "use std::fs;",
        "use std::{collections::BTreeMap, fs::File};",
        "let text = std::fs::read_to_string(path);",
        "use std::net::TcpStream;",
        "use std::net::{IpAddr, UdpSocket};",
        "let home = std::env::var(\"HOME\");",
        "std::process::exit(1);",
        "use std::time::{Duration, Instant};",
        "use std::time::SystemTime;",
        "use std::thread;",
        "use std::io::Write;",
        "let at = Timestamp::now();",
        "let at = clock.now();",
        "let n: u8 = rand::random();",
        "let id = Uuid::new_v4();",
        "tracing::info!(\"planned\");",
        "log::warn!(\"odd\");",
        "println!(\"{plan}\");",
        "eprintln!(\"{plan}\");",
        "dbg!(plan);",
        "let client = reqwest::Client::new();",
        "sqlx::query(\"select 1\");",
        "use crate::provider::Provider;",
        "use crate::{model::Bytes, journal::Journal};",
    ];
    for line in planted {
        assert!(caught(core_finding, line), "not caught: {line}");
    }
    for line in ["jiff::Timestamp::now()", "Instant::now()", "Uuid::new_v4()", "rand::rng()", "StdRng::from_os_rng()"] {
        assert!(caught(time_or_chance_finding, line), "not caught: {line}");
    }
    for line in ["use crate::provider::vsphere;", "use crate::{model, provider};", "super::super::provider::connect()"]
    {
        assert!(caught(lab_finding, line), "not caught: {line}");
    }
}

#[test]
fn words_that_do_nothing_are_no_finding() {
    let innocent = [
        "// Timestamp::now() is not called here, nor std::fs",
        "/* async /* println!(nested) */ await */",
        "/// ```\n/// tokio::main\n/// ```",
        "let text = \"std::fs and println!\";",
        "let raw = r#\"async \"quoted\" await\"#;",
        "let c = '\"'; let lifetime: &'static str = \"tokio\";",
        "use std::net::IpAddr;",
        "use std::net::{IpAddr, Ipv4Addr};",
        "use std::time::Duration;",
        "pub now: Timestamp,",
        "let age = input.now.duration_since(since);",
        "#[cfg(test)]\nmod tests { fn look() { println!(\"{}\", std::fs::read_to_string(\"x\").unwrap()); } }",
    ];
    for source in innocent {
        let tokens = production_tokens(source);
        let finding = (0..tokens.len()).find_map(|at| core_finding(&tokens, at));
        assert_eq!(finding, None, "{source}");
    }
    assert!(!caught(time_or_chance_finding, "let at = self.clock.now();"), "asking the clock is the way");
    assert!(caught(core_finding, "#[cfg(test)]\nmod tests { fn a() {} }\nuse std::fs;"), "code after test code counts");
}
