//! A path such as `VirtualMachine.spec.disks.size` through the JSON Schemas.
//!
//! A list is gone through to what it is a list of, with or without `[]`; a mapping with names of one's own
//! (`Tier.spec.networks`) with or without a name.

use serde::Serialize;
use serde_json::Value;

use crate::manifest::schema::{self, FORMS};
use crate::settings;

/// Where paths begin.
pub const ROOTS: [&str; 4] = ["Tier", "InstanceType", "VirtualMachine", "settings"];

/// How many guesses are offered.
const GUESSES: usize = 3;

/// A kind or a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Its path, as it is written in the schema.
    pub path: String,
    /// What it is.
    pub description: String,
    /// What it takes.
    pub takes: String,
    /// Must it be given?
    pub required: bool,
    /// The words it takes, with what they mean.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<(String, String)>,
    /// The fields it has, or each of what it is a list of has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldLine>,
}

/// One field of another.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldLine {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub takes: String,
    /// Must it be given?
    pub required: bool,
    /// What it is.
    pub description: String,
}

/// The schema of a root.
fn root(name: &str) -> Option<(&'static str, Value)> {
    let short = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = match short(name).as_str() {
        "vm" => "virtualmachine".to_owned(),
        other => other.to_owned(),
    };
    let root = ROOTS.into_iter().find(|root| short(root) == wanted)?;
    let text = match root {
        "Tier" => schema::generate("tier")?,
        "InstanceType" => schema::generate("instance-type")?,
        "VirtualMachine" => schema::generate("virtual-machine")?,
        _ => settings::schema::generate(),
    };
    Some((root, serde_json::from_str(&text).ok()?))
}

/// The field of that path; else what was perhaps meant.
pub(super) fn find(path: &str) -> Result<Field, Vec<String>> {
    let mut parts = path.split(['.', '/']).filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or_default();
    let Some((name, schema)) = root(first) else { return Err(elsewhere(path)) };
    let mut at = Step { path: name.to_owned(), schema: &schema, required: true };
    for part in parts {
        let part = part.trim_end_matches("[]");
        if !part.is_empty() {
            at = at
                .down(part)
                .map_err(|near| near.into_iter().map(|near| format!("{}.{near}", at.path)).collect::<Vec<_>>())?;
        }
    }
    Ok(at.field())
}

/// Paths of all fields of all roots.
pub fn paths() -> Vec<String> {
    let mut all = Vec::new();
    for name in ROOTS {
        let Some((name, schema)) = root(name) else { continue };
        collect(name, &schema, &mut all);
    }
    all
}

fn collect(path: &str, schema: &Value, all: &mut Vec<String>) {
    all.push(path.to_owned());
    for (name, inner) in properties(below(schema)) {
        collect(&format!("{path}.{name}"), inner, all);
    }
}

/// Fields of that name wherever they are, or nearly of that name.
fn elsewhere(path: &str) -> Vec<String> {
    let typed = path.to_ascii_lowercase();
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let all = paths();
    let same = |known: &&String| {
        let known = known.to_ascii_lowercase();
        known == typed || known.ends_with(&format!(".{typed}"))
    };
    let exact: Vec<String> = all.iter().filter(same).take(GUESSES).cloned().collect();
    if !exact.is_empty() {
        return exact;
    }
    let near = all.iter().map(|known| (strsim::jaro_winkler(&typed, &last(known)), known));
    let best = near.filter(|(near, _)| *near > 0.88).max_by(|(a, x), (b, y)| a.total_cmp(b).then(y.cmp(x)));
    best.map(|(_, known)| known.clone()).into_iter().collect()
}

/// Where a path has led so far.
struct Step<'a> {
    path: String,
    schema: &'a Value,
    required: bool,
}

impl<'a> Step<'a> {
    /// One part further.
    fn down(&self, part: &str) -> Result<Step<'a>, Vec<String>> {
        let inner = below(self.schema);
        let found = properties(inner).into_iter().find(|(name, _)| name.eq_ignore_ascii_case(part));
        if let Some((name, schema)) = found {
            return Ok(Step { path: format!("{}.{name}", self.path), schema, required: is_required(inner, name) });
        }
        // A name of one's own in a mapping, such as `app` in `networks.app.portGroup`.
        if self.schema["additionalProperties"].is_object() && inner != self.schema {
            let near = nearest(part, inner);
            return if near.is_empty() { Ok(Step { path: self.path.clone(), ..*self }) } else { Err(near) };
        }
        Err(nearest(part, inner))
    }

    fn field(self) -> Field {
        let inner = below(self.schema);
        let fields = properties(inner).into_iter().map(|(name, schema)| FieldLine {
            name: name.to_owned(),
            takes: takes(schema),
            required: is_required(inner, name),
            description: description(schema),
        });
        Field {
            fields: fields.collect(),
            description: description(self.schema),
            takes: takes(self.schema),
            required: self.required,
            words: words(inner),
            path: self.path,
        }
    }
}

fn nearest(part: &str, schema: &Value) -> Vec<String> {
    let typed = part.to_ascii_lowercase();
    let near = properties(schema)
        .into_iter()
        .map(|(name, _)| (strsim::jaro_winkler(&typed, &name.to_ascii_lowercase()), name));
    let best = near.filter(|(near, _)| *near > 0.8).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, name)| name.to_owned()).into_iter().collect()
}

/// What a list or a mapping with names of one's own holds; anything else is itself.
fn below(schema: &Value) -> &Value {
    let inner = [&schema["items"], &schema["additionalProperties"]].into_iter().find(|inner| inner.is_object());
    inner.unwrap_or(schema)
}

fn properties(schema: &Value) -> Vec<(&str, &Value)> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, schema)| (name.as_str(), schema)).collect()
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|list| list.iter().any(|required| required == name))
}

fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// The words a choice takes, each with what it means.
fn words(schema: &Value) -> Vec<(String, String)> {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    choices.filter_map(|choice| Some((choice["const"].as_str()?.to_owned(), description(choice)))).collect()
}

/// What a field takes, in a few words.
fn takes(schema: &Value) -> String {
    let words = words(schema);
    if !words.is_empty() {
        let words: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
        return words.join(" | ");
    }
    match schema["type"].as_str() {
        Some("object") if schema["additionalProperties"].is_object() => format!("NAME: {}", takes(below(schema))),
        Some("object") => "mapping".to_owned(),
        Some("array") => format!("list of {}", takes(below(schema))),
        Some("integer") => number(schema),
        Some("boolean") => "true | false".to_owned(),
        _ => form(schema),
    }
}

fn number(schema: &Value) -> String {
    match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        (Some(least), Some(most)) => format!("number {least}-{most}"),
        (Some(least), None) => format!("number from {least}"),
        (None, Some(most)) => format!("number up to {most}"),
        (None, None) => "number".to_owned(),
    }
}

/// The form of a text, by its pattern.
fn form(schema: &Value) -> String {
    let pattern = schema["pattern"].as_str();
    let form = FORMS.iter().find(|form| Some(form.pattern) == pattern);
    form.map_or("text", |form| form.short).to_owned()
}
