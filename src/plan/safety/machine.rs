//! What a VM's own state and its endpoint forbid, whatever is to be done to it.

use super::No;
use crate::model::{Bytes, EndpointName, GuestAgent, PowerState, Shutdown, VmConfig};
use crate::plan::{BlockCode, Manage, Policy};

/// May this VM be changed at all as it is now?
pub fn may_touch(policy: &Policy, endpoint: &EndpointName, config: &VmConfig) -> Option<No> {
    may_change(policy, endpoint).or_else(|| may_touch_vm(config))
}

/// May anything on this endpoint be changed?
pub fn may_change(policy: &Policy, endpoint: &EndpointName) -> Option<No> {
    match policy.endpoints.get(endpoint).map(|policy| policy.manage) {
        Some(Manage::Suggest | Manage::Enforce) => None,
        Some(Manage::Observe) => {
            Some(No::flat(BlockCode::ObserveOnly, format!("{endpoint} is only observed (`manage: observe`)")))
        }
        None => Some(No::flat(BlockCode::NotConfigured, format!("endpoint {endpoint} is not in the settings"))),
    }
}

/// May this VM be changed in the state it is in?
pub fn may_touch_vm(config: &VmConfig) -> Option<No> {
    let template = || {
        let why = "it was made a template; turn it back into a VM first";
        config.template.then(|| No::flat(BlockCode::Unsupported, why))
    };
    may_finish(config).or_else(template)
}

/// May a create that was cut short go on with this VM? It may still be the template that it was cloned from.
pub fn may_finish(config: &VmConfig) -> Option<No> {
    if let Some(question) = &config.question {
        let why = format!("the hypervisor waits for an answer: {question}");
        return Some(No::flat(BlockCode::Question, why));
    }
    match config.power {
        PowerState::Running | PowerState::Stopped => None,
        PowerState::Suspended => {
            Some(No::flat(BlockCode::Suspended, "it is suspended, saved or paused; resume or stop it first"))
        }
        PowerState::Unknown => Some(No::flat(BlockCode::VmUnknown, "whether it runs cannot be told now")),
    }
}

/// May a create that was cut short still give its VM this size? Somebody started it meanwhile,
/// and a create stops nothing.
pub fn may_size(config: &VmConfig, wanted: (u32, Bytes)) -> Option<No> {
    let other = config.power == PowerState::Running && (config.cpus, config.memory) != wanted;
    other.then(|| {
        let why = "it was started before its create was finished, and has not the size that is wanted; stop it by hand to \
                   have it finished";
        No::flat(BlockCode::UnfinishedCreate, why)
    })
}

/// Can this VM be stopped as it is to be stopped? A plan must not promise a shutdown that nobody can ask for. Where the
/// hypervisor does not say whether guest tools run, it is tried.
pub fn may_stop(config: &VmConfig, shutdown: Shutdown) -> Option<No> {
    let silent = config.power == PowerState::Running && config.guest_agent == GuestAgent::NotRunning;
    (silent && !shutdown.force).then(|| {
        let why = "it would have to be stopped, no guest tools run in it that could be asked, and `shutdown: {force: true}` \
                   does not stand in its mark or manifest; stop it by hand, or say force";
        No::flat(BlockCode::NoGuestTools, why)
    })
}
