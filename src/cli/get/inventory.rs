//! `get inventory`: everything the endpoints report. `-o json` is what `plan --inventory` takes.

use serde::Serialize;

use super::{Args, Format, Row, ask, code_for, or_dash, print};
use crate::cli::view;
use crate::inventory::{Inventory, View};
use crate::model::{EndpointName, ObservedVm};
use crate::session::Session;

#[derive(Serialize)]
struct Seen<'a> {
    endpoint: &'a EndpointName,
    #[serde(flatten)]
    vm: &'a ObservedVm,
}

impl Row for Seen<'_> {
    const HEADINGS: &'static [&'static str] =
        &["endpoint", "name", "power", "cpus", "memory", "disks", "nics", "mark", "host", "folder", "id"];
    const NARROW: usize = 8;

    fn cells(&self) -> Vec<String> {
        let config = self.vm.readable();
        vec![
            self.endpoint.to_string(),
            self.name(),
            config.map_or("unreadable".to_owned(), |config| super::vms::power_word(config.power).to_owned()),
            or_dash(config.map(|config| config.cpus)),
            or_dash(config.map(|config| config.memory)),
            or_dash(config.map(|config| config.disks.len())),
            or_dash(config.map(|config| config.nics.len())),
            or_dash(config.map(|config| if config.mark.is_some() { "yes" } else { "no" })),
            or_dash(self.vm.placed.host.as_ref()),
            or_dash(self.vm.placed.folder.as_ref()),
            self.vm.id.to_string(),
        ]
    }

    fn name(&self) -> String {
        self.vm.name.to_string()
    }
}

pub(super) async fn list(session: &Session, args: &Args) -> anyhow::Result<u8> {
    let inventory = ask(session).await?;
    match args.output {
        // Whole, not as rows: hosts, storage and what went wrong belong to it.
        Format::Json if args.containing.is_none() => view::json(&inventory)?,
        Format::Yaml if args.containing.is_none() => view::yaml(&inventory)?,
        _ => print(rows(&inventory), args)?,
    }
    Ok(code_for(&inventory))
}

fn rows(inventory: &Inventory) -> Vec<Seen<'_>> {
    let mut rows = Vec::new();
    for (endpoint, answer) in &inventory.endpoints {
        if let View::Observed(observed) = &answer.view {
            rows.extend(observed.vms.iter().map(|vm| Seen { endpoint, vm }));
        }
    }
    rows.sort_by(|a, b| (a.endpoint, &a.vm.name, &a.vm.id).cmp(&(b.endpoint, &b.vm.name, &b.vm.id)));
    rows
}
