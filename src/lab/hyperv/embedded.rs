//! Instances that come as text inside a string parameter: `<INSTANCE CLASSNAME=…>` of CIM-XML (DSP0201).

use super::schema::{Class, class, find};
use crate::xml::{Element, Limits};

const V2: &str = "root/virtualization/v2";

/// An instance as a client embeds it: only the properties it sets.
#[derive(Debug, Clone)]
pub(super) struct Embedded {
    pub class: &'static Class,
    /// Properties by their declared name.
    pub values: Vec<(&'static str, Vec<String>)>,
}

/// Reads one. `Err`: what is wrong with it.
pub(super) fn read(text: &str) -> Result<Embedded, String> {
    let parsed = Element::parse(text.trim().as_bytes(), Limits::REQUEST).map_err(|error| error.to_string())?;
    let instance = parsed.path(&["DECLGROUP", "VALUE.OBJECT", "INSTANCE"]).unwrap_or(&parsed);
    let name = instance.attribute("CLASSNAME").unwrap_or_default();
    let class = find(V2, name).ok_or_else(|| format!("class {} is not known", cut(name)))?;
    let mut values = Vec::new();
    for property in &instance.children {
        let name = property.attribute("NAME").unwrap_or_default();
        let field = class.property(name).ok_or_else(|| format!("{} has no property {}", class.name, cut(name)))?;
        let found: Vec<String> = match property.name() {
            "PROPERTY" if !field.many => property.children("VALUE").map(|value| value.text.to_string()).collect(),
            "PROPERTY.ARRAY" if field.many => property
                .child("VALUE.ARRAY")
                .map(|array| array.children("VALUE").map(|value| value.text.to_string()).collect())
                .unwrap_or_default(),
            other => return Err(format!("{}.{} as {}", class.name, field.name, cut(other))),
        };
        // A property without a value is null, which in settings means: as it is.
        if !found.is_empty() || field.many {
            values.push((field.name, found));
        }
    }
    Ok(Embedded { class, values })
}

impl Embedded {
    /// Is it of this class?
    pub fn is(&self, name: &str) -> bool {
        self.class.name == class(name).name
    }

    /// A property, if it was set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.array(name).and_then(<[_]>::first).map(String::as_str)
    }

    /// All values of a property, if it was set.
    pub fn array(&self, name: &str) -> Option<&[String]> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, values)| values.as_slice())
    }

    /// A number. `Err`: it was set and is none.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, String> {
        self.get(name)
            .map(|text| text.trim().parse().map_err(|_| format!("{name} is no number of its type: {}", cut(text))))
            .transpose()
    }

    /// A truth value.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(format!("{name} is no truth value: {}", cut(other))),
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
