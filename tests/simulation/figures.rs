//! What was done and seen, counted over all simulations.

use std::collections::BTreeMap;
use std::fmt;

use tierwright::apply::{ApplyReport, StepOutcome};
use tierwright::plan::Plan;

/// See the module.
#[derive(Debug, Default)]
pub struct Figures {
    pub simulations: u64,
    pub steps: u64,
    pub cycles: u64,
    pub plans: u64,
    /// Cycles of `serve`'s own loop.
    pub served: u64,
    pub crashes: u64,
    pub calls: u64,
    /// Mutating calls by kind of endpoint.
    pub calls_at: BTreeMap<String, u64>,
    pub virtual_hours: i64,
    pub actions: BTreeMap<String, u64>,
    pub faults: BTreeMap<&'static str, u64>,
    pub done: BTreeMap<String, u64>,
    pub not_done: BTreeMap<&'static str, u64>,
    pub blocked: BTreeMap<String, u64>,
    pub most_quiet_cycles: usize,
}

impl Figures {
    pub fn action(&mut self, name: impl Into<String>) {
        *self.actions.entry(name.into()).or_default() += 1;
    }

    pub fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    pub fn plan(&mut self, plan: &Plan) {
        self.plans += 1;
        for blocked in &plan.blocked {
            *self.blocked.entry(format!("{:?}", blocked.code)).or_default() += 1;
        }
    }

    pub fn report(&mut self, report: &ApplyReport) {
        for step in &report.steps {
            let word = match &step.outcome {
                StepOutcome::Done => {
                    *self.done.entry(format!("{:?}", step.action)).or_default() += 1;
                    continue;
                }
                StepOutcome::Failed(_) => "failed",
                StepOutcome::EndpointLost(_) => "endpoint lost",
                StepOutcome::Gated(_) => "gated",
                StepOutcome::Changed(_) => "changed meanwhile",
                StepOutcome::Dependency(_) => "dependency not done",
                StepOutcome::Stopped(_) => "stopped",
            };
            *self.not_done.entry(word).or_default() += 1;
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.simulations += other.simulations;
        self.steps += other.steps;
        self.cycles += other.cycles;
        self.plans += other.plans;
        self.served += other.served;
        self.crashes += other.crashes;
        self.calls += other.calls;
        self.virtual_hours += other.virtual_hours;
        self.most_quiet_cycles = self.most_quiet_cycles.max(other.most_quiet_cycles);
        merge(&mut self.calls_at, &other.calls_at);
        merge(&mut self.actions, &other.actions);
        merge(&mut self.faults, &other.faults);
        merge(&mut self.done, &other.done);
        merge(&mut self.not_done, &other.not_done);
        merge(&mut self.blocked, &other.blocked);
    }
}

fn merge<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(key.clone()).or_default() += count;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  simulations         {}", self.simulations)?;
        writeln!(f, "  steps               {}", self.steps)?;
        writeln!(f, "  cycles, plans       {}, {}", self.cycles, self.plans)?;
        table(f, "mutating calls", &self.calls_at)?;
        writeln!(f, "  cycles of serve     {}", self.served)?;
        writeln!(f, "  crashes             {}", self.crashes)?;
        writeln!(f, "  virtual time        {} years", self.virtual_hours / (24 * 365))?;
        writeln!(f, "  most quiet cycles   {}", self.most_quiet_cycles)?;
        table(f, "actions", &self.actions)?;
        table(f, "faults", &self.faults)?;
        table(f, "steps done", &self.done)?;
        table(f, "steps not done", &self.not_done)?;
        table(f, "blocked", &self.blocked)
    }
}

fn table<K: fmt::Display>(f: &mut fmt::Formatter<'_>, title: &str, counts: &BTreeMap<K, u64>) -> fmt::Result {
    let all: u64 = counts.values().sum();
    writeln!(f, "  {title:<19} {all}")?;
    for (name, count) in counts {
        writeln!(f, "    {name:<34} {count:>8}")?;
    }
    Ok(())
}
