//! Start, stop, rename, unmark: what is small.

use std::future::Future;
use std::time::Duration;

use super::convert::{self, MARK_KEY};
use super::fault::Failure;
use super::machine::Machine;
use super::names::escape;
use super::property::{Object, Wanted};
use super::soap::Request;
use super::spec::ConfigSpec;
use super::task::{self, Watch};
use super::work::{Change, Work};
use crate::model::{GuestAgent, PowerState, Secret, Shutdown, VmName};
use crate::provider::{ErrorKind, StepError};

/// How often a wait for a guest looks whether the step should stop.
const GLANCE_SECONDS: u64 = 5;

impl Work<'_> {
    /// Powers on. Running is done.
    pub(super) async fn start(&self) -> Result<(), StepError> {
        let machine = self.machine().await?;
        match machine.power() {
            PowerState::Running => return Ok(()),
            PowerState::Stopped => {}
            PowerState::Suspended | PowerState::Unknown => {
                return Err(self.not_ours_to_change("PowerOnVM_Task", &machine));
            }
        }
        let request = Request::new("PowerOnVM_Task", machine.moref(), |_| {})
            .map_err(|error| self.failed("start")(error.into()))?;
        let change =
            Change { request, entity: machine.moref().clone(), destroys: false, detail: "power on".to_owned() };
        self.make(change, || self.has_power(PowerState::Running)).await?;
        Ok(())
    }

    /// Asks the guest and waits; powers off hard only where the order allows it. Stopped is done.
    pub(super) async fn stop(&self, shutdown: Shutdown) -> Result<(), StepError> {
        let machine = self.machine().await?;
        match machine.power() {
            PowerState::Stopped => return Ok(()),
            PowerState::Running => {}
            PowerState::Suspended | PowerState::Unknown => {
                return Err(self.not_ours_to_change("ShutdownGuest", &machine));
            }
        }
        let why = if machine.guest_agent() == GuestAgent::Running {
            if self.ask_guest(&machine, shutdown).await? {
                return Ok(());
            }
            format!("the guest did not shut down within {} s", shutdown.timeout_seconds)
        } else {
            "the guest cannot be asked: VMware Tools do not run".to_owned()
        };
        if !shutdown.force {
            return Err(self.error(
                "ShutdownGuest",
                ErrorKind::GuestTimeout,
                format!("{why}, and force is not allowed"),
            ));
        }
        let request = Request::new("PowerOffVM_Task", machine.moref(), |_| {})
            .map_err(|error| self.failed("stop")(error.into()))?;
        let detail = format!("power off hard: {why}");
        let change = Change { request, entity: machine.moref().clone(), destroys: false, detail };
        match self.make(change, || self.has_power(PowerState::Stopped)).await {
            // It went off between the last look and the call.
            Err(error) if self.has_power(PowerState::Stopped).await.unwrap_or(false) => {
                tracing::debug!(%error, "already off");
                Ok(())
            }
            outcome => outcome.map(drop),
        }
    }

    /// `true` once it is off.
    async fn ask_guest(&self, machine: &Machine, shutdown: Shutdown) -> Result<bool, StepError> {
        let limit = Duration::from_secs(u64::from(shutdown.timeout_seconds));
        let request = Request::new("ShutdownGuest", machine.moref(), |_| {})
            .map_err(|error| self.failed("stop")(error.into()))?;
        let detail = "ask the guest to shut down".to_owned();
        let change = Change { request, entity: machine.moref().clone(), destroys: false, detail };
        // Asking again is harmless and a guest that was not asked runs into its time limit, so a lost answer is as good
        // as one, as long as the server can be reached again.
        let asked = self.make(change, || async { self.machine().await.map(|_| true) }).await;
        match asked {
            Ok(_) => self.is_off_within(machine, limit).await,
            // The tools went away since they were looked at: as if they had not run.
            Err(StepError::Provider(error)) if error.message.contains("ToolsUnavailable") => Ok(false),
            Err(_) if self.has_power(PowerState::Stopped).await.unwrap_or(false) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Waits for power off by updates from the server, looking up now and then whether the step should stop.
    async fn is_off_within(&self, machine: &Machine, limit: Duration) -> Result<bool, StepError> {
        let watched = Watch {
            object: machine.moref(),
            wanted: Wanted { kind: "VirtualMachine", paths: &["runtime.powerState"] },
            limit: Some(limit),
            stop: &|| {
                self.recorder.progress("waiting for the guest to shut down", None);
                self.recorder.interrupted().is_some()
            },
            pulse: GLANCE_SECONDS,
        };
        let mut is_off = |object: &Object<'_>| convert::power(object.text("runtime.powerState")) == PowerState::Stopped;
        let off = task::watch(self.door, &watched, &mut is_off).await.map_err(self.failed("wait for the guest"))?;
        if !off {
            self.check_interrupted()?;
        }
        Ok(off)
    }

    /// Gives it another name.
    pub(super) async fn rename(&self, name: &VmName) -> Result<(), StepError> {
        let machine = self.machine().await?;
        if *machine.light.name == *name.as_str() {
            return Ok(());
        }
        let request = Request::new("Rename_Task", machine.moref(), |writer| {
            writer.leaf("newName", &escape(name.as_str()));
        })
        .map_err(|error| self.failed("rename")(error.into()))?;
        let detail = format!("rename {} to {name}", machine.light.name);
        let change = Change { request, entity: machine.moref().clone(), destroys: false, detail };
        self.make(change, || async { Ok(*self.machine().await?.light.name == *name.as_str()) }).await?;
        Ok(())
    }

    /// Removes our mark and nothing else. An empty value removes a key from the extra configuration (vSphere API
    /// reference, VirtualMachineConfigSpec.extraConfig).
    pub(super) async fn unmark(&self) -> Result<(), StepError> {
        let machine = self.machine().await?;
        if machine.heavy.config.mark.is_none() {
            return Ok(());
        }
        let spec = ConfigSpec { extra: vec![(MARK_KEY, Secret::new(String::new()))], ..ConfigSpec::default() };
        self.send_spec(&machine, &spec, "remove the mark", || async {
            Ok(self.machine().await?.heavy.config.mark.is_none())
        })
        .await
    }

    async fn has_power(&self, power: PowerState) -> Result<bool, StepError> {
        Ok(self.machine().await?.power() == power)
    }

    fn not_ours_to_change(&self, call: &str, machine: &Machine) -> StepError {
        let state = if machine.power() == PowerState::Suspended { "suspended" } else { "in a power state not told" };
        self.error(call, ErrorKind::Conflict, format!("it is {state}, which is never changed"))
    }

    /// One ReconfigVM_Task.
    pub(super) async fn send_spec<W, F>(
        &self,
        machine: &Machine,
        spec: &ConfigSpec,
        detail: &str,
        witness: W,
    ) -> Result<(), StepError>
    where
        W: Fn() -> F + Send + Sync,
        F: Future<Output = Result<bool, StepError>> + Send,
    {
        let request = Request::new("ReconfigVM_Task", machine.moref(), |writer| spec.write(writer, "spec"))
            .map_err(|error| self.failed("ReconfigVM_Task")(Failure::from(error)))?;
        let destroys = spec.destroys();
        let change = Change { request, entity: machine.moref().clone(), destroys, detail: detail.to_owned() };
        self.make(change, witness).await?;
        Ok(())
    }
}
