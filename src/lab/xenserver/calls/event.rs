//! `event.from`: waits until something a client wants to hear of is new, or its time is over.

use std::time::Duration;

use super::Turn;
use crate::lab::faults::Effect;
use crate::lab::world::World;
use crate::lab::xenserver::events::{Subscriptions, batch, parse_token, write};
use crate::lab::xenserver::failure::{Failure, SESSION_INVALID};
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::value::Value;
use crate::lab::xenserver::wire::Wire;
use crate::lab::xenserver::{Front, Inner};

/// Nobody waits longer, whatever they ask for.
const LONGEST: Duration = Duration::from_mins(10);

/// What a client asks for.
struct Asked<'a> {
    session: u32,
    classes: &'a Value,
    since: u64,
    wire: &'a Wire,
    effects: &'a [Effect],
}

/// One look at what changed.
enum Look {
    Found(Value),
    /// Nothing; when the next thing comes due.
    Nothing(Option<i64>),
}

/// Answers `event.from`.
pub(in crate::lab::xenserver) async fn from(
    front: &Front,
    session: u32,
    parameters: &[Value],
    wire: &Wire,
    effects: &[Effect],
) -> Result<Value, Failure> {
    let [classes, token, timeout] = parameters else { return Err(Failure::field_type("classes")) };
    let since = parse_token(token.text().ok_or_else(|| Failure::field_type("token"))?)?;
    let seconds =
        timeout.float().filter(|seconds| seconds.is_finite()).ok_or_else(|| Failure::field_type("timeout"))?;
    let patience = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST).min(LONGEST);
    let asked = Asked { session, classes, since, wire, effects };
    let world = &front.parts.world;
    let (mut changes, mut nudges) = (world.changes(), front.nudge.subscribe());
    let until = world.clock().now_ms().saturating_add(i64::try_from(patience.as_millis()).unwrap_or(i64::MAX / 4));
    loop {
        changes.mark_unchanged();
        nudges.mark_unchanged();
        let last = world.clock().now_ms() >= until;
        let due = match front.with(|world, inner| look(inner, world, &asked, last))? {
            Look::Found(answer) => return Ok(answer),
            Look::Nothing(due) => due.unwrap_or(until).min(until),
        };
        tokio::select! {
            () = world.clock().wait_until(due) => {}
            _ = changes.changed() => {}
            _ = nudges.changed() => {}
        }
    }
}

fn look(inner: &mut Inner, world: &mut World, asked: &Asked<'_>, last: bool) -> Result<Look, Failure> {
    if inner.sessions.get(asked.session).is_none() {
        let reference = inner.codec.reference(&Obj::Session(asked.session));
        return Err(Failure::new(SESSION_INVALID, [reference]));
    }
    inner.follow(world);
    let number = world.change;
    let view = inner.view(world);
    let wanted = Subscriptions::parse(&view, asked.classes)?;
    let events = batch(&view, &wanted, asked.since, asked.effects)?;
    match events {
        None if !last => Ok(Look::Nothing(world.next_due())),
        events => Ok(Look::Found(write(&view, asked.wire, &events.unwrap_or_default(), number))),
    }
}

/// `event.inject` marks an object as changed; `event.get_current_id`.
pub(super) fn numbers(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    if turn.call.message == "inject" {
        let (class, reference) = (turn.text(0)?.to_owned(), turn.text(1)?.to_owned());
        let known = Class::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(&class)).copied();
        let class = known.ok_or_else(|| Failure::invalid("class", class))?;
        let obj = turn.named(class, &reference)?;
        turn.touch(obj);
        return Ok(format!("{:020},{:020}", turn.world.change, 0).into());
    }
    Ok(Value::from(turn.world.change))
}
