//! Jobs: what the world's tasks are here.

use uuid::Uuid;

use super::{View, numbers};
use crate::lab::hyperv::instance::{Instance, Value};
use crate::lab::hyperv::jobs::{Job, error_of};
use crate::lab::hyperv::parts::upper;
use crate::lab::world::{Task, TaskState};

pub(super) fn all(view: &View<'_>, class: &str) -> Vec<Instance> {
    if class == "Msvm_MigrationJob" {
        return migrations(view);
    }
    let jobs = view.jobs.iter().filter(|(_, job)| job.class == class);
    jobs.filter_map(|(id, job)| view.world.task(job.task).map(|task| of_task(view, upper(*id), job, task))).collect()
}

/// VMs that are on their way to another host (SEQUENCES.md, "Live migration seen").
fn migrations(view: &View<'_>) -> Vec<Instance> {
    let moving = view.realized().filter_map(|vm| Some((vm, vm.wmi.as_ref()?.moving_to?)));
    moving
        .map(|(vm, to)| {
            let mut job = Instance::of("Msvm_MigrationJob");
            let id = Uuid::new_v5(&vm.instance_uuid, format!("migration to {}", to.0).as_bytes());
            job.all(&[("JobState", "4"), ("JobStatus", "Job is running"), ("JobType", "305"), ("ErrorCode", "0")]);
            job.set("InstanceID", upper(id)).set("MigrationType", "32768").set("PercentComplete", "50");
            job.set("VirtualSystemName", upper(vm.instance_uuid));
            job.set("DestinationHost", &*view.world.name_of(to)).set("OperationalStatus", numbers(&[11]));
            job
        })
        .collect()
}

fn of_task(view: &View<'_>, id: String, job: &Job, task: &Task) -> Instance {
    let mut shown = Instance::of(job.class);
    shown.set("InstanceID", id).set("Name", job.operation).set("Caption", job.operation);
    shown.set("ElementName", job.operation).set("Description", job.operation).set("HealthState", "5");
    shown.set("StartTime", Value::Time(task.started_at * 1000)).set("DeleteOnCompletion", false);
    shown.set("TimeSubmitted", Value::Time(task.started_at * 1000)).set("LocalOrUtcTime", "2");
    shown.set("TimeBeforeRemoval", Value::Interval(5 * 60 * 1000)).set("Cancellable", false);
    let until = if task.state == TaskState::Running { view.world.now_ms() } else { task.ends_at };
    shown.set("ElapsedTime", Value::Interval((until - task.started_at).max(0)));
    // 4 running, 7 completed, 10 exception (SEQUENCES.md, "Job").
    match &task.state {
        TaskState::Running => {
            shown.set("JobState", "4").set("JobStatus", "Job is running").set("OperationalStatus", numbers(&[11]));
            let percent = task.percent(view.world.now_ms());
            shown.set("PercentComplete", percent.to_string()).set("ErrorCode", "0");
        }
        TaskState::Success(_) => {
            shown.set("JobState", "7").set("JobStatus", "Job completed successfully").set("PercentComplete", "100");
            shown.set("OperationalStatus", numbers(&[2])).set("ErrorCode", "0");
        }
        TaskState::Error(refusal) => {
            let (code, words) = error_of(refusal);
            shown.set("JobState", "10").set("JobStatus", "Job terminated with error").set("PercentComplete", "0");
            shown.set("OperationalStatus", numbers(&[6])).set("ErrorCode", u64::from(code));
            let summary = format!("The operation failed: {}", job.operation);
            shown.set("ErrorDescription", words).set("ErrorSummaryDescription", summary);
        }
    }
    shown
}
