//! 100,000 texts that mean harm to each reader: no panic, and nothing of a mebibyte or less takes over 100 ms.
//!
//! `cargo bench --bench hostile` prints the figures, and fails if one is not met; a number after `--` is another count. What
//! is found is found again by its seed.

#[path = "../support/hostile.rs"]
mod hostile;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostile::{Language, MEBIBYTE, shapes, text};
use tierwright::manifest::{SourceText, compile};
use tierwright::model::Revision;
use tierwright::xml::{Element, Limits};

/// Longest that a mebibyte may take.
const BUDGET: Duration = Duration::from_millis(100);

/// Texts for each reader.
const COUNT: u64 = 100_000;

fn read(language: Language, bytes: Vec<u8>) -> bool {
    match language {
        Language::Yaml => {
            compile(Revision::default(), &[SourceText { path: Arc::from("a.yaml"), bytes: bytes.into() }])
                .desired
                .is_some()
        }
        Language::Xml => Element::parse(&bytes, Limits::ANSWER).is_ok(),
    }
}

/// What was seen of one reader.
#[derive(Default)]
struct Figures {
    texts: u64,
    bytes: usize,
    taken: u64,
    panics: Vec<String>,
    slowest: (Duration, String),
}

impl Figures {
    #[expect(clippy::disallowed_methods, reason = "a stop watch")]
    fn read(&mut self, language: Language, name: &dyn Fn() -> String, bytes: Vec<u8>) {
        self.texts += 1;
        self.bytes += bytes.len();
        let size = bytes.len();
        let began = Instant::now();
        match std::panic::catch_unwind(|| read(language, bytes)) {
            Ok(taken) => self.taken += u64::from(taken),
            Err(_) => self.panics.push(name()),
        }
        let took = began.elapsed();
        if took > self.slowest.0 {
            self.slowest = (took, format!("{}, {size} bytes", name()));
        }
    }

    fn print(&self, language: Language) {
        println!(
            "{:<5} {:>7} texts  {:>5} MiB  {:>6} taken  {} panics  slowest {:>6.1} ms ({})",
            format!("{language:?}"),
            self.texts,
            self.bytes >> 20,
            self.taken,
            self.panics.len(),
            self.slowest.0.as_secs_f64() * 1000.0,
            self.slowest.1,
        );
    }
}

fn main() {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(COUNT);
    let mut met = true;
    for language in [Language::Yaml, Language::Xml] {
        let mut figures = Figures::default();
        for seed in 0..count {
            figures.read(language, &|| format!("seed {seed}"), text(language, seed));
        }
        for (name, bytes) in shapes(language, MEBIBYTE) {
            figures.read(language, &|| format!("{name:?}"), bytes);
        }
        figures.print(language);
        met &= figures.panics.is_empty() && figures.slowest.0 <= BUDGET;
        for panicked in &figures.panics {
            println!("  PANIC at {panicked}");
        }
    }
    if !met {
        println!("not met: no panic, and at most {} ms", BUDGET.as_millis());
        std::process::exit(1);
    }
}
