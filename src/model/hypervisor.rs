//! The closed list of endpoint types.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which hypervisor an endpoint speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HypervisorType {
    /// VMware vCenter or a standalone ESXi host.
    Vsphere,
    /// Microsoft Hyper-V, a host or a failover cluster.
    Hyperv,
    /// Citrix XenServer or XCP-ng, a pool.
    Xenserver,
}

impl HypervisorType {
    /// The word used in settings and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vsphere => "vsphere",
            Self::Hyperv => "hyperv",
            Self::Xenserver => "xenserver",
        }
    }
}

impl fmt::Display for HypervisorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
