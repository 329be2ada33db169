//! Exit codes.

use serde::Serialize;

use crate::outcome;

/// One exit code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExitText {
    /// The code.
    pub code: u8,
    /// What it means.
    pub text: &'static str,
}

const ALL: [ExitText; 6] = [
    ExitText { code: outcome::OK, text: "done, or nothing to do" },
    ExitText {
        code: outcome::ERROR,
        text: "an error: in the manifests (then nothing at all was done), in a step, in the program",
    },
    ExitText {
        code: outcome::DIFFERENCES,
        text: "only with --detailed-exitcode of `plan` and `drift`: there is something to do, or something is held back",
    },
    ExitText {
        code: outcome::BLOCKED,
        text: "`apply`: a policy, a limit, an approval or a pause held something back; the rest was done",
    },
    ExitText { code: outcome::ENDPOINT_MISSING, text: "an endpoint's inventory is missing; `apply` did the others" },
    ExitText { code: outcome::USAGE, text: "wrong usage; also `apply` with no terminal to ask on and no --yes" },
];

/// `exit-codes` for all of them, `64`, `exit 64` or `exit-64` for one.
pub(super) fn find(topic: &str) -> Option<Vec<ExitText>> {
    let topic = topic.to_ascii_lowercase().replace(['-', '_'], " ");
    if ["exit", "exits", "exit code", "exit codes", "exitcode", "exitcodes"].contains(&topic.as_str()) {
        return Some(ALL.to_vec());
    }
    let number = topic.strip_prefix("exit ").map_or(topic.as_str(), |rest| rest.trim_start_matches("code ")).trim();
    let code: u8 = number.parse().ok()?;
    ALL.iter().find(|exit| exit.code == code).map(|exit| vec![exit.clone()])
}
