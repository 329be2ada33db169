//! Collects problems while manifests are read, and turns them into [`Diagnostic`]s at the end.
//!
//! Problems are kept small (file number and position); paths and source lines are looked up once, for files that have
//! problems. Bounded: of one file `PER_FILE` problems are kept and `lines.rs` cuts their lines, so that a hostile file
//! cannot fill the memory with its own echo.

use std::collections::BTreeMap;

use super::SourceText;
use super::codes::{self, Code};
use super::lines::Lines;
use super::tree::Spot;
use crate::diagnostic::{Diagnostic, Related, Severity, escaped};
use crate::model::Origin;

/// Problems told of one file.
const PER_FILE: u32 = 500;

/// Comparisons spent on "did you mean" in one run: enough for hundreds of typing errors against hundreds of names.
const GUESSES: usize = 50_000;

/// A position in one of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the file.
    pub file: u32,
    /// Where in it.
    pub spot: Spot,
}

/// One problem, not yet told.
#[derive(Debug, Clone)]
pub struct Problem {
    place: Place,
    severity: Severity,
    code: &'static Code,
    summary: String,
    hint: Option<String>,
    related: Vec<(Place, String)>,
}

impl Problem {
    /// Says what to do about it.
    pub fn hint(&mut self, text: impl Into<String>) -> &mut Self {
        self.hint = Some(text.into());
        self
    }

    /// Says what was probably meant, if that is known.
    pub fn meant(&mut self, name: Option<&str>) -> &mut Self {
        match name {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// Names another place that belongs to it.
    pub fn related(&mut self, place: Place, label: impl Into<String>) -> &mut Self {
        self.related.push((place, label.into()));
        self
    }
}

/// All problems of a run.
#[derive(Debug)]
pub struct Report {
    problems: Vec<Problem>,
    per_file: BTreeMap<u32, u32>,
    /// Of files with more: where the first of them stands.
    unshown: BTreeMap<u32, Place>,
    count: u64,
    errors: bool,
    guesses: usize,
    unheard: Option<Problem>,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// Without a problem so far.
    pub fn new() -> Self {
        Self {
            problems: Vec::new(),
            per_file: BTreeMap::new(),
            unshown: BTreeMap::new(),
            count: 0,
            errors: false,
            guesses: GUESSES,
            unheard: None,
        }
    }

    /// Notes an error.
    pub fn error(&mut self, place: Place, code: &'static Code, summary: impl Into<String>) -> &mut Problem {
        self.errors = true;
        self.add(place, Severity::Error, code, summary.into())
    }

    /// Notes something that a person should look at.
    pub fn warning(&mut self, place: Place, code: &'static Code, summary: impl Into<String>) -> &mut Problem {
        self.add(place, Severity::Warning, code, summary.into())
    }

    /// Takes over what was told of a file that had no problem here.
    pub(super) fn absorb(&mut self, other: Self) {
        let Self { problems, per_file, unshown, count, errors, guesses: _, unheard: _ } = other;
        self.problems.extend(problems);
        self.per_file.extend(per_file);
        self.unshown.extend(unshown);
        self.count += count;
        self.errors |= errors;
    }

    /// How many problems there are, told or not.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Was there none?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Has this file so many problems that no more are kept? Loops over what a file may hold a million of end then.
    pub fn is_full(&self, file: u32) -> bool {
        self.per_file.get(&file).is_some_and(|told| *told > PER_FILE)
    }

    /// Was there an error?
    pub fn has_errors(&self) -> bool {
        self.errors
    }

    /// The candidate that is nearest to what was written, if one is near.
    pub fn nearest<'c>(&mut self, written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
        if written.len() > 80 || self.guesses == 0 {
            return None;
        }
        let written = written.to_ascii_lowercase();
        let mut best: Option<(f64, &str)> = None;
        for candidate in candidates {
            if candidate.len().abs_diff(written.len()) > 4 {
                continue;
            }
            let Some(left) = self.guesses.checked_sub(1) else { break };
            self.guesses = left;
            let near = strsim::jaro_winkler(&written, &candidate.to_ascii_lowercase());
            if near > 0.84 && best.is_none_or(|(score, _)| near > score) {
                best = Some((near, candidate));
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    /// The problems, by path, line and column, each once.
    pub fn into_diagnostics(self, texts: &[&SourceText]) -> Vec<Diagnostic> {
        let mut lines: Vec<Option<Lines<'_>>> = texts.iter().map(|_| None).collect();
        let mut diagnostics = Vec::with_capacity(self.problems.len());
        for problem in self.problems {
            let (origin, source_line) = locate(problem.place, texts, &mut lines);
            let related = problem.related.into_iter().map(|(place, label)| {
                let (origin, source_line) = locate(place, texts, &mut lines);
                Related { origin, source_line, label }
            });
            diagnostics.push(Diagnostic {
                origin,
                length: problem.place.spot.length.max(1),
                severity: problem.severity,
                code: problem.code.id,
                summary: problem.summary,
                hint: problem.hint,
                source_line,
                related: related.collect(),
            });
        }
        for place in self.unshown.into_values() {
            let (origin, _) = locate(place, texts, &mut lines);
            diagnostics.push(unshown(origin));
        }
        diagnostics.sort();
        diagnostics.dedup();
        diagnostics
    }

    fn add(&mut self, place: Place, severity: Severity, code: &'static Code, summary: String) -> &mut Problem {
        let problem = Problem { place, severity, code, summary, hint: None, related: Vec::new() };
        self.count += 1;
        let told = self.per_file.entry(place.file).or_default();
        *told += 1;
        if *told <= PER_FILE {
            self.problems.push(problem);
            let last = self.problems.len() - 1;
            &mut self.problems[last]
        } else {
            self.unshown.entry(place.file).or_insert(place);
            self.unheard.insert(problem)
        }
    }
}

/// Says that a file has more problems than were shown.
fn unshown(origin: Origin) -> Diagnostic {
    Diagnostic {
        origin,
        length: 1,
        severity: Severity::Error,
        code: codes::MORE_PROBLEMS.id,
        summary: format!("more than {PER_FILE} problems in this file; the others are not shown"),
        hint: Some("mend the ones above and run it again".into()),
        source_line: String::new(),
        related: Vec::new(),
    }
}

fn locate<'t>(place: Place, texts: &[&'t SourceText], lines: &mut [Option<Lines<'t>>]) -> (Origin, String) {
    let Some(text) = texts.get(place.file as usize) else { return (Origin::default(), String::new()) };
    let origin = Origin { path: text.path.clone(), line: place.spot.line, column: place.spot.column };
    let lines = lines[place.file as usize].get_or_insert_with(|| Lines::of(&text.bytes));
    (origin, lines.line(place.spot.line))
}

/// A text as it may stand in a message: cut at 60 characters, control characters escaped.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(escaped).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}
