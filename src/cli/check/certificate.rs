//! Reach and certificate: what answers at an endpoint's URLs, before any password is sent.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::Findings;
use crate::events::chain;
use crate::settings::Trust;
use crate::tls;

/// Long enough for a slow network, short enough for a person who waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks every URL; true when a login makes sense.
pub(super) async fn check(findings: &mut Findings<'_>) -> bool {
    let mut trusted = true;
    for url in &findings.endpoint.urls {
        trusted &= check_one(findings, url).await;
    }
    trusted
}

async fn check_one(findings: &mut Findings<'_>, url: &str) -> bool {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| url.host_str()).map(|host| host.trim_matches(['[', ']']).to_owned());
    let (Some(host), Some(port)) = (host, parsed.as_ref().and_then(reqwest::Url::port_or_known_default)) else {
        findings.fail("reach", format!("`{url}` is no URL"), "such as https://vc.example/sdk".to_owned());
        return false;
    };
    let stream = match timeout(PATIENCE, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return unreached(findings, &host, port, &error.to_string()),
        Err(_) => return unreached(findings, &host, port, "no answer within 10 s"),
    };
    findings.ok("reach", format!("{host} port {port} answers"));
    // Settings let http through only where the login itself seals what is sent.
    if parsed.is_some_and(|url| url.scheme() == "http") {
        return true;
    }
    handshake(findings, stream, host).await
}

fn unreached(findings: &mut Findings<'_>, host: &str, port: u16, why: &str) -> bool {
    let hint = "check the URL in the settings, the name in DNS, and firewalls on the way";
    findings.fail("reach", format!("{host} port {port}: {why}"), hint.to_owned());
    false
}

async fn handshake(findings: &mut Findings<'_>, stream: TcpStream, host: String) -> bool {
    let trust = &findings.endpoint.trust;
    let config = match tls::client_config(trust) {
        Ok(config) => config,
        Err(error) => {
            let why = chain(&error);
            findings.fail("certificate", why, "see `tls:` of this endpoint in the settings".to_owned());
            return false;
        }
    };
    let Ok(name) = ServerName::try_from(host) else {
        findings.fail("certificate", "the host is neither a name nor an address".to_owned(), None);
        return false;
    };
    let connected = timeout(PATIENCE, TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream)).await;
    match connected {
        Ok(Ok(stream)) => {
            let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let shown = leaf.map_or_else(|| "unknown".to_owned(), |leaf| tls::fingerprint(leaf));
            let how = match trust {
                Trust::Pins(_) => "pinned",
                Trust::CaFile(_) => "signed by the CA file",
                Trust::SystemRoots => "signed by a root of this system",
            };
            findings.ok("certificate", format!("{how}, SHA-256 {shown}"));
            true
        }
        Ok(Err(error)) => {
            refused(findings, &error);
            false
        }
        Err(_) => {
            findings.fail("certificate", "no TLS answer within 10 s".to_owned(), None);
            false
        }
    }
}

fn refused(findings: &mut Findings<'_>, error: &std::io::Error) {
    match tls::certificate_mismatch(error) {
        Some(mismatch) => {
            let hint = format!(
                "if the server's console shows this SHA-256 too, trust it: tls: {{pinSha256: \"{}\"}}",
                mismatch.shown
            );
            findings.fail("certificate", mismatch.to_string(), hint);
        }
        None => findings.fail("certificate", chain(error), "is it an https port?".to_owned()),
    }
}
