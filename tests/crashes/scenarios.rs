//! What is being done when the program dies: the VM as Git had it, as Git has it now, and
//! what must be there at the end.

use std::fmt::Write as _;

use tierwright::lab::world::Vm;

use crate::kinds::{CloudInit, Kind};

/// A VM as Git says it.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    pub name: &'static str,
    pub from_image: bool,
    pub runs: bool,
    pub memory_gib: u64,
    /// Name, GiB, storage.
    pub disks: &'static [(&'static str, u64, &'static str)],
    /// Name, network.
    pub nics: &'static [(&'static str, &'static str)],
    /// More of the spec; `{endpoint}` and `{id}` are filled in.
    pub more: &'static str,
}

/// What must be there at the end.
#[derive(Debug, Clone, Copy)]
pub enum Left {
    /// The VM as this wish says.
    AsWished(Wish),
    /// The VM of this wish: off, renamed, disconnected, its disks kept.
    Retired(Wish),
    /// The VM of this wish, running, with no mark.
    Unmarked(Wish),
    /// Nothing of it.
    Nothing,
}

/// One scenario.
pub struct Scenario {
    pub name: &'static str,
    pub needs_image: bool,
    pub grace_days: u32,
    /// What Git said before, one after the other, each applied in peace; `None`: no such VM. Empty: the program has
    /// never run.
    pub before: &'static [Option<Wish>],
    /// Done to its VM by hand after each of these.
    pub by_hand: fn(&mut Vm),
    /// Days that pass then.
    pub days: i64,
    /// What Git says now: the VM of this wish, or none.
    pub left: Left,
    /// Codes of what stays blocked.
    pub blocked: &'static [&'static str],
    /// Files of disks that no VM has at the end, by intent.
    pub kept_files: usize,
}

const BLANK: Wish = Wish {
    name: "app-1",
    from_image: false,
    runs: true,
    memory_gib: 2,
    disks: &[("root", 8, ""), ("data", 4, "fast")],
    nics: &[("eth0", "app")],
    more: "",
};

const CLONE: Wish = Wish {
    from_image: true,
    disks: &[("root", 12, ""), ("data", 4, "fast")],
    nics: &[("eth0", "app"), ("eth1", "db")],
    ..BLANK
};

const RELEASED: Wish = Wish { more: ", onRemove: release", ..BLANK };

const BASE: Scenario = Scenario {
    name: "",
    needs_image: false,
    grace_days: 7,
    before: &[Some(BLANK)],
    by_hand: |vm| vm.guest.tools_installed = true,
    days: 0,
    left: Left::AsWished(BLANK),
    blocked: &[],
    kept_files: 0,
};

/// The list.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "create from an image", needs_image: true, before: &[], left: Left::AsWished(CLONE), ..BASE },
    Scenario { name: "create blank", before: &[], ..BASE },
    Scenario {
        name: "grow a disk",
        left: Left::AsWished(Wish { disks: &[("root", 8, ""), ("data", 6, "fast")], ..BLANK }),
        ..BASE
    },
    Scenario {
        name: "add a disk",
        left: Left::AsWished(Wish { disks: &[("root", 8, ""), ("data", 4, "fast"), ("logs", 2, "")], ..BLANK }),
        ..BASE
    },
    Scenario {
        name: "detach a disk",
        left: Left::AsWished(Wish { disks: &[("root", 8, "")], ..BLANK }),
        kept_files: 1,
        ..BASE
    },
    Scenario {
        name: "attach it again",
        before: &[Some(BLANK), Some(Wish { disks: &[("root", 8, "")], ..BLANK })],
        ..BASE
    },
    Scenario {
        name: "delete a disk",
        before: &[Some(Wish { more: ", deleteDisks: true", ..BLANK })],
        left: Left::AsWished(Wish { disks: &[("root", 8, "")], more: ", deleteDisks: true", ..BLANK }),
        ..BASE
    },
    Scenario {
        name: "add a NIC",
        left: Left::AsWished(Wish { nics: &[("eth0", "app"), ("eth1", "db")], ..BLANK }),
        ..BASE
    },
    Scenario {
        name: "memory with a reboot",
        by_hand: |vm| {
            vm.guest.tools_installed = true;
            vm.hot_add_memory = false;
        },
        left: Left::AsWished(Wish { memory_gib: 4, ..BLANK }),
        ..BASE
    },
    Scenario { name: "power off", left: Left::AsWished(Wish { runs: false, ..BLANK }), ..BASE },
    Scenario { name: "power on", before: &[Some(Wish { runs: false, ..BLANK })], ..BASE },
    Scenario { name: "retire", left: Left::Retired(BLANK), blocked: &["inGrace"], ..BASE },
    Scenario { name: "restore", before: &[Some(BLANK), None], ..BASE },
    Scenario { name: "delete at once", grace_days: 0, left: Left::Nothing, ..BASE },
    Scenario {
        name: "delete after the grace days",
        before: &[Some(BLANK), None],
        days: 8,
        left: Left::Nothing,
        ..BASE
    },
    Scenario {
        name: "adopt",
        before: &[Some(RELEASED), None],
        left: Left::AsWished(Wish { more: ", adopt: {endpoint: {endpoint}, id: \"{id}\"}", ..BLANK }),
        ..BASE
    },
    Scenario {
        name: "adopt, then change",
        before: &[Some(RELEASED), None],
        left: Left::AsWished(Wish {
            memory_gib: 4,
            nics: &[("eth0", "db")],
            more: ", adopt: {endpoint: {endpoint}, id: \"{id}\"}",
            ..BLANK
        }),
        ..BASE
    },
    Scenario {
        name: "rename",
        left: Left::AsWished(Wish { name: "app-2", more: ", renamedFrom: shop/app-1", ..BLANK }),
        ..BASE
    },
    Scenario { name: "release", before: &[Some(RELEASED)], left: Left::Unmarked(RELEASED), ..BASE },
];

impl Left {
    /// What Git says for that to come about.
    pub fn wish(&self) -> Option<&Wish> {
        match self {
            Self::AsWished(wish) => Some(wish),
            Self::Retired(_) | Self::Unmarked(_) | Self::Nothing => None,
        }
    }
}

impl Wish {
    /// Its manifest.
    pub fn manifest(&self, kind: &Kind, id: &str) -> String {
        let mut disks = String::new();
        for (name, gib, storage) in self.disks {
            let storage = if storage.is_empty() { String::new() } else { format!(", storage: {storage}") };
            let _ = write!(disks, "{{name: {name}, size: {gib}GiB{storage}}}, ");
        }
        let mut nics = String::new();
        for (name, network) in self.nics {
            let _ = write!(nics, "{{name: {name}, network: {network}}}, ");
        }
        let with_data = self.from_image && kind.cloud_init != CloudInit::None;
        let image = if self.from_image { ", image: debian" } else { "" };
        format!(
            "apiVersion: tierwright.dev/v1
kind: VirtualMachine
metadata: {{project: shop, name: {name}}}
spec: {{tier: tier, cpus: 2, memory: {memory}GiB{image}, disks: [{disks}], nics: [{nics}], power: {power}{data}{more}}}
",
            data = if with_data { ", cloudInit: {userData: \"#cloud-config\\n\"}" } else { "" },
            power = if self.runs { "running" } else { "stopped" },
            name = self.name,
            memory = self.memory_gib,
            more = self.more.replace("{endpoint}", kind.endpoint).replace("{id}", id),
        )
    }
}

/// The manifest of a VM that nothing happens to.
pub const KEEPER: &str = "apiVersion: tierwright.dev/v1
kind: VirtualMachine
metadata: {project: shop, name: keeper}
spec: {tier: tier, cpus: 1, memory: 1GiB, disks: [{name: root, size: 1GiB}], nics: [{name: eth0, network: db}]}
";
