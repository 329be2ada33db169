//! `get endpoints`: the settings' endpoints and how they answer.

use serde::Serialize;

use super::{Args, Row, ask, code_for, or_dash, print};
use crate::inventory::{EndpointInventory, View};
use crate::model::{EndpointName, HypervisorType};
use crate::plan::{EndpointState, InventoryStatus, Manage};
use crate::session::Session;
use crate::settings::EndpointSettings;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    name: EndpointName,
    #[serde(rename = "type")]
    hypervisor: HypervisorType,
    status: InventoryStatus,
    vms: Option<usize>,
    manage: Manage,
    state: EndpointState,
    product: Option<String>,
    urls: Vec<String>,
    why: Option<String>,
}

impl Row for Endpoint {
    const HEADINGS: &'static [&'static str] =
        &["name", "type", "status", "vms", "manage", "state", "product", "url", "why"];
    const NARROW: usize = 7;

    fn cells(&self) -> Vec<String> {
        let status = match self.status {
            InventoryStatus::Complete => "complete",
            InventoryStatus::Incomplete => "incomplete",
            InventoryStatus::Unreachable => "unreachable",
        };
        let manage = match self.manage {
            Manage::Observe => "observe",
            Manage::Suggest => "suggest",
            Manage::Enforce => "enforce",
        };
        let state = match self.state {
            EndpointState::Active => "active",
            EndpointState::Maintenance => "maintenance",
            EndpointState::Retired => "retired",
        };
        vec![
            self.name(),
            self.hypervisor.to_string(),
            status.to_owned(),
            or_dash(self.vms),
            manage.to_owned(),
            state.to_owned(),
            or_dash(self.product.as_ref()),
            self.urls.join(","),
            or_dash(self.why.as_ref()),
        ]
    }

    fn name(&self) -> String {
        self.name.to_string()
    }
}

pub(super) async fn list(session: &Session, args: &Args) -> anyhow::Result<u8> {
    let inventory = ask(session).await?;
    let row = |settings| row(settings, |name| inventory.endpoints.get(name));
    print(session.settings().endpoints.iter().map(row).collect(), args)?;
    Ok(code_for(&inventory))
}

fn row<'a>(settings: &EndpointSettings, answer: impl Fn(&EndpointName) -> Option<&'a EndpointInventory>) -> Endpoint {
    let mut row = Endpoint {
        name: settings.name.clone(),
        hypervisor: settings.hypervisor,
        status: InventoryStatus::Unreachable,
        vms: None,
        manage: settings.manage,
        state: settings.state,
        product: None,
        urls: settings.urls.clone(),
        why: None,
    };
    match answer(&settings.name).map(|answer| &answer.view) {
        Some(View::Observed(observed)) => {
            let complete = observed.incomplete.is_none();
            row.status = if complete { InventoryStatus::Complete } else { InventoryStatus::Incomplete };
            row.why.clone_from(&observed.incomplete);
            row.vms = Some(observed.vms.len());
            row.product = Some(observed.capabilities.product.clone());
        }
        Some(View::Unreachable(why)) => row.why = Some(why.clone()),
        None => row.why = Some("it was not asked".to_owned()),
    }
    row
}
