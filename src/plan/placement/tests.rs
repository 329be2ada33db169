//! Where new VMs go.

use crate::inventory::{Folder, Host, ResourcePool};
use crate::model::{Bytes, CloudInit, PowerState, Secret};
use crate::plan::sample::{World, disk, endpoint, nic, spec, tier_name};
use crate::plan::{BlockCode, Operation, Plan};

/// Nothing there yet, one VM wanted.
fn empty() -> World {
    let mut world = World::fleet(0);
    world.want(spec("app/new"));
    world
}

fn host_of(plan: &Plan, key: &str) -> String {
    let Operation::Create(create) = &plan.step_of(key).operations[0] else { panic!("{plan:#?}") };
    create.placement.host.clone().unwrap()
}

fn code(world: &World) -> (BlockCode, String) {
    let plan = world.plan();
    let blocked = plan.blocked_of("app/new");
    (blocked.code, blocked.why.clone())
}

#[test]
fn the_host_with_most_memory_left_wins_and_the_first_by_name_among_equals() {
    let mut world = empty();
    assert_eq!(host_of(&world.plan(), "app/new"), "esx-1");
    world.seen().catalog.hosts[1].memory = Bytes::gib(257);
    assert_eq!(host_of(&world.plan(), "app/new"), "esx-2");
}

#[test]
fn what_one_plan_places_is_taken_off_for_the_next() {
    let mut world = empty();
    world.want(spec("app/new-2"));
    let plan = world.plan();
    assert_eq!((host_of(&plan, "app/new").as_str(), host_of(&plan, "app/new-2").as_str()), ("esx-1", "esx-2"));
}

#[test]
fn running_vms_hold_their_memory_and_stopped_ones_do_not() {
    let mut world = World::fleet(1);
    world.want(spec("app/new"));
    assert_eq!(host_of(&world.plan(), "app/new"), "esx-2");
    world.config("vm-00").power = PowerState::Stopped;
    assert_eq!(host_of(&world.plan(), "app/new"), "esx-1");
    world.config("vm-00").power = PowerState::Suspended;
    assert_eq!(host_of(&world.plan(), "app/new"), "esx-2", "a suspended one comes back with it");
}

#[test]
fn no_room_is_told_with_the_figures() {
    let mut world = empty();
    world.spec("app/new").memory = Bytes::gib(300);
    let (code, why) = self::code(&world);
    assert_eq!(code, BlockCode::NoRoom);
    assert!(why.contains("300GiB") && why.contains("esx-1 has 256GiB of 256GiB"), "{why}");
}

#[test]
fn disks_need_free_bytes_on_each_storage_they_name() {
    let mut world = empty();
    world.spec("app/new").disks.push(crate::model::DiskSpec { storage: Some("fast".into()), ..disk("data", 901) });
    let (code, why) = self::code(&world);
    assert_eq!(code, BlockCode::NoRoom);
    assert!(why.contains("storage nvme has 900GiB free of the 901GiB declared"), "{why}");
}

#[test]
fn storage_of_several_creates_adds_up() {
    let mut world = empty();
    world.spec("app/new").disks[0].size = Bytes::gib(500);
    let mut second = spec("app/new-2");
    second.disks[0].size = Bytes::gib(500);
    world.want(second);
    assert_eq!(world.plan().codes(), [("new-2".to_owned(), BlockCode::NoRoom)]);
}

#[test]
fn without_a_storage_of_its_tier_the_one_with_most_free_is_taken() {
    let mut world = empty();
    world.desired.tiers.get_mut(&tier_name("t1")).unwrap().placement.storage = None;
    world.seen().catalog.storage[1].free = Bytes::gib(901);
    let plan = world.plan();
    let Operation::Create(create) = &plan.step_of("app/new").operations[0] else { panic!() };
    assert_eq!(create.placement.storage.as_deref(), Some("nvme"));
}

#[test]
fn hosts_in_maintenance_and_hosts_that_do_not_reach_a_network_take_no_vms() {
    let mut world = empty();
    world.seen().catalog.hosts[0].usable = false;
    assert_eq!(host_of(&world.plan(), "app/new"), "esx-2");
    world.seen().catalog.networks[0].hosts = vec!["esx-1".into()];
    assert_eq!(code(&world).0, BlockCode::NoRoom);
}

#[test]
fn missing_targets_are_named_with_the_nearest_that_exists() {
    let set = |change: fn(&mut crate::model::Tier)| {
        let mut world = empty();
        let seen = world.seen();
        seen.catalog.hosts.push(Host {
            name: "esx-9".into(),
            cluster: Some("gold".into()),
            datacenter: Some("dc1".into()),
            memory: Bytes::gib(1),
            usable: true,
        });
        seen.catalog.folders.push(Folder { path: "Prod/apps".into(), datacenter: None });
        seen.catalog.resource_pools.push(ResourcePool { name: "pool".into(), parent: "gold".into() });
        change(world.desired.tiers.get_mut(&tier_name("t1")).unwrap());
        code(&world)
    };
    let cluster = set(|tier| tier.placement.cluster = Some("golf".to_owned()));
    assert_eq!(cluster.0, BlockCode::TargetMissing);
    assert!(cluster.1.contains("no cluster golf on vc; did you mean gold?"), "{}", cluster.1);
    assert!(set(|tier| tier.placement.folder = Some("Prod/app".to_owned())).1.contains("did you mean Prod/apps?"));
    assert!(set(|tier| tier.placement.resource_pool = Some("pol".to_owned())).1.contains("did you mean pool?"));
    assert!(set(|tier| tier.placement.datacenter = Some("far-away".to_owned())).1.ends_with("on vc"));
    assert!(set(|tier| tier.placement.storage = Some("flesh".to_owned())).1.contains("did you mean flash?"));
    let image = |tier: &mut crate::model::Tier| tier.images.get_mut("debian").unwrap().source = "tmp".to_owned();
    assert!(set(image).1.contains("no image tmp on vc; did you mean tmpl?"));
    let made = |tier: &mut crate::model::Tier| {
        tier.placement.folder = Some("new/one".to_owned());
        tier.placement.create_folders = true;
        tier.placement.host = Some("esx-7".to_owned());
    };
    assert!(set(made).1.contains("no host esx-7"), "a folder that may be made is not missing");
}

#[test]
fn what_an_endpoint_cannot_do_is_unsupported() {
    let mut world = empty();
    world.seen().capabilities.create_from_image = false;
    assert_eq!(code(&world).0, BlockCode::Unsupported);
    world.spec("app/new").image = None;
    assert_eq!(world.plan().steps.len(), 1, "a blank VM may be made on ESXi");
    world.seen().capabilities.cloud_init = false;
    world.spec("app/new").cloud_init = Some(CloudInit::Inline(Secret::new("#cloud-config".to_owned())));
    assert_eq!(code(&world).0, BlockCode::Unsupported);
}

#[test]
fn an_images_disks_must_all_be_listed_and_never_shrink() {
    let mut world = empty();
    world.seen().catalog.images[0].disks = vec![Bytes::gib(10), Bytes::gib(10)];
    assert_eq!(code(&world).0, BlockCode::DiskUnsafe);
    world.spec("app/new").disks.push(disk("data", 5));
    assert!(code(&world).1.contains("disk data is 5GiB and the image's is 10GiB"));
    world.spec("app/new").disks[1].size = Bytes::gib(10);
    let plan = world.plan();
    let Operation::Create(create) = &plan.step_of("app/new").operations[0] else { panic!() };
    assert_eq!(create.image_disks, 2);
}

#[test]
fn another_endpoint_of_the_tier_is_taken_when_one_lacks_room() {
    let mut world = empty();
    world.add_endpoint("two", vec![]);
    world.desired.tiers.get_mut(&tier_name("t1")).unwrap().endpoints.push(endpoint("two"));
    world.seen().catalog.hosts.iter_mut().for_each(|host| host.memory = Bytes::gib(1));
    assert_eq!(world.plan().step_of("app/new").endpoint, endpoint("two"));
}

#[test]
fn a_name_in_another_folder_is_free_where_names_count_by_folder() {
    let mut world = World::fleet(1);
    let mut other = world.vm("vm-00").clone();
    other.id = crate::model::OwnId::new("other");
    other.name = "new".into();
    other.placed.folder = Some("elsewhere".into());
    crate::plan::sample::config_mut(&mut other).mark = None;
    world.seen().vms.push(other);
    let mut wanted = spec("app/new");
    wanted.nics = vec![nic("eth0", "app")];
    world.want(wanted);
    assert_eq!(world.plan().steps.len(), 1);
    world.seen().capabilities.names_by_folder = false;
    assert_eq!(code(&world).0, BlockCode::NameTaken);
}
