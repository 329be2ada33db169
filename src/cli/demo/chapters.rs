//! The story, chapter by chapter. Each shows something and claims what must then be true.

use anyhow::Context as _;

use super::narrator::{self, Narrator};
use super::stage::Stage;
use crate::apply::{ApplyReport, StepOutcome};
use crate::cli::{drift, view};
use crate::lab::XENSERVER;
use crate::lab::world::{Power, World};
use crate::plan::{Action, BlockCode, Landing, Plan};

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
/// On the XenServer pool; its NIC will be moved too.
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
    let hosts = stage.lab.world().with(|world| world.hosts.len());
    let others = unmanaged(stage);
    let text = format!(
        "A simulated vCenter, a Hyper-V host and a XenServer pool run in this process. The vCenter has a cluster of\n\
         {hosts} hosts and {others} VMs that are none of our business. tierwright speaks to each as to a real one: its own\n\
         protocol, TLS, a pinned certificate.\n\
         {} describes the fleet we want, on three tiers. What would happen?",
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
    let tiers: std::collections::BTreeSet<_> = plan.steps.iter().map(|step| &step.tier).collect();
    let one = plan.blocked.is_empty() && tiers.len() == 3 && plan.cost.len() == 1;
    narrator.claim(one, "one plan over three tiers on three hypervisors, with one total of what it costs")?;
    narrator.claim(stage.changes() == 0, "nothing was changed: the lab counts every changing call")
}

async fn make_it_so(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let text = "Apply plans again by the same call, asks, and does exactly that. We say yes.";
    narrator.chapter("Make it so", text).await?;
    narrator::command("tierwright apply")?;
    let (look, plan) = stage.plan(&[]).await?;
    let report = stage.apply(&look).await?;
    told(narrator, &plan, &report)?;
    let (_, after) = stage.plan(&[]).await?;
    let there = after.steps.is_empty() && after.in_sync as usize == plan.steps.len();
    narrator.claim(there, "each VM is there, on its tier, with our mark on it: there is no state file")
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
    let text = "Two VMs get more memory in Git. One can take it while it runs. The other has no hot-add, and its manifest\n\
                does not allow a reboot: tierwright reads that from the VM itself, and holds the change back.";
    narrator.chapter("A change that says how it lands", text).await?;
    let before = stage.read(CONTROLLER)?;
    stage.edit(DATABASE, "memory: 48GiB", "memory: 64GiB")?;
    stage.edit(CONTROLLER, "instanceType: medium", "instanceType: medium\n  memory: 12GiB")?;
    narrator::command("tierwright plan")?;
    let (look, plan) = stage.plan(&[]).await?;
    narrator.output(&view::plan_text(&plan)).await?;
    narrator::command("tierwright apply")?;
    let report = stage.apply(&look).await?;
    told(narrator, &plan, &report)?;
    let held = plan.blocked.iter().any(|blocked| blocked.code == BlockCode::RebootNotAllowed);
    let hot = plan.steps.iter().all(|step| step.lands == Landing::Hot);
    let memory = stage.lab.world().with(|world| world.vm_named(MOVED).map(|vm| (vm.memory_mib, vm.power)));
    let holds = hot && held && memory == Some((64 * 1024, Power::On));
    narrator.claim(holds, "64 GiB, added while it ran; the other was left alone")?;
    stage.write(CONTROLLER, &before)
}

async fn behind_its_back(stage: &Stage, narrator: &mut Narrator) -> anyhow::Result<()> {
    let text = format!(
        "At the vCenter console somebody moves {MOVED} to the network `{WRONG_NETWORK}`, and switches {SWITCHED_OFF} off.\n\
         In XenCenter somebody moves {WEB} to `{PRIVATE}`. One view shows all of it."
    );
    narrator.chapter("Somebody changes things by hand", &text).await?;
    let done = stage.lab.world().with(|world| {
        let moved = connect(world, MOVED, WRONG_NETWORK);
        moved && world.vm_named(SWITCHED_OFF).map(|vm| vm.id).is_some_and(|id| world.set_power(id, Power::Off))
    });
    let pool = stage.lab.world_of(XENSERVER);
    let done = done && pool.is_some_and(|pool| pool.with(|world| connect(world, WEB, PRIVATE)));
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

/// Connects the first NIC of a VM to another network, behind everybody's back.
fn connect(world: &mut World, vm: &str, network: &str) -> bool {
    let network = world.networks.values().find(|found| *found.name == *network).map(|found| found.id);
    network.is_some() && world.edit_named(vm, |vm| vm.nics.iter_mut().take(1).for_each(|nic| nic.network = network))
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
         For your own hypervisors: README.md, and then `tierwright check`.",
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

/// VMs of the lab that carry no mark, templates aside.
fn unmanaged(stage: &Stage) -> usize {
    stage
        .lab
        .world()
        .with(|world| world.vms().filter(|vm| !vm.template && vm.setting("tierwright.mark").is_none()).count())
}
