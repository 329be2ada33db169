//! Start, stop, rename: what is small.

use std::time::Duration;

use super::machine::Machine;
use super::rpc::{Ref, Request};
use super::task::{self, End, Patience};
use super::work::{Change, Work};
use crate::model::{GuestAgent, PowerState, Shutdown, VmName};
use crate::provider::{ErrorKind, StepError};

/// Codes that say: this guest cannot be asked.
const DEAF: &[&str] = &["VM_MISSING_PV_DRIVERS", "VM_OLD_PV_DRIVERS", "OPERATION_NOT_ALLOWED", "VM_SHUTDOWN_TIMEOUT"];

impl Work<'_> {
    /// Powers on. Running is done.
    pub(super) async fn start(&self) -> Result<(), StepError> {
        let machine = self.machine().await?;
        match machine.power() {
            PowerState::Running => return Ok(()),
            PowerState::Stopped => {}
            PowerState::Suspended | PowerState::Unknown => return Err(self.not_ours_to_change("VM.start", &machine)),
        }
        machine.blocked("start").map_err(self.failed("VM.start"))?;
        let request = Request::task("VM.start").on(&machine.reference).with(false).with(false);
        self.make(Change::new(request, "power on"), || self.has_power(PowerState::Running)).await?;
        Ok(())
    }

    /// Asks the guest and waits; powers off hard only where the order allows it. Stopped is done.
    pub(super) async fn stop(&self, shutdown: Shutdown) -> Result<(), StepError> {
        let machine = self.machine().await?;
        match machine.power() {
            PowerState::Stopped => return Ok(()),
            PowerState::Running => {}
            PowerState::Suspended | PowerState::Unknown => {
                return Err(self.not_ours_to_change("VM.clean_shutdown", &machine));
            }
        }
        machine.blocked("clean_shutdown").map_err(self.failed("VM.clean_shutdown"))?;
        let why = if machine.config.guest_agent == GuestAgent::NotRunning {
            "the guest cannot be asked: no drivers run that could pass the word".to_owned()
        } else {
            match self.ask_guest(&machine, shutdown).await? {
                None => return Ok(()),
                Some(why) => why,
            }
        };
        if !shutdown.force {
            let why = format!("{why}, and force is not allowed");
            return Err(self.error("VM.clean_shutdown", ErrorKind::GuestTimeout, why));
        }
        machine.blocked("hard_shutdown").map_err(self.failed("VM.hard_shutdown"))?;
        let request = Request::task("VM.hard_shutdown").on(&machine.reference);
        let change = Change::new(request, format!("power off hard: {why}"));
        match self.make(change, || self.has_power(PowerState::Stopped)).await {
            // It went off between the last look and the call.
            Err(error) if self.has_power(PowerState::Stopped).await.unwrap_or(false) => {
                tracing::debug!(%error, "already off");
                Ok(())
            }
            outcome => outcome.map(drop),
        }
    }

    /// `None` once it is off, else why it is not.
    async fn ask_guest(&self, machine: &Machine, shutdown: Shutdown) -> Result<Option<String>, StepError> {
        let request = Request::task("VM.clean_shutdown").on(&machine.reference);
        let change = Change::new(request, "ask the guest to shut down");
        // Done as soon as the server has taken it on; how the guest takes it is waited for below. A guest that was not
        // asked runs into its time limit, so a lost answer is as good as one, as long as the
        // server can be reached again.
        let act = || async { Ok(Some(self.door.call(&change.request).await?.text()?)) };
        let asked = self.perform(&change, act, || async { self.machine().await.map(|_| true) }).await;
        let limit = Duration::from_secs(u64::from(shutdown.timeout_seconds));
        let task = match asked {
            Ok(task) => task.as_deref().and_then(Ref::of),
            Err(_) if self.has_power(PowerState::Stopped).await.unwrap_or(false) => return Ok(None),
            Err(StepError::Provider(error)) if DEAF.iter().any(|code| error.message.starts_with(code)) => {
                return Ok(Some(format!("the guest cannot be asked ({})", error.message)));
            }
            Err(error) => return Err(error),
        };
        let task = match task {
            Some(task) => Some(task),
            None => self.machine().await?.working_on("clean_shutdown"),
        };
        match task {
            Some(task) => self.wait_for_shutdown(&task, limit).await,
            None if self.has_power(PowerState::Stopped).await? => Ok(None),
            None => Ok(Some("the server does not tell of its shutdown".to_owned())),
        }
    }

    async fn wait_for_shutdown(&self, task: &Ref, limit: Duration) -> Result<Option<String>, StepError> {
        self.door.follow(task);
        let stop = |_| {
            self.recorder.progress("waiting for the guest to shut down", None);
            self.recorder.interrupted().is_some()
        };
        let ended = task::wait(self.door, task, &Patience { limit: Some(limit), stop: &stop }).await;
        self.door.unfollow(task);
        let why = match ended {
            Ok(End::Success(_)) => {
                task::destroy(self.door, task).await;
                "the guest acknowledged and did not shut down".to_owned()
            }
            Ok(End::Failed(fault)) => {
                task::destroy(self.door, task).await;
                format!("the guest did not shut down ({fault})")
            }
            Ok(End::Runs) => {
                // Left alone it would hold the VM, and stop it at a time that nobody expects.
                task::cancel(self.door, task).await;
                format!("the guest did not shut down within {} s", limit.as_secs())
            }
            Err(failure) => format!("its shutdown cannot be followed ({failure})"),
        };
        if self.has_power(PowerState::Stopped).await? {
            return Ok(None);
        }
        self.check_interrupted()?;
        Ok(Some(why))
    }

    /// Gives it another name.
    pub(super) async fn rename(&self, name: &VmName) -> Result<(), StepError> {
        let machine = self.machine().await?;
        if *machine.vm.name == *name.as_str() {
            return Ok(());
        }
        let request = Request::new("VM.set_name_label").on(&machine.reference).with(name.as_str());
        let change = Change::new(request, format!("rename {} to {name}", machine.vm.name));
        self.make(change, || async { Ok(*self.machine().await?.vm.name == *name.as_str()) }).await?;
        Ok(())
    }

    pub(super) async fn has_power(&self, power: PowerState) -> Result<bool, StepError> {
        Ok(self.machine().await?.power() == power)
    }

    fn not_ours_to_change(&self, call: &str, machine: &Machine) -> StepError {
        let state = if machine.power() == PowerState::Suspended { "suspended" } else { "in a power state not told" };
        self.error(call, ErrorKind::Conflict, format!("it is {state}, which is never changed"))
    }
}
