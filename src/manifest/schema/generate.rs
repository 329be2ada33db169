//! The JSON Schemas, draft-07 for editors' sake, generated from the types.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::{InstanceTypeManifest, TierManifest, VmManifest};

/// What can be generated; `manifest` is any of the others. `schemas/NAME.json` holds each.
pub const NAMES: [&str; 4] = ["tier", "instance-type", "virtual-machine", "manifest"];

/// The schema of that name, as the file holds it; `None` for a name that is not in [`NAMES`].
pub fn generate(name: &str) -> Option<String> {
    let schema = match name {
        "tier" => of::<TierManifest>(),
        "instance-type" => of::<InstanceTypeManifest>(),
        "virtual-machine" => of::<VmManifest>(),
        "manifest" => any(),
        _ => return None,
    };
    // `{:#}` of a JSON value cannot fail.
    Some(format!("{schema:#}\n"))
}

/// The schema of a type, with all that it is made of in place.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(refuse_null))
        .with_transform(RecursiveTransform(plain_numbers));
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Any kind: what an editor is told for files with several documents.
fn any() -> Value {
    let mut kinds = [of::<TierManifest>(), of::<InstanceTypeManifest>(), of::<VmManifest>()];
    for kind in &mut kinds {
        if let Some(object) = kind.as_object_mut() {
            object.remove("$schema");
        }
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "tierwright manifest",
        "description": "Any kind of tierwright manifest.",
        "oneOf": kinds,
    })
}

/// `Option` means that a field may be absent, not that it may be null.
fn refuse_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    let Some(Value::Array(choices)) = schema.get_mut("anyOf") else { return };
    choices.retain(|choice| *choice != json!({"type": "null"}));
    let [Value::Object(only)] = choices.as_slice() else { return };
    let only = only.clone();
    schema.remove("anyOf");
    for (name, value) in only {
        // The field's own description says more than its type's.
        if schema.get(&name).is_none() {
            schema.insert(name, value);
        }
    }
}

/// `format: uint32` is no format that a draft-07 validator knows.
fn plain_numbers(schema: &mut Schema) {
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        schema.remove("format");
    }
    if let Some(Value::Number(least)) = schema.get("minimum")
        && least.as_f64() == Some(0.0)
    {
        schema.insert("minimum".into(), json!(0));
    }
}
