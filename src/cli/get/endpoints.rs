//! `get endpoints`: the settings' endpoints and how they answer. While a `serve` runs none is
//! asked: it has just done so.

use jiff::Timestamp;
use serde::Serialize;

use super::served::{Told, served};
use super::{Args, Row, ask, code_for, or_dash, print, words};
use crate::cli::view;
use crate::inventory::{EndpointInventory, View};
use crate::model::{EndpointName, HypervisorType};
use crate::outcome;
use crate::plan::{EndpointState, InventoryStatus, Manage};
use crate::session::Session;
use crate::settings::EndpointSettings;
use crate::status::{EndpointStatus, StatusFile};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    name: EndpointName,
    #[serde(rename = "type")]
    hypervisor: HypervisorType,
    status: InventoryStatus,
    /// Since when it answers so, where somebody watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// When it answered or was given up; of a look it is now, and is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Timestamp>,
    vms: Option<usize>,
    manage: Manage,
    state: EndpointState,
    product: Option<String>,
    urls: Vec<String>,
    why: Option<String>,
    #[serde(flatten)]
    told: Told,
}

impl Row for Endpoint {
    const HEADINGS: &'static [&'static str] =
        &["name", "type", "status", "vms", "manage", "state", "product", "since", "asked", "url", "why"];
    const NARROW: usize = 7;

    fn cells(&self) -> Vec<String> {
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
            words::answer(self.status).to_owned(),
            or_dash(self.vms),
            manage.to_owned(),
            state.to_owned(),
            or_dash(self.product.as_ref()),
            or_dash(self.since),
            or_dash(self.asked),
            self.urls.join(","),
            or_dash(self.why.as_ref()),
        ]
    }

    fn name(&self) -> String {
        self.name.to_string()
    }
}

pub(super) async fn list(session: &Session, args: &Args) -> anyhow::Result<u8> {
    let of_settings = &session.settings().endpoints;
    let heard_of = |file: &StatusFile, name| file.status.endpoints.get(name).is_some_and(|it| it.answer().is_some());
    let heard_of_all = |file: &StatusFile| of_settings.iter().all(|settings| heard_of(file, &settings.name));
    if let Some(served) = served(session, heard_of_all, "each endpoint is asked now") {
        let told = Told::by_serve(&served);
        let endpoints = &served.file.status.endpoints;
        let known = of_settings.iter().filter_map(|settings| Some((settings, endpoints.get(&settings.name)?)));
        let rows: Vec<Endpoint> = known.clone().map(|(settings, it)| row(settings, Answer::served(it, told))).collect();
        print(rows, args)?;
        return Ok(code(known));
    }
    let inventory = ask(session).await?;
    let answer = |name| Answer::seen(inventory.endpoints.get(name));
    print(of_settings.iter().map(|settings| row(settings, answer(&settings.name))).collect(), args)?;
    Ok(code_for(&inventory))
}

/// Says which are missing, as a look does; one that nobody counts on is not.
fn code<'a>(known: impl Iterator<Item = (&'a EndpointSettings, &'a EndpointStatus)>) -> u8 {
    let mut code = outcome::OK;
    for (EndpointSettings { name, .. }, it) in known.filter(|(_, it)| !it.excused) {
        if let (Some(answer), Some(why)) = (it.answer(), words::without_name(name, it.why.as_ref())) {
            view::say!("{name} {}: {}", words::answer(answer), view::clean_lines(&why));
            code = outcome::ENDPOINT_MISSING;
        }
    }
    code
}

/// How an endpoint answered, whoever asked it.
struct Answer {
    status: InventoryStatus,
    since: Option<Timestamp>,
    asked: Option<Timestamp>,
    vms: Option<usize>,
    product: Option<String>,
    why: Option<String>,
    told: Told,
}

impl Answer {
    /// As `serve` has it.
    fn served(it: &EndpointStatus, told: Told) -> Self {
        let status = it.answer().unwrap_or(InventoryStatus::Unreachable);
        Self {
            status,
            since: it.since,
            asked: it.at,
            vms: (status != InventoryStatus::Unreachable).then_some(it.vms),
            product: it.product.clone(),
            why: it.why.clone(),
            told,
        }
    }

    /// As it was just seen.
    fn seen(answer: Option<&EndpointInventory>) -> Self {
        let nothing = |why: String| Self {
            status: InventoryStatus::Unreachable,
            since: None,
            asked: None,
            vms: None,
            product: None,
            why: Some(why),
            told: Told::by_look(),
        };
        match answer.map(|answer| &answer.view) {
            Some(View::Observed(observed)) => {
                let whole = observed.incomplete.is_none();
                Self {
                    status: if whole { InventoryStatus::Complete } else { InventoryStatus::Incomplete },
                    vms: Some(observed.vms.len()),
                    product: Some(observed.capabilities.product.clone()),
                    why: observed.incomplete.clone(),
                    ..nothing(String::new())
                }
            }
            Some(View::Unreachable(why)) => nothing(why.clone()),
            None => nothing("it was not asked".to_owned()),
        }
    }
}

fn row(settings: &EndpointSettings, answer: Answer) -> Endpoint {
    let Answer { status, since, asked, vms, product, why, told } = answer;
    Endpoint {
        name: settings.name.clone(),
        hypervisor: settings.hypervisor,
        status,
        since,
        asked,
        vms,
        manage: settings.manage,
        state: settings.state,
        product,
        urls: settings.urls.clone(),
        why,
        told,
    }
}
