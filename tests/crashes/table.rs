//! The table; what fails, and which scenario has had all its cases, is told as it happens.

use crate::case::{Dry, Result};
use crate::judge::Finding;

/// One scenario on one kind of endpoint.
pub struct Row {
    kind: &'static str,
    scenario: &'static str,
    points: usize,
    all: usize,
    cases: usize,
    killed: usize,
    twins: usize,
    losses: usize,
    astray: usize,
    /// Did everything end well?
    pub clean: bool,
}

impl Row {
    /// Of a run in peace: no case has run yet.
    pub fn of(dry: &Dry) -> Self {
        let mut row = Self {
            kind: dry.kind.name,
            scenario: dry.scenario.name,
            points: dry.points(),
            all: dry.cases().len(),
            cases: 0,
            killed: 0,
            twins: 0,
            losses: 0,
            astray: 0,
            clean: true,
        };
        if let Some(problem) = &dry.problem {
            row.failed("in peace", problem);
        }
        row
    }

    /// Counts a case.
    pub fn add(&mut self, case: &str, result: Result) {
        self.cases += 1;
        self.killed += usize::from(result.killed);
        let has = |is: fn(&Finding) -> bool| usize::from(result.findings.iter().any(is));
        self.twins += has(|finding| matches!(finding, Finding::Twin(_)));
        self.losses += has(|finding| matches!(finding, Finding::Loss(_)));
        let differs = has(|finding| matches!(finding, Finding::Differs(_)));
        self.astray += differs.max(usize::from(result.unsettled.is_some()));
        let said = result.findings.iter().map(|finding| match finding {
            Finding::Twin(text) | Finding::Loss(text) | Finding::Differs(text) => text.clone(),
        });
        let said: Vec<String> = result.unsettled.into_iter().chain(said).collect();
        if !said.is_empty() {
            self.failed(case, &said.join("\n"));
        }
        if self.cases == self.all {
            println!("{}: {}: all {} cases", self.kind, self.scenario, self.all);
        }
    }

    /// Told at once: the table may be long in coming.
    fn failed(&mut self, case: &str, problem: &str) {
        self.clean = false;
        println!("FAILED {}: {}, {case}\n{problem}\n", self.kind, self.scenario);
    }
}

/// Prints the table.
pub fn print(rows: &[Row], seed: u64) {
    let line = |cells: [&str; 8]| {
        println!(
            "{:<10} {:<28} {:>7} {:>12} {:>7} {:>6} {:>7} {:>14} ",
            cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], cells[7]
        );
    };
    line(["endpoint", "scenario", "points", "cases", "killed", "twins", "losses", "not converged"]);
    for row in rows {
        line([
            row.kind,
            row.scenario,
            &row.points.to_string(),
            &format!("{} of {}", row.cases, row.all),
            &row.killed.to_string(),
            &row.twins.to_string(),
            &row.losses.to_string(),
            &row.astray.to_string(),
        ]);
    }
    let sum = |of: fn(&Row) -> usize| rows.iter().map(of).sum::<usize>().to_string();
    let cases = format!("{} of {}", sum(|row| row.cases), sum(|row| row.all));
    line([
        "all",
        &format!("seed {seed}"),
        &sum(|row| row.points),
        &cases,
        &sum(|row| row.killed),
        &sum(|row| row.twins),
        &sum(|row| row.losses),
        &sum(|row| row.astray),
    ]);
}
