//! Properties of managed objects, computed from the world when asked, only as far as a path goes.
//!
//! Tables name what the lab models; the data model names what there is. A path that is in neither is refused with
//! `InvalidProperty`, one that the lab does not model is unset, as many are on a real server.

mod devices;
mod place;
mod service;
mod task;
mod vm;
mod vm_config;

use super::fault::Fault;
use super::morefs::{Object, own_ref};
use super::schema::{Field, Kind, schema};
use super::value::{Data, Ref, Value};
use super::{Identity, Session};
use crate::lab::faults::{Effect, StateRules};
use crate::lab::world::{Vm, World};

/// What properties are computed from.
pub(super) struct Scope<'a> {
    pub world: &'a World,
    pub identity: &'a Identity,
    /// Who asks; views and filters are theirs.
    pub session: Option<&'a Session>,
    /// Hidden and unreadable VMs.
    pub rules: &'a StateRules,
}

impl Scope<'_> {
    /// Is the VM missing from listings?
    pub fn hides(&self, vm: &Vm) -> bool {
        !self.rules.is_empty() && self.holds(&Effect::Hide, vm)
    }

    /// Is the VM's configuration not readable?
    pub fn config_unset(&self, vm: &Vm) -> bool {
        !self.rules.is_empty() && self.holds(&Effect::UnsetConfig, vm)
    }

    fn holds(&self, effect: &Effect, vm: &Vm) -> bool {
        let (moref, uuid) = (format!("vm-{}", vm.id.0), vm.instance_uuid.to_string());
        self.rules.holds(effect, &[&vm.name, &moref, &uuid])
    }
}

/// An entry of a table: a field and how it is computed, or a data object with a table of its own.
enum Entry {
    Leaf(&'static str, fn(&vm::View<'_>) -> Option<Value>),
    Branch(&'static str, &'static str, &'static [Entry]),
}

/// Evaluates a path in a table.
fn lookup(table: &[Entry], view: &vm::View<'_>, path: &[&str]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    for entry in table {
        match entry {
            Entry::Leaf(name, get) if name == first => {
                return rest_of(get(view)?, rest);
            }
            Entry::Branch(name, kind, below) if name == first => {
                return match rest {
                    [] => Some(Value::Data(whole(kind, below, view))),
                    rest => lookup(below, view, rest),
                };
            }
            _ => {}
        }
    }
    None
}

/// All of a table as a data object.
fn whole(kind: &'static str, table: &[Entry], view: &vm::View<'_>) -> Data {
    let mut data = Data::new(kind);
    for entry in table {
        match entry {
            Entry::Leaf(name, get) => data = data.maybe(name, get(view)),
            Entry::Branch(name, kind, below) => data = data.with(name, whole(kind, below, view)),
        }
    }
    data
}

/// Goes on down a value that was computed whole.
fn rest_of(value: Value, path: &[&str]) -> Option<Value> {
    path.iter().try_fold(value, |value, name| descend(value, name))
}

fn descend(value: Value, name: &str) -> Option<Value> {
    match value {
        Value::Data(mut data) => {
            let at = data.fields.iter().position(|(known, _)| *known == name)?;
            Some(data.fields.swap_remove(at).1)
        }
        _ => None,
    }
}

/// A checked path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// As asked.
    pub text: Box<str>,
    /// What stands at its end.
    pub field: Field,
}

/// Checks a path against the data model, from a managed type on.
pub(super) fn check_path(kind: &str, text: &str) -> Result<Path, Fault> {
    let refuse = || Fault::invalid_property(&text.chars().take(200).collect::<String>());
    let mut at = kind;
    let mut found = None;
    let names: Vec<&str> = text.split('.').collect();
    for (index, name) in names.iter().enumerate() {
        let field = schema().property(at, name).ok_or_else(refuse)?;
        let last = index + 1 == names.len();
        match field.kind {
            // A path does not go through a list or a reference.
            Kind::Data(below) if !last && !field.many => at = below,
            _ if last => {}
            _ => return Err(refuse()),
        }
        found = Some(field);
    }
    found.map(|field| Path { text: text.into(), field }).ok_or_else(refuse)
}

/// Every property of a managed type, for `all`.
pub(super) fn all_paths(kind: &str) -> Vec<Path> {
    let fields = schema().find(kind).map_or(&[][..], |(_, found)| found.fields.as_slice());
    fields.iter().map(|field| Path { text: field.name.into(), field: *field }).collect()
}

/// The value of a path, if it is set.
pub(super) fn evaluate(scope: &Scope<'_>, object: &Object, path: &str) -> Option<Value> {
    // Paths are short: what is longer was refused when it was checked.
    let mut names = [""; 16];
    let mut count = 0;
    for name in path.split('.') {
        *names.get_mut(count)? = name;
        count += 1;
    }
    let path = names.get(..count)?;
    match object {
        Object::Vm(id) => vm::property(scope, scope.world.vm(*id)?, path),
        Object::Snapshot(vm, id) => vm::snapshot_property(scope, scope.world.vm(*vm)?, *id, path),
        Object::Task(id) => task::property(scope, *id, path),
        Object::Fixed(kind) => service::property(scope, kind, path),
        Object::OfSession(reference) => service::session_property(scope, reference, path),
        Object::Folder(id) => place::folder(scope, *id, path),
        Object::Datacenter(id) => place::datacenter(scope, *id, path),
        Object::Compute(id) => place::compute(scope, *id, path),
        Object::Host(id) => place::host(scope, *id, path),
        Object::Pool(id) => place::pool(scope, *id, path),
        Object::Datastore(id) => place::datastore(scope, *id, path),
        Object::Network(id) => place::network(scope, *id, path),
        Object::Switch(id) => place::switch(scope, *id, path),
    }
}

pub(super) use service::{about, service_content};
pub(super) use vm_config::change_number;

/// What every inventory object has: statuses as recorded for healthy objects.
fn entity(name: &str, parent: Option<Ref>, wanted: &str) -> Option<Value> {
    match wanted {
        "name" => Some(escaped(name).into()),
        "parent" => parent.map(Value::Ref),
        "overallStatus" | "configStatus" => Some(Value::Word("green")),
        "alarmActionsEnabled" => Some(true.into()),
        "value"
        | "availableField"
        | "customValue"
        | "configIssue"
        | "permission"
        | "disabledMethod"
        | "declaredAlarmState"
        | "triggeredAlarmState"
        | "tag"
        | "recentTask" => Some(Value::List(Vec::new())),
        "effectiveRole" => Some(Value::List(vec![Value::Int(-1)])),
        _ => None,
    }
}

/// Names travel with `%`, `/` and `\` escaped (ManagedEntity.name in the API reference).
pub(super) fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2f").replace('\\', "%5c")
}

/// A name of a request, unescaped.
pub(super) fn unescaped(name: &str) -> String {
    let mut out = name.to_owned();
    for (code, plain) in [("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\"), ("%25", "%")] {
        out = out.replace(code, plain);
    }
    out
}

/// Recent tasks on an object, newest last.
fn recent_tasks(scope: &Scope<'_>, entity: Option<crate::lab::world::Id>) -> Value {
    // A real server lists the last ten minutes' worth or what still runs.
    let since = scope.world.now_ms() - 600_000;
    let recent = scope.world.tasks().rev().take(200).filter(|task| {
        entity.is_none_or(|entity| task.entity == entity)
            && (task.ends_at >= since || task.state == crate::lab::world::TaskState::Running)
    });
    let mut list: Vec<Value> = recent.map(|task| super::morefs::task_ref(task.id).into()).collect();
    list.reverse();
    Value::List(list)
}

/// Its own type, of which paths are asked.
pub(super) fn kind_of(world: &World, object: &Object) -> &'static str {
    own_ref(world, object).kind
}
