//! The lab of a script, and what happens to it behind tierwright's back.
//!
//! ```text
//! lab set NAME memory=MIB | cpus=N      lab power NAME on|off|suspended    lab remove NAME
//! lab unmark NAME                       lab clone NAME AS                  lab twin NAME AS
//! lab keep-mark NAME | put-mark NAME    lab snapshot NAME                  lab hot-add NAME off
//! lab rewrite-mark NAME OLD => NEW      as another program might
//! lab show NAME                         prints what the hypervisor has
//! ```

use std::path::{Path, PathBuf};

use tierwright::lab::faults::{Effect, FaultRule};
use tierwright::lab::world::{Id, Power, World};
use tierwright::lab::{Lab, LabOptions};

const MARK: &str = "tierwright.mark";

/// A small lab with a seed of its own.
pub async fn start() -> Lab {
    Lab::start(LabOptions { vms: 4, ..LabOptions::default() }).await.expect("the lab starts")
}

/// Settings beside the manifests.
pub fn write_settings(lab: &Lab, dir: &Path) -> PathBuf {
    lab.write_settings(dir, Path::new("manifests")).expect("the settings can be written")
}

fn id(world: &World, name: &str) -> Id {
    world.vm_named(name).unwrap_or_else(|| panic!("the lab has no VM `{name}`")).id
}

/// The own id of a VM.
pub fn own_id(lab: &Lab, name: &str) -> String {
    lab.world().with(|world| {
        let vm = id(world, name);
        world.vm(vm).expect("the VM was just found").instance_uuid.to_string()
    })
}

/// Does one `lab` line; returns what it prints.
pub fn change(lab: &Lab, words: &[&str], kept: &mut Option<String>) -> Vec<String> {
    let name = words[1];
    lab.world().with(|world| {
        let vm = id(world, name);
        match words[0] {
            "set" => {
                for field in &words[2..] {
                    set(world, vm, field);
                }
            }
            "power" => {
                let power = match words[2] {
                    "on" => Power::On,
                    "off" => Power::Off,
                    _ => Power::Suspended,
                };
                world.set_power(vm, power);
            }
            "remove" => drop(world.remove(vm, true)),
            "unmark" => drop(world.edit(vm, |vm| vm.set_setting(MARK, ""))),
            "clone" => drop(world.copy(vm, words[2], false)),
            "twin" => drop(world.copy(vm, words[2], true)),
            "keep-mark" => *kept = world.vm(vm).and_then(|vm| vm.setting(MARK)).map(str::to_owned),
            "put-mark" => {
                let mark = kept.clone().expect("a mark was kept");
                world.edit(vm, |vm| vm.set_setting(MARK, &mark));
            }
            "rewrite-mark" => {
                let mark =
                    world.vm(vm).and_then(|vm| vm.setting(MARK)).expect("it has a mark").replace(words[2], words[4]);
                world.edit(vm, |vm| vm.set_setting(MARK, &mark));
            }
            "snapshot" => drop(world.add_snapshot(vm, "by hand")),
            "hot-add" => drop(world.edit(vm, |vm| {
                vm.hot_add_memory = words[2] == "on";
                vm.hot_add_cpu = words[2] == "on";
            })),
            "show" => return vec![show(world, vm)],
            other => panic!("unknown lab change `{other}`"),
        }
        Vec::new()
    })
}

fn set(world: &mut World, vm: Id, field: &str) {
    let (field, value) = field.split_once('=').expect("field=value");
    let value: u32 = value.parse().expect("a number");
    world.edit(vm, |vm| match field {
        "memory" => vm.memory_mib = u64::from(value),
        "cpus" => vm.cpus = value,
        other => panic!("unknown field `{other}`"),
    });
}

fn show(world: &World, vm: Id) -> String {
    let vm = world.vm(vm).expect("the VM was just found");
    let disks: Vec<String> = vm.disks.iter().map(|disk| format!("{}GiB", disk.capacity >> 30)).collect();
    let connected = vm.nics.iter().filter(|nic| nic.start_connected).count();
    format!(
        "{}: {:?}, {} cpus, {}MiB, disks {}, {} of {} nics connected, {}",
        vm.name,
        vm.power,
        vm.cpus,
        vm.memory_mib,
        disks.join(" "),
        connected,
        vm.nics.len(),
        if vm.setting(MARK).is_some() { "marked" } else { "no mark" },
    )
}

/// Does one `fault` line.
pub fn fault(lab: &Lab, words: &[&str]) {
    if words[0] == "clear" {
        lab.faults().clear();
        return;
    }
    let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let number = |name: &str| value(name).map(|n| n.parse::<u64>().expect("a number"));
    let effect = match words[0] {
        "drop" => Effect::Drop,
        "hide" => Effect::Hide,
        "unset-config" => Effect::UnsetConfig,
        "lose-reply" => Effect::LoseReply,
        "ignore-shutdown" => Effect::IgnoreShutdown,
        "truncate" => Effect::Truncate(usize::try_from(number("at").expect("at=N")).expect("a small number")),
        "break-page" => Effect::BreakAfterPage(usize::try_from(number("at").expect("at=N")).expect("a small number")),
        "deny" => Effect::Deny(value("right").unwrap_or_default().to_owned()),
        other => panic!("unknown effect `{other}`"),
    };
    let mut rule = FaultRule::always(value("op"), value("target"), effect);
    if let Some(nth) = number("nth") {
        rule.from = nth;
        rule.times = Some(1);
    }
    lab.faults().add(rule);
}
