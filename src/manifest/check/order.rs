//! dependsOn must not lead back to where it began.

use std::collections::BTreeMap;

use super::{Known, place};
use crate::manifest::codes;
use crate::manifest::report::{Place, Report};
use crate::model::VmKey;

/// Names shown of a long cycle.
const SHOWN: usize = 8;

/// A VM on the path being followed, and which of its dependencies comes next.
struct Visit<'k> {
    key: &'k VmKey,
    next: usize,
}

/// Follows every dependency once, depth first, with a stack of our own: a chain may be as long as the fleet.
pub(super) fn check(known: &Known<'_>, report: &mut Report) {
    let mut done: BTreeMap<&VmKey, bool> = BTreeMap::new(); // false: on the path; true: nothing more to find below it
    for (start, written) in &known.vms {
        if done.contains_key(start) || written.manifest.spec.depends_on.is_empty() {
            continue;
        }
        let mut path = vec![Visit { key: start, next: 0 }];
        done.insert(start, false);
        while let Some(visit) = path.last_mut() {
            let Some(written) = known.vms.get(visit.key) else { break };
            let Some(edge) = written.manifest.spec.depends_on.get(visit.next) else {
                done.insert(visit.key, true);
                path.pop();
                continue;
            };
            visit.next += 1;
            let Some((other, _)) = known.vms.get_key_value(&edge.value) else { continue };
            match done.get(other) {
                Some(true) => {}
                Some(false) => tell(known, &path, other, report),
                None => {
                    done.insert(other, false);
                    path.push(Visit { key: other, next: 0 });
                }
            }
        }
    }
}

fn tell(known: &Known<'_>, path: &[Visit<'_>], closes: &VmKey, report: &mut Report) {
    let from = path.iter().position(|visit| visit.key == closes).unwrap_or(0);
    let cycle = &path[from..];
    let edges: Vec<Place> = cycle
        .iter()
        .filter_map(|visit| {
            let written = known.vms.get(visit.key)?;
            let edge = written.manifest.spec.depends_on.get(visit.next.checked_sub(1)?)?;
            Some(place(*written, Some(edge)))
        })
        .collect();
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
