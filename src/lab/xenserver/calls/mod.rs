//! What each message does.
//!
//! ```text
//! fields.rs   generic messages: records, get_, set_, add_to_, remove_from_
//! life.rs     VM.create, clone, copy, provision, destroy, snapshot, revert
//! power.rs    VM.start, shutdowns, reboots, suspend, resume
//! sizes.rs    CPUs and memory
//! vdi.rs vbd.rs vif.rs
//! event.rs    event.from
//! rest.rs     sessions, tasks, pool, hosts, SRs
//! ```
//!
//! A message that takes time is done in `perform`, by its task when it is due; all others at once in `answer`. Each
//! looks before it changes anything.

pub(super) mod event;
mod fields;
mod life;
mod power;
mod rest;
mod sizes;
mod vbd;
mod vdi;
mod vif;

use super::Inner;
use super::failure::{Failure, MESSAGE_METHOD_UNKNOWN, RBAC_PERMISSION_DENIED};
use super::operations;
use super::records::View;
use super::refs::{Class, Obj};
use super::schema::{self, Generic, Message};
use super::tasks::Call;
use super::value::{NULL, Value};
use super::wire::Wire;
use crate::lab::faults::Effect;
use crate::lab::world::{Id, Refusal, World};

/// How a message was understood.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Generic(Generic),
    Message(&'static Message),
    /// `system.listMethods`.
    Listing,
}

/// A message of the API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub class: Class,
    pub message: &'static str,
    kind: Kind,
}

/// Messages that take lab time.
const TAKES_TIME: &[(Class, &[&str])] = &[
    (
        Class::Vm,
        &[
            "clone",
            "copy",
            "provision",
            "destroy",
            "start",
            "start_on",
            "clean_shutdown",
            "hard_shutdown",
            "shutdown",
            "clean_reboot",
            "hard_reboot",
            "suspend",
            "resume",
            "snapshot",
            "revert",
        ],
    ),
    (Class::Vdi, &["create", "destroy", "resize", "copy", "clone", "snapshot"]),
    (Class::Vbd, &["plug", "unplug", "unplug_force"]),
    (Class::Vif, &["plug", "unplug", "unplug_force", "move"]),
];

/// The message of this name, `VM.start`.
pub(super) fn known(name: &str) -> Option<Known> {
    if name == "system.listMethods" {
        return Some(Known { class: Class::Event, message: "listMethods", kind: Kind::Listing });
    }
    let (class, message) = name.split_once('.')?;
    let class = Class::named(class)?;
    let model = schema::class(class);
    if let Some(found) = model.message(message).filter(|found| found.name != "get_by_name_label") {
        return Some(Known { class, message: found.name, kind: Kind::Message(found) });
    }
    let generic = model.generic(message)?;
    // Kept for ever in one list: names of messages are few.
    let message = schema::interned(class, message)?;
    Some(Known { class, message, kind: Kind::Generic(generic) })
}

impl Known {
    /// Needs it no session?
    pub fn is_open(&self) -> bool {
        matches!(self.kind, Kind::Listing) || (self.class == Class::Session && self.message == "login_with_password")
    }

    pub fn mutating(&self) -> bool {
        match self.kind {
            Kind::Generic(generic) => generic.mutating() && !matches!(self.class, Class::Task | Class::Session),
            Kind::Message(message) => message.mutating,
            Kind::Listing => false,
        }
    }

    /// Reading, sessions, tasks and events have no asynchronous form.
    pub fn can_be_asynchronous(&self) -> bool {
        !matches!(self.class, Class::Task | Class::Session | Class::Event) && !self.message.starts_with("get_")
    }

    pub fn takes_time(&self) -> bool {
        TAKES_TIME.iter().any(|(class, messages)| *class == self.class && messages.contains(&self.message))
    }

    /// How many parameters it has after the session.
    pub fn parameters(&self) -> usize {
        match self.kind {
            Kind::Generic(generic) => generic.parameters(),
            Kind::Message(message) => message.parameters.len(),
            Kind::Listing => 0,
        }
    }

    /// Old clients leave out what came later: a login's version and originator, the last parameters of some.
    pub fn takes(&self, number: usize) -> bool {
        let least = match (self.class, self.message) {
            (Class::Session, "login_with_password") | (Class::Vdi, "copy") | (Class::Vm, "snapshot") => 2,
            (Class::Vdi, "clone" | "snapshot") | (Class::Host, "disable") => 1,
            _ => self.parameters(),
        };
        (least..=self.parameters()).contains(&number)
    }
}

/// What a call concerns, for fault rules and the record.
#[derive(Debug, Default)]
pub(super) struct Concern {
    pub names: Vec<String>,
    /// The reference it is made on.
    pub target: String,
    /// The VM's name.
    pub vm: Option<String>,
}

impl Concern {
    pub fn of(view: &View<'_>, name: &str, parameters: &[Value]) -> Self {
        let class = name.split_once('.').and_then(|(class, _)| Class::named(class));
        let Some(class) = class else { return Self::default() };
        // After the session.
        let first = parameters.get(1);
        if let Some(record) = first.filter(|first| first.map().is_some()) {
            return Self::of_record(view, record);
        }
        let mut concern = match first.and_then(Value::text) {
            Some(reference) if name != "session.login_with_password" => Self::of_reference(view, class, reference),
            _ => Self::default(),
        };
        if let ("VM.clone" | "VM.copy", Some(made)) = (name, parameters.get(2).and_then(Value::text)) {
            concern.names.push(made.to_owned());
            concern.vm = Some(made.to_owned());
        }
        concern
    }

    /// A record of something to be made: it names itself, or the VM it is for.
    fn of_record(view: &View<'_>, record: &Value) -> Self {
        if let Some(vm) = record.get("VM").and_then(Value::text) {
            return Self { target: String::new(), ..Self::of_reference(view, Class::Vm, vm) };
        }
        let name = record.get("name_label").and_then(Value::text).map(str::to_owned);
        Self { names: name.clone().into_iter().collect(), target: String::new(), vm: name }
    }

    pub fn of_reference(view: &View<'_>, class: Class, reference: &str) -> Self {
        let mut concern = Self { names: vec![reference.to_owned()], target: reference.to_owned(), vm: None };
        let vm = match view.codec.object(class, reference) {
            Some(Obj::Vm(id) | Obj::VmMetrics(id) | Obj::GuestMetrics(id) | Obj::Vbd(id, _) | Obj::Vif(id, _)) => {
                view.world.vm(id)
            }
            Some(Obj::Vdi(file)) => {
                let users = view.world.file_by_id(file).map_or(&[] as &[Obj], |(path, _)| view.users(path));
                users.iter().find_map(|user| match user {
                    Obj::Vbd(vm, _) => view.world.vm(*vm),
                    _ => None,
                })
            }
            _ => None,
        };
        if let Some(vm) = vm {
            concern.names.extend(view.names(vm));
            concern.vm = Some(vm.name.to_string());
        }
        concern
    }
}

/// One call while it is done.
pub(super) struct Turn<'a> {
    pub inner: &'a mut Inner,
    pub world: &'a mut World,
    pub call: &'a Call,
    /// The task that does it, if one does.
    pub task: Option<u32>,
    /// How often it was looked at before.
    pub looks: u32,
}

/// How far a call that takes time came.
pub(super) enum Done {
    Value(Value),
    /// Look again.
    Later,
}

impl From<Value> for Done {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// The VM that does nothing else while a call is under way.
pub(super) fn busy_vm(inner: &Inner, call: &Call) -> Option<Id> {
    if call.class != Class::Vm || matches!(call.message, "clone" | "copy") {
        return None;
    }
    match inner.codec.object(Class::Vm, call.parameters.first()?.text()?)? {
        Obj::Vm(id) => Some(id),
        _ => None,
    }
}

/// Does a call by its task.
pub(super) fn perform(turn: &mut Turn<'_>) -> Result<Done, Failure> {
    match (turn.call.class, turn.call.message) {
        (Class::Vm, "clone" | "copy") => life::copy(turn).map(Done::Value),
        (Class::Vm, "provision") => life::provision(turn).map(Done::Value),
        (Class::Vm, "destroy") => life::destroy(turn).map(Done::Value),
        (Class::Vm, "snapshot") => life::snapshot(turn).map(Done::Value),
        (Class::Vm, "revert") => life::revert(turn).map(Done::Value),
        (Class::Vm, "start" | "start_on" | "resume") => power::start(turn).map(Done::Value),
        (Class::Vm, "hard_shutdown" | "hard_reboot" | "suspend") => power::hard(turn).map(Done::Value),
        (Class::Vm, "clean_shutdown" | "shutdown" | "clean_reboot") => power::clean(turn),
        (Class::Vdi, _) if known_time(turn) => vdi::perform(turn).map(Done::Value),
        (Class::Vbd, "plug" | "unplug" | "unplug_force") => vbd::plug(turn).map(Done::Value),
        (Class::Vif, "plug" | "unplug" | "unplug_force") => vif::plug(turn).map(Done::Value),
        (Class::Vif, "move") => vif::connect(turn).map(Done::Value),
        _ => at_once(turn).map(Done::Value),
    }
}

fn known_time(turn: &Turn<'_>) -> bool {
    TAKES_TIME.iter().any(|(class, messages)| *class == turn.call.class && messages.contains(&turn.call.message))
}

/// Does a call that takes no time.
pub(super) fn answer(
    inner: &mut Inner,
    world: &mut World,
    call: &Call,
    how: (&Wire, &[Effect]),
) -> Result<Value, Failure> {
    let mut turn = Turn { inner, world, call, task: None, looks: 0 };
    let name = format!("{}.{}", call.class.name(), call.message);
    let listing = (call.class, call.message) == (Class::Event, "listMethods");
    let known = if listing { known("system.listMethods") } else { known(&name) };
    match known.map(|known| known.kind) {
        Some(Kind::Generic(Generic::GetAllRecords)) => fields::all_records(&turn, how),
        Some(Kind::Listing) => Ok(schema::messages().iter().cloned().collect()),
        Some(_) => at_once(&mut turn),
        None => Err(Failure::new(MESSAGE_METHOD_UNKNOWN, [name])),
    }
}

fn at_once(turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let (class, message) = (turn.call.class, turn.call.message);
    match (class, message) {
        (Class::Vm, "create") => life::create(turn),
        (Class::Vm, _) if sizes::has(message) => sizes::set(turn),
        (Class::Vm, _) if rest::vm_has(message) => rest::vm(turn),
        (Class::Vbd, "create") => vbd::create(turn),
        (Class::Vbd, "destroy") => vbd::destroy(turn),
        (Class::Vbd, "insert" | "eject") => vbd::change_medium(turn),
        (Class::Vif, "create") => vif::create(turn),
        (Class::Vif, "destroy") => vif::destroy(turn),
        (Class::Session, "login_with_password" | "logout") => rest::session(turn),
        (Class::Task, "create" | "destroy" | "cancel" | "set_status" | "set_progress") => rest::task(turn),
        (Class::Pool, "designate_new_master" | "emergency_transition_to_master") => rest::pool(turn),
        (Class::Host, _) if rest::host_has(message) => rest::host(turn),
        (Class::Sr, "scan" | "update") => turn.object(0, Class::Sr).map(|_| Value::void()),
        (Class::Event, "inject" | "get_current_id") => event::numbers(turn),
        _ => match schema::class(class).generic(message) {
            Some(generic) => fields::generic(turn, generic),
            None => Err(Failure::new(MESSAGE_METHOD_UNKNOWN, [format!("{}.{message}", class.name())])),
        },
    }
}

impl Turn<'_> {
    pub fn view(&self) -> View<'_> {
        self.inner.view(self.world)
    }

    pub fn reference(&self, obj: &Obj) -> String {
        self.inner.codec.reference(obj)
    }

    fn parameter(&self, at: usize) -> &Value {
        const ABSENT: &Value = &Value::Text(std::borrow::Cow::Borrowed(""));
        self.call.parameters.get(at).unwrap_or(ABSENT)
    }

    /// The name of a parameter, for errors.
    fn name(&self, at: usize) -> &'static str {
        let message = schema::class(self.call.class).message(self.call.message);
        message.and_then(|message| message.parameters.get(at)).copied().unwrap_or("value")
    }

    pub fn text(&self, at: usize) -> Result<&str, Failure> {
        self.parameter(at).text().ok_or_else(|| Failure::field_type(self.name(at)))
    }

    pub fn int(&self, at: usize) -> Result<i64, Failure> {
        self.parameter(at).int().ok_or_else(|| Failure::field_type(self.name(at)))
    }

    /// The object a parameter names; one that is not there, or out of the account's sight, is refused.
    pub fn object(&self, at: usize, class: Class) -> Result<Obj, Failure> {
        self.named(class, self.text(at)?)
    }

    pub fn named(&self, class: Class, reference: &str) -> Result<Obj, Failure> {
        let view = self.view();
        let obj = view.codec.object(class, reference).filter(|obj| view.exists(obj));
        let obj = obj.ok_or_else(|| Failure::handle(class, reference))?;
        if view.out_of_sight(&obj) {
            let words = [
                format!("{}.{}", class.name(), self.call.message).to_lowercase(),
                "No permission in user session".into(),
            ];
            return Err(Failure::new(RBAC_PERMISSION_DENIED, words));
        }
        // What a fault rule has lost is in no table; only its VM still names it.
        if matches!(class, Class::Vbd | Class::Vif) && view.hidden(&obj) && !hidden_vm(&view, &obj) {
            return Err(Failure::handle(class, reference));
        }
        Ok(obj)
    }

    /// As [`Self::object`], where the null reference is taken for none.
    pub fn object_or_none(&self, at: usize, class: Class) -> Result<Option<Obj>, Failure> {
        match self.parameter(at).text() {
            None | Some("" | NULL) => Ok(None),
            Some(reference) => self.named(class, reference).map(Some),
        }
    }

    /// The VM of the first parameter, if it allows an operation.
    pub fn vm_for(&self, operation: &str) -> Result<Id, Failure> {
        let Obj::Vm(id) = self.object(0, Class::Vm)? else { return Err(Failure::field_type("vm")) };
        operations::check(&self.view(), id, operation, self.task)?;
        Ok(id)
    }

    /// Marks an object the world does not number as changed.
    pub fn touch(&mut self, obj: Obj) {
        let number = self.world.bump();
        self.inner.tables.shadow.touched(obj, number);
    }

    /// Why the world refused, in this API's words.
    pub fn refused(&self, refusal: &Refusal) -> Failure {
        use super::failure::{INTERNAL_ERROR, NO_HOSTS_AVAILABLE, VDI_IN_USE, VDI_MISSING};
        match refusal {
            Refusal::HostUnusable(_) => Failure::new(NO_HOSTS_AVAILABLE, [] as [&str; 0]),
            Refusal::NoFile(path) => Failure::new(VDI_MISSING, [String::new(), path.clone()]),
            Refusal::FileLocked(path) => {
                let file = self.world.files.get(path.as_str()).map(|file| self.reference(&Obj::Vdi(file.uuid)));
                Failure::new(VDI_IN_USE, [file.unwrap_or_default(), "attach".to_owned()])
            }
            other => Failure::new(INTERNAL_ERROR, [format!("{other:?}")]),
        }
    }
}

/// Is it lost because its whole VM is hidden? Then it is there when asked for.
fn hidden_vm(view: &View<'_>, obj: &Obj) -> bool {
    matches!(*obj, Obj::Vbd(vm, _) | Obj::Vif(vm, _) if view.hidden(&Obj::Vm(vm)))
}
