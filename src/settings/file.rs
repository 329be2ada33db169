//! The settings file as written: read with positions, by the same reader that manifests are read with.
//!
//! Nothing is decided here: defaults, paths and the environment are `resolve.rs`'s. A value that could not be read is
//! absent, and the problem is in the report.

use crate::manifest::codes;
use crate::manifest::read::fields::Fields;
use crate::manifest::read::{Reader, Slot, Words};
use crate::manifest::report::shown;
use crate::manifest::schema::At;
use crate::manifest::tree::Spot;
use crate::model::{EndpointName, HypervisorType};
use crate::plan::{EndpointState, Manage};

use super::Auth;

/// Most steps at a time on one endpoint: more only fills the server's own queue.
const MOST_PARALLEL: u32 = 64;

/// Most destroys or disruptions that a limit may allow; a larger number is no limit.
const MOST_COUNT: u32 = 1_000_000;

/// Most endpoints: far more than anybody runs, so that a hostile file stays cheap.
const MOST_ENDPOINTS: usize = 1_000;

impl Words for HypervisorType {
    const WORDS: &'static [(&'static str, Self)] =
        &[("vsphere", Self::Vsphere), ("hyperv", Self::Hyperv), ("xenserver", Self::Xenserver)];
}

impl Words for Manage {
    const WORDS: &'static [(&'static str, Self)] =
        &[("observe", Self::Observe), ("suggest", Self::Suggest), ("enforce", Self::Enforce)];
}

impl Words for EndpointState {
    const WORDS: &'static [(&'static str, Self)] =
        &[("active", Self::Active), ("maintenance", Self::Maintenance), ("retired", Self::Retired)];
}

impl Words for Auth {
    const WORDS: &'static [(&'static str, Self)] = &[("ntlm", Self::Ntlm), ("basic", Self::Basic)];
}

/// The file as written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) installation: Option<String>,
    pub(super) source: Option<String>,
    /// Something is there that was not understood, so that what seems missing may be meant by it.
    pub(super) unclear: bool,
    pub(super) state_dir: Option<String>,
    pub(super) secrets_dir: Option<String>,
    pub(super) interval: Option<u32>,
    pub(super) endpoints: Vec<WrittenEndpoint>,
    pub(super) limits: WrittenLimits,
}

/// One endpoint as written.
#[derive(Debug, Default)]
pub(super) struct WrittenEndpoint {
    pub(super) name: Option<At<EndpointName>>,
    pub(super) hypervisor: Option<HypervisorType>,
    pub(super) urls: Vec<String>,
    pub(super) auth: Option<Auth>,
    pub(super) credentials: WrittenCredentials,
    pub(super) pins: Vec<[u8; 32]>,
    pub(super) ca_file: Option<String>,
    pub(super) manage: Option<Manage>,
    pub(super) state: Option<EndpointState>,
}

/// The account as written.
#[derive(Debug, Default)]
pub(super) struct WrittenCredentials {
    pub(super) username: Option<String>,
    pub(super) password_file: Option<String>,
    pub(super) password_env: Option<String>,
}

/// The caps as written.
#[derive(Debug, Default)]
pub(super) struct WrittenLimits {
    pub(super) destroys_per_day: Option<u32>,
    pub(super) destroy_percent: Option<u32>,
    pub(super) disruptions_per_run: Option<u32>,
    pub(super) parallel: Option<u32>,
}

/// Reads the one document of a settings file.
pub(super) fn read(reader: &mut Reader<'_>, slot: Slot<'_>) -> Written {
    let Some(mut fields) = reader.mapping(slot) else { return Written { unclear: true, ..Written::default() } };
    let mut written = Written::default();
    let (installation, given) = (fields.optional("installation"), fields.optional("source"));
    // The same form as a project's: it stands in every mark, next to `/`.
    written.installation = installation.and_then(|slot| reader.project(slot));
    written.source = given.and_then(|slot| source(reader, slot));
    written.state_dir = fields.optional("stateDir").and_then(|slot| reader.line(slot));
    written.secrets_dir = fields.optional("secretsDir").and_then(|slot| reader.line(slot));
    written.interval = fields.optional("interval").and_then(|slot| reader.duration(slot));
    if let Some(slot) = fields.optional("endpoints") {
        written.endpoints = endpoints(reader, slot);
    }
    written.limits = fields.optional("limits").map(|slot| limits(reader, slot)).unwrap_or_default();
    let unread =
        (installation.is_some() && written.installation.is_none()) || (given.is_some() && written.source.is_none());
    written.unclear = fields.has_unknown() || unread;
    fields.finish(reader);
    written
}

fn source(reader: &mut Reader<'_>, slot: Slot<'_>) -> Option<String> {
    let mut fields = reader.mapping(slot)?;
    if let Some(git) = fields.optional("git") {
        reader
            .error(git.key, codes::NOT_YET, "a Git repository as source is not built yet")
            .hint("keep a clone up to date beside it and name its folder with `path`");
        fields.optional("path");
        fields.finish(reader);
        return None;
    }
    let path = fields.required(reader, "path").and_then(|slot| reader.line(slot));
    fields.finish(reader);
    path
}

fn endpoints(reader: &mut Reader<'_>, slot: Slot<'_>) -> Vec<WrittenEndpoint> {
    let mut read: Vec<WrittenEndpoint> = Vec::new();
    for item in reader.list(slot).unwrap_or_default().into_iter().take(MOST_ENDPOINTS) {
        let item = Slot { name: "an endpoint", ..item };
        let Some(fields) = reader.mapping(item) else { continue };
        let endpoint = endpoint(reader, fields);
        if let Some(name) = &endpoint.name {
            let first = read.iter().filter_map(|other| other.name.as_ref()).find(|other| other.value == name.value);
            if let Some(first) = first.map(|first| reader.place(first.spot)) {
                reader
                    .error(name.spot, codes::SAME_ENDPOINT, format!("a second endpoint `{}`", name.value))
                    .related(first, "first named here");
            }
        }
        read.push(endpoint);
    }
    read
}

fn endpoint(reader: &mut Reader<'_>, mut fields: Fields<'_>) -> WrittenEndpoint {
    let name = fields.need(reader, "name", Reader::endpoint_name);
    let hypervisor = fields.required(reader, "type").and_then(|slot| reader.word(slot));
    let auth = auth(reader, &mut fields, hypervisor);
    let credentials = fields.required(reader, "credentials").map(|slot| credentials(reader, slot)).unwrap_or_default();
    let (pins, ca_file) = fields.optional("tls").map(|slot| tls(reader, slot)).unwrap_or_default();
    let manage = fields.optional("manage").and_then(|slot| reader.word(slot));
    let state = fields.optional("state").and_then(|slot| reader.word(slot));
    // Last, when every other field is known: a misspelt `url` is told as unknown, not as missing too.
    let urls = urls(reader, &mut fields, Seal::of(hypervisor, auth));
    fields.finish(reader);
    WrittenEndpoint { name, hypervisor, urls, auth, credentials, pins, ca_file, manage, state }
}

/// What keeps messages from being read on the way where TLS does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seal {
    /// Nothing: TLS it must be.
    None,
    /// NTLM seals each message of WS-Management ([MS-WSMV] 2.2.9.1), so plain HTTP is as good.
    Ntlm,
    /// A Hyper-V endpoint that logs in with Basic, which sends the password as it is.
    Basic,
}

impl Seal {
    fn of(hypervisor: Option<HypervisorType>, auth: Option<Auth>) -> Self {
        match (hypervisor, auth.unwrap_or_default()) {
            (Some(HypervisorType::Hyperv), Auth::Ntlm) => Self::Ntlm,
            (Some(HypervisorType::Hyperv), Auth::Basic) => Self::Basic,
            _ => Self::None,
        }
    }
}

fn urls(reader: &mut Reader<'_>, fields: &mut Fields<'_>, seal: Seal) -> Vec<String> {
    let (one, many) = (fields.optional("url"), fields.optional("urls"));
    match (one, many) {
        (Some(slot), None) => url(reader, slot, seal).into_iter().collect(),
        (None, Some(slot)) => {
            let items = reader.list(slot).unwrap_or_default();
            if items.is_empty() {
                reader.error(slot.key, codes::URLS, "`urls` needs at least one URL");
            }
            items.into_iter().filter_map(|item| url(reader, item, seal)).collect()
        }
        (Some(_), Some(many)) => {
            reader.error(many.key, codes::URLS, "an endpoint has `url` or `urls`, not both");
            Vec::new()
        }
        (None, None) if fields.has_unknown() => Vec::new(),
        (None, None) => {
            let key = fields.key;
            reader.error(key, codes::URLS, "an endpoint needs `url`").hint("for vsphere: url: https://HOST/sdk");
            Vec::new()
        }
    }
}

fn url(reader: &mut Reader<'_>, slot: Slot<'_>, seal: Seal) -> Option<String> {
    let text = reader.line(slot)?;
    let mut refuse = |why: &str, hint: &str| {
        reader.error(slot.node.spot, codes::URL, format!("`{}`: {why}", shown(slot.name))).hint(hint);
        None
    };
    let Ok(url) = reqwest::Url::parse(&text) else {
        return refuse("this is not a URL", "such as https://vc.corp/sdk");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("a URL must not hold an account", "put it into `credentials`");
    }
    match (url.scheme(), seal) {
        ("https", _) | ("http", Seal::Ntlm) => {}
        ("http", Seal::Basic) => {
            return refuse(
                "with `auth: basic` this endpoint is reached by https only",
                "`auth: ntlm` seals each message, and may go over http",
            );
        }
        (_, Seal::Ntlm) => {
            return refuse(
                "endpoints are reached by https, or http sealed by NTLM",
                "such as https://hv01.lab:5986/wsman",
            );
        }
        _ => {
            return refuse(
                "endpoints are reached by https only",
                "there is no insecure way; pin a self-signed certificate",
            );
        }
    }
    if url.host_str().is_none_or(str::is_empty) || url.query().is_some() || url.fragment().is_some() {
        return refuse("this is not the URL of a server", "such as https://vc.corp/sdk");
    }
    Some(text)
}

/// `auth` is a word of Hyper-V alone.
fn auth(reader: &mut Reader<'_>, fields: &mut Fields<'_>, hypervisor: Option<HypervisorType>) -> Option<Auth> {
    let slot = fields.optional("auth")?;
    let word: Option<Auth> = reader.word(slot);
    if let (Some(_), Some(HypervisorType::Vsphere | HypervisorType::Xenserver)) = (word, hypervisor) {
        reader.error(slot.key, codes::UNKNOWN_FIELD, "`auth` is for endpoints of type hyperv only");
    }
    word
}

fn credentials(reader: &mut Reader<'_>, slot: Slot<'_>) -> WrittenCredentials {
    let Some(mut fields) = reader.mapping(slot) else { return WrittenCredentials::default() };
    let username = fields.required(reader, "username").and_then(|slot| reader.line(slot));
    // Asked for so that it is not told as unknown: the hint here is the better one.
    let inline = fields.optional("password").map(|slot| slot.key);
    let file = fields.optional("passwordFile");
    let env = fields.optional("passwordEnv");
    if let Some(key) = inline {
        reader.error(key, codes::PASSWORD_INLINE, "a password must not stand in the settings").hint(
            "put it into a file and name that with `passwordFile`, or use `passwordEnv`; then change the password",
        );
    } else {
        one_source(reader, &fields, file.map(|slot| slot.key), env.map(|slot| slot.key));
    }
    let password_file = file.and_then(|slot| reader.line(slot));
    let password_env = env.and_then(|slot| env_name(reader, slot));
    fields.finish(reader);
    WrittenCredentials { username, password_file, password_env }
}

fn one_source(reader: &mut Reader<'_>, fields: &Fields<'_>, file: Option<Spot>, env: Option<Spot>) {
    match (file, env) {
        (Some(_), Some(env)) => {
            reader.error(env, codes::CREDENTIALS, "give `passwordFile` or `passwordEnv`, not both");
        }
        (None, None) if !fields.has_unknown() => {
            let key = fields.key;
            reader.error(key, codes::CREDENTIALS, "`credentials` needs `passwordFile` or `passwordEnv`");
        }
        _ => {}
    }
}

fn env_name(reader: &mut Reader<'_>, slot: Slot<'_>) -> Option<String> {
    let text = reader.line(slot)?;
    let usable = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with(|first: char| first.is_ascii_digit());
    if usable {
        return Some(text);
    }
    // Not echoed: who writes a `$` or a space here may have written the password itself.
    reader
        .error(slot.key, codes::TEXT, "`passwordEnv` must be the name of an environment variable")
        .hint("the name alone, such as VC_PASSWORD");
    None
}

fn tls(reader: &mut Reader<'_>, slot: Slot<'_>) -> (Vec<[u8; 32]>, Option<String>) {
    let Some(mut fields) = reader.mapping(slot) else { return Default::default() };
    let pin = fields.optional("pinSha256");
    let ca_file = fields.optional("caFile");
    if let (Some(_), Some(ca_file)) = (pin, ca_file) {
        reader
            .error(ca_file.key, codes::TLS, "give `pinSha256` or `caFile`, not both")
            .hint("a pin is enough on its own");
    }
    let pins = pin.map(|slot| pins(reader, slot)).unwrap_or_default();
    let ca_file = ca_file.and_then(|slot| reader.line(slot));
    fields.finish(reader);
    (pins, ca_file)
}

/// One pin, or one per host of a cluster or pool.
fn pins(reader: &mut Reader<'_>, slot: Slot<'_>) -> Vec<[u8; 32]> {
    match &slot.node.value {
        crate::manifest::tree::Value::Sequence(_) => {
            reader.list(slot).unwrap_or_default().into_iter().filter_map(|item| pin(reader, item)).collect()
        }
        _ => pin(reader, slot).into_iter().collect(),
    }
}

/// 64 hex digits; colons between them, as browsers and openssl print them, are taken too. Raw, since 64 digits without
/// a letter among them are no number here.
fn pin(reader: &mut Reader<'_>, slot: Slot<'_>) -> Option<[u8; 32]> {
    let text = reader.raw(slot, "64 hex digits")?;
    let hex: String = text.chars().filter(|c| *c != ':').collect();
    let parsed = hex_bytes(&hex);
    if parsed.is_none() {
        reader
            .error(slot.node.spot, codes::PIN, format!("`{}` must be 64 hex digits", shown(slot.name)))
            .hint("the SHA-256 of the server certificate's DER form; `tierwright check` shows it");
    }
    parsed
}

fn hex_bytes(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn limits(reader: &mut Reader<'_>, slot: Slot<'_>) -> WrittenLimits {
    let Some(mut fields) = reader.mapping(slot) else { return WrittenLimits::default() };
    let mut number = |reader: &mut Reader<'_>, name, least, most| {
        fields.optional(name).and_then(|slot| reader.number(slot, least, most))
    };
    let limits = WrittenLimits {
        destroys_per_day: number(reader, "destroysPerDay", 0, MOST_COUNT),
        destroy_percent: number(reader, "destroyPercentPerTierPerDay", 0, 100),
        disruptions_per_run: number(reader, "disruptionsPerRun", 0, MOST_COUNT),
        parallel: number(reader, "parallelPerEndpoint", 1, MOST_PARALLEL),
    };
    fields.finish(reader);
    limits
}
