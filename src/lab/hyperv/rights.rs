//! Rights an account needs, by the names fault rules deny them by.
//!
//! Windows has no rights per method: the account is let in by the group Remote Management Users, needs "Remote Enable"
//! and "Execute Methods" on each namespace, and sees and changes VMs as a Hyper-V Administrator. One who is not sees
//! empty lists in root/virtualization/v2, as there.

use super::fault::Fault;
use crate::lab::faults::StateRules;

/// Without it nothing is answered.
pub(super) const REMOTE: &str = "Remote Management Users";
/// Without it there are no VMs and no methods.
pub(super) const HYPERV: &str = "Hyper-V Administrators";
/// Where [`HYPERV`] counts.
pub(super) const V2: &str = "root/virtualization/v2";

/// May the account do this at all? A namespace, and a method, are rights by their own name.
pub(super) fn check(rules: &StateRules, namespace: &str, method: Option<&str>, names: &[&str]) -> Result<(), Fault> {
    if rules.is_empty() {
        return Ok(());
    }
    let administrator = method.filter(|_| namespace.eq_ignore_ascii_case(V2)).map(|_| HYPERV);
    let needed = [Some(REMOTE), Some(namespace), method, administrator];
    if needed.into_iter().flatten().any(|right| rules.denies(right, names)) {
        Err(Fault::access_denied())
    } else {
        Ok(())
    }
}

/// Are all lists of VMs empty to the account?
pub(super) fn sees_nothing(rules: &StateRules, namespace: &str) -> bool {
    !rules.is_empty() && namespace.eq_ignore_ascii_case(V2) && rules.denies(HYPERV, &[])
}
