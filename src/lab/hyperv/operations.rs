//! What each operation answers: Identify, Get, Put, Enumerate, Pull, Release, Invoke.

use uuid::Uuid;

use super::cim::{self, View};
use super::envelope::{self, Asked, ENUMERATION, TRANSFER};
use super::fault::Fault;
use super::instance::{Instance, Reference, WSMAN, class_of, place_of};
use super::schema::{Class, find, has_namespace};
use super::wql::{self, Query};
use super::{Node, rights};
use crate::lab::faults::{Effect, StateRules};
use crate::lab::world::World;
use crate::xml::{Element, Writer, XmlError};

/// WQL, and nothing else (SEQUENCES.md).
const WQL: &str = "http://schemas.microsoft.com/wbem/wsman/1/WQL";
/// Room for the envelope around items.
const AROUND: usize = 2048;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Identify,
    Get,
    Put,
    Enumerate,
    Pull,
    Release,
    /// A method of a class.
    Invoke(&'a str),
    Unknown,
}

impl<'a> Operation<'a> {
    /// What a request asks.
    pub fn of(asked: &'a Asked<'_>) -> Self {
        let action = asked.action.as_str();
        if action.is_empty() {
            let identify = |body: &Element<'_>| body.head.is(envelope::IDENTITY, "Identify");
            return if asked.body.as_ref().is_some_and(identify) { Self::Identify } else { Self::Unknown };
        }
        if let Some(verb) = action.strip_prefix(TRANSFER) {
            return match verb {
                "/Get" => Self::Get,
                "/Put" => Self::Put,
                _ => Self::Unknown,
            };
        }
        if let Some(verb) = action.strip_prefix(ENUMERATION) {
            return match verb {
                "/Enumerate" => Self::Enumerate,
                "/Pull" => Self::Pull,
                "/Release" => Self::Release,
                _ => Self::Unknown,
            };
        }
        match action.rsplit_once('/') {
            Some((uri, method)) if uri.eq_ignore_ascii_case(&asked.uri) => Self::Invoke(method),
            _ => Self::Unknown,
        }
    }

    /// Its name, for rules and the record.
    pub fn name(self) -> &'a str {
        match self {
            Self::Identify => "Identify",
            Self::Get => "Get",
            Self::Put => "Put",
            Self::Enumerate => "Enumerate",
            Self::Pull => "Pull",
            Self::Release => "Release",
            Self::Invoke(method) => method,
            Self::Unknown => "",
        }
    }
}

/// A request being answered, under one look at the world.
pub(super) struct Turn<'a> {
    pub node: &'a Node,
    pub asked: &'a Asked<'a>,
    pub world: &'a mut World,
    pub rules: &'a StateRules,
    /// Effects of fault rules that are due on this call.
    pub effects: &'a [Effect],
}

/// An answer, or the fault instead of it.
pub(super) type Answered = Result<String, Fault>;

impl Turn<'_> {
    fn writer(&self, action: &str) -> Writer {
        envelope::answer(action, &self.node.fresh_id(), &self.asked.message_id)
    }

    /// Looks at the world as this host shows it.
    pub fn view<R>(&self, look: impl FnOnce(&View<'_>) -> R) -> R {
        let jobs = self.node.jobs();
        look(&View { world: self.world, host: &self.node.host, rules: self.rules, jobs: &jobs, only: None })
    }

    fn body(&self) -> Result<&Element<'_>, Fault> {
        self.asked.body.as_ref().ok_or_else(|| Fault::malformed("The body is empty. "))
    }
}

/// Answers a request.
pub(super) fn answer(turn: &mut Turn<'_>, operation: Operation<'_>, names: &[&str]) -> Answered {
    let namespace = place_of(&turn.asked.uri).map_or("", |(namespace, _)| namespace).to_owned();
    let method = if let Operation::Invoke(method) = operation { Some(method) } else { None };
    rights::check(turn.rules, &namespace, method, names)?;
    match operation {
        Operation::Identify => Ok(envelope::identity()),
        Operation::Get => get(turn),
        Operation::Put => put(turn),
        Operation::Enumerate => enumerate(turn),
        Operation::Pull => pull(turn),
        Operation::Release => release(turn),
        Operation::Invoke(method) => super::methods::invoke(turn, method),
        Operation::Unknown => Err(Fault::action(&turn.asked.action)),
    }
}

/// Ends a message within the size the client takes.
pub(super) fn finish(turn: &Turn<'_>, writer: Writer) -> Answered {
    let text = writer.finish().map_err(|error| unwritable(&error))?;
    if text.len() > turn.asked.max_envelope { Err(Fault::too_large()) } else { Ok(text) }
}

pub(super) fn unwritable(error: &XmlError) -> Fault {
    Fault::internal(0x8004_1001, format!("{error}. "))
}

/// The class of the request's resource URI.
pub(super) fn class_asked(uri: &str) -> Result<&'static Class, Fault> {
    if let Some(class) = class_of(uri) {
        return Ok(class);
    }
    match place_of(uri) {
        Some((namespace, name)) => Err(Fault::no_class(namespace, name)),
        None => Err(Fault::no_resource(uri)),
    }
}

/// The instance the request's selectors name.
pub(super) fn instance_asked(turn: &Turn<'_>) -> Result<Instance, Fault> {
    let class = class_asked(&turn.asked.uri)?;
    let reference = Reference { class, keys: turn.asked.selectors.clone() };
    look_up(turn, &reference)
}

/// An instance by reference. A class with one instance needs no keys, as Windows has it for services.
pub(super) fn look_up(turn: &Turn<'_>, reference: &Reference) -> Result<Instance, Fault> {
    let class = reference.class;
    if let Some((wrong, _)) =
        reference.keys.iter().find(|(key, _)| class.keys.iter().all(|known| !known.eq_ignore_ascii_case(key)))
    {
        return Err(Fault::selectors(format!("{} is not a key of {}. ", cut(wrong), class.name)));
    }
    if rights::sees_nothing(turn.rules, class.namespace) || is_denied(turn, reference) {
        return Err(Fault::access_denied());
    }
    turn.view(|view| {
        if reference.keys.len() < class.keys.len() {
            let mut all = cim::instances(view, class);
            return match (reference.keys.is_empty(), all.len()) {
                (true, 1) => Ok(all.remove(0)),
                _ => Err(Fault::selectors(format!("{} needs {}. ", class.name, class.keys.join(", ")))),
            };
        }
        cim::find(view, reference).ok_or_else(Fault::not_found)
    })
}

/// Does it belong to a VM the account may not see?
fn is_denied(turn: &Turn<'_>, reference: &Reference) -> bool {
    let Some(guid) = cim::confined_by(&reference.keys) else { return false };
    turn.world.vms().any(|vm| vm.instance_uuid == guid && cim::denied(turn.rules, vm))
}

fn get(turn: &Turn<'_>) -> Answered {
    let mut writer = turn.writer(&format!("{TRANSFER}/GetResponse"));
    if turn.asked.uri.starts_with(super::config::URI) {
        super::config::write(&mut writer);
    } else {
        instance_asked(turn)?.write(&mut writer, None);
    }
    finish(turn, writer)
}

/// The classes of Hyper-V are changed by methods alone.
fn put(turn: &Turn<'_>) -> Answered {
    let instance = instance_asked(turn)?;
    let words = format!("{}: Provider is not capable of the attempted operation. ", instance.class.name);
    Err(Fault::internal(0x8004_1024, words))
}

/// What an item of an enumeration is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Object,
    Reference,
    Both,
}

fn enumerate(turn: &mut Turn<'_>) -> Answered {
    let body = turn.body()?;
    let mode = match body.text_of("EnumerationMode").map(str::trim) {
        None => Mode::Object,
        Some("EnumerateEPR") => Mode::Reference,
        Some("EnumerateObjectAndEPR") => Mode::Both,
        Some(other) => return Err(Fault::parameter(format!("EnumerationMode {} is not known. ", cut(other)))),
    };
    let (class, items) = items(turn, mode)?;
    let optimized = body.child("OptimizeEnumeration").is_some();
    let most = body.text_of("MaxElements").and_then(|text| text.trim().parse().ok()).unwrap_or(1);
    let id = turn.node.fresh_uuid();
    let now = turn.world.now_ms();
    let room = turn.asked.max_envelope.saturating_sub(AROUND);
    let mut open = turn.node.enumerations();
    let begun = open.begin(id, &class, items, now).ok_or_else(Fault::quota)?;
    begun.page = turn.effects.iter().find_map(|effect| match effect {
        Effect::BreakAfterPage(objects) => Some(*objects),
        _ => None,
    });
    let mut writer = turn.writer(&format!("{ENUMERATION}/EnumerateResponse"));
    writer.open("n:EnumerateResponse");
    if !optimized {
        writer.leaf("n:EnumerationContext", &format!("uuid:{}", super::parts::upper(id)));
        return finish(turn, writer);
    }
    let page = begun.take(most, room).ok_or_else(Fault::too_large)?;
    let done = begun.left.is_empty();
    begun.broken = begun.page.is_some();
    writer
        .leaf("n:EnumerationContext", &if done { String::new() } else { format!("uuid:{}", super::parts::upper(id)) });
    writer.open("w:Items").raw(&page.concat()).close();
    if done {
        open.end(id);
        writer.open("w:EndOfSequence").close();
    }
    finish(turn, writer)
}

/// The class asked for, and everything found, as it is written.
fn items(turn: &Turn<'_>, mode: Mode) -> Result<(String, Vec<String>), Fault> {
    let (namespace, last) = place_of(&turn.asked.uri).ok_or_else(|| Fault::no_resource(&turn.asked.uri))?;
    let filter = turn.body()?.children.iter().find(|child| child.name() == "Filter");
    let (class, columns, found) = match filter {
        None => {
            let all = turn.view(|view| cim::of_family(view, namespace, last));
            (last.to_owned(), None, all.ok_or_else(|| Fault::no_class(namespace, last))?)
        }
        Some(filter) => queried(turn, namespace, filter)?,
    };
    let mut found = if rights::sees_nothing(turn.rules, namespace) { Vec::new() } else { found };
    for effect in turn.effects {
        if let Effect::Truncate(objects) = effect {
            found.truncate(*objects);
        }
    }
    let mut items = Vec::with_capacity(found.len());
    for instance in &found {
        let mut writer = Writer::fragment();
        match mode {
            Mode::Object => instance.write(&mut writer, columns.as_deref()),
            Mode::Reference => write_reference(&mut writer, instance),
            Mode::Both => {
                writer.open("w:Item");
                instance.write(&mut writer, columns.as_deref());
                write_reference(&mut writer, instance);
            }
        }
        items.push(writer.finish().map_err(|error| unwritable(&error))?);
    }
    Ok((class, items))
}

fn write_reference(writer: &mut Writer, instance: &Instance) {
    writer.open("a:EndpointReference");
    instance.reference().write(writer);
    writer.close();
}

type Queried = (String, Option<Vec<String>>, Vec<Instance>);

fn queried(turn: &Turn<'_>, namespace: &str, filter: &Element<'_>) -> Result<Queried, Fault> {
    if filter.attribute("Dialect") != Some(WQL) {
        return Err(Fault::dialect());
    }
    let bad = || Fault::filter(format!("Invalid query: {}. ", cut(&filter.text)));
    if !has_namespace(namespace) {
        return Err(Fault::no_class(namespace, "*"));
    }
    let source = |path: wql::Path| match find(namespace, &path.class) {
        Some(class) => Ok(Reference { class, keys: path.keys }),
        None => Err(Fault::no_class(namespace, &path.class)),
    };
    match wql::parse(&filter.text).ok_or_else(bad)? {
        Query::Select { columns, class, condition } => {
            let known = super::schema::family(namespace, &class);
            if known.is_empty() {
                return Err(Fault::no_class(namespace, &class));
            }
            let named = condition.iter().flat_map(|condition| condition.properties());
            for property in named.chain(columns.iter().map(String::as_str)) {
                if known.iter().all(|class| class.property(property).is_none() && !property.starts_with("__")) {
                    return Err(Fault::filter(format!("{class} has no property {}. ", cut(property))));
                }
            }
            let only = cim::confined(condition.as_ref());
            let mut found =
                turn.view(|view| cim::of_family(&View { only, ..*view }, namespace, &class)).unwrap_or_default();
            found.retain(|each| condition.as_ref().is_none_or(|condition| condition.holds(each)));
            Ok((class, Some(columns).filter(|columns| !columns.is_empty()), found))
        }
        Query::Associators { source: path, association, result } => {
            let source = source(path)?;
            let (association, result) = (association.as_deref(), result.as_deref());
            let found = turn.view(|view| cim::associated(view, &source, association, result));
            Ok((result.unwrap_or("*").to_owned(), None, found))
        }
        Query::References { source: path, result } => {
            let source = source(path)?;
            let found = turn.view(|view| cim::links_of(view, &source, result.as_deref()));
            Ok((result.unwrap_or_else(|| "*".to_owned()), None, found))
        }
    }
}

/// The enumeration a request goes on with.
pub(super) fn context(asked: &Asked<'_>) -> Option<Uuid> {
    let text = asked.body.as_ref()?.text_of("EnumerationContext")?.trim();
    Uuid::parse_str(text.strip_prefix("uuid:").unwrap_or(text)).ok()
}

fn pull(turn: &Turn<'_>) -> Answered {
    let body = turn.body()?;
    // WS-Enumeration, 3.2: one, where the client names no number.
    let most = body.text_of("MaxElements").map_or(Ok(1), |text| text.trim().parse::<usize>());
    let most = most.map_err(|_| Fault::parameter("MaxElements is no number. "))?.max(1);
    let id = context(turn.asked).ok_or_else(Fault::enumeration)?;
    let mut open = turn.node.enumerations();
    let found = open.get(id, turn.world.now_ms()).ok_or_else(Fault::enumeration)?;
    if found.broken {
        return Err(Fault::internal(0x8007_06BE, "The remote procedure call failed. "));
    }
    let room = turn.asked.max_envelope.saturating_sub(AROUND);
    let page = found.take(most, room).ok_or_else(Fault::too_large)?;
    let done = found.left.is_empty();
    found.broken = found.page.is_some();
    let mut writer = turn.writer(&format!("{ENUMERATION}/PullResponse"));
    writer.open("n:PullResponse");
    if !done {
        writer.leaf("n:EnumerationContext", &format!("uuid:{}", super::parts::upper(id)));
    }
    writer.open("n:Items").raw(&page.concat()).close();
    if done {
        open.end(id);
        writer.open("n:EndOfSequence").close();
    }
    finish(turn, writer)
}

fn release(turn: &Turn<'_>) -> Answered {
    let id = context(turn.asked).ok_or_else(Fault::enumeration)?;
    if !turn.node.enumerations().end(id) {
        return Err(Fault::enumeration());
    }
    finish(turn, turn.writer(&format!("{ENUMERATION}/ReleaseResponse")))
}

/// Begins the answer of a method.
pub(super) fn method_writer(turn: &Turn<'_>, uri: &str, method: &str) -> Writer {
    let mut writer = turn.writer(&format!("{uri}/{method}Response"));
    writer.open(&format!("p:{method}_OUTPUT")).attribute("xmlns:p", uri);
    writer
        .attribute("xmlns:xsi", crate::xml::XSI)
        .attribute("xmlns:cim", "http://schemas.dmtf.org/wbem/wscim/1/common");
    writer.attribute("xmlns:wsman", WSMAN).text("");
    writer
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
