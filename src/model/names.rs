//! Names and ids, each checked when made.
//!
//! Every newtype here is a cheap-to-clone string that orders by its bytes, so that maps and output have one order.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Words;

/// Why a name was refused; the text is fit for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{value}` {why}")]
pub struct NameError {
    /// What kind of name it should have been.
    pub what: &'static str,
    /// The refused text, cut at 80 characters.
    pub value: String,
    /// The rule it breaks.
    pub why: &'static str,
}

fn refuse(what: &'static str, value: &str, why: &'static str) -> NameError {
    NameError { what, value: value.chars().take(80).collect(), why }
}

/// True for `[a-z0-9-]{1,63}` that neither starts nor ends with `-`.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a name.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if is_label(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(refuse($what, text, "must be 1-63 of a-z, 0-9 and -, and start and end with a letter or digit"))
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.to_string()
            }
        }
    };
}

label!(
    /// The name of a Tier manifest, such as `tier-1`.
    TierName,
    "tier name"
);
label!(
    /// The name of an endpoint in the settings, such as `vc-prod`.
    EndpointName,
    "endpoint name"
);

/// `project/name`: what a VM is called in Git, across all tiers.
///
/// `project` is `[a-z0-9-]{1,63}`; `name` is what the hypervisor calls the VM ([`VmName`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmKey {
    project: Arc<str>,
    name: VmName,
}

impl VmKey {
    /// The project of a manifest that names none.
    pub const DEFAULT_PROJECT: &'static str = "default";

    /// Checks and joins the two parts.
    pub fn new(project: &str, name: &str) -> Result<Self, NameError> {
        if !is_label(project) {
            return Err(refuse(
                "project",
                project,
                "must be 1-63 of a-z, 0-9 and -, and start and end with a letter or digit",
            ));
        }
        Ok(Self { project: project.into(), name: VmName::new(name)? })
    }

    /// Parses `project/name`, or `name` alone in the default project.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((project, name)) => Self::new(project, name),
            None => Self::new(Self::DEFAULT_PROJECT, text),
        }
    }

    /// The same key, its project from the one copy.
    #[must_use]
    pub fn sharing(self, words: &mut Words) -> Self {
        Self { project: words.one(&self.project), ..self }
    }

    /// The project part, to be shared.
    pub fn shared_project(&self) -> &Arc<str> {
        &self.project
    }

    /// The project part.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The name part: the VM's name on its hypervisor.
    pub fn name(&self) -> &VmName {
        &self.name
    }
}

impl fmt::Display for VmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.project, self.name))
    }
}

impl TryFrom<String> for VmKey {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<VmKey> for String {
    fn from(key: VmKey) -> String {
        key.to_string()
    }
}

/// A VM's name on its hypervisor: 1-80 of letters, digits, `.`, `_`, `-` and inner spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmName(Arc<str>);

impl VmName {
    /// Checks and wraps a name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let length = text.chars().count();
        if !(1..=80).contains(&length) {
            return Err(refuse("VM name", text, "must be 1 to 80 characters long"));
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(refuse("VM name", text, "must not start or end with a space"));
        }
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ')) {
            return Err(refuse("VM name", text, "may hold letters, digits, `.`, `_`, `-` and inner spaces only"));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for VmName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<VmName> for String {
    fn from(name: VmName) -> String {
        name.0.to_string()
    }
}

/// The hypervisor's own lasting id of one VM: vSphere instanceUuid, Hyper-V GUID, XenServer VM uuid.
///
/// Kept in lower case, since the same id comes back in either case. Never a moref or an OpaqueRef: those change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct OwnId(Arc<str>);

impl OwnId {
    /// Wraps an id as the hypervisor gave it, in lower case.
    pub fn new(text: &str) -> Self {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Self(text.to_ascii_lowercase().into())
        } else {
            Self(text.into())
        }
    }

    /// What a VM of this identity has for its id on a hypervisor where that is ours to choose.
    pub fn of_identity(identity: Uuid) -> Self {
        Self::new(&identity.to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OwnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<String> for OwnId {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<OwnId> for String {
    fn from(id: OwnId) -> String {
        id.0.to_string()
    }
}
