//! Views.

use super::{Turn, managed_type};
use crate::lab::vsphere::fault::Fault;
use crate::lab::vsphere::morefs::resolve;
use crate::lab::vsphere::session::View;
use crate::lab::vsphere::soap::Answer;
use crate::lab::vsphere::value::{Ref, Value};

pub(super) fn answer(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    let now = turn.world.now_ms();
    let this = &turn.asked.this;
    let parameters = &turn.asked.parameters;
    match turn.asked.call {
        "CreateContainerView" => {
            let container = parameters.reference("container").ok_or_else(|| Fault::invalid_argument("container"))?;
            if resolve(turn.world, container).is_none() {
                return Err(Fault::not_found(container));
            }
            let names = parameters.list("type").iter().filter_map(Value::as_text);
            let types: Option<Vec<&'static str>> = names.map(managed_type).collect();
            let types = types.ok_or_else(|| Fault::invalid_argument("type"))?;
            let recursive = parameters.flag("recursive").unwrap_or(false);
            let view = View::Container { container: container.clone(), types, recursive };
            add(turn, "ContainerView", view, now)
        }
        "CreateListView" => {
            let view = View::List(parameters.references("obj").cloned().collect());
            add(turn, "ListView", view, now)
        }
        _ => {
            let session = turn.sessions.get(turn.caller, now);
            match session.and_then(|session| session.views.remove(&this.id)) {
                Some(_) => Ok(Answer::Value(None)),
                None => Err(Fault::not_found(this)),
            }
        }
    }
}

fn add(turn: &mut Turn<'_>, kind: &'static str, view: View, now: i64) -> Result<Answer, Fault> {
    let session = turn.sessions.get(turn.caller, now).ok_or_else(|| Fault::not_authenticated(&turn.asked.this))?;
    let id = session.add_view(view)?;
    Ok(Answer::Value(Some(Ref { kind, id }.into())))
}
