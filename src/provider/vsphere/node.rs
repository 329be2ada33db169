//! A device exactly as the server described it, to be sent back with one thing changed.
//!
//! An edit carries the whole device: a property left out might be read as unset. So what was read is echoed, in the
//! order it came in, whatever its type and version.

use super::device;
use super::soap::Moref;
use crate::xml::{Element, Writer};

/// An element that owns what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub name: String,
    /// `xsi:type`.
    pub kind: Option<String>,
    /// The `type` attribute of a reference.
    reference: Option<String>,
    pub text: String,
    pub children: Vec<Node>,
}

impl Node {
    /// A leaf.
    pub(super) fn leaf(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), kind: None, reference: None, text: text.into(), children: Vec::new() }
    }

    /// An element of a type, empty so far.
    pub(super) fn typed(name: &str, kind: &str) -> Self {
        Self { kind: Some(kind.to_owned()), ..Self::leaf(name, "") }
    }

    /// A reference to a managed object.
    pub(super) fn reference(name: &str, target: &Moref) -> Self {
        Self { reference: Some(target.kind.to_string()), ..Self::leaf(name, target.value.to_string()) }
    }

    /// With one more child.
    pub(super) fn with(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(super) fn path(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |node, name| node.child(name))
    }

    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    pub(super) fn number(&self, name: &str) -> Option<i32> {
        self.text_of(name)?.parse().ok()
    }

    /// Gives an existing leaf another text; a leaf that is not there is not made, since only the schema knows where.
    pub(super) fn set(&mut self, name: &str, text: &str) {
        if let Some(child) = self.children.iter_mut().find(|child| child.name == name) {
            text.clone_into(&mut child.text);
        }
    }

    /// Puts `node` where its namesake is, or right after the last of `after` that is there.
    pub(super) fn put(&mut self, node: Self, after: &[&str]) {
        if let Some(child) = self.children.iter_mut().find(|child| child.name == node.name) {
            *child = node;
            return;
        }
        let at = self.children.iter().rposition(|child| after.contains(&child.name.as_str())).map_or(0, |at| at + 1);
        self.children.insert(at, node);
    }

    pub(super) fn is_nic(&self) -> bool {
        self.child("macAddress").is_some() || self.kind.as_deref().is_some_and(device::is_nic_kind)
    }

    pub(super) fn is_disk(&self) -> bool {
        self.kind.as_deref() == Some("VirtualDisk")
    }

    /// Writes it under another name.
    pub(super) fn write_as(&self, writer: &mut Writer, name: &str) {
        writer.open(name);
        if let Some(kind) = &self.kind {
            writer.attribute("xsi:type", kind);
        }
        if let Some(reference) = &self.reference {
            writer.attribute("type", reference);
        }
        if self.children.is_empty() {
            writer.text(&self.text);
        }
        for child in &self.children {
            child.write_as(writer, &child.name);
        }
        writer.close();
    }
}

impl From<&Element<'_>> for Node {
    fn from(element: &Element<'_>) -> Self {
        Self {
            name: element.name().to_owned(),
            kind: element.xsi_type().map(str::to_owned),
            reference: element.attribute("type").map(str::to_owned),
            text: element.text.clone().into_owned(),
            children: element.children.iter().map(Self::from).collect(),
        }
    }
}
