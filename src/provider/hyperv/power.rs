//! Start, stop, rename, the mark alone: what is small.

use std::time::Duration;

use super::cim::{Embedded, Instance, Namespace, Parameter, Reference, quoted};
use super::client::Invoke;
use super::fault::Failure;
use super::hosts::Live;
use super::notes;
use super::parts::{self, Scope};
use super::vhd;
use super::work::{Change, Work};
use crate::mark::{self, Mark};
use crate::model::{PowerState, Shutdown, VmName};
use crate::provider::{ErrorKind, StepError};

/// How often a guest that shuts down is looked at; a host tells of it only when asked.
const GLANCE: Duration = Duration::from_millis(500);

/// RequestedState of Msvm_ComputerSystem.RequestStateChange: on, and off as by pulling the plug.
const ON: u64 = 2;
const OFF: u64 = 3;

impl Work<'_> {
    /// Powers on. Running is done.
    pub(super) async fn start(&self) -> Result<(), StepError> {
        let live = self.live().await?;
        match live.whole.system.power {
            PowerState::Running => Ok(()),
            PowerState::Stopped => self.request_state(&live, ON, "power on").await,
            PowerState::Suspended | PowerState::Unknown => Err(self.not_ours_to_change("RequestStateChange", &live)),
        }
    }

    /// Asks the guest and waits; powers off hard only where the order allows it. Stopped is done.
    pub(super) async fn stop(&self, shutdown: Shutdown) -> Result<(), StepError> {
        let live = self.live().await?;
        match live.whole.system.power {
            PowerState::Stopped => return Ok(()),
            PowerState::Running => {}
            PowerState::Suspended | PowerState::Unknown => {
                return Err(self.not_ours_to_change("InitiateShutdown", &live));
            }
        }
        let why = if live.whole.machine.obedient {
            if self.ask_guest(&live, shutdown).await? {
                return Ok(());
            }
            format!("the guest did not shut down within {} s", shutdown.timeout_seconds)
        } else {
            "the guest cannot be asked: its shutdown service does not answer".to_owned()
        };
        if !shutdown.force {
            let why = format!("{why}, and force is not allowed");
            return Err(self.error("InitiateShutdown", ErrorKind::GuestTimeout, why));
        }
        self.request_state(&self.live().await?, OFF, &format!("power off hard: {why}")).await
    }

    async fn request_state(&self, live: &Live, state: u64, detail: &str) -> Result<(), StepError> {
        let wanted = if state == ON { PowerState::Running } else { PowerState::Stopped };
        if live.whole.system.power == wanted {
            return Ok(());
        }
        let invoke = Invoke {
            target: Reference::system(&live.whole.system.guid),
            method: "RequestStateChange",
            parameters: vec![("RequestedState", Parameter::Plain(state.to_string()))],
        };
        let change = Change { host: live.host.clone(), invoke, destroys: false, detail: detail.to_owned() };
        match Box::pin(self.make(change, || self.has_power(wanted))).await {
            // It got there between the last look and the call.
            Err(error) if self.has_power(wanted).await.unwrap_or(false) => {
                tracing::debug!(%error, "already there");
                Ok(())
            }
            outcome => outcome.map(drop),
        }
    }

    /// `true` once it is off.
    async fn ask_guest(&self, live: &Live, shutdown: Shutdown) -> Result<bool, StepError> {
        let limit = Duration::from_secs(u64::from(shutdown.timeout_seconds));
        let Some(component) = self.shutdown_component(live).await? else { return Ok(false) };
        let invoke = Invoke {
            target: component,
            method: "InitiateShutdown",
            parameters: vec![
                ("Force", Parameter::Plain("false".to_owned())),
                ("Reason", Parameter::Plain("tierwright stops this VM".to_owned())),
            ],
        };
        let detail = "ask the guest to shut down".to_owned();
        let change = Change { host: live.host.clone(), invoke, destroys: false, detail };
        // Asking again is harmless and a guest that was not asked runs into its time limit, so a lost answer is as good
        // as one, as long as the host can be reached again.
        let asked = Box::pin(self.make(change, || async { self.live().await.map(|_| true) })).await;
        match asked {
            Ok(_) => self.is_off_within(live, limit).await,
            Err(_) if self.has_power(PowerState::Stopped).await.unwrap_or(false) => Ok(true),
            // Not ready or locked: as if it could not be asked.
            Err(StepError::Provider(error)) if error.kind == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn shutdown_component(&self, live: &Live) -> Result<Option<Reference>, StepError> {
        const KEYS: [&str; 4] = ["CreationClassName", "DeviceID", "SystemCreationClassName", "SystemName"];
        let guid = live.whole.system.guid.to_ascii_uppercase();
        let query =
            format!("SELECT {} FROM Msvm_ShutdownComponent WHERE SystemName = {}", KEYS.join(", "), quoted(&guid));
        let component = |instance: &Instance<'_>| {
            let selectors = KEYS.iter().map(|key| Some(((*key).to_owned(), instance.text(key)?.to_owned())));
            let selectors = selectors.collect::<Option<Vec<_>>>()?;
            Some(Reference { uri: Namespace::Virtualization.uri("Msvm_ShutdownComponent"), selectors })
        };
        let found = live.host.client.enumerate(Namespace::Virtualization, &query, component).await;
        found.map(|mut found| found.pop()).map_err(self.failed("find the shutdown service"))
    }

    /// Waits for power off, looking up now and then whether the step should stop.
    async fn is_off_within(&self, live: &Live, limit: Duration) -> Result<bool, StepError> {
        let until = crate::clock::instant() + limit;
        let guid = live.whole.system.guid.as_str();
        loop {
            // Only its state: it may have moved to another node meanwhile, and is then looked for.
            let systems = parts::systems(&live.host.client, Scope::One(guid)).await;
            let here = systems.ok().and_then(|systems| systems.into_iter().find(|system| system.guid == guid));
            let power = match here {
                Some(system) => system.power,
                None => self.live().await?.whole.system.power,
            };
            if power == PowerState::Stopped {
                return Ok(true);
            }
            if crate::clock::instant() >= until {
                return Ok(false);
            }
            self.check_interrupted()?;
            self.recorder.progress("waiting for the guest to shut down", None);
            tokio::time::sleep(GLANCE.min(until.saturating_duration_since(crate::clock::instant()))).await;
        }
    }

    /// Gives it another name. Its role in a cluster keeps the one it has, as it does when a person renames the VM.
    pub(super) async fn rename(&self, name: &VmName) -> Result<(), StepError> {
        let live = self.live().await?;
        let machine = &live.whole.machine;
        if machine.settings.name == name.as_str() {
            return Ok(());
        }
        let settings = settings(&live).string("ElementName", name.as_str());
        let detail = format!("rename {} to {name}", machine.settings.name);
        let witness = || async { Ok(self.live().await?.whole.machine.settings.name == name.as_str()) };
        self.modify_system(&live, settings, (false, detail), witness).await
    }

    /// Removes our mark and nothing else.
    pub(super) async fn unmark(&self) -> Result<(), StepError> {
        let live = self.live().await?;
        let before = &live.whole.machine.settings.notes;
        let after = notes::without_mark(before);
        if after == *before {
            return Ok(());
        }
        let settings = settings(&live).strings("Notes", &[&after]);
        let witness = || async { Ok(notes::mark(&self.live().await?.whole.machine.settings.notes).is_none()) };
        self.modify_system(&live, settings, (false, "remove the mark".to_owned()), witness).await
    }

    /// Writes the mark, beside what a person wrote, and a name with it where one is given.
    pub(super) async fn write_mark(&self, live: &Live, mark: &Mark, name: Option<&VmName>) -> Result<(), StepError> {
        self.put_mark(live, mark, name, false).await
    }

    /// Writes the mark with which something begins to be taken away for good.
    pub(super) async fn write_last_mark(&self, live: &Live, mark: &Mark) -> Result<(), StepError> {
        self.put_mark(live, mark, None, true).await
    }

    async fn put_mark(&self, live: &Live, mark: &Mark, name: Option<&VmName>, destroys: bool) -> Result<(), StepError> {
        let named = name.is_none_or(|name| live.whole.machine.settings.name == name.as_str());
        if live.bears(mark) && named {
            return Ok(());
        }
        let text = notes::with_mark(&live.whole.machine.settings.notes, &mark::write(mark));
        let mut settings = settings(live).strings("Notes", &[&text]);
        if let Some(name) = name {
            settings = settings.string("ElementName", name.as_str());
        }
        let detail = name.map_or_else(|| "write the mark".to_owned(), |name| format!("write the mark, name it {name}"));
        let witness = || async { Ok(self.live().await?.bears(mark)) };
        self.modify_system(live, settings, (destroys, detail), witness).await
    }

    async fn modify_system<W, F>(
        &self,
        live: &Live,
        settings: Embedded,
        (destroys, detail): (bool, String),
        witness: W,
    ) -> Result<(), StepError>
    where
        W: Fn() -> F + Send + Sync,
        F: std::future::Future<Output = Result<bool, StepError>> + Send,
    {
        let invoke = Invoke {
            target: self.service(&live.host, vhd::MACHINES).await?,
            method: "ModifySystemSettings",
            parameters: vec![("SystemSettings", Parameter::Embedded(settings))],
        };
        let change = Change { host: live.host.clone(), invoke, destroys, detail };
        Box::pin(self.make(change, witness)).await.map(drop)
    }

    pub(super) async fn has_power(&self, power: PowerState) -> Result<bool, StepError> {
        Ok(self.live().await?.whole.system.power == power)
    }

    fn not_ours_to_change(&self, call: &str, live: &Live) -> StepError {
        let suspended = live.whole.system.power == PowerState::Suspended;
        let state = if suspended { "saved or paused" } else { "in a power state not told" };
        Failure::because(ErrorKind::Conflict, format!("it is {state}, which is never changed"))
            .into_error(self.endpoint, call, Some(&self.step.key))
            .into()
    }
}

/// Settings of the VM of which only what is set changes.
fn settings(live: &Live) -> Embedded {
    Embedded::new("Msvm_VirtualSystemSettingData").string("InstanceID", &live.whole.machine.settings.id)
}
