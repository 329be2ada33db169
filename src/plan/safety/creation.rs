//! Rule 2: what must be known before a VM may be made. Making a twin of one that only cannot be seen is the
//! worst that a create can do.

use jiff::{SignedDuration, Timestamp};

use super::No;
use super::unknown::Sight;
use crate::inventory::Missing;
use crate::model::{EndpointName, OwnId, Tier, VmKey};
use crate::plan::census::Census;
use crate::plan::{BlockCode, EndpointState, History, OpenIntent};

/// No clone takes longer: a call without an outcome that is older is lost for good, and holds up nothing any more.
const LONGEST_TASK: SignedDuration = SignedDuration::from_hours(24);

/// May a VM of this key be made on this tier, as far as anybody knows where it might already be?
pub fn may_create(census: &Census<'_>, key: &VmKey, tier: &Tier) -> Option<No> {
    of_tier(census, key, tier).or_else(|| partial_memory(census)).or_else(|| open_intent(census, key))
}

/// Every endpoint of the tier must have answered in full.
fn of_tier(census: &Census<'_>, key: &VmKey, tier: &Tier) -> Option<No> {
    tier.endpoints
        .iter()
        .filter(|endpoint| !is_excused(census, endpoint, key))
        .find_map(|endpoint| held_by(census, endpoint))
}

/// With an empty stateDir nobody knows where VMs were last seen: every endpoint must have answered in
/// full once. The first ones that do end nothing: a VM that was moved to another tier in Git may be on
/// the one that is still to answer.
fn partial_memory(census: &Census<'_>) -> Option<No> {
    let History { last, partial, .. } = census.history();
    if !partial && !last.is_empty() {
        return None;
    }
    let known = if last.is_empty() { "nothing is remembered of any endpoint yet" } else { "stateDir began empty" };
    let endpoints = census.policy().endpoints.iter();
    let never_seen =
        endpoints.filter(|(endpoint, policy)| policy.state != EndpointState::Retired && !last.contains_key(*endpoint));
    never_seen.map(|(endpoint, _)| endpoint).find_map(|endpoint| {
        let no = held_by(census, endpoint)?;
        Some(No { why: format!("{known}, so all must answer first; {}", no.why), ..no })
    })
}

/// A call for this key whose outcome was never recorded: only a whole inventory taken later settles it.
fn open_intent(census: &Census<'_>, key: &VmKey) -> Option<No> {
    let intents = census.history().open_intents.iter().filter(|intent| intent.key == *key);
    let what_holds = |intent: &OpenIntent| {
        let OpenIntent { endpoint, call, at, .. } = intent;
        let then = match may_be_there(census, intent) {
            _ if !is_settled(census, intent) => "a later complete inventory must tell".to_owned(),
            Some(why) => format!("its VM is not listed, and asked for by its id: {why}"),
            None => return None,
        };
        Some(No::flat(
            BlockCode::VmUnknown,
            format!("the outcome of {call} on {endpoint} at {at} is not known; {then}"),
        ))
    };
    intents.filter(|intent| !is_given_up(census, &intent.endpoint)).find_map(what_holds)
}

/// Why the VM that the call may have made is perhaps there, though it is not listed: its id is ours to choose, and was
/// asked for.
fn may_be_there<'a>(census: &Census<'a>, intent: &OpenIntent) -> Option<&'a str> {
    let observed = census.inventory().observed(&intent.endpoint)?;
    let read = observed.missing.get(&OwnId::of_identity(intent.identity))?;
    match read {
        Missing::Unknown(why) if observed.capabilities.own_id_is_identity => Some(why),
        Missing::Unknown(_) | Missing::NotFound => None,
    }
}

/// The call by which a VM of this key may be being made at this moment: one without an outcome, of a VM
/// that is nowhere to be seen. There it is waited for before anything is sent (see `Provider::settle`);
/// elsewhere it would be made twice.
pub fn under_way<'a>(census: &Census<'a>, key: &VmKey, now: Timestamp) -> Option<&'a OpenIntent> {
    let intents = census.history().open_intents.iter().rev();
    intents
        .filter(|intent| intent.key == *key && !is_given_up(census, &intent.endpoint))
        .find(|intent| now.duration_since(intent.at) < LONGEST_TASK)
}

/// Why a tier that has left the endpoint of such a call gets no VM of that key.
pub fn elsewhere(intent: &OpenIntent, tier: &Tier) -> No {
    let OpenIntent { endpoint, call, at, .. } = intent;
    let why = format!(
        "it may be being made on {endpoint}, by {call} of {at} whose outcome is not known, and {} does not name that \
         endpoint any more; a day after the call it is taken for lost",
        tier.name
    );
    No::flat(BlockCode::VmUnknown, why)
}

fn is_settled(census: &Census<'_>, intent: &OpenIntent) -> bool {
    matches!(census.sights.get(&intent.endpoint), Some(Sight::Whole(_)))
        && census.inventory().endpoints.get(&intent.endpoint).is_some_and(|answer| answer.taken_at >= intent.at)
}

/// `retired` excuses always; `maintenance` where the last complete inventory lacked the key and nothing is open there.
fn is_excused(census: &Census<'_>, endpoint: &EndpointName, key: &VmKey) -> bool {
    match census.policy().endpoints.get(endpoint).map(|policy| policy.state) {
        Some(EndpointState::Retired) => true,
        Some(EndpointState::Maintenance) => {
            let lacked =
                census.history().last.get(endpoint).is_some_and(|last| {
                    !last.vms.iter().filter_map(|vm| vm.owned.as_ref()).any(|owned| owned.key == *key)
                });
            lacked && !census.history().open_intents.iter().any(|open| open.endpoint == *endpoint && open.key == *key)
        }
        Some(EndpointState::Active) | None => false,
    }
}

fn is_given_up(census: &Census<'_>, endpoint: &EndpointName) -> bool {
    census.policy().endpoints.get(endpoint).is_some_and(|policy| policy.state == EndpointState::Retired)
}

fn held_by(census: &Census<'_>, endpoint: &EndpointName) -> Option<No> {
    let Some(sight) = census.sights.get(endpoint) else {
        return Some(No::flat(BlockCode::NotConfigured, format!("endpoint {endpoint} is not in the settings")));
    };
    let doubt = sight.doubt()?;
    let no = No::from(doubt);
    Some(No { why: format!("it may be on {endpoint}: {}", no.why), ..no })
}
