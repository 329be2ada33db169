//! The budgets of the product, measured in one run and printed as one table: `cargo bench --bench budgets`.
//!
//! What talks to hypervisors is measured against the lab in a process of its own, and where the budget is a ratio, side
//! by side with a bare HTTP client that sends the same calls and throws the answers away. `-- service` adds the service
//! with 10,000 VMs, which takes some ten minutes. Figures of a noisy machine are noise: ratios and medians say more.
//!
//! ```text
//! budgets/lab.rs    a lab process      budgets/bare.rs     the bare client      budgets/pure.rs  what needs no server
//! budgets/wire.rs   inventories        budgets/service.rs  `serve`, from a file saved to its plan, and idle
//! ```

#![expect(clippy::cast_precision_loss, reason = "figures for people")]
#![expect(clippy::disallowed_methods, reason = "a bench measures time, and waits for it to pass")]

#[path = "budgets/bare.rs"]
mod bare;
mod fleet;
#[path = "budgets/lab.rs"]
mod lab;
#[path = "budgets/pure.rs"]
mod pure;
#[path = "budgets/service.rs"]
mod service;
mod texts;
#[path = "budgets/wire.rs"]
mod wire;

use std::time::Duration;

/// One line of the table.
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What it may be, and what it is; in the same unit.
    pub budget: Measure,
    /// What it is.
    pub measured: f64,
    /// Behind the figure, for a person.
    pub note: String,
}

/// A limit and its unit.
#[derive(Clone, Copy)]
pub enum Measure {
    /// Milliseconds.
    Milliseconds(f64),
    /// A ratio to something else in the same run.
    Times(f64),
    /// Bytes.
    Bytes(f64),
    /// Percent of a core.
    Percent(f64),
    /// No budget: told for its own sake, in milliseconds.
    Told,
}

impl Measure {
    fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds(_) | Self::Told => format!("{value:.1} ms"),
            Self::Times(_) => format!("{value:.2} x"),
            Self::Bytes(_) if value >= 1e6 => format!("{:.1} MB", value / 1e6),
            Self::Bytes(_) => format!("{value:.0} B"),
            Self::Percent(_) => format!("{value:.2} %"),
        }
    }

    fn limit(self) -> Option<f64> {
        match self {
            Self::Milliseconds(limit) | Self::Times(limit) | Self::Bytes(limit) | Self::Percent(limit) => Some(limit),
            Self::Told => None,
        }
    }
}

impl Row {
    /// A row without a note.
    pub fn new(what: impl Into<String>, budget: Measure, measured: f64) -> Self {
        Self { what: what.into(), budget, measured, note: String::new() }
    }

    /// With a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// The middle of several measurements.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// In milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be made");
    let wanted = |word: &str| words.is_empty() || words.iter().any(|given| given == word);
    if wanted("pure") {
        show("without a server", pure::rows());
    }
    if wanted("wire") {
        // On a worker, as `serve` collects: elsewhere each batch of an answer is handed over between threads.
        let rows = runtime.block_on(async { tokio::spawn(wire::rows()).await });
        show("over the wire", rows.expect("no bench panics"));
    }
    if words.iter().any(|word| word == "service") {
        show("the service", runtime.block_on(service::rows()));
    }
}

fn show(title: &str, rows: Vec<Row>) {
    println!("\n{title:<62} {:>10} {:>12}  ", "budget", "measured");
    for Row { what, budget, measured, note } in rows {
        let limit = budget.limit();
        let verdict = match limit {
            Some(limit) if measured > limit => "OVER",
            Some(_) => "ok",
            None => "",
        };
        let limit = limit.map(|limit| budget.show(limit)).unwrap_or_default();
        println!("{what:<62} {limit:>10} {:>12}  {verdict:<4} {note}", budget.show(measured));
    }
}
