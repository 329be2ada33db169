//! A YAML tree with source positions, built from scanner events under limits.
//!
//! Takes text that passed the guard; gives one node per document that is not empty. Events are judged as they come:
//! depth, alias expansion, duplicate keys, merge keys, tags, keys that are not text. Nothing is read after an event
//! that breaks a limit. Scalars stay text: what `yes` or `010` mean is for the reader of a field to say.
//!
//! Positions count characters, as the scanner does and as editors show them; bytes never enter.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::ahead;
use super::codes;
use super::report::{Place, Report};

/// Deepest nesting of a document.
pub const MAX_DEPTH: usize = 64;

/// Values in one document; a manifest of a person has a hundred, a large generated tier some ten thousand. Reading so
/// many takes some 50 ms at worst.
pub const MAX_NODES: usize = 50_000;

/// What all aliases of a file may expand to: nodes, and one more for each 64 bytes of text.
pub const MAX_EXPANSION: usize = 20_000;

/// Line and column from 1, and how many characters are meant, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Spot {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// In characters, on that line.
    pub length: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'t> {
    /// Where it begins.
    pub spot: Spot,
    /// What it is.
    pub value: Value<'t>,
}

/// The three shapes of YAML.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'t> {
    /// Text; `plain` when it stands without quotes and so might be a number, a truth value or nothing.
    Scalar {
        /// The text, unescaped.
        text: Cow<'t, str>,
        /// Without quotes?
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node<'t>>),
    /// A mapping, in source order.
    Mapping {
        /// Keys are unique.
        entries: Vec<(Key<'t>, Node<'t>)>,
        /// Something in it was refused, so a missing field is not worth telling.
        broken: bool,
    },
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key<'t> {
    /// Where it stands.
    pub spot: Spot,
    /// The text, unescaped.
    pub text: Cow<'t, str>,
}

/// What was read of one file.
#[derive(Debug, Default)]
pub struct Tree<'t> {
    /// One node per document that is not empty.
    pub documents: Vec<Node<'t>>,
    /// True when reading stopped before the end: there may be more documents.
    pub cut: bool,
}

/// Reads the documents of a text, up to the first thing that cannot be read past.
pub fn parse<'t>(file: u32, text: &'t str, report: &mut Report) -> Tree<'t> {
    ahead::refused(file, text, report).unwrap_or_else(|| read(file, text, report).0)
}

/// The same of exactly this text, however far the scanner reads ahead in it; and why reading stopped before its end.
pub(super) fn read<'t>(file: u32, text: &'t str, report: &mut Report) -> (Tree<'t>, Option<Stop>) {
    let mut builder = Builder {
        file,
        stack: Vec::new(),
        anchors: HashMap::new(),
        expanded: 0,
        nodes: 0,
        documents: Vec::new(),
        report,
    };
    // Tag handles (`%TAG`) last for one document, so no tag is kept.
    let mut parser = Parser::<StrInput<'t>>::new_from_str(text);
    let mut stop = None;
    while let Some(next) = parser.next_event() {
        let taken = match next {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(builder.syntax(&error)),
        };
        if let Err(reason) = taken {
            stop = Some(reason);
            break;
        }
    }
    (Tree { documents: builder.documents, cut: stop.is_some() }, stop)
}

/// Reading this file stops here; what to tell of it is in the report.
#[derive(Debug)]
pub(super) enum Stop {
    /// One of our limits: whatever follows, the text is refused.
    Limit,
    /// The scanner or its parser could not go on.
    Syntax {
        /// Characters before the place.
        before: usize,
    },
}

/// A collection that is not closed yet.
struct Open<'t> {
    spot: Spot,
    anchor: usize,
    /// Height of the highest child, so that an alias cannot nest beyond the limit.
    height: usize,
    content: Content<'t>,
}

enum Content<'t> {
    Sequence(Vec<Node<'t>>),
    Mapping { entries: Vec<(Key<'t>, Node<'t>)>, key: Option<Key<'t>>, broken: bool },
}

/// What an anchor names, kept to be copied.
struct Anchored<'t> {
    node: Node<'t>,
    height: usize,
    weight: usize,
}

struct Builder<'t, 'r> {
    file: u32,
    stack: Vec<Open<'t>>,
    anchors: HashMap<usize, Anchored<'t>>,
    expanded: usize,
    nodes: usize,
    documents: Vec<Node<'t>>,
    report: &'r mut Report,
}

impl<'t> Builder<'t, '_> {
    fn take(&mut self, event: Event<'t>, span: Span) -> Result<(), Stop> {
        let spot = spot(span);
        match event {
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.nodes = 0;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), spot);
                let plain = style == ScalarStyle::Plain;
                self.node(Node { spot, value: Value::Scalar { text, plain } }, anchor, 0)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), spot);
                self.open(spot, anchor, Content::Sequence(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), spot);
                self.open(spot, anchor, Content::Mapping { entries: Vec::new(), key: None, broken: false })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => self.alias(anchor, spot)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, spot: Spot, anchor: usize, content: Content<'t>) -> Result<(), Stop> {
        if matches!(self.stack.last(), Some(Open { content: Content::Mapping { key: None, .. }, .. })) {
            self.error(spot, codes::KEY_NOT_TEXT, "a key must be text, not a list or a mapping")
                .hint("quote it if it begins with `[` or `{`");
            return Err(Stop::Limit);
        }
        if self.stack.len() >= MAX_DEPTH {
            self.too_deep(spot);
            return Err(Stop::Limit);
        }
        self.stack.push(Open { spot, anchor, height: 0, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stop> {
        let Some(Open { spot, anchor, height, content }) = self.stack.pop() else { return Err(Stop::Limit) };
        let value = match content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { mut entries, mut broken, .. } => {
                broken |= self.refuse_duplicates(&mut entries);
                Value::Mapping { entries, broken }
            }
        };
        self.node(Node { spot, value }, anchor, height + 1)
    }

    /// A node is complete: it goes into what is open, or is a document.
    fn node(&mut self, node: Node<'t>, anchor: usize, height: usize) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.error(node.spot, codes::TOO_MANY_VALUES, format!("more than {MAX_NODES} values in one document"))
                .hint("split it into several documents");
            return Err(Stop::Limit);
        }
        if anchor > 0 {
            // The copy kept for aliases counts too, or nested anchors alone would multiply the text.
            let weight = weight(&node);
            self.spend(weight, node.spot)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), height, weight });
        }
        let Some(open) = self.stack.last_mut() else {
            if !is_nothing(&node) {
                self.documents.push(node);
            }
            return Ok(());
        };
        open.height = open.height.max(height);
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping { entries, key, broken } => match (key.take(), node) {
                (None, Node { spot, value: Value::Scalar { text, .. } }) => *key = Some(Key { spot, text }),
                (None, Node { spot, .. }) => {
                    self.error(spot, codes::KEY_NOT_TEXT, "a key must be text, not a list or a mapping");
                    return Err(Stop::Limit);
                }
                (Some(key), _) if key.text == "<<" => {
                    *broken = true;
                    self.error(key.spot, codes::MERGE_KEY, "merge keys (`<<`) are not supported")
                        .hint("share values by an instance type or the tier's defaults");
                }
                (Some(key), node) => entries.push((key, node)),
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, spot: Spot) -> Result<(), Stop> {
        let Some(Anchored { node, height, weight }) = self.anchors.get(&anchor) else {
            self.error(spot, codes::ALIAS, "this alias stands inside its own anchor, or in another document");
            return Err(Stop::Limit);
        };
        let (node, height, weight) = (node.clone(), *height, *weight);
        self.spend(weight, spot)?;
        if self.stack.len() + height > MAX_DEPTH {
            self.too_deep(spot);
            return Err(Stop::Limit);
        }
        self.node(node, 0, height)
    }

    fn spend(&mut self, weight: usize, spot: Spot) -> Result<(), Stop> {
        self.expanded = self.expanded.saturating_add(weight);
        if self.expanded <= MAX_EXPANSION {
            return Ok(());
        }
        self.error(spot, codes::TOO_MANY_ALIASES, "the anchors and aliases of this file expand to too much")
            .hint("share values by an instance type or the tier's defaults instead");
        Err(Stop::Limit)
    }

    /// Keeps the first of each key; true if there was a second.
    fn refuse_duplicates(&mut self, entries: &mut Vec<(Key<'t>, Node<'t>)>) -> bool {
        let before = entries.len();
        let twice = before > 1 && {
            let mut names: Vec<&str> = entries.iter().map(|(key, _)| &*key.text).collect();
            names.sort_unstable();
            names.windows(2).any(|pair| pair[0] == pair[1])
        };
        if !twice {
            return false;
        }
        let secret = self.stack.iter().any(|open| {
            matches!(&open.content, Content::Mapping { key: Some(key), .. } if matches!(&*key.text, "userData" | "cloudInit"))
        });
        let mut seen: HashMap<Cow<'t, str>, Spot> = HashMap::with_capacity(before);
        entries.retain(|(key, _)| match seen.get(&key.text) {
            None => {
                seen.insert(key.text.clone(), key.spot);
                true
            }
            Some(first) => {
                if !self.report.is_full(self.file) {
                    let name = format!("`{}`", super::report::shown(&key.text));
                    // What stands below `userData` by mistake is still a secret.
                    let summary = format!("{} is given twice", if secret { "a field" } else { &name });
                    let file = self.file;
                    self.report
                        .error(Place { file, spot: key.spot }, codes::DUPLICATE_FIELD, summary)
                        .hint("keep one of them")
                        .related(Place { file, spot: *first }, "first given here");
                }
                false
            }
        });
        entries.len() < before
    }

    fn refuse_tag(&mut self, tagged: bool, spot: Spot) {
        if tagged {
            self.error(spot, codes::TAG, "tags are not supported").hint("quote text that must stay text");
        }
    }

    fn too_deep(&mut self, spot: Spot) {
        self.error(spot, codes::TOO_DEEP, format!("nested more than {MAX_DEPTH} levels deep"));
    }

    fn syntax(&mut self, error: &ScanError) -> Stop {
        let at = error.marker();
        let spot = Spot { line: count(at.line()).max(1), column: count(at.col()).saturating_add(1), length: 1 };
        // The scanner gives up at 256 levels of flow brackets before our own count sees them.
        if error.info() == "recursion limit exceeded" {
            self.too_deep(spot);
            return Stop::Limit;
        }
        let problem = self.error(spot, codes::SYNTAX, format!("not valid YAML: {}", error.info()));
        if error.info().contains('\t') || error.info().contains("tab") {
            problem.hint("indent with spaces, never with tabs");
        }
        Stop::Syntax { before: at.index() }
    }

    fn error(
        &mut self,
        spot: Spot,
        code: &'static codes::Code,
        summary: impl Into<String>,
    ) -> &mut super::report::Problem {
        self.report.error(Place { file: self.file, spot }, code, summary)
    }
}

fn is_nothing(node: &Node<'_>) -> bool {
    matches!(&node.value, Value::Scalar { text, plain: true } if text.is_empty())
}

/// What copying a node costs.
fn weight(node: &Node<'_>) -> usize {
    match &node.value {
        Value::Scalar { text, .. } => 1 + text.len() / 64,
        Value::Sequence(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Mapping { entries, .. } => {
            1 + entries.iter().map(|(key, node)| 1 + key.text.len() / 64 + weight(node)).sum::<usize>()
        }
    }
}

fn spot(span: Span) -> Spot {
    let length = if span.start.line() == span.end.line() { span.end.col().saturating_sub(span.start.col()) } else { 1 };
    Spot {
        line: count(span.start.line()),
        column: count(span.start.col()).saturating_add(1),
        length: count(length).max(1),
    }
}

/// The guard admits 8 MiB, so no count comes near the limit of `u32`.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
