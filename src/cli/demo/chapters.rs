//! The story, chapter by chapter. Each shows something and claims what must then be true.

use anyhow::Context as _;

use super::narrator::{self, Narrator};
use super::stage::Stage;
use crate::apply::{ApplyReport, StepOutcome};
use crate::cli::{drift, view};
use crate::lab::WorldHandle;
use crate::lab::world::{Power, Vm, World};
use crate::plan::{Action, BlockCode, Landing, Plan, Step};

/// Gets more memory while it runs.
const DATABASE: &str = "erp/database.yaml";
/// Has no hot-add, and may not be rebooted.
const CONTROLLER: &str = "erp/directory.yaml";
/// Runs; somebody will switch it off.
const SWITCHED_OFF: &str = "erp-app-01";
/// Its first NIC will be moved by somebody.
const MOVED: &str = "erp-db-01";
/// Where to.
const WRONG_NETWORK: &str = "VM Network";
/// On the pool: gets a disk while it runs.
const MAIL: (&str, &str) = ("hosted/customers.yaml", "globex-mail");
/// After which disk.
const MAIL_DISK: &str = "- {name: mail, size: 200GiB, storage: fast}";
/// On the pool: its NIC will be moved by somebody.
const WEB: &str = "acme-www";
/// Where to.
const PRIVATE: &str = "hosted-private";
/// A file of two VMs, and the one that will be deleted from it.
const REMOVED: (&str, &str) = ("web/shop.yaml", "shop-02");

/// Tells all of it.
pub async fn tell(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    preview(stage, narrator).await?;
    make_it_so(stage, narrator).await?;
    nothing_left(stage, narrator).await?;
    change(stage, narrator).await?;
    behind_its_back(stage, narrator).await?;
    heal(stage, narrator).await?;
    removal(stage, narrator).await?;
    and_back(stage, narrator).await
}

async fn preview(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let hosts = |world: &WorldHandle| world.with(|world| world.hosts.len());
    let text = format!(
        "A simulated vCenter with {} hosts and a simulated XenServer pool of {} run in this process, and on them {}\n\
         VMs that are none of our business. tierwright speaks to each as to a real one: its own protocol, TLS, pinned\n\
         certificates. {} describes the fleet we want. What would happen?",
        hosts(&stage.lab.world()),
        hosts(&stage.pool()),
        unmanaged(stage),
        stage.manifest("").display()
    );
    narrator.chapter("A preview you can trust", &text).await?;
    narrator::command("tierwright plan")?;
    let (_, plan) = stage.plan(&[]).await?;
    narrator.output(&view::plan_text(&plan)).await?;
    narrator.claim(
        !plan.steps.is_empty() && plan.steps.iter().all(|step| step.action == Action::Create),
        "only creates, each with its place and cost",
    )?;
    let elsewhere = plan.blocked.iter().filter(|blocked| blocked.code == BlockCode::NotConfigured).count();
    let text = format!(
        "{} on tier 2 wait: Hyper-V is not configured here. That is said, and is no error",
        view::count(elsewhere, "VM")
    );
    narrator.claim(elsewhere == plan.blocked.len() && elsewhere > 0, &text)?;
    narrator.claim(stage.changes() == 0, "nothing was changed: the lab counts every changing call")
}

async fn make_it_so(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let text = "Apply plans again by the same call, asks, and does exactly that, on both at once. We say yes.";
    narrator.chapter("Make it so", text).await?;
    narrator::command("tierwright apply")?;
    let (look, plan) = stage.plan(&[]).await?;
    let report = stage.apply(&look).await?;
    told(narrator, &plan, &report)?;
    let marked = |world: &WorldHandle, step: &Step| {
        let named = |vm: &Vm| *vm.name == *step.key.name().as_str() && is_marked(vm);
        world.with(|world| world.vms().filter(|vm| named(vm)).count())
    };
    let there = |step: &Step| marked(&stage.lab.world(), step) + marked(&stage.pool(), step) == 1;
    narrator.claim(
        plan.steps.iter().all(there),
        "each VM is there, once, with its mark on it, on vCenter as on XenServer: there is no state file",
    )
}

async fn nothing_left(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    narrator.chapter("The same again changes nothing", "A plan that is done is empty, and stays empty.").await?;
    narrator::command("tierwright apply")?;
    let before = stage.changes();
    let (look, plan) = stage.plan(&[]).await?;
    narrator.claim(
        plan.steps.is_empty(),
        &format!("nothing to do: {} as desired", view::count(plan.in_sync as usize, "VM")),
    )?;
    let report = stage.apply(&look).await?;
    narrator.claim(report.steps.is_empty() && stage.changes() == before, "and not one changing call was made")
}

async fn change(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let text = "Two VMs on vSphere get more memory in Git, and one on XenServer a disk. The other VM with more memory has no\n\
                hot-add, and its manifest does not allow a reboot: that is read from the VM itself, and holds it back.";
    narrator.chapter("A change that says how it lands", text).await?;
    let before = stage.read(CONTROLLER)?;
    stage.edit(DATABASE, "memory: 48GiB", "memory: 64GiB")?;
    stage.edit(CONTROLLER, "instanceType: medium", "instanceType: medium\n  memory: 12GiB")?;
    let (file, mail) = MAIL;
    stage.edit(file, MAIL_DISK, &format!("{MAIL_DISK}\n    - {{name: archive, size: 50GiB, storage: fast}}"))?;
    narrator::command("tierwright plan")?;
    let (look, plan) = stage.plan(&[]).await?;
    narrator.output(&view::plan_text(&plan)).await?;
    narrator::command("tierwright apply")?;
    let report = stage.apply(&look).await?;
    told(narrator, &plan, &report)?;
    let held = plan.blocked.iter().any(|blocked| blocked.code == BlockCode::RebootNotAllowed);
    let hot = plan.steps.iter().all(|step| step.lands == Landing::Hot);
    let memory = stage.lab.world().with(|world| world.vm_named(MOVED).map(|vm| (vm.memory_mib, vm.power)));
    let disks = stage.pool().with(|world| world.vm_named(mail).map(|vm| (vm.disks.len(), vm.power)));
    let holds = hot && held && memory == Some((64 * 1024, Power::On)) && disks == Some((3, Power::On));
    narrator.claim(holds, "64 GiB and a disk, added while they ran; the other was left alone")?;
    stage.write(CONTROLLER, &before)
}

async fn behind_its_back(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let text = format!(
        "At the vCenter console somebody moves {MOVED} to the network `{WRONG_NETWORK}`, and switches {SWITCHED_OFF} off.\n\
         In XenCenter somebody moves {WEB} to `{PRIVATE}`."
    );
    narrator.chapter("Somebody changes things by hand", &text).await?;
    let done = stage.lab.world().with(|world| {
        let moved = connect(world, MOVED, WRONG_NETWORK);
        let off = world.vm_named(SWITCHED_OFF).map(|vm| vm.id).is_some_and(|id| world.set_power(id, Power::Off));
        moved && off
    });
    let done = done && stage.pool().with(|world| connect(world, WEB, PRIVATE));
    narrator::command("tierwright drift")?;
    let (look, _) = stage.plan(&[]).await?;
    let lines = stage.drift(&look);
    narrator.output(&drift::text(&lines)).await?;
    let seen = |name: &str, field: &str, to: &str| {
        lines
            .iter()
            .any(|line| line.key.name().as_str() == name && line.field == field && line.to.as_deref() == Some(to))
    };
    let all = seen(MOVED, "nics/eth0/network", WRONG_NETWORK)
        && seen(SWITCHED_OFF, "power", "stopped")
        && seen(WEB, "nics/eth0/network", PRIVATE);
    narrator.claim(done && all && lines.len() == 3, "seen, by field, as it was and as it is; and nothing else")
}

async fn heal(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let text = "Git still says what it said. The plan names who changed what: the reason is drift, not a new manifest.";
    narrator.chapter("Heal it", text).await?;
    narrator::command("tierwright apply")?;
    let (look, plan) = stage.plan(&[]).await?;
    narrator.output(&view::plan_text(&plan)).await?;
    let report = stage.apply(&look).await?;
    told(narrator, &plan, &report)?;
    let (look, plan) = stage.plan(&[]).await?;
    narrator
        .claim(plan.steps.is_empty() && stage.drift(&look).is_empty(), "as Git says again, with no guest interrupted")
}

async fn removal(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let (file, name) = REMOVED;
    let text = format!("Somebody takes {name} out of {file}. Nothing happens to the VM, yet.");
    narrator.chapter("A removal needs a person", &text).await?;
    let whole = stage.read(file)?;
    let (first, _) = whole.split_once("\n---\n").context("the example holds two VMs")?;
    stage.write(file, &format!("{first}\n"))?;
    narrator::command("tierwright apply --yes")?;
    let (look, plan) = stage.plan(&[]).await?;
    narrator.output(&view::plan_text(&plan)).await?;
    let before = stage.changes();
    let report = stage.apply(&look).await?;
    narrator.claim(
        report.steps.is_empty() && stage.changes() == before,
        "--yes answers the question and approves no removal",
    )?;
    let Some(digest) = shown_digest(&plan) else {
        return narrator.claim(false, "the preview shows a digest to approve");
    };
    narrator::say(
        "\nA person who has looked copies the digest. It covers this VM as it stands now, and nothing else.",
    )?;
    narrator::command(&format!("tierwright apply --approve {digest}"))?;
    let (look, plan) = stage.plan(&[&digest]).await?;
    let report = stage.apply(&look).await?;
    told(narrator, &plan, &report)?;
    let retired = stage.lab.world().with(|world| {
        plan.steps.first().and_then(|step| world.vm_by_uuid(step.identity)).is_some_and(|vm| {
            vm.power == Power::Off && vm.nics.iter().all(|nic| !nic.start_connected) && !vm.disks.is_empty()
        })
    });
    narrator.claim(retired, "it is only retired: shut down, disconnected, renamed. Its disks are kept for 7 days")?;
    stage.write(file, &whole)
}

async fn and_back(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let (file, name) = REMOVED;
    narrator.chapter("That was a mistake", &format!("So {file} is put back as it was.")).await?;
    narrator::command("tierwright apply")?;
    let (look, plan) = stage.plan(&[]).await?;
    let report = stage.apply(&look).await?;
    told(narrator, &plan, &report)?;
    let back = stage.lab.world().with(|world| {
        world.vm_named(name).is_some_and(|vm| vm.power == Power::On && vm.nics.iter().all(|nic| nic.connected))
    });
    narrator.claim(back, &format!("{name} is back as it was: name, network, power, disks"))?;
    let (_, plan) = stage.plan(&[]).await?;
    narrator.claim(plan.steps.is_empty(), "and again there is nothing to do")
}

/// What to try once the story is over.
pub fn what_next(stage: &Stage) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("finding this program")?;
    narrator::say(&format!(
        "\nThe data centre stays up until Ctrl-C. In another terminal:\n\n  \
         alias tierwright={}\n  \
         export TIERWRIGHT_CONFIG={}\n  \
         tierwright get vms\n  \
         $EDITOR {}    # more memory, a disk, another VM\n  \
         tierwright plan -o diff\n  \
         tierwright apply\n  \
         tierwright serve    # keeps it so: edit the file again and watch\n\n\
         For your own vCenter: README.md, and then `tierwright check`.",
        program.display(),
        stage.settings().display(),
        stage.manifest(DATABASE).display()
    ))
}

/// The outcome of an apply, and the claim that all of it was done.
fn told(narrator: &mut Narrator, plan: &Plan, report: &ApplyReport) -> anyhow::Result<()> {
    let done = report.count(|outcome| matches!(outcome, StepOutcome::Done));
    let text = format!("{done} of {} done", view::count(plan.steps.len(), "step"));
    narrator.claim(done == plan.steps.len() && done > 0, &text)
}

/// The digest as a person would copy it from the preview.
fn shown_digest(plan: &Plan) -> Option<String> {
    let text = anstream::adapter::strip_str(&view::plan_text(plan)).to_string();
    let (_, rest) = text.split_once("--approve ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// VMs of both hypervisors that carry no mark, templates aside.
fn unmanaged(stage: &Stage) -> usize {
    let count =
        |world: &WorldHandle| world.with(|world| world.vms().filter(|vm| !vm.template && !is_marked(vm)).count());
    count(&stage.lab.world()) + count(&stage.pool())
}

/// The mark stands where each hypervisor keeps a VM's free settings.
fn is_marked(vm: &Vm) -> bool {
    ["tierwright.mark", "tierwright:mark"].iter().any(|key| vm.setting(key).is_some())
}

/// Connects the first NIC of a VM to another network, behind everybody's back.
fn connect(world: &mut World, vm: &str, network: &str) -> bool {
    let network = world.networks.values().find(|found| *found.name == *network).map(|found| found.id);
    network.is_some() && world.edit_named(vm, |vm| vm.nics.iter_mut().take(1).for_each(|nic| nic.network = network))
}
