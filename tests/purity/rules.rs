//! What is looked for, at one place in the tokens of a file.

use super::tokens::Token;

/// Words that have no business in the core, whatever stands around them.
const WORDS: [&str; 22] = [
    "async",
    "await",
    "tokio",
    "futures_util",
    "reqwest",
    "rustls",
    "hyper",
    "axum",
    "sqlx",
    "rand",
    "getrandom",
    "tracing",
    "println",
    "eprintln",
    "print",
    "eprint",
    "dbg",
    "Instant",
    "SystemTime",
    "new_v4",
    "now_v7",
    "notify",
];
/// Parts of std that reach outside.
const OUTSIDE: [&str; 7] = ["fs", "env", "process", "thread", "io", "os", "sync_channel"];
/// The only parts of `std::net` that are plain values.
const NET_VALUES: [&str; 4] = ["IpAddr", "Ipv4Addr", "Ipv6Addr", "AddrParseError"];
/// Modules of the edge: the flow goes from the core to them, never back. `provider` too, which builds on the plan.
const EDGE: [&str; 13] = [
    "source",
    "provider",
    "lab",
    "xml",
    "tls",
    "collect",
    "apply",
    "journal",
    "reconciler",
    "cli",
    "settings",
    "clock",
    "ids",
];
/// Ways to draw a random number.
const CHANCE: [&str; 9] =
    ["new_v4", "now_v7", "now_v1", "OsRng", "SysRng", "from_os_rng", "from_rng", "getrandom", "thread_rng"];

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// What follows a path's `::` at `at`: one name, or each first name of a group in braces.
fn next_names(tokens: &[Token], at: usize) -> Vec<&str> {
    if text(tokens, at) != "::" {
        return Vec::new();
    }
    if text(tokens, at + 1) != "{" {
        return vec![text(tokens, at + 1)];
    }
    let (mut names, mut depth, mut first) = (Vec::new(), 1, true);
    for token in &tokens[at + 2..] {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," if depth == 1 => first = true,
            name if depth == 1 && first => {
                names.push(name);
                first = false;
            }
            _ => {}
        }
    }
    names
}

/// Something that the core must not do.
pub fn core_finding(tokens: &[Token], at: usize) -> Option<String> {
    let word = text(tokens, at);
    let after = next_names(tokens, at + 1);
    let bad = |what: String| Some(format!("{what} in the pure core"));
    match word {
        _ if WORDS.contains(&word) => bad(word.to_owned()),
        "log" if !after.is_empty() => bad("log".to_owned()),
        "now" if text(tokens, at + 1) == "(" => bad("now()".to_owned()),
        "std" => after.into_iter().find(|name| OUTSIDE.contains(name)).and_then(|name| bad(format!("std::{name}"))),
        "net" => {
            let name = after.into_iter().find(|name| !NET_VALUES.contains(name))?;
            bad(format!("std::net::{name}"))
        }
        "crate" => after.into_iter().find(|name| EDGE.contains(name)).and_then(|name| bad(format!("crate::{name}"))),
        _ => None,
    }
}

/// Time or chance that does not come from its home. `clock.now()` is the way and no finding.
pub fn time_or_chance_finding(tokens: &[Token], at: usize) -> Option<String> {
    let word = text(tokens, at);
    let called = |name: &str| text(tokens, at + 1) == "::" && text(tokens, at + 2) == name;
    match word {
        _ if CHANCE.contains(&word) => Some(format!("{word} outside ids.rs")),
        "rand" if called("rng") || called("random") => Some("rand outside ids.rs".to_owned()),
        "clock" | "Self" => None,
        _ if called("now") => Some(format!("{word}::now outside clock.rs")),
        _ => None,
    }
}

/// Code shared with what the lab is to judge.
pub fn lab_finding(tokens: &[Token], at: usize) -> Option<String> {
    let root = matches!(text(tokens, at), "crate" | "tierwright" | "super");
    let named = root && next_names(tokens, at + 1).contains(&"provider");
    named.then(|| "the lab uses crate::provider".to_owned())
}
