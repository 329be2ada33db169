//! What a server's certificate must be, turned into client settings.
//!
//! Three ways, none of them "insecure": the SHA-256 of the server's certificate (a pin, enough on its own), a file of
//! certificate authorities, or the system's roots. The one TLS provider is ring.
//!
//! A pin says *which* certificate; that the server holds its key is proven by the handshake's signature, which is still
//! checked, or else anybody who has seen the certificate could pass for the server. Name and dates are not looked at:
//! ESXi hosts and appliances come with self-signed certificates (CA:TRUE, wrong names), which is why people pin.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::Digest as _;

use crate::settings::Trust;

/// Why no client settings could be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA file cannot be read.
    #[error("cannot read the certificates of {0}", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The CA file holds no certificate, or the system has no roots.
    #[error("{0} holds no usable certificate")]
    NoRoots(String),
    /// No pin was given.
    #[error("no certificate pin was given")]
    NoPins,
    /// rustls refused the settings.
    #[error("cannot set TLS up")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A certificate that is not the one expected; carries what the server showed, for a person to check and pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server shows a certificate with SHA-256 {shown}, which is not {expected}: {why}")]
pub struct CertificateMismatch {
    /// SHA-256 of the certificate that the server showed, in hex.
    pub shown: String,
    /// What was expected, in words.
    pub expected: &'static str,
    /// Why it was refused.
    pub why: String,
}

/// Client settings that accept exactly what `trust` says.
pub fn client_config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let check = match trust {
        Trust::Pins(pins) if pins.is_empty() => return Err(TlsError::NoPins),
        Trust::Pins(pins) => Check::Pins(pins.clone()),
        Trust::CaFile(path) => Check::Roots(verifier(ca_file(path)?, &provider)?, "signed by the CA file"),
        Trust::SystemRoots => Check::Roots(verifier(system_roots()?, &provider)?, "signed by a root of this system"),
    };
    let verifier = Arc::new(Verifier { check, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(Box::new(error)))?
        .dangerous() // rustls' word for any verifier that is not its own
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

/// SHA-256 in lower-case hex, as a pin is written.
pub fn fingerprint(certificate: &[u8]) -> String {
    hex(&sha2::Sha256::digest(certificate))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Looks through an error's causes for a refused certificate.
pub fn certificate_mismatch(error: &(dyn std::error::Error + 'static)) -> Option<CertificateMismatch> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<rustls::Error>().and_then(mismatch_in) {
            return Some(found);
        }
        // hyper wraps the TLS error in an io::Error, whose source() skips the error it was made from.
        if let Some(inner) = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && let Some(found) = certificate_mismatch(inner)
        {
            return Some(found);
        }
        cause = current.source();
    }
    None
}

fn mismatch_in(error: &rustls::Error) -> Option<CertificateMismatch> {
    match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
            other.0.downcast_ref::<CertificateMismatch>().cloned()
        }
        _ => None,
    }
}

fn ca_file(path: &Path) -> Result<RootCertStore, TlsError> {
    let failed = |source| TlsError::CaFile { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
        let certificate = certificate.map_err(failed)?;
        roots.add(certificate).map_err(|error| TlsError::Setup(Box::new(error)))?;
    }
    if roots.is_empty() { Err(TlsError::NoRoots(path.display().to_string())) } else { Ok(roots) }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots("the system's root store".to_owned())) } else { Ok(roots) }
}

fn verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| TlsError::Setup(Box::new(error)))
}

/// The error a verifier gives, with what the server showed.
fn refuse(leaf: &CertificateDer<'_>, expected: &'static str, why: String) -> rustls::Error {
    let mismatch = CertificateMismatch { shown: fingerprint(leaf), expected, why };
    rustls::Error::InvalidCertificate(rustls::CertificateError::Other(rustls::OtherError(Arc::new(mismatch))))
}

fn unsigned(leaf: &CertificateDer<'_>, error: &rustls::Error) -> rustls::Error {
    let why = format!("the handshake's signature does not hold, or its key is too weak (RSA below 2048 bits): {error}");
    refuse(leaf, "one whose key the server has proven to hold", why)
}

#[derive(Debug)]
enum Check {
    Pins(Vec<[u8; 32]>),
    Roots(Arc<WebPkiServerVerifier>, &'static str),
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (expected, why) = match &self.check {
            Check::Pins(pins) if pins.contains(&sha2::Sha256::digest(leaf.as_ref()).into()) => {
                return Ok(ServerCertVerified::assertion());
            }
            Check::Pins(_) => ("the one that is pinned", "another certificate".to_owned()),
            Check::Roots(roots, expected) => match roots.verify_server_cert(leaf, intermediates, name, ocsp, now) {
                Ok(verified) => return Ok(verified),
                Err(error) => (*expected, error.to_string()),
            },
        };
        Err(refuse(leaf, expected, why))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
            .map_err(|error| unsigned(leaf, &error))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
            .map_err(|error| unsigned(leaf, &error))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
