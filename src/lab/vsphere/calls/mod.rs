//! What each call does. Calls that wait (`WaitForUpdatesEx`) are in `wait.rs`; all others are done
//! under one look at the world.

pub(super) mod rights;
mod search;
mod session;
mod spec;
mod views;
mod vm;
pub(super) mod wait;

pub(super) use vm::{is_mutating, new_name};

use super::Identity;
use super::collector::{Listing, Spec, list_all, next_page, read_one};
use super::fault::Fault;
use super::properties::{Scope, check_path};
use super::schema::schema;
use super::session::{Caller, Sessions};
use super::soap::{Answer, Asked};
use super::value::{Ref, Value};
use crate::lab::faults::{Effect, StateRules};
use crate::lab::world::{Id, Refusal, World};

/// A call being answered.
pub(super) struct Turn<'a> {
    pub asked: &'a Asked,
    pub world: &'a mut World,
    pub sessions: &'a mut Sessions,
    pub identity: &'a Identity,
    pub caller: &'a Caller,
    pub rules: &'a StateRules,
    /// Effects of fault rules that are due on this call.
    pub effects: &'a [Effect],
    /// A cookie to be set.
    pub cookie: Option<String>,
}

impl Turn<'_> {
    /// What properties are computed from.
    fn scope(&mut self) -> Scope<'_> {
        let session = self.sessions.get(self.caller, self.world.now_ms());
        Scope {
            world: self.world,
            identity: self.identity,
            session: session.map(|session| &*session),
            rules: self.rules,
        }
    }

    fn user(&mut self) -> String {
        let now = self.world.now_ms();
        self.sessions.get(self.caller, now).map_or_else(String::new, |session| session.user.to_string())
    }

    fn this_vm(&self) -> Result<Id, Fault> {
        match super::morefs::resolve(self.world, &self.asked.this) {
            Some(super::morefs::Object::Vm(id)) => Ok(id),
            _ => Err(Fault::not_found(&self.asked.this)),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Fault {
        Fault::from_refusal(refusal, self.world)
    }

    fn text(&self, name: &str) -> &str {
        self.asked.parameters.text(name).unwrap_or_default()
    }
}

/// Does a call need nobody to be logged in?
pub(super) fn is_open(asked: &Asked) -> bool {
    match asked.call {
        "RetrieveServiceContent" | "Login" => true,
        "RetrieveProperties" | "RetrievePropertiesEx" | "Fetch" => asks_for_the_service_only(asked),
        _ => false,
    }
}

/// `ServiceInstance.content` may be read by anybody (recorded: `smart_connection.yaml`, before its login).
fn asks_for_the_service_only(asked: &Asked) -> bool {
    if asked.call == "Fetch" {
        return asked.this.kind == "ServiceInstance" && asked.parameters.text("prop") == Some("content");
    }
    let mut sets = asked.parameters.datas("specSet").peekable();
    sets.peek().is_some()
        && sets.all(|set| {
            set.datas("objectSet").all(|start| {
                start.list("selectSet").is_empty()
                    && start.reference("obj").is_some_and(|object| object.kind == "ServiceInstance")
            })
        })
}

/// Answers a call that does not wait.
pub(super) fn answer(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    let done = |value: Value| Ok(Answer::Value(Some(value)));
    let nothing = Ok(Answer::Value(None));
    match turn.asked.call {
        "RetrieveServiceContent" => done(super::properties::service_content(&turn.scope()).into()),
        "CurrentTime" => done(Value::Time(turn.world.now_ms())),
        "Login" => session::login(turn),
        "Logout" => {
            turn.sessions.logout(turn.caller);
            nothing
        }
        "SessionIsActive" => done(turn.sessions.active(turn.text("sessionID"), turn.text("userName")).into()),
        "Fetch" => fetch(turn),
        "RetrieveProperties" => {
            let listing = start_listing(turn, None)?;
            Ok(Answer::Written(list_all(&turn.scope(), listing)))
        }
        "RetrievePropertiesEx" => {
            let max = turn.asked.parameters.data("options").and_then(|options| options.int("maxObjects"));
            let listing = start_listing(turn, max)?;
            page(turn, listing)
        }
        "ContinueRetrievePropertiesEx" => {
            let listing = take_listing(turn)?;
            listing.check()?;
            page(turn, listing)
        }
        "CancelRetrievePropertiesEx" => take_listing(turn).map(|_| Answer::Value(None)),
        "CreateContainerView" | "CreateListView" | "DestroyView" => views::answer(turn),
        "CreateFilter"
        | "DestroyPropertyFilter"
        | "CreatePropertyCollector"
        | "DestroyPropertyCollector"
        | "CancelWaitForUpdates" => wait::manage(turn),
        "FindByUuid"
        | "FindAllByUuid"
        | "FindByInventoryPath"
        | "FindByDnsName"
        | "FindAllByDnsName"
        | "FindByIp"
        | "FindChild" => search::answer(turn),
        "HasPrivilegeOnEntities" | "HasUserPrivilegeOnEntities" | "FetchUserPrivilegeOnEntities" => {
            rights::answer(turn)
        }
        _ => vm::answer(turn),
    }
}

fn fetch(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    let asked = turn.asked;
    let path = check_path(asked.this.kind, asked.parameters.text("prop").unwrap_or_default())?;
    let value = read_one(&turn.scope(), &asked.this, &path)?;
    Ok(Answer::Property(path.field, value))
}

fn start_listing(turn: &mut Turn<'_>, max: Option<i64>) -> Result<Listing, Fault> {
    let specs: Vec<Spec> = turn.asked.parameters.datas("specSet").map(Spec::read).collect::<Result<_, _>>()?;
    let effects = turn.effects;
    Listing::start(&turn.scope(), specs, max, effects)
}

/// A page, with a token while there is more.
fn page(turn: &mut Turn<'_>, mut listing: Listing) -> Result<Answer, Fault> {
    let objects = next_page(&turn.scope(), &mut listing);
    if objects.is_empty() && listing.is_empty() {
        return Ok(Answer::Value(None));
    }
    let mut writer = crate::xml::Writer::fragment();
    writer.open("returnval");
    if !listing.is_empty() {
        let now = turn.world.now_ms();
        let session = turn.sessions.get(turn.caller, now);
        let session = session.ok_or_else(|| Fault::not_authenticated(&turn.asked.this))?;
        writer.leaf("token", &session.add_listing(listing));
    }
    writer.raw(&objects).close();
    Ok(Answer::Written(writer.finish().unwrap_or_default()))
}

fn take_listing(turn: &mut Turn<'_>) -> Result<Listing, Fault> {
    let token = turn.text("token").to_owned();
    let now = turn.world.now_ms();
    let session = turn.sessions.get(turn.caller, now);
    session.and_then(|session| session.listings.remove(&token)).ok_or_else(|| Fault::invalid_argument("token"))
}

/// The wire type of a name in a request, if it is a managed type.
fn managed_type(name: &str) -> Option<&'static str> {
    schema().find(name).filter(|(_, found)| found.managed).map(|(kind, _)| kind)
}

/// A list of references.
fn references(list: impl IntoIterator<Item = Ref>) -> Answer {
    Answer::Value(Some(Value::list(list)))
}
