//! Rules that make a lab misbehave on purpose: operation, target and nth call -> what goes wrong.
//!
//! Rules come from a YAML file (`--faults FILE`) or are set in code while the lab runs. They are deterministic: each
//! rule counts the calls that match it and acts on a range of them, or on a share of that range drawn from the lab's
//! seed and the rule's number; never by true chance or wall time. Equal seed, rules and calls, equal faults.
//!
//! ```yaml
//! - operation: CloneVM_Task          # a wire name; left out: any operation
//!   target: erp-db-01                # VM name, wire reference or own id; left out: any
//!   from: 1                          # the first matching call it acts on (1 is the default)
//!   times: 1                         # on how many; left out: for ever
//!   effect: loseReply
//! - {operation: RetrievePropertiesEx, effect: {delayMs: 500}}
//! - {operation: PowerOnVM_Task, percent: 20, effect: loseReply}    # a seeded fifth of them
//! - {operation: ReconfigVM_Task, effect: {failTask: {fault: GenericVmConfigFault, message: "disk on fire"}}}
//! ```
//!
//! Some effects describe a state rather than a call and need only a target: `hide`, `unsetConfig`, `ignoreShutdown`,
//! and `deny` without an operation. They hold while they are in force, whatever `from`, `times` and `percent` say.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// Wire name of the operation; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// VM name, wire reference or own id; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The first matching call it acts on, from 1.
    #[serde(default = "first")]
    pub from: u64,
    /// On how many matching calls it acts; `None`: on all from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Acts on this share of those calls, drawn from the lab's seed; `None`: on all of them.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "a_share")]
    pub percent: Option<u8>,
    /// What goes wrong.
    #[serde(with = "serde_yaml::with::singleton_map")] // `{delayMs: 500}`, not a YAML tag
    pub effect: Effect,
}

const fn first() -> u64 {
    1
}

fn a_share<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    let percent = Option::<u8>::deserialize(from)?;
    match percent {
        Some(percent) if percent > 100 => Err(D::Error::custom("percent is 0 to 100")),
        percent => Ok(percent),
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// The answer comes so many lab milliseconds later; the change, if any, is made first.
    DelayMs(u64),
    /// The call is refused with this fault and nothing is done.
    Fail(NamedFault),
    /// The task is started and ends with this fault; nothing is done.
    FailTask(NamedFault),
    /// The task is started and its work done, and the server forgets the task: whoever looks for it finds nothing.
    LoseTask,
    /// A listing ends after so many objects and claims to be whole.
    Truncate(usize),
    /// A listing gives so many objects a page and then refuses to go on with the next one.
    BreakAfterPage(usize),
    /// The VM is missing from listings; asked for by reference or id it is there.
    Hide,
    /// The VM's configuration is not readable, as while a host is gone: its `config` is unset.
    UnsetConfig,
    /// It is done, and the connection closed instead of a reply.
    LoseReply,
    /// The account lacks this right. With an operation: that call is refused. Without one: every call that needs the
    /// right is refused, and it is missing when rights are asked for; `System.Read` on a VM
    /// makes its properties missing.
    Deny(String),
    /// The connection is closed before anything is done.
    Drop,
    /// The guest acknowledges a shutdown and never acts on it.
    IgnoreShutdown,
}

/// A fault by its wire name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamedFault {
    /// Type name, such as `GenericVmConfigFault`.
    pub fault: String,
    /// What the server says with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl FaultRule {
    /// A rule for every call.
    pub fn always(operation: Option<&str>, target: Option<&str>, effect: Effect) -> Self {
        let (operation, target) = (operation.map(Into::into), target.map(Into::into));
        Self { operation, target, from: 1, times: None, percent: None, effect }
    }

    /// A rule for the nth matching call alone.
    pub fn nth(operation: &str, target: Option<&str>, nth: u64, effect: Effect) -> Self {
        Self { from: nth, times: Some(1), ..Self::always(Some(operation), target, effect) }
    }
}

/// Why a fault file was refused.
#[derive(Debug, thiserror::Error)]
pub enum FaultFileError {
    /// It cannot be read.
    #[error("the fault rules {path} cannot be read")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not a list of rules.
    #[error("the fault rules {path} are not a list of rules")]
    Parse {
        /// Which file.
        path: String,
        /// Where and why.
        #[source]
        source: serde_yaml::Error,
    },
    /// It is too large to be meant.
    #[error("the fault rules {path} are larger than 1 MiB")]
    TooLarge {
        /// Which file.
        path: String,
    },
}

/// Reads rules from a YAML file.
pub fn read_rules(path: &Path) -> Result<Vec<FaultRule>, FaultFileError> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| FaultFileError::Read { path: shown(), source })?;
    if text.len() > 1 << 20 {
        return Err(FaultFileError::TooLarge { path: shown() });
    }
    serde_yaml::from_str(&text).map_err(|source| FaultFileError::Parse { path: shown(), source })
}

/// Names a rule that was added, to take it away again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(u64);

/// A shared handle on the rules in force.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    seed: u64,
    next: u64,
    rules: Vec<InForce>,
}

/// A rule and what it has come across so far.
#[derive(Debug)]
struct InForce {
    id: RuleId,
    rule: FaultRule,
    /// Calls that matched.
    count: u64,
    /// Of its own, so that one rule more or less changes nothing for the others.
    dice: StdRng,
}

impl InForce {
    /// Counts a call that matches; does the rule act on it?
    fn acts(&mut self) -> bool {
        self.count += 1;
        // Thrown for each call that matches, so that the n-th has the same luck whatever the range is.
        let drawn = self.rule.percent.is_none_or(|percent| self.dice.random_range(0..100_u8) < percent);
        self.rule.acts_on(self.count) && drawn
    }
}

impl Faults {
    /// No rules yet; shares will be drawn from this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner { seed, ..Inner::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a rule in force from the next call on; its count starts at zero.
    pub fn add(&self, rule: FaultRule) -> RuleId {
        let mut inner = self.lock();
        inner.next += 1;
        let id = RuleId(inner.next);
        let dice = StdRng::seed_from_u64(inner.seed ^ inner.next.rotate_left(32));
        inner.rules.push(InForce { id, rule, count: 0, dice });
        id
    }

    /// Takes a rule out of force; true if it was in force.
    pub fn remove(&self, id: RuleId) -> bool {
        let mut inner = self.lock();
        let before = inner.rules.len();
        inner.rules.retain(|known| known.id != id);
        inner.rules.len() != before
    }

    /// Takes all rules out of force.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// How many calls a rule has matched so far.
    pub fn matched(&self, id: RuleId) -> u64 {
        self.lock().rules.iter().find(|known| known.id == id).map_or(0, |known| known.count)
    }

    /// The rules in force, each with how many calls it has matched so far.
    pub fn in_force(&self) -> Vec<(FaultRule, u64)> {
        self.lock().rules.iter().map(|known| (known.rule.clone(), known.count)).collect()
    }

    /// Counts a call against every rule about calls, and returns the effects that are due.
    pub(in crate::lab) fn on_call(&self, operation: &str, names: &[&str]) -> Vec<Effect> {
        let mut inner = self.lock();
        let mut due = Vec::new();
        for known in &mut inner.rules {
            if !known.rule.is_state() && known.rule.covers(operation, names) && known.acts() {
                due.push(known.rule.effect.clone());
            }
        }
        due
    }

    /// The rules about the state of VMs, as they stand now.
    pub(in crate::lab) fn on_state(&self) -> StateRules {
        StateRules(self.lock().rules.iter().map(|known| &known.rule).filter(|rule| rule.is_state()).cloned().collect())
    }
}

impl FaultRule {
    /// Does it describe a state (of VMs, of the account's rights) rather than calls?
    fn is_state(&self) -> bool {
        match &self.effect {
            Effect::Hide | Effect::UnsetConfig | Effect::IgnoreShutdown => true,
            Effect::Deny(_) => self.operation.is_none(),
            _ => false,
        }
    }

    fn covers(&self, operation: &str, names: &[&str]) -> bool {
        self.operation.as_deref().is_none_or(|wanted| wanted == operation)
            && self.target.as_deref().is_none_or(|target| names.contains(&target))
    }

    fn acts_on(&self, nth: u64) -> bool {
        nth >= self.from && self.times.is_none_or(|times| nth < self.from.saturating_add(times))
    }
}

/// Rules about the state of VMs.
#[derive(Debug, Clone, Default)]
pub(in crate::lab) struct StateRules(Vec<FaultRule>);

impl StateRules {
    /// True when there are none: the usual case, checked once per listing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is this right refused to the account, on an object of these names?
    pub fn denies(&self, right: &str, names: &[&str]) -> bool {
        self.0.iter().any(|rule| {
            matches!(&rule.effect, Effect::Deny(denied) if denied == right)
                && rule.target.as_deref().is_none_or(|target| names.contains(&target))
        })
    }

    /// Does an effect hold for an object of these names?
    pub fn holds(&self, effect: &Effect, names: &[&str]) -> bool {
        self.0
            .iter()
            .any(|rule| rule.effect == *effect && rule.target.as_deref().is_none_or(|target| names.contains(&target)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_acts_on_its_nth_call_only() {
        let faults = Faults::default();
        faults.add(FaultRule::nth("CloneVM_Task", None, 2, Effect::LoseReply));
        assert_eq!(faults.on_call("CloneVM_Task", &["a"]), vec![]);
        assert_eq!(faults.on_call("PowerOnVM_Task", &["a"]), vec![]);
        assert_eq!(faults.on_call("CloneVM_Task", &["b"]), vec![Effect::LoseReply]);
        assert_eq!(faults.on_call("CloneVM_Task", &["c"]), vec![]);
    }

    #[test]
    fn a_share_is_drawn_from_the_seed_alone_and_each_rule_has_its_own_luck() {
        let drawn = |seed: u64, others: usize| {
            let faults = Faults::seeded(seed);
            let share = FaultRule { percent: Some(30), ..FaultRule::always(Some("Login"), None, Effect::Drop) };
            faults.add(share);
            for _ in 0..others {
                faults.add(FaultRule { percent: Some(50), ..FaultRule::always(None, None, Effect::LoseReply) });
            }
            let acts = |_| faults.on_call("Login", &[]).contains(&Effect::Drop);
            (0..1000).map(acts).collect::<Vec<bool>>()
        };
        assert_eq!(drawn(7, 0), drawn(7, 3));
        assert_ne!(drawn(7, 0), drawn(8, 0));
        let hits = drawn(7, 0).into_iter().filter(|acts| *acts).count();
        assert!((200..400).contains(&hits), "{hits} of 1000");
    }

    #[test]
    fn rules_read_back_from_their_documented_form() {
        let text = "- {operation: CloneVM_Task, target: a, times: 1, effect: loseReply}\n\
                    - {target: b, effect: hide}\n\
                    - operation: ReconfigVM_Task\n  effect: {failTask: {fault: GenericVmConfigFault}}\n\
                    - {operation: Login, effect: {delayMs: 500}}\n\
                    - {effect: {deny: VirtualMachine.Config.Memory}}\n";
        let rules: Vec<FaultRule> = serde_yaml::from_str(text).expect("rules");
        assert_eq!(rules.len(), 5);
        assert_eq!(rules[3].effect, Effect::DelayMs(500));
        let share: Vec<FaultRule> = serde_yaml::from_str("- {percent: 20, effect: drop}").expect("a rule");
        assert_eq!(share[0].percent, Some(20));
        for wrong in ["- {efect: hide}", "- {percent: 101, effect: drop}"] {
            assert!(serde_yaml::from_str::<Vec<FaultRule>>(wrong).is_err(), "{wrong}");
        }
    }
}
