//! Events, shown while they happen, on stderr: lines for what is done, and on a terminal bars for what goes on.
//!
//! Takes [`Event`]s and changes nothing; `apply` and the demo feed it. Without a terminal only the lines are printed,
//! so that a log of a pipeline reads like a report.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::OwoColorize as _;

use super::view;
use crate::events::{Event, EventStream};
use crate::model::VmKey;
use crate::plan::Action;

/// Work shorter than this needs no bar: it would only flicker.
const PATIENCE: Duration = Duration::from_millis(400);

/// What is going on, as a person sees it.
#[derive(Debug)]
pub struct Progress {
    bars: MultiProgress,
    asking: Option<Asking>,
    running: BTreeMap<VmKey, ProgressBar>,
    total: Option<ProgressBar>,
    lines: bool,
}

#[derive(Debug)]
struct Asking {
    bar: ProgressBar,
    endpoints: Vec<String>,
}

impl Progress {
    /// For a command that only reads: a spinner on a terminal, nothing elsewhere.
    pub fn reading() -> Self {
        Self::new(false)
    }

    /// For a command that changes: a line for each step too.
    pub fn applying(steps: usize) -> Self {
        let mut this = Self::new(true);
        if steps > 1 {
            let bar = this.bars.add(ProgressBar::new(steps as u64));
            bar.set_style(style("{bar:30.cyan/dim} {pos} of {len} steps  {elapsed}"));
            this.total = Some(bar);
        }
        this
    }

    fn new(lines: bool) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self { bars, asking: None, running: BTreeMap::new(), total: None, lines }
    }

    /// Lets bars be seen, on a terminal.
    fn reveal(&self) {
        if std::io::stderr().is_terminal() {
            self.bars.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        match event {
            Event::CollectStarted { endpoint } => self.ask(&endpoint.to_string()),
            Event::Collected { endpoint, .. } => self.answered(&endpoint.to_string()),
            Event::StepStarted { key, action } => self.begin(key, *action),
            Event::StepProgress { key, text, percent } => {
                if let Some(running) = self.running.get(key) {
                    let percent = percent.map(|percent| format!(" {percent}%")).unwrap_or_default();
                    running.set_message(format!("{}{percent}", view::clean(text)));
                }
            }
            Event::StepDone { key, action } => {
                self.end(key, &format!("{} {key} {}", "done".green(), action_word(*action)), None);
            }
            Event::StepFailed { key, action, why } => {
                self.end(key, &format!("{} {key} {}", "FAILED".red().bold(), action_word(*action)), Some(why));
            }
            Event::StepSkipped { key, action, why } => {
                self.end(key, &format!("{} {key} {}", "held".yellow(), action_word(*action)), Some(why));
            }
        }
    }

    /// Takes the bars away; lines stay.
    pub fn finish(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.bar.finish_and_clear();
        }
        if let Some(total) = self.total.take() {
            total.finish_and_clear();
        }
        for running in std::mem::take(&mut self.running).into_values() {
            running.finish_and_clear();
        }
    }

    fn ask(&mut self, endpoint: &str) {
        let bars = &self.bars;
        let asking = self.asking.get_or_insert_with(|| {
            let bar = bars.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner} asking {msg}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            Asking { bar, endpoints: Vec::new() }
        });
        asking.endpoints.push(endpoint.to_owned());
        asking.bar.set_message(asking.endpoints.join(", "));
    }

    fn answered(&mut self, endpoint: &str) {
        if let Some(mut asking) = self.asking.take() {
            asking.endpoints.retain(|waiting| waiting != endpoint);
            asking.bar.set_message(asking.endpoints.join(", "));
            if asking.endpoints.is_empty() {
                asking.bar.finish_and_clear();
            } else {
                self.asking = Some(asking);
            }
        }
    }

    fn begin(&mut self, key: &VmKey, action: Action) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {prefix} {msg:.dim}"));
        bar.set_prefix(format!("{key} {}", action_word(action)));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.running.insert(key.clone(), bar);
    }

    fn end(&mut self, key: &VmKey, line: &str, why: Option<&str>) {
        let took = self.running.remove(key).map(|running| {
            running.finish_and_clear();
            running.elapsed()
        });
        if let Some(total) = &self.total {
            total.inc(1);
        }
        if self.lines {
            let took = took.filter(|took| *took >= Duration::from_secs(1)).map(seconds).unwrap_or_default();
            let why = why.map(|why| format!(": {}", view::clean_lines(why))).unwrap_or_default();
            self.bars.suspend(|| view::say!("  {line}{why}{}", took.dimmed()));
        }
    }
}

/// Runs `work` and shows its events while it runs.
pub async fn shown<T>(mut progress: Progress, mut events: EventStream, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut late = std::pin::pin!(tokio::time::sleep(PATIENCE));
    let mut revealed = false;
    let outcome = loop {
        tokio::select! {
            // Events first: they happened before the end.
            biased;
            Some(event) = events.recv() => progress.show(&event),
            outcome = &mut work => break outcome,
            () = &mut late, if !revealed => {
                progress.reveal();
                revealed = true;
            }
        }
    };
    while let Ok(event) = events.try_recv() {
        progress.show(&event);
    }
    progress.finish();
    outcome
}

fn seconds(took: Duration) -> String {
    format!("  {:.1} s", took.as_secs_f32())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates here are literals, and the tests draw each")
}

/// What a step does, as a word in a sentence about a VM.
pub const fn action_word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::PowerOn => "power on",
        Action::PowerOff => "power off",
        Action::Retire => "retire",
        Action::Restore => "restore",
        Action::Delete => "delete",
        Action::Adopt => "adopt",
        Action::Release => "release",
        Action::Rename => "rename",
        Action::Replace => "replace",
        Action::Move => "move",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndpointName;

    #[test]
    fn every_event_can_be_shown_in_any_order() {
        let key = VmKey::parse("erp/db").expect("a key");
        let endpoint = EndpointName::new("vc").expect("a name");
        let action = Action::Create;
        let mut progress = Progress::applying(2);
        for event in [
            Event::StepDone { key: key.clone(), action },
            Event::CollectStarted { endpoint: endpoint.clone() },
            Event::Collected { endpoint, vms: 3, product: Some("vCenter".into()), why: None },
            Event::StepStarted { key: key.clone(), action },
            Event::StepProgress { key: key.clone(), text: "cloning".into(), percent: Some(40) },
            Event::StepFailed { key: key.clone(), action, why: "no room".into() },
            Event::StepSkipped { key, action, why: "paused".into() },
        ] {
            progress.show(&event);
        }
        assert!(progress.running.is_empty() && progress.asking.is_none());
        progress.finish();
    }
}
