//! One answer of `event.from`: what a client has not seen yet, as it asked for it.
//!
//! As recorded: with an empty token every object comes as `add`; with a later one what came is `add`, what changed
//! `mod`, both with a snapshot, and what went is `del` without one. `valid_ref_counts` tells how many objects of each
//! class there are, by which a client sees that it missed something.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use crate::lab::faults::Effect;
use crate::lab::xenserver::failure::{
    EVENT_FROM_TOKEN_PARSE_FAILURE, EVENT_SUBSCRIPTION_PARSE_FAILURE, Failure, INTERNAL_ERROR,
};
use crate::lab::xenserver::records::View;
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::value::Value;
use crate::lab::xenserver::wire::Wire;

/// Classes that `valid_ref_counts` names and the front has none of, as recorded.
const NONE_OF: &[&str] = &[
    "auth",
    "blob",
    "bond",
    "caller",
    "certificate",
    "cluster",
    "cluster_host",
    "console",
    "crashdump",
    "data_source",
    "diagnostics",
    "dr_task",
    "driver_variant",
    "event",
    "feature",
    "gpu_group",
    "host_cpu",
    "host_crashdump",
    "host_driver",
    "host_patch",
    "lvhd",
    "message",
    "network_sriov",
    "observer",
    "pci",
    "pgpu",
    "pif_metrics",
    "pool_patch",
    "pool_update",
    "probe_result",
    "pusb",
    "pvs_cache_storage",
    "pvs_proxy",
    "pvs_server",
    "pvs_site",
    "rate_limit",
    "repository",
    "role",
    "sdn_controller",
    "secret",
    "sm",
    "sr_stat",
    "subject",
    "tunnel",
    "usb_group",
    "user",
    "vbd_metrics",
    "vdi_nbd_server_info",
    "vgpu",
    "vgpu_type",
    "vif_metrics",
    "vlan",
    "vm_appliance",
    "vm_group",
    "vmpp",
    "vmss",
    "vtpm",
    "vusb",
];

/// An object, what happened to it, and the number of that.
pub(in crate::lab::xenserver) type Event = (Obj, &'static str, u64);

/// What a client wants to hear of.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lab::xenserver) enum Subscription {
    All,
    /// By lower-case name.
    Class(String),
    Object(Obj),
    /// Well-formed and of nothing there is.
    Nothing,
}

/// All of a client's wishes.
#[derive(Debug, Clone)]
pub(in crate::lab::xenserver) struct Subscriptions(pub Vec<Subscription>);

impl Subscriptions {
    /// `*`, `class`, `class/reference`; anything else is refused.
    pub fn parse(view: &View<'_>, words: &Value) -> Result<Self, Failure> {
        let words = words.list().ok_or_else(|| Failure::field_type("classes"))?;
        let parse = |word: &Value| {
            let word = word.text().ok_or_else(|| Failure::field_type("classes"))?;
            match word.split('/').collect::<Vec<_>>().as_slice() {
                ["*"] => Ok(Subscription::All),
                [class] if !class.is_empty() => Ok(Subscription::Class(class.to_lowercase())),
                [class, reference] => {
                    let known = Class::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(class));
                    let object = known.and_then(|class| view.codec.object(*class, reference));
                    Ok(object.map_or(Subscription::Nothing, Subscription::Object))
                }
                _ => Err(Failure::new(EVENT_SUBSCRIPTION_PARSE_FAILURE, [word])),
            }
        };
        Ok(Self(words.iter().map(parse).collect::<Result<_, _>>()?))
    }

    fn want(&self, obj: &Obj) -> bool {
        self.0.iter().any(|one| match one {
            Subscription::All => true,
            Subscription::Class(name) => obj.class().name().eq_ignore_ascii_case(name),
            Subscription::Object(wanted) => wanted == obj,
            Subscription::Nothing => false,
        })
    }
}

/// The number in a token; 0 for the empty one.
pub(in crate::lab::xenserver) fn parse_token(token: &str) -> Result<u64, Failure> {
    if token.is_empty() {
        return Ok(0);
    }
    let numbers = token.split_once(',').and_then(|(one, two)| Some((one.parse().ok()?, two.parse::<u64>().ok()?)));
    numbers.map(|(number, _)| number).ok_or_else(|| Failure::new(EVENT_FROM_TOKEN_PARSE_FAILURE, [token]))
}

/// What is new after a number; `None` where nothing is and the client may wait.
pub(in crate::lab::xenserver) fn batch(
    view: &View<'_>,
    wanted: &Subscriptions,
    since: u64,
    effects: &[Effect],
) -> Result<Option<Vec<Event>>, Failure> {
    let shadow = &view.tables.shadow;
    let mut events: Vec<Event> = Vec::new();
    if since == 0 {
        let all = shadow.all().filter(|(obj, _)| wanted.want(obj) && !view.hidden(obj));
        events.extend(all.map(|(obj, stamp)| (*obj, "add", stamp.touched)));
    } else {
        let changed = shadow.since(since).filter(|(obj, _)| wanted.want(obj) && !view.hidden(obj));
        let (added, modified): (Vec<_>, Vec<_>) = changed.partition(|(_, stamp)| stamp.created > since);
        events.extend(added.into_iter().map(|(obj, stamp)| (*obj, "add", stamp.touched)));
        events.extend(modified.into_iter().map(|(obj, stamp)| (*obj, "mod", stamp.touched)));
        // Newest first from the back, so that a client that is up to date costs nothing.
        let gone = shadow.gone.iter().rev().take_while(|gone| gone.at > since);
        let mut gone: Vec<_> = gone.filter(|gone| gone.created <= since && wanted.want(&gone.obj)).collect();
        gone.reverse();
        events.extend(gone.into_iter().map(|gone| (gone.obj, "del", gone.at)));
    }
    for effect in effects {
        match effect {
            Effect::Truncate(most) => events.truncate(*most),
            Effect::BreakAfterPage(most) if events.len() > *most => {
                return Err(Failure::new(INTERNAL_ERROR, ["the answer was given up"]));
            }
            _ => {}
        }
    }
    Ok(if events.is_empty() && since != 0 { None } else { Some(events) })
}

/// Writes the answer in the form of its reply.
pub(in crate::lab::xenserver) fn write(view: &View<'_>, wire: &Wire, events: &[Event], number: u64) -> Value {
    let token = format!("{number:020},{:020}", 0);
    let counts = counts(view);
    match wire {
        Wire::Json { .. } => {
            let mut out = String::with_capacity(events.len() * 1024 + 4096);
            out.push_str("{\"events\":[");
            for (at, event) in events.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                event_value(view, event).write_json(&mut out);
            }
            let _ = write!(out, "],\"token\":\"{token}\",\"valid_ref_counts\":");
            counts.write_json(&mut out);
            out.push('}');
            Value::Written(out)
        }
        Wire::Xml => {
            let mut out = String::with_capacity(events.len() * 2048 + 4096);
            out.push_str("<value><struct><member><name>events</name><value><array><data>");
            for event in events {
                event_value(view, event).write_xml(&mut out);
            }
            out.push_str("</data></array></value></member>");
            let _ = write!(out, "<member><name>token</name><value>{token}</value></member>");
            out.push_str("<member><name>valid_ref_counts</name>");
            counts.write_xml(&mut out);
            out.push_str("</member></struct></value>");
            Value::Written(out)
        }
    }
}

fn event_value(view: &View<'_>, (obj, operation, number): &Event) -> Value {
    let mut fields = vec![
        ("class".into(), obj.class().name().to_lowercase().into()),
        ("id".into(), number.to_string().into()),
        ("operation".into(), (*operation).into()),
        ("ref".into(), view.codec.reference(obj).into()),
    ];
    if *operation != "del"
        && let Some(record) = view.record(obj)
    {
        fields.push(("snapshot".into(), record.into_value()));
    }
    fields.push(("timestamp".into(), "0.0".into()));
    Value::Map(fields)
}

/// How many of each class there are to be seen.
fn counts(view: &View<'_>) -> Value {
    let mut counts: HashMap<Class, usize> = view.tables.shadow.counts.clone();
    if !view.rules.is_empty() {
        for (obj, _) in view.tables.shadow.all().filter(|(obj, _)| view.hidden(obj)) {
            if let Some(count) = counts.get_mut(&obj.class()) {
                *count -= 1;
            }
        }
    }
    counts.insert(Class::Session, view.sessions.count());
    let known = Class::ALL.iter().filter(|class| **class != Class::Event).map(|class| {
        let count = counts.get(class).copied().unwrap_or_default();
        (class.name().to_lowercase(), i64::try_from(count).unwrap_or(i64::MAX))
    });
    let none = NONE_OF.iter().map(|name| ((*name).to_owned(), 0));
    let mut all: Vec<(Cow<'static, str>, Value)> =
        known.chain(none).map(|(name, count)| (name.into(), Value::Int(count))).collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Value::Map(all)
}
