//! A reason's values as text. Secrets never get this far (a plan holds none); what concerns user data is masked all the
//! same, so that no later change of the planner can leak it through here.

use crate::plan::Reason;

/// True where a value might tell something of a secret.
fn is_secret(reason: &Reason) -> bool {
    let field = reason.field.to_ascii_lowercase();
    ["userdata", "password", "secret"].iter().any(|word| field.contains(word))
}

fn shown<'a>(reason: &Reason, value: Option<&'a String>) -> Option<&'a str> {
    value.map(|value| if is_secret(reason) { "***" } else { value.as_str() })
}

/// What a field is.
pub(super) fn from(reason: &Reason) -> Option<&str> {
    shown(reason, reason.from.as_ref())
}

/// What a field becomes.
pub(super) fn to(reason: &Reason) -> Option<&str> {
    shown(reason, reason.to.as_ref())
}

/// `32GiB -> 48GiB`; empty when there are no values.
pub(super) fn change(reason: &Reason) -> String {
    match (from(reason), to(reason)) {
        (None, None) => String::new(),
        (from, to) => format!("{} -> {}", from.unwrap_or("none"), to.unwrap_or("none")),
    }
}
