//! A key that is wanted and nowhere: make it, or finish making it.

use std::collections::BTreeSet;

use super::draft::{About, Draft, Size, StepParts, cost_line};
use super::marks::{self, Birth};
use crate::diff::target_text;
use crate::inventory::Observed;
use crate::mark::Mark;
use crate::model::{EndpointName, ObservedVm, OwnId, Placement, PowerGoal, Tier, VmSpec};
use crate::plan::operation::{CreateVm, DiskOrder, NicOrder};
use crate::plan::placement::{self, Place};
use crate::plan::safety::{No, creation, disks, machine};
use crate::plan::{Action, Because, BlockCode, EndpointState, Landing, Manage, Operation, Precondition, Reason, Risk};

impl<'a> Draft<'a> {
    /// A new VM, if it is known for certain that it is nowhere, and there is room.
    pub fn create(&mut self, spec: &'a VmSpec, tier: &'a Tier) {
        let place = match self.place(spec, tier) {
            Ok(place) => place,
            Err(no) => return self.block(About::key(&spec.key, Action::Create), no, of_new(spec, tier, Because::New)),
        };
        let Some(observed) = self.input.inventory.observed(place.endpoint) else { return };
        if let Err(no) = self.take_names(spec, (place.endpoint, observed), None, place.placement.folder.as_deref()) {
            let about = About { endpoint: Some(place.endpoint), ..About::key(&spec.key, Action::Create) };
            return self.block(about, no, of_new(spec, tier, Because::New));
        }
        let identity = self.census.free_identity(&spec.key);
        let own_id = observed.capabilities.own_id_is_identity.then(|| OwnId::of_identity(identity));
        let generation = own_id.as_ref().map_or(0, |own_id| self.census.last_generation(own_id)) + 1;
        let birth = Birth { installation: self.input.policy.installation.clone(), identity, own_id, generation };
        let user_data = self.user_data(spec, identity, None);
        let mark = marks::of_new(spec, tier, &birth, user_data);
        self.propose_create((spec, tier), &place, mark, None);
    }

    fn place(&mut self, spec: &'a VmSpec, tier: &'a Tier) -> Result<Place<'a>, No> {
        let policy = self.input.policy;
        for endpoint in &tier.endpoints {
            let Some(settings) = policy.endpoints.get(endpoint) else {
                let why = format!("endpoint {endpoint} of {} is not in the settings", tier.name);
                return Err(No::flat(BlockCode::NotConfigured, why));
            };
            if let Some(hypervisor) = tier.hypervisor.filter(|hypervisor| *hypervisor != settings.hypervisor) {
                let why = format!("{} speaks of {hypervisor}, and {endpoint} is {}", tier.name, settings.hypervisor);
                return Err(No::flat(BlockCode::Unsupported, why));
            }
        }
        if let Some(no) = creation::may_create(self.census, &spec.key, tier) {
            return Err(no);
        }
        let under_way = creation::under_way(self.census, &spec.key, self.input.now);
        if let Some(intent) = under_way.filter(|intent| !tier.endpoints.contains(&intent.endpoint)) {
            return Err(creation::elsewhere(intent, tier));
        }
        let mut forbidden = None;
        let mut open: Vec<(&'a EndpointName, &'a Observed)> = Vec::new();
        for endpoint in tier.endpoints.iter().filter(|here| under_way.is_none_or(|begun| begun.endpoint == **here)) {
            let settings = policy.endpoints.get(endpoint);
            if settings.is_some_and(|settings| settings.manage == Manage::Observe) {
                forbidden = machine::may_change(policy, endpoint);
            } else if settings.is_some_and(|settings| settings.state == EndpointState::Active) {
                open.extend(self.input.inventory.observed(endpoint).map(|observed| (endpoint, observed)));
            }
        }
        match forbidden {
            Some(no) if open.is_empty() => Err(no),
            _ => placement::choose(spec, tier, &open, &mut self.ledger),
        }
    }

    /// Its name and MACs must be free there.
    fn take_names(
        &mut self,
        spec: &VmSpec,
        at: (&'a EndpointName, &'a Observed),
        own: Option<&OwnId>,
        folder: Option<&str>,
    ) -> Result<(), No> {
        let name = spec.key.name().as_str();
        self.ledger.take_name(at, name, folder, own).map_err(|why| No::flat(BlockCode::NameTaken, why))?;
        for mac in spec.nics.iter().filter_map(|nic| nic.mac.as_ref()) {
            self.ledger.take_mac(at, mac, own).map_err(|why| No::flat(BlockCode::MacTaken, why))?;
        }
        Ok(())
    }

    /// A create that was cut short is finished, where it was begun: never is another one started.
    pub fn finish_create(
        &mut self,
        spec: &'a VmSpec,
        tier: &'a Tier,
        (endpoint, vm): (&'a EndpointName, &'a ObservedVm),
        begun: Option<&Mark>,
    ) {
        let (endpoint_known, own_id) = (Some(endpoint), Some(&vm.id));
        let about = About { key: &spec.key, endpoint: endpoint_known, own_id, action: Action::Create };
        let reasons = of_new(spec, tier, Because::Unfinished);
        let Some(observed) = self.input.inventory.observed(endpoint) else { return };
        if let Some(why) = begun.and_then(|mark| unfinishable(spec, mark)) {
            return self.remove_unfinished(&spec.key, (endpoint, vm), begun, &why);
        }
        let held = || {
            let config = vm.readable()?;
            let equipped = begun.is_some_and(is_equipped);
            machine::may_finish(config)
                .or_else(|| disks::may_finish(&spec.disks, config))
                .or_else(|| machine::may_size(config, (spec.cpus, spec.memory)).filter(|_| !equipped))
        };
        let no = machine::may_change(self.input.policy, endpoint).or_else(held).or_else(|| {
            let why = format!("its create was begun on {endpoint}, which is not an endpoint of {} any more", tier.name);
            (!tier.endpoints.contains(endpoint)).then(|| No::flat(BlockCode::UnfinishedCreate, why))
        });
        if let Some(no) = no {
            return self.block(about, no, reasons);
        }
        if let Err(no) = self.take_names(spec, (endpoint, observed), Some(&vm.id), vm.placed.folder.as_deref()) {
            return self.block(about, no, reasons);
        }
        let identity = begun.map_or_else(|| self.census.free_identity(&spec.key), |mark| mark.identity);
        let birth = Birth {
            installation: self.input.policy.installation.clone(),
            identity,
            own_id: Some(vm.id.clone()),
            generation: begun.map_or(0, |mark| mark.generation) + 1,
        };
        let user_data = self.user_data(spec, identity, begun);
        let mark = marks::of_new(spec, tier, &birth, user_data);
        let host = vm.placed.host.as_deref().map(str::to_owned).or_else(|| tier.placement.host.clone());
        let placement = Placement { host, ..tier.placement.clone() };
        let image_disks = placement::image_disks(spec, tier, observed).map_or(0, |disks| disks.len());
        let place = Place { endpoint, placement, image_disks };
        self.propose_create((spec, tier), &place, mark, Some(vm.id.clone()));
    }

    fn propose_create(
        &mut self,
        (spec, tier): (&VmSpec, &Tier),
        place: &Place<'_>,
        mark: Mark,
        unfinished: Option<OwnId>,
    ) {
        let identity = mark.identity;
        let because = if unfinished.is_some() { Because::Unfinished } else { Because::New };
        let order = CreateVm {
            key: spec.key.clone(),
            name: spec.key.name().clone(),
            identity,
            unfinished: unfinished.clone(),
            placement: place.placement.clone(),
            image: spec.image.as_ref().and_then(|name| tier.images.get(&**name)).cloned(),
            guest_os: spec.guest_os,
            firmware: spec.firmware,
            cpus: spec.cpus,
            memory: spec.memory,
            disks: spec.disks.iter().map(|disk| disk_order(disk, tier)).collect(),
            image_disks: place.image_disks,
            nics: spec.nics.iter().filter_map(|nic| nic_order(nic, tier)).collect(),
            cloud_init: placement::wants_cloud_init(spec),
            start: spec.power != Some(PowerGoal::Stopped),
            mark: Box::new(mark),
        };
        let parts = StepParts {
            key: spec.key.clone(),
            tier: spec.tier.clone(),
            endpoint: place.endpoint,
            own_id: unfinished,
            identity,
            action: Action::Create,
            reasons: of_new(spec, tier, because),
            lands: Landing::Hot,
            risk: Risk::None,
            cost: cost_line(Some(tier), None, Some(Size::of_spec(spec))),
            preconditions: Precondition::Absent { identity, name: spec.key.name().to_string() },
            operations: vec![Operation::Create(Box::new(order))],
        };
        self.propose(parts);
    }
}

/// Why what was begun cannot become what is wanted now: only the first step of a create reads the image, and once its
/// disks are plugged in, which is when the mark knows their slots, nothing of the create adds or removes one.
fn unfinishable(spec: &VmSpec, begun: &Mark) -> Option<String> {
    let image = begun.applied.as_ref().and_then(|applied| applied.image.as_deref());
    let equipped = is_equipped(begun);
    let same_disks = begun.disks.keys().map(String::as_str).collect::<BTreeSet<_>>()
        == spec.disks.iter().map(|disk| &*disk.name).collect();
    let same_nics = begun.nics.keys().map(String::as_str).collect::<BTreeSet<_>>()
        == spec.nics.iter().map(|nic| &*nic.name).collect();
    let changed = if image != spec.image.as_deref() {
        "another image"
    } else if equipped && !same_disks {
        "other disks"
    } else if equipped && !same_nics {
        "other NICs"
    } else {
        return None;
    };
    Some(format!("the manifest asks for {changed} than when it was begun (put that back to have it finished)"))
}

/// Are its size, disks and NICs set? Then the mark knows the slots.
fn is_equipped(begun: &Mark) -> bool {
    begun.disks.values().any(|disk| disk.slot.is_some())
}

fn disk_order(disk: &crate::model::DiskSpec, tier: &Tier) -> DiskOrder {
    let storage = disk.storage.as_ref().and_then(|name| tier.storage.get(&**name)).cloned();
    DiskOrder { name: disk.name.to_string(), size: disk.size, storage }
}

fn nic_order(nic: &crate::model::NicSpec, tier: &Tier) -> Option<NicOrder> {
    Some(NicOrder {
        name: nic.name.to_string(),
        network: tier.networks.get(&*nic.network)?.clone(),
        mac: nic.mac.clone(),
        addresses: nic.addresses.clone(),
        gateway: nic.gateway,
    })
}

/// What a new VM will be, field by field.
fn of_new(spec: &VmSpec, tier: &Tier, because: Because) -> Vec<Reason> {
    let mut reasons = Vec::with_capacity(4 + spec.disks.len() + spec.nics.len());
    let mut field = |field: String, to: String| {
        reasons.push(Reason { field, from: None, to: Some(to), because, lands: Landing::Hot, detail: None });
    };
    field("cpus".to_owned(), spec.cpus.to_string());
    field("memory".to_owned(), spec.memory.to_string());
    if let Some(image) = &spec.image {
        field("image".to_owned(), image.to_string());
    }
    for disk in &spec.disks {
        field(format!("disks/{}", disk.name), disk.size.to_string());
    }
    for nic in &spec.nics {
        let target = tier.networks.get(&*nic.network).map_or_else(|| nic.network.to_string(), target_text);
        field(format!("nics/{}", nic.name), target);
    }
    let power = if spec.power == Some(PowerGoal::Stopped) { "stopped" } else { "running" };
    field("power".to_owned(), power.to_owned());
    reasons
}
