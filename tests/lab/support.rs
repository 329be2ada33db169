//! What the lab's tests share: a bare SOAP client that knows nothing, and the way to peers.

use std::process::Command;
use std::sync::{Arc, Once};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tierwright::lab::{Lab, LabEndpoint, LabOptions};

/// A Python with the peers' packages: `$TIERWRIGHT_PYTHON`. `None`: what is skipped was said.
pub fn python(package: &str) -> Option<String> {
    let python = std::env::var("TIERWRIGHT_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let required = std::env::var("TIERWRIGHT_PEERS").is_ok_and(|peers| peers == "required");
    assert!(!required, "{package} is missing (TIERWRIGHT_PYTHON={python}) and TIERWRIGHT_PEERS=required");
    println!("skipped: no {package} for {python}");
    None
}

/// A file of the reference data; `None`: what is skipped was said.
pub fn reference(path: &str) -> Option<std::path::PathBuf> {
    let root = std::env::var("TIERWRIGHT_REFERENCE")
        .unwrap_or_else(|_| format!("{}/../shared/reference", env!("CARGO_MANIFEST_DIR")));
    let file = std::path::Path::new(&root).join(path);
    if file.exists() {
        return Some(file);
    }
    let required = std::env::var("TIERWRIGHT_PEERS").is_ok_and(|peers| peers == "required");
    assert!(!required, "{} is missing and TIERWRIGHT_PEERS=required", file.display());
    println!("skipped: no {}", file.display());
    None
}

pub async fn lab(options: LabOptions) -> (Lab, LabEndpoint) {
    let lab = Lab::start(options).await.expect("the lab starts");
    let endpoint = lab.endpoints().remove(0);
    (lab, endpoint)
}
