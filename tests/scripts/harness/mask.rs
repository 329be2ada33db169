//! What differs from run to run is masked: digests, ids, ports, dates.

use std::sync::LazyLock;

use regex_lite::Regex;

struct Masks {
    rules: Vec<(Regex, &'static str)>,
    approve: Regex,
}

static MASKS: LazyLock<Masks> = LazyLock::new(|| {
    let rule = |pattern: &str, to: &'static str| (Regex::new(pattern).expect("a pattern"), to);
    Masks {
        rules: vec![
            rule(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
            rule(r"sha256:[0-9a-f]{8,64}", "sha256:<digest>"),
            rule(r"\b[0-9a-f]{12,64}\b", "<digest>"),
            rule(r"retired-\d{8}", "retired-<date>"),
            rule(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
            rule(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "<time>"),
            rule(r"\d{4}-\d\d-\d\d", "<date>"),
            rule(r"127\.0\.0\.1:\d+", "127.0.0.1:<port>"),
            rule(r"\bin \d+(\.\d+)? ?m?s\b", "in <duration>"),
            rule(r"  \d+(\.\d+)? (ms|s|min)$", ""),
            rule(r"\bvm-\d+\b", "vm-<n>"),
            rule(r"00:50:56:[0-9a-f:]{8}", "<mac>"),
        ],
        approve: Regex::new(r"--approve ([0-9a-f]{12,64})").expect("a pattern"),
    }
});

/// Masks one line.
pub fn mask(line: &str) -> String {
    MASKS.rules.iter().fold(line.to_owned(), |line, (pattern, to)| pattern.replace_all(&line, *to).into_owned())
}

/// The last digest that an output asks to approve.
pub fn digest_asked_for(text: &str) -> Option<String> {
    MASKS.approve.captures_iter(text).last().map(|found| found[1].to_owned())
}
