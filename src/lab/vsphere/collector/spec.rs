//! A `PropertyFilterSpec`, checked once: unknown types and paths are refused before anything is looked at.

use std::collections::HashMap;

use super::super::fault::Fault;
use super::super::properties::{Path, all_paths, check_path};
use super::super::schema::{Kind, schema};
use super::super::value::{Data, Ref};

/// The most paths, traversals and starting objects of a request.
const MAX_PARTS: usize = 5_000;

/// What is asked.
#[derive(Debug, Clone)]
pub(in crate::lab::vsphere) struct Spec {
    /// What is asked of which objects.
    properties: Vec<Asked>,
    /// Where to start.
    pub starts: Vec<Start>,
    /// Where to go on; selections name these by number.
    pub traversals: Vec<Traversal>,
}

/// Paths asked of objects of a type.
#[derive(Debug, Clone)]
struct Asked {
    kind: &'static str,
    /// Of this type alone, not of those below: what `all` means differs by type.
    exact: bool,
    paths: Vec<Path>,
}

impl Asked {
    fn of(&self, kind: &str) -> bool {
        if self.exact { kind == self.kind } else { schema().is_a(kind, self.kind) }
    }
}

/// An object to start from.
#[derive(Debug, Clone)]
pub(in crate::lab::vsphere) struct Start {
    pub object: Ref,
    pub skip: bool,
    pub select: Vec<usize>,
}

/// From objects of a type, along a property.
#[derive(Debug, Clone)]
pub(in crate::lab::vsphere) struct Traversal {
    pub kind: &'static str,
    pub path: Box<str>,
    pub skip: bool,
    pub select: Vec<usize>,
}

impl Spec {
    /// Checks a spec.
    pub fn read(data: &Data) -> Result<Self, Fault> {
        let mut properties = Vec::new();
        for set in data.datas("propSet") {
            let named = set.text("type").unwrap_or_default();
            let Some((kind, _)) = schema().find(named).filter(|(_, found)| found.managed) else {
                return Err(Fault::invalid_argument("specSet.propSet.type"));
            };
            if set.flag("all") == Some(true) {
                let below = schema().managed_below(kind);
                properties.extend(below.map(|kind| Asked { kind, exact: true, paths: all_paths(kind) }));
                continue;
            }
            let texts = set.list("pathSet").iter().filter_map(|path| path.as_text());
            let paths = texts.map(|text| check_path(kind, text)).collect::<Result<_, _>>()?;
            properties.push(Asked { kind, exact: false, paths });
        }
        let mut reading = Reading::default();
        let sets: Vec<&Data> = data.datas("objectSet").collect();
        for set in &sets {
            reading.gather(set.datas("selectSet"), 0)?;
        }
        let mut starts = Vec::new();
        for set in &sets {
            let Some(object) = set.reference("obj") else { continue };
            let select = reading.select(set.datas("selectSet"))?;
            starts.push(Start { object: object.clone(), skip: set.flag("skip").unwrap_or(false), select });
        }
        let traversals = reading.finish()?;
        let parts = traversals.len() + starts.len() + properties.iter().map(|asked| asked.paths.len()).sum::<usize>();
        if parts > MAX_PARTS {
            return Err(Fault::invalid_argument("specSet"));
        }
        Ok(Self { properties, starts, traversals })
    }

    /// The paths asked of an object of this type.
    pub fn paths_of(&self, kind: &str) -> impl Iterator<Item = &Path> {
        self.properties.iter().filter(move |asked| asked.of(kind)).flat_map(|asked| &asked.paths)
    }

    /// Is anything asked of objects of this type?
    pub fn wants(&self, kind: &str) -> bool {
        self.properties.iter().any(|asked| asked.of(kind))
    }
}

/// Traversals as they are found, with names still to be looked up.
#[derive(Default)]
struct Reading<'a> {
    found: Vec<&'a Data>,
    names: HashMap<&'a str, usize>,
}

impl<'a> Reading<'a> {
    /// Gives every traversal a number, nested ones too.
    fn gather(&mut self, selections: impl Iterator<Item = &'a Data>, depth: usize) -> Result<(), Fault> {
        if depth > 32 || self.found.len() > MAX_PARTS {
            return Err(Fault::invalid_argument("specSet.objectSet.selectSet"));
        }
        for selection in selections.filter(|selection| selection.is_a("TraversalSpec")) {
            let number = self.found.len();
            self.found.push(selection);
            if let Some(name) = selection.text("name").filter(|name| !name.is_empty()) {
                self.names.insert(name, number);
            }
            self.gather(selection.datas("selectSet"), depth + 1)?;
        }
        Ok(())
    }

    fn select(&self, selections: impl Iterator<Item = &'a Data>) -> Result<Vec<usize>, Fault> {
        let number = |selection: &'a Data| {
            if selection.is_a("TraversalSpec") {
                return self.found.iter().position(|found| std::ptr::eq(*found, selection));
            }
            self.names.get(selection.text("name")?).copied()
        };
        selections
            .map(|selection| {
                number(selection).ok_or_else(|| Fault::invalid_argument("specSet.objectSet.selectSet.name"))
            })
            .collect()
    }

    fn finish(self) -> Result<Vec<Traversal>, Fault> {
        let read = |data: &&'a Data| {
            let named = data.text("type").unwrap_or_default();
            let Some((kind, _)) = schema().find(named).filter(|(_, found)| found.managed) else {
                return Err(Fault::invalid_argument("specSet.objectSet.selectSet.type"));
            };
            let path = check_path(kind, data.text("path").unwrap_or_default())?;
            if !matches!(path.field.kind, Kind::Ref(_)) {
                return Err(Fault::invalid_property(&path.text));
            }
            let skip = data.flag("skip").unwrap_or(false);
            Ok(Traversal { kind, path: path.text, skip, select: self.select(data.datas("selectSet"))? })
        };
        self.found.iter().map(read).collect()
    }
}
