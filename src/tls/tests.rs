use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConnection, ServerConfig, ServerConnection};

use super::*;

/// A server's certificate and key.
struct Shown {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn self_signed(is_ca: bool) -> Shown {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["esx.test".to_owned()]).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Shown { certificate, key }
}

/// A handshake without a network: the client's outcome.
fn handshake(
    trust: &Trust,
    shown: &Shown,
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(shown.key.serialize_der().into());
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Any(Arc::new(rustls::sign::CertifiedKey::new(
            vec![shown.certificate.clone()],
            rustls::crypto::ring::sign::any_supported_type(&key).unwrap(),
        )))));
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let config = Arc::new(client_config(trust).unwrap());
    let mut client = ClientConnection::new(config, ServerName::try_from("esx.test").unwrap()).unwrap();
    let mut wire = Vec::new();
    while client.is_handshaking() {
        wire.clear();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

/// Shows what it was given, even a certificate whose key it does not hold.
#[derive(Debug)]
struct Any(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Any {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn pin(shown: &Shown) -> Trust {
    Trust::Pins(vec![sha2::Sha256::digest(&shown.certificate).into()])
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

#[test]
fn a_pin_is_enough_even_for_a_self_signed_authority() {
    for version in VERSIONS {
        for is_ca in [false, true] {
            let shown = self_signed(is_ca);
            handshake(&pin(&shown), &shown, version).unwrap();
        }
    }
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused_and_named() {
    let (pinned, shown) = (self_signed(true), self_signed(true));
    for version in VERSIONS {
        let error = handshake(&pin(&pinned), &shown, version).unwrap_err();
        let mismatch = certificate_mismatch(&error).unwrap();
        assert_eq!(mismatch.shown, fingerprint(&shown.certificate));
    }
}

#[test]
fn the_pinned_certificate_without_its_key_is_refused() {
    let thief = Shown { certificate: self_signed(true).certificate, key: KeyPair::generate().unwrap() };
    for version in VERSIONS {
        let error = handshake(&pin(&thief), &thief, version).unwrap_err();
        assert!(certificate_mismatch(&error).unwrap().why.contains("signature"), "{error}");
    }
}

#[test]
fn a_certificate_file_admits_what_its_authority_signed_and_nothing_else() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["esx.test".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap().der().clone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, authority.pem()).unwrap();
    let trust = Trust::CaFile(path);
    handshake(&trust, &Shown { certificate, key }, VERSIONS[1]).unwrap();
    let stranger = self_signed(false);
    let error = handshake(&trust, &stranger, VERSIONS[1]).unwrap_err();
    let mismatch = certificate_mismatch(&error).unwrap();
    assert_eq!((mismatch.shown, mismatch.expected), (fingerprint(&stranger.certificate), "signed by the CA file"));
}

#[test]
fn settings_that_trust_nothing_are_refused() {
    assert!(matches!(client_config(&Trust::Pins(Vec::new())), Err(TlsError::NoPins)));
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    assert!(client_config(&Trust::CaFile(empty)).is_err());
    assert!(client_config(&Trust::CaFile(folder.path().join("none.pem"))).is_err());
}
