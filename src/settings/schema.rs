//! The fields of the settings file, as declarations for the JSON Schema and for `explain`.
//!
//! `file.rs` reads them; a test compares the two, so that a field stands in both.

use schemars::JsonSchema;

use super::Auth;
use crate::manifest::schema::{DurationText, EndpointText, PlainText, ProjectText, of};
use crate::model::HypervisorType;
use crate::plan::{EndpointState, Manage};

/// The schema, as `schemas/settings.json` holds it.
pub fn generate() -> String {
    // `{:#}` of a JSON value cannot fail.
    format!("{:#}\n", of::<SettingsFile>())
}

/// The administrator's settings: what a Git committer must not be able to change.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, title = "tierwright settings")]
#[expect(dead_code, reason = "declares the schema")]
struct SettingsFile {
    /// A name of your own for this installation; it stands in every mark, and two installations never touch each other's VMs.
    #[schemars(with = "ProjectText")]
    installation: (),
    /// Where the manifests are.
    source: SourceEntry,
    /// Where the journal, the last inventories and the last good revision are kept (default /var/lib/tierwright).
    #[schemars(with = "Option<PlainText>")]
    state_dir: (),
    /// The folder of files that userDataFile names (default: secrets, beside this file).
    #[schemars(with = "Option<PlainText>")]
    secrets_dir: (),
    /// Between two cycles of serve, such as 60s (the default).
    #[schemars(with = "Option<DurationText>")]
    interval: (),
    /// The hypervisors.
    #[schemars(with = "Option<Vec<EndpointEntry>>")]
    endpoints: (),
    /// What no run may pass.
    #[schemars(with = "Option<LimitsEntry>")]
    limits: (),
}

/// Where the manifests are.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "declares the schema")]
struct SourceEntry {
    /// A folder, or one file; relative to this file.
    #[schemars(with = "PlainText")]
    path: (),
}

/// One endpoint: a hypervisor, or a cluster or pool of them.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields,
    extend("oneOf" = [{"required": ["url"]}, {"required": ["urls"]}]))]
#[expect(dead_code, reason = "declares the schema")]
struct EndpointEntry {
    /// Its name: what tiers say.
    #[schemars(with = "EndpointText")]
    name: (),
    /// Which protocol it speaks.
    #[schemars(with = "HypervisorType")]
    r#type: (),
    /// Where it is, with nothing of the account in it: https, or http for hyperv with ntlm, which seals each message.
    #[schemars(with = "Option<PlainText>")]
    url: (),
    /// Where the hosts of one cluster or pool are.
    #[schemars(with = "Option<Vec<PlainText>>", length(min = 1))]
    urls: (),
    /// hyperv: how it is logged in to (default ntlm).
    #[schemars(with = "Option<Auth>")]
    auth: (),
    /// The account.
    credentials: CredentialsEntry,
    /// What its certificate must be; absent: signed by one of the system's roots. There is no insecure way.
    #[schemars(with = "Option<TlsEntry>")]
    tls: (),
    /// Who may change it (default suggest).
    #[schemars(with = "Option<Manage>")]
    manage: (),
    /// Whether it is counted on (default active).
    #[schemars(with = "Option<EndpointState>")]
    state: (),
}

/// An account. The password stands in a file or in the environment, never here.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields,
    extend("oneOf" = [{"required": ["passwordFile"]}, {"required": ["passwordEnv"]}]))]
#[expect(dead_code, reason = "declares the schema")]
struct CredentialsEntry {
    /// Its name.
    #[schemars(with = "PlainText")]
    username: (),
    /// A file whose first line is the password; read at each login, so that a new one is taken up. A credential of a systemd service: ${CREDENTIALS_DIRECTORY}/NAME.
    #[schemars(with = "Option<PlainText>")]
    password_file: (),
    /// An environment variable that holds it.
    #[schemars(with = "Option<PlainText>")]
    password_env: (),
}

/// What a certificate must be.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "declares the schema")]
struct TlsEntry {
    /// Hex SHA-256 of the server certificate's DER form, as `tierwright check` shows it; enough on its own. A list for the hosts of a cluster or pool.
    #[schemars(with = "Option<PinOrPins>")]
    pin_sha256: (),
    /// A PEM file with the certificates that may have signed it.
    #[schemars(with = "Option<PlainText>")]
    ca_file: (),
}

/// One pin or several.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "declares the schema")]
enum PinOrPins {
    /// One.
    One(#[schemars(with = "PlainText")] ()),
    /// One for each host.
    Several(#[schemars(with = "Vec<PlainText>")] ()),
}

/// Caps: past one of them a person must approve, or nothing is destroyed at all.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "declares the schema")]
struct LimitsEntry {
    /// Retires and direct deletes in any 24 hours (default 20).
    #[schemars(with = "Option<u32>", range(max = 1_000_000))]
    destroys_per_day: (),
    /// The same as a share of a tier's VMs; at least one (default 5; 100 switches it off).
    #[schemars(with = "Option<u32>", range(max = 100))]
    destroy_percent_per_tier_per_day: (),
    /// Running VMs that one run may power off, reboot or take a NIC or disk from (default 10).
    #[schemars(with = "Option<u32>", range(max = 1_000_000))]
    disruptions_per_run: (),
    /// Steps at a time on one endpoint (default 8).
    #[schemars(with = "Option<u32>", range(min = 1, max = 64))]
    parallel_per_endpoint: (),
}
