//! dependsOn must not lead back to where it began.

use std::collections::BTreeMap;

use super::{Declared, Known};
use crate::manifest::codes;
use crate::manifest::report::{Place, Report};
use crate::model::VmKey;

/// Names shown of a long cycle.
const SHOWN: usize = 8;

/// A VM on the path being followed.
struct Visit<'k> {
    key: &'k VmKey,
    /// Its dependencies, and which of them comes next.
    edges: Vec<(&'k VmKey, Place)>,
    next: usize,
}

impl<'k> Visit<'k> {
    fn of(key: &'k VmKey, vm: Declared<'k>) -> Self {
        Self { key, edges: vm.depends_on(), next: 0 }
    }

    /// Where the dependency stands that is being followed.
    fn followed(&self) -> Option<Place> {
        self.edges.get(self.next.checked_sub(1)?).map(|(_, place)| *place)
    }
}

/// Follows every dependency once, depth first, with a stack of our own: a chain may be as long as the fleet.
pub(super) fn check(known: &Known<'_>, report: &mut Report) {
    let mut done: BTreeMap<&VmKey, bool> = BTreeMap::new(); // false: on the path; true: nothing more to find below it
    for (start, vm) in &known.vms {
        let visit = Visit::of(start, *vm);
        if done.contains_key(start) || visit.edges.is_empty() {
            continue;
        }
        let mut path = vec![visit];
        done.insert(start, false);
        while let Some(visit) = path.last_mut() {
            let Some((edge, _)) = visit.edges.get(visit.next) else {
                done.insert(visit.key, true);
                path.pop();
                continue;
            };
            visit.next += 1;
            let Some((other, vm)) = known.vms.get_key_value(*edge) else { continue };
            match done.get(other) {
                Some(true) => {}
                Some(false) => tell(&path, other, report),
                None => {
                    done.insert(other, false);
                    path.push(Visit::of(other, *vm));
                }
            }
        }
    }
}

fn tell(path: &[Visit<'_>], closes: &VmKey, report: &mut Report) {
    let from = path.iter().position(|visit| visit.key == closes).unwrap_or(0);
    let cycle = &path[from..];
    let edges: Vec<Place> = cycle.iter().filter_map(Visit::followed).collect();
    let Some((first, rest)) = edges.split_first() else { return };
    let mut names: Vec<String> = cycle.iter().take(SHOWN).map(|visit| format!("`{}`", visit.key)).collect();
    if cycle.len() > SHOWN {
        names.push(format!("{} more", cycle.len() - SHOWN));
    }
    names.push(format!("`{closes}`"));
    let summary = match cycle {
        [_] => format!("`{closes}` depends on itself"),
        _ => format!("VMs depend on each other: {}", names.join(" -> ")),
    };
    let problem = report.error(*first, codes::CYCLE, summary).hint("remove one of these dependencies");
    for (visit, at) in cycle.iter().skip(1).zip(rest).take(SHOWN) {
        problem.related(*at, format!("`{}` goes on from here", visit.key));
    }
}
