//! `check`: can tierwright work with this endpoint, and if not, what to do about it. Changes nothing.
//!
//! Reach, certificate, login, rights, inventory, and whether what the tiers name is there: each a line with `ok` or
//! `FAIL` and a hint. A line that could only repeat the failure of an earlier one is left out.

mod certificate;
mod targets;

use clap::ValueEnum;
use futures_util::future::join_all;
use owo_colors::OwoColorize as _;
use serde::Serialize;

use super::{Globals, Usage, edge, view};
use crate::events::chain;
use crate::inventory::Observed;
use crate::model::{Desired, EndpointName};
use crate::outcome;
use crate::provider::{ErrorKind, Provider, ProviderError};
use crate::session::Session;
use crate::settings::{EndpointSettings, PasswordFrom};

/// Flags of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 all is well, 1 something is not.

Examples:
  tierwright check
  tierwright check vc-prod          shows the certificate's SHA-256, to compare and pin")]
pub struct Args {
    /// Only this endpoint
    endpoint: Option<String>,
    /// How the outcome is shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// How the outcome is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One object for each line.
    Json,
    /// The same as YAML.
    Yaml,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    endpoint: EndpointName,
    check: &'static str,
    ok: bool,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Collects the findings of one endpoint.
struct Findings<'a> {
    endpoint: &'a EndpointSettings,
    list: Vec<Finding>,
}

impl Findings<'_> {
    fn ok(&mut self, check: &'static str, what: String) {
        self.add(check, true, what, None);
    }

    fn fail(&mut self, check: &'static str, what: String, hint: impl Into<Option<String>>) {
        self.add(check, false, what, hint.into());
    }

    fn add(&mut self, check: &'static str, ok: bool, what: String, hint: Option<String>) {
        // The heading of the text names the endpoint already.
        let prefix = format!("{}: ", self.endpoint.name);
        let what = if let Some(rest) = what.strip_prefix(&prefix) { rest.to_owned() } else { what };
        self.list.push(Finding { endpoint: self.endpoint.name.clone(), check, ok, what, hint });
    }
}

/// Checks one endpoint, or all.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<u8> {
    let session = edge::session(globals).await?;
    let endpoints: Vec<&EndpointSettings> = session
        .settings()
        .endpoints
        .iter()
        .filter(|endpoint| args.endpoint.as_deref().is_none_or(|name| endpoint.name.as_str() == name))
        .collect();
    if endpoints.is_empty() {
        return Err(no_such(&session, args.endpoint.as_deref()).into());
    }
    let desired = targets::desired(&session).await?;
    let findings = join_all(endpoints.iter().map(|endpoint| check(&session, endpoint, desired.as_deref()))).await;
    let findings: Vec<Finding> = findings.into_iter().flatten().collect();
    session.close().await;
    match args.output {
        Format::Text => view::text(&text(&endpoints_of(&findings)))?,
        Format::Json => view::json(&findings)?,
        Format::Yaml => view::yaml(&findings)?,
    }
    Ok(if findings.iter().all(|finding| finding.ok) { outcome::OK } else { outcome::ERROR })
}

fn no_such(session: &Session, name: Option<&str>) -> Usage {
    let names: Vec<&str> = session.settings().endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    match name {
        Some(name) => {
            Usage(format!("no endpoint `{}` in the settings; there are: {}", view::clean(name), names.join(", ")))
        }
        None => Usage(format!("the settings {} name no endpoint", session.settings().path.display())),
    }
}

async fn check(session: &Session, endpoint: &EndpointSettings, desired: Option<&Desired>) -> Vec<Finding> {
    let mut findings = Findings { endpoint, list: Vec::new() };
    if certificate::check(&mut findings).await {
        let provider = match session.provider(&endpoint.name).await {
            Some(Ok(provider)) => provider,
            Some(Err(error)) => {
                failed_login(&mut findings, &error);
                return findings.list;
            }
            None => return findings.list,
        };
        speak(&mut findings, provider.as_ref(), desired).await;
    }
    findings.list
}

/// Everything that needs a login.
async fn speak(findings: &mut Findings<'_>, provider: &dyn Provider, desired: Option<&Desired>) {
    match provider.capabilities().await {
        Ok(able) => findings.ok("login", format!("{} as {}", able.product, findings.endpoint.username)),
        Err(error) => return failed_login(findings, &error),
    }
    match provider.rights().await {
        Ok(missing) if missing.is_empty() => findings.ok("rights", "all that is needed".to_owned()),
        Ok(missing) => {
            for right in missing {
                let what = format!("{} on {} is missing: {}", right.right, right.on, right.needed_for);
                findings.fail("rights", what, format!("give {} that right there", findings.endpoint.username));
            }
        }
        Err(error) => findings.fail("rights", chain(&error), None),
    }
    match provider.collect(&[]).await {
        Ok(observed) => {
            match &observed.incomplete {
                None => findings.ok("inventory", seen(&observed)),
                Some(why) => findings.fail("inventory", format!("incomplete: {why}"), None),
            }
            if let Some(desired) = desired {
                targets::check(findings, &observed, desired);
            }
        }
        Err(error) => findings.fail("inventory", chain(&error), None),
    }
}

fn seen(observed: &Observed) -> String {
    let catalog = &observed.catalog;
    format!(
        "{}, {}, {}, {}",
        view::count(observed.vms.len(), "VM"),
        view::count(catalog.hosts.len(), "host"),
        view::count(catalog.storage.len(), "storage place"),
        view::count(catalog.networks.len(), "network"),
    )
}

fn failed_login(findings: &mut Findings<'_>, error: &ProviderError) {
    let hint = match (error.kind, &findings.endpoint.password) {
        (ErrorKind::Denied, PasswordFrom::File(path)) => {
            Some(format!("check the user name `{}` and the password in {}", findings.endpoint.username, path.display()))
        }
        (ErrorKind::Denied, PasswordFrom::Env(name)) => {
            Some(format!("check the user name `{}` and the password in ${name}", findings.endpoint.username))
        }
        (ErrorKind::Unexpected, _) => Some("check the URL: it may be another service that answers there".to_owned()),
        _ => None,
    };
    findings.fail("login", chain(error), hint);
}

/// Findings grouped by endpoint, in the order of the settings.
fn endpoints_of(findings: &[Finding]) -> Vec<&[Finding]> {
    findings.chunk_by(|a, b| a.endpoint == b.endpoint).collect()
}

fn text(endpoints: &[&[Finding]]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for findings in endpoints {
        if let Some(first) = findings.first() {
            let _ = writeln!(text, "{}", first.endpoint.bold());
        }
        for finding in *findings {
            let sign = if finding.ok { "ok  ".green().to_string() } else { "FAIL".red().bold().to_string() };
            let _ = writeln!(text, "  {sign}  {:<12} {}", finding.check, view::clean(&finding.what));
            if let Some(hint) = &finding.hint {
                let _ = writeln!(text, "        {:<12} {} {}", "", "hint:".cyan(), view::clean(hint));
            }
        }
    }
    text
}
