//! Why a change is held back, at length: one text for each block code. The codes themselves are the plan's.

use serde::Serialize;

use crate::plan::BlockCode;
use crate::plan::render::{code, rule};

/// One block code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockText {
    /// As in the plan's JSON.
    pub code: String,
    /// As in the preview.
    pub title: &'static str,
    /// What it means.
    pub means: &'static str,
    /// When it comes.
    pub example: &'static str,
    /// What a person may do.
    pub way_out: &'static str,
}

macro_rules! blocks {
    ($($code:ident: $means:literal, $example:literal, $way_out:literal;)*) => {
        const ALL: &[BlockCode] = &[$(BlockCode::$code),*];

        /// The text of a code. A new code does not compile until it has one.
        pub fn of(block: BlockCode) -> BlockText {
            let (means, example, way_out) = match block {
                $(BlockCode::$code => ($means, $example, $way_out),)*
            };
            BlockText { code: code(block), title: rule(block), means, example, way_out }
        }
    };
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = BlockText> {
    ALL.iter().copied().map(of)
}

/// The one of that name, upper or lower case.
pub(super) fn find(name: &str) -> Option<BlockText> {
    all().find(|block| block.code.eq_ignore_ascii_case(name))
}

blocks! {
    NotConfigured: "The tier names an endpoint that the settings do not have. That is no failure: a source may hold tiers for sites that this installation does not serve. Nothing is done to the VMs of such a tier.",
        "tier-2 has `endpoints: [hv-lab]`, and the settings have no endpoint hv-lab.",
        "Add the endpoint to the settings, or correct its name in the tier.";
    EndpointUnknown: "An endpoint did not answer, or answered in part. What was not seen there is unknown, and unknown is not gone: nothing is created that may be there, and nothing there is destroyed.",
        "The vCenter is being updated, and the plan wants a VM that was last seen on it.",
        "Wait until it answers; `tierwright check ENDPOINT` says what is wrong. While it is down on purpose, `state: maintenance` in the settings excuses it for keys that its last complete inventory lacked; `state: retired` gives it up.";
    VmUnknown: "The VM is there and its configuration could not be read, or it is missing and not yet proven gone. A VM is gone only when a direct read by its id says so in two complete inventories in a row.",
        "Somebody took the right to read one folder away from the account.",
        "Look at the VM with the hypervisor's own tools; plan again. `get vms -o wide` says what could not be read.";
    InventoryShrunk: "The endpoint answered, and lists over a fifth and more than five fewer VMs than the last time. That is rarely true: a storage or a host is away, or the account has lost rights.",
        "A datastore is disconnected, and 40 of 100 VMs are gone from the list.",
        "Find out where they are. If they are really gone, approve the loss with the digest that the preview shows; that inventory is then the one to compare with.";
    SourceNotTrusted: "Only the configured source, complete, without an error and settled, may lead to the end of a VM. Other manifests (`-f`), a broken file or a source that is being changed right now may not.",
        "`tierwright plan -f ./branch` where the branch lacks a VM.",
        "Merge it into the configured source; mend the errors that `validate` shows; wait until a checkout is done.";
    Protected: "preventDestroy stands in the VM's mark, where it was written when the manifest was last applied. Removing the manifest does not remove the protection.",
        "The file of erp-db-01, which says `preventDestroy: true`, was deleted.",
        "Put the manifest back, take preventDestroy out, apply, and only then remove the manifest.";
    PruneForbidden: "The VM's tier never destroys what leaves Git (`prune: never` stands in the mark), or the tier itself is gone from the manifests: an orphan without its tier is never destroyed.",
        "A tier's file was removed together with its VMs.",
        "Put the tier back. To end `prune: never`, put the manifest back, change the tier, apply, and remove the manifest again. Or let a person delete the VM.";
    NeedsApproval: "The VM's mark says `prune: confirm`: a person must approve before it is retired. An approved retire covers the delete that follows.",
        "The manifest of a VM was removed on a tier with the default sync.",
        "`tierwright apply --approve DIGEST` with the digest that the preview shows. It is for this VM as it was seen: if it changes, there is another digest.";
    InGrace: "The VM is retired: off, disconnected, renamed, its disks kept. It is deleted when the grace days are over.",
        "A manifest was removed two days ago on a tier with `graceDays: 7`.",
        "Nothing. To have the VM back as it was, put its manifest back.";
    DestroyLimit: "The plan would retire or delete more VMs in 24 hours than the settings allow, in all or on one tier. All removals of that tier wait then, since so many at once are more often a mistake than a wish.",
        "A folder was moved in Git, and 60 VMs seem to be removed.",
        "If it is meant: approve a part of them that stays within the limit, wait until the window has moved on, or let the administrator raise destroysPerDay or destroyPercentPerTierPerDay.";
    DisruptionLimit: "More running VMs would be powered off, rebooted or disconnected in one run than disruptionsPerRun allows without a person's word.",
        "An instance type got more memory, and 40 VMs with `allowReboot: always` would reboot.",
        "Approve the digest that the preview shows for all of them or for some; or change them a few at a time.";
    LooksLikeRename: "A key left and one like it came: same tier, image and disks. That is perhaps one VM with a new name, and removing the old and making the new would lose its data.",
        "metadata.name was changed from erp-db-01 to erp-db-02, and nothing else.",
        "If it is a rename, say `renamedFrom: PROJECT/OLD-NAME` in the new manifest. If not, approve the removal and the creation.";
    NeedsHuman: "Something was seen that no rule can settle: two VMs with one mark, an older mark that is back, a mark that was removed by hand, an outcome that stayed unclear, a retired VM that somebody started.",
        "A snapshot from before the last change was put back on the hypervisor.",
        "The text beside it says what was seen. Where exactly one VM is concerned, approving the digest accepts it as it is now.";
    UnfinishedCreate: "A VM was begun and never finished, and no manifest wants it now or it cannot be finished.",
        "The service was killed while it made a VM, and the manifest was then removed.",
        "Approve the digest to remove what is there, or put the manifest back to have it finished.";
    Clone: "Only a copy of the key's mark is there, on a VM that it was not written for. A copy proves nothing, so that VM is not touched; and none is made beside it.",
        "The VM was deleted on the hypervisor, and its backup was restored as a new VM.",
        "If that VM is to stand in, say `adopt: {endpoint, id}` with its id in the manifest. If not, remove the mark from it.";
    MarkUnreadable: "There is a mark of tierwright on the VM that cannot be understood: cut off, changed by hand, or written by a newer version. What it says of disks and protection is then not known.",
        "Another program shortened the VM's notes.",
        "Put the mark right from a backup; or remove it and let the VM be taken over again.";
    NameTaken: "Another VM has the name that this one is to get. On a hypervisor with folders only the same folder counts.",
        "Somebody made a VM called web-01 by hand, and now a manifest asks for web-01.",
        "If it is the same VM, `tierwright import` prints the manifest that takes it over. Else rename one of them.";
    MacTaken: "A NIC asks for a MAC address that another VM of the endpoint has.",
        "A manifest was copied with its `mac`.",
        "Give the NIC another MAC, or leave `mac` out: then the hypervisor chooses.";
    NoRoom: "No host of the tier has the memory, or no storage the space, that the VM needs; or nothing fits the tier's placement. The text beside it has the figures.",
        "A VM of 512GiB on hosts with 384GiB.",
        "Make room, or ask for less, or let the tier place elsewhere. Memory of running VMs and declared sizes of disks are counted.";
    Unsupported: "The endpoint cannot do it.",
        "`image:` on a single ESXi host, which cannot clone.",
        "The text beside it says what is missing; most often the manifest must do without it on this tier.";
    RebootNotAllowed: "The change needs the VM powered off, and its allowReboot does not permit that now. How a change lands follows from the VM's own flags, such as memory hot-add.",
        "`memory: 64GiB` on a VM whose memory hot-add is off, with `allowReboot: never`.",
        "Say `allowReboot: always` for the time of the change; or power the VM off yourself, and apply then.";
    NoGuestTools: "The VM would have to be stopped, and no guest tools run in it that could be asked to shut it down. It is not simply switched off.",
        "A retire of a VM in whose guest nobody installed the tools.",
        "Stop it by hand; or say `shutdown: {force: true}` in the manifest and apply that first.";
    Snapshot: "A snapshot or checkpoint stands in the way: with one, disks are not grown, detached or deleted.",
        "A backup program left its snapshot behind, and the manifest grows a disk.",
        "Remove the snapshot on the hypervisor, then plan again.";
    DiskUnsafe: "A disk is not safe to touch: it would shrink, it is shared, it cannot be told from others, or it is attached and in nobody's mark. One such disk holds all disk changes of its VM.",
        "Somebody attached another VM's disk, and the VM is to be deleted.",
        "The text beside it names the disk. Detach what does not belong there, or correct the size in the manifest: disks only grow.";
    Suspended: "The VM is suspended, saved or paused. What is in its memory would be lost or would not fit, so it is never changed in that state.",
        "A VM was suspended by hand, and its manifest asks for more memory.",
        "Resume it or shut it down, then plan again.";
    Question: "The hypervisor waits for an answer about this VM, and nothing can be done until it has one.",
        "After a copy of its files vCenter asks whether the VM was moved or copied.",
        "Answer it on the hypervisor; the text beside it is the question.";
    Dependency: "It depends on a VM that is not in place and will not be.",
        "erp-app-01 has `dependsOn: [erp/erp-db-01]`, and erp-db-01 has no room.",
        "See why the other one is blocked.";
    NotBuilt: "The change would be a move to another endpoint or a replacement by a new VM. Neither is built.",
        "`tier:` was changed to one on another hypervisor.",
        "Change the tier back; move the VM by other means and adopt it there.";
    AdoptMismatch: "What the manifest's `adopt` names is not there, belongs to somebody, or has other disks and NICs than the manifest lists. They are mapped in slot order, so numbers and sizes must match.",
        "`adopt` names a VM with two disks, and the manifest lists one.",
        "`tierwright import ENDPOINT ID` prints a manifest that matches.";
    ObserveOnly: "The endpoint is only observed (`manage: observe`): nothing on it is changed.",
        "A new endpoint was added with `manage: observe`, to look first.",
        "`manage: suggest` in the settings lets `apply` change it, `manage: enforce` lets `serve` too.";
    TargetMissing: "What the tier's words stand for is not there: the placement, an image, a network or a storage; or the tier itself.",
        "A tier has `networks: {app: {portGroup: PG-APP}}`, and the port group was renamed.",
        "`tierwright check ENDPOINT` lists what is missing. Correct the tier, or make what it names.";
}
