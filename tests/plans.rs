//! The planner judged from outside: goldens of whole plans, sequences over several days, and properties.
//!
//! `tests/plans/CASE/` is one case, found by listing: `desired.yaml` (manifests; the tiers of `tests/plans/tiers.yaml`
//! are added unless the case has its own), `inventory.yaml` and the optional `history.yaml`, `policy.yaml` and
//! `approvals.yaml` in the terse form of `goldens/terse.rs`, and `plan.txt`: the preview, what apply would do, and what
//! is left to do afterwards. `UPDATE_GOLDENS=1 cargo test --test plans goldens` writes `plan.txt` anew.

mod goldens;
mod properties;
mod sequences;
mod support;
