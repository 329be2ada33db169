//! A settings file that points at a running lab (DESIGN sections 4 and 9).
//!
//! Written beside it: `secrets/ENDPOINT` with each password (readable by the owner only), `state/` and `user-data/`.
//! Text, not the product's settings type: what is written here is what an administrator would write.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{LabEndpoint, LabError};

/// Writes the settings file and what it names; returns its path.
pub(in crate::lab) fn write(endpoints: &[LabEndpoint], file: &Path, source: &Path) -> Result<PathBuf, LabError> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let secrets = folder.join("secrets");
    for made in [folder, &secrets, &folder.join("state"), &folder.join("user-data")] {
        fs::create_dir_all(made).map_err(|source| refuse(made, source))?;
    }
    let mut text = format!(
        "# Written by `tierwright lab`: everything here is simulated.\ninstallation: lab\nsource: {{path: {}}}\n\
         stateDir: state\nsecretsDir: user-data\ninterval: 5s\nendpoints:\n",
        quoted(&source.display().to_string())
    );
    for endpoint in endpoints {
        let password = secrets.join(&endpoint.name);
        write_private(&password, &endpoint.password).map_err(|source| refuse(&password, source))?;
        let _ = write!(
            text,
            "  - name: {name}\n    type: {hypervisor}\n    {url}\n{auth}    \
             credentials: {{username: {user}, passwordFile: secrets/{name}}}\n    \
{tls}manage: enforce\n",
            name = endpoint.name,
            hypervisor = endpoint.hypervisor,
            url = match endpoint.urls.as_slice() {
                [one] => format!("url: {}", quoted(one)),
                many => format!("urls: {}", one_or_list(many)),
            },
            auth = endpoint.auth.map(|word| format!("    auth: {word}\n")).unwrap_or_default(),
            user = quoted(&endpoint.username),
            // Without TLS there is no certificate: messages are sealed.
            tls = match endpoint.pins.as_slice() {
                [] => String::new(),
                pins => format!("tls: {{pinSha256: {}}}\n    ", one_or_list(pins)),
            },
        );
    }
    fs::write(file, text).map_err(|source| refuse(file, source))?;
    Ok(file.to_owned())
}

fn refuse(path: &Path, source: io::Error) -> LabError {
    LabError::Write { path: path.display().to_string(), source }
}

/// One text as it is, several as a list.
fn one_or_list(texts: &[String]) -> String {
    match texts {
        [one] => quoted(one),
        many => format!("[{}]", many.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")),
    }
}

/// JSON strings are YAML strings.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(unix)]
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")
}

#[cfg(not(unix))]
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, format!("{text}\n"))
}
