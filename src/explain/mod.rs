//! What the words of the product mean: kinds and fields, problem codes, why a change is held back, exit codes.
//!
//! In: what a person typed. Out: what there is to say about it, as a value that serializes, and as text. Fields come
//! from the JSON Schemas, codes from `manifest/codes.rs`: nothing is written down a second time. Pure.
//!
//! ```text
//! mod.rs     topic -> Explained, or what was perhaps meant        fields.rs   a path through a schema
//! examples.rs  what triggers each problem code (a test runs them) blocks.rs   each block code, at length
//! text.rs    Explained -> text                                    exits.rs    exit codes
//! ```

mod blocks;
mod examples;
mod exits;
mod fields;
mod text;

use serde::Serialize;

pub use blocks::{BlockText, of as block};
pub use examples::{Example, Fragment, Within, of as example};
pub use exits::ExitText;
pub use fields::{Field, FieldLine, ROOTS, paths};
pub use text::render;

use crate::manifest::codes::{self, Code};

/// What there is to say about a topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "topic", rename_all = "camelCase")]
pub enum Explained {
    /// All topics there are.
    Topics(Topics),
    /// A kind or a field.
    Field(Field),
    /// A kind of problem in a file.
    Code(CodeText),
    /// Why a change is held back.
    Block(BlockText),
    /// Exit codes.
    Exit(Exits),
}

/// All topics.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Topics {
    /// Kinds of manifests, and the settings.
    pub kinds: Vec<Titled>,
    /// Problem codes.
    pub codes: Vec<Titled>,
    /// Block codes.
    pub blocks: Vec<Titled>,
}

/// A topic and what it is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Titled {
    /// What to type.
    pub name: String,
    /// One line.
    pub title: String,
}

/// A kind of problem in a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CodeText {
    /// `TW` and four digits.
    pub code: &'static str,
    /// One line.
    pub title: &'static str,
    /// What it means, why it is refused and what to do.
    pub text: &'static str,
    /// What triggers it.
    pub example: String,
}

/// Exit codes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exits {
    /// Those that were asked for.
    pub exits: Vec<ExitText>,
}

/// There is no such topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is nothing to explain about `{topic}`{}", self.hint())]
pub struct NoSuchTopic {
    /// What was typed, cut.
    pub topic: String,
    /// What was perhaps meant, the most likely first.
    pub meant: Vec<String>,
}

impl NoSuchTopic {
    fn hint(&self) -> String {
        match self.meant.as_slice() {
            [] => "; `tierwright explain` lists what there is".to_owned(),
            meant => format!("; did you mean {}?", meant.join(" or ")),
        }
    }
}

/// What there is to say about a topic; nothing typed: which topics there are.
pub fn explain(topic: Option<&str>) -> Result<Explained, NoSuchTopic> {
    let Some(topic) = topic.map(str::trim).filter(|topic| !topic.is_empty()) else {
        return Ok(Explained::Topics(topics()));
    };
    if let Some(code) = codes::find(topic) {
        return Ok(Explained::Code(code_text(code)));
    }
    if let Some(block) = blocks::find(topic) {
        return Ok(Explained::Block(block));
    }
    if let Some(exits) = exits::find(topic) {
        return Ok(Explained::Exit(Exits { exits }));
    }
    fields::find(topic).map(Explained::Field).map_err(|near| no_such(topic, near))
}

fn code_text(code: &Code) -> CodeText {
    let example = examples::of(code.id).map(ToString::to_string).unwrap_or_default();
    CodeText { code: code.id, title: code.title, text: code.text, example }
}

fn topics() -> Topics {
    let titled = |name: &str, title: &str| Titled { name: name.to_owned(), title: title.to_owned() };
    Topics {
        kinds: fields::ROOTS
            .iter()
            .filter_map(|root| Some(titled(root, &fields::find(root).ok()?.description)))
            .collect(),
        codes: codes::ALL.iter().map(|code| titled(code.id, code.title)).collect(),
        blocks: blocks::all().map(|block| titled(&block.code, block.title)).collect(),
    }
}

/// What was perhaps meant: what the field look-up found near, else the most similar names of all topics.
fn no_such(topic: &str, mut meant: Vec<String>) -> NoSuchTopic {
    if meant.is_empty() {
        let blocks = blocks::all().map(|block| block.code);
        let all = codes::ALL.iter().map(|code| code.id.to_owned()).chain(blocks).chain(["exit-codes".to_owned()]);
        let typed = topic.to_lowercase();
        let near = all.map(|name| (strsim::jaro_winkler(&typed, &name.to_lowercase()), name));
        meant = near
            .filter(|(near, _)| *near > 0.84)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, name)| name)
            .into_iter()
            .collect();
    }
    let topic = topic.chars().take(80).flat_map(crate::diagnostic::escaped).collect();
    NoSuchTopic { topic, meant }
}
