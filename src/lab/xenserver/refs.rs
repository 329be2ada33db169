//! References and uuids: `OpaqueRef:xxxxxxxx-…` and its kin, both ways, without a table.
//!
//! A reference hides the object's numbers in the world under the pool's seed, so that a lab of 100,000 VMs keeps
//! no list of them; it looks random, as real ones do, and is never used again, since the world's numbers are not.
//! VDIs go by the uuid of their file, which the world keeps. Who sends a made-up reference, or one of another
//! class or pool, names nothing.

use uuid::Uuid;

use crate::lab::world::Id;

/// Classes of objects the front has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Class {
    Pool,
    Vm,
    VmMetrics,
    GuestMetrics,
    Host,
    HostMetrics,
    Network,
    Pif,
    Vif,
    Sr,
    Pbd,
    Vdi,
    Vbd,
    Task,
    Session,
    /// Not a class of objects: it has messages alone.
    Event,
}

impl Class {
    pub const ALL: &[Self] = &[
        Self::Pool,
        Self::Vm,
        Self::VmMetrics,
        Self::GuestMetrics,
        Self::Host,
        Self::HostMetrics,
        Self::Network,
        Self::Pif,
        Self::Vif,
        Self::Sr,
        Self::Pbd,
        Self::Vdi,
        Self::Vbd,
        Self::Task,
        Self::Session,
        Self::Event,
    ];

    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Vm => "VM",
            Self::VmMetrics => "VM_metrics",
            Self::GuestMetrics => "VM_guest_metrics",
            Self::Host => "host",
            Self::HostMetrics => "host_metrics",
            Self::Network => "network",
            Self::Pif => "PIF",
            Self::Vif => "VIF",
            Self::Sr => "SR",
            Self::Pbd => "PBD",
            Self::Vdi => "VDI",
            Self::Vbd => "VBD",
            Self::Task => "task",
            Self::Session => "session",
            Self::Event => "event",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|class| class.name() == name).copied()
    }
}

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Obj {
    Pool,
    /// A VM, a template, a snapshot, or (by its host's number) a control domain.
    Vm(Id),
    VmMetrics(Id),
    GuestMetrics(Id),
    Host(Id),
    HostMetrics(Id),
    Network(Id),
    /// Host and network.
    Pif(Id, Id),
    /// VM and device.
    Vif(Id, i32),
    Sr(Id),
    /// Host and SR.
    Pbd(Id, Id),
    Vdi(Uuid),
    /// VM and device.
    Vbd(Id, i32),
    Task(u32),
    Session(u32),
}

impl Obj {
    pub const fn class(&self) -> Class {
        match self {
            Self::Pool => Class::Pool,
            Self::Vm(_) => Class::Vm,
            Self::VmMetrics(_) => Class::VmMetrics,
            Self::GuestMetrics(_) => Class::GuestMetrics,
            Self::Host(_) => Class::Host,
            Self::HostMetrics(_) => Class::HostMetrics,
            Self::Network(_) => Class::Network,
            Self::Pif(..) => Class::Pif,
            Self::Vif(..) => Class::Vif,
            Self::Sr(_) => Class::Sr,
            Self::Pbd(..) => Class::Pbd,
            Self::Vdi(_) => Class::Vdi,
            Self::Vbd(..) => Class::Vbd,
            Self::Task(_) => Class::Task,
            Self::Session(_) => Class::Session,
        }
    }

    fn numbers(&self) -> (u32, u32) {
        match *self {
            Self::Pool | Self::Vdi(_) => (0, 0),
            Self::Vm(id)
            | Self::VmMetrics(id)
            | Self::GuestMetrics(id)
            | Self::Host(id)
            | Self::HostMetrics(id)
            | Self::Network(id)
            | Self::Sr(id) => (id.0, 0),
            Self::Pif(host, place) | Self::Pbd(host, place) => (host.0, place.0),
            Self::Vif(vm, key) | Self::Vbd(vm, key) => (vm.0, key.cast_unsigned()),
            Self::Task(number) | Self::Session(number) => (number, 0),
        }
    }

    fn of(class: Class, one: u32, two: u32) -> Option<Self> {
        Some(match class {
            Class::Pool => Self::Pool,
            Class::Vm => Self::Vm(Id(one)),
            Class::VmMetrics => Self::VmMetrics(Id(one)),
            Class::GuestMetrics => Self::GuestMetrics(Id(one)),
            Class::Host => Self::Host(Id(one)),
            Class::HostMetrics => Self::HostMetrics(Id(one)),
            Class::Network => Self::Network(Id(one)),
            Class::Pif => Self::Pif(Id(one), Id(two)),
            Class::Vif => Self::Vif(Id(one), two.cast_signed()),
            Class::Sr => Self::Sr(Id(one)),
            Class::Pbd => Self::Pbd(Id(one), Id(two)),
            Class::Vbd => Self::Vbd(Id(one), two.cast_signed()),
            Class::Task => Self::Task(one),
            Class::Session => Self::Session(one),
            Class::Vdi | Class::Event => return None,
        })
    }
}

/// Writes and reads references of one pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codec {
    seed: u64,
}

/// What a number is written for; the two never look alike.
const REFERENCE: u64 = 0x7265;
const UUID: u64 = 0x7575;

/// A good mixer of 64 bits (splitmix64's finalizer).
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Codec {
    pub const fn new(seed: u64) -> Self {
        Self { seed: mix(seed) }
    }

    const fn mask(self, class: Class, salt: u64) -> u64 {
        mix(self.seed ^ mix(salt ^ ((class as u64) << 20)))
    }

    fn encode(self, obj: &Obj, salt: u64) -> Uuid {
        let mask = self.mask(obj.class(), salt);
        if let Obj::Vdi(file) = obj {
            let (high, low) = file.as_u64_pair();
            return Uuid::from_u64_pair(high ^ mask, low ^ mix(mask));
        }
        let (one, two) = obj.numbers();
        let plain = (u64::from(one) << 32) | u64::from(two);
        // The lower half is a seal over the upper one, which it also makes look random.
        let seal = mix(plain ^ mask);
        Uuid::from_u64_pair(plain ^ mask ^ seal, seal)
    }

    fn decode(self, class: Class, uuid: Uuid, salt: u64) -> Option<Obj> {
        let (high, low) = uuid.as_u64_pair();
        let mask = self.mask(class, salt);
        if class == Class::Vdi {
            return Some(Obj::Vdi(Uuid::from_u64_pair(high ^ mask, low ^ mix(mask))));
        }
        let plain = high ^ mask ^ low;
        if mix(plain ^ mask) != low {
            return None;
        }
        let (one, two) = (u32::try_from(plain >> 32).ok()?, u32::try_from(plain & 0xffff_ffff).ok()?);
        Obj::of(class, one, two)
    }

    /// An object's reference.
    pub fn reference(self, obj: &Obj) -> String {
        format!("OpaqueRef:{}", self.encode(obj, REFERENCE))
    }

    /// The object of a class that a reference names, whether it is there or not.
    pub fn object(self, class: Class, reference: &str) -> Option<Obj> {
        let uuid = Uuid::try_parse(reference.strip_prefix("OpaqueRef:")?).ok()?;
        self.decode(class, uuid, REFERENCE)
    }

    /// The uuid of an object to which the world gives none.
    pub fn uuid(self, obj: &Obj) -> Uuid {
        self.encode(obj, UUID)
    }

    /// The object that has such a uuid.
    pub fn by_uuid(self, class: Class, uuid: Uuid) -> Option<Obj> {
        self.decode(class, uuid, UUID)
    }
}
