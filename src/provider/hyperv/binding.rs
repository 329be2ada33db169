//! The channel binding `tls-server-end-point` (RFC 5929, section 4): the server's certificate, hashed, so that a login
//! that somebody relays over a TLS connection of his own does not hold.

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// What the binding begins with (RFC 5929, section 2.1).
const PREFIX: &[u8] = b"tls-server-end-point:";

/// Object identifiers of the signature algorithms whose hash is not SHA-256, in DER. Older ones, MD5 and SHA-1, are
/// replaced by SHA-256 (RFC 5929, section 4.1).
const SHA_384: [&[u8]; 2] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c], // sha384WithRSAEncryption
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],       // ecdsa-with-SHA384
];
const SHA_512: [&[u8]; 2] = [
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d], // sha512WithRSAEncryption
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],       // ecdsa-with-SHA512
];

/// The binding's application data for this certificate.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let algorithm = signature_algorithm(certificate.as_ref()).unwrap_or_default();
    let mut data = PREFIX.to_vec();
    if SHA_384.contains(&algorithm) {
        data.extend_from_slice(&Sha384::digest(certificate.as_ref()));
    } else if SHA_512.contains(&algorithm) {
        data.extend_from_slice(&Sha512::digest(certificate.as_ref()));
    } else {
        data.extend_from_slice(&Sha256::digest(certificate.as_ref()));
    }
    data
}

/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm OID, … }, … }` (RFC 5280, 4.1).
fn signature_algorithm(der: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OID: u8 = 0x06;
    let (certificate, _) = value(der, SEQUENCE)?;
    let (_, rest) = value(certificate, SEQUENCE)?;
    let (algorithm, _) = value(rest, SEQUENCE)?;
    value(algorithm, OID).map(|(oid, _)| oid)
}

/// The content of a DER value of this tag, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        let count = usize::from(*length & 0x7f);
        if count > 4 {
            return None;
        }
        let bytes = rest.get(..count)?;
        let length = bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
        (length, rest.get(count..)?)
    };
    (*first == tag).then_some(())?;
    Some((rest.get(..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        rcgen::CertificateParams::new(vec!["host".to_owned()]).unwrap().self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_hash_is_that_of_the_certificates_signature() {
        let sha_256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        let sha_384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(end_point(&sha_256)[PREFIX.len()..], Sha256::digest(sha_256.as_ref())[..]);
        assert_eq!(end_point(&sha_384)[PREFIX.len()..], Sha384::digest(sha_384.as_ref())[..]);
    }

    #[test]
    fn what_is_no_certificate_is_hashed_all_the_same() {
        for junk in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff\x30", b"\x30\x03\x30\x82"] {
            assert_eq!(end_point(&CertificateDer::from(junk)).len(), PREFIX.len() + 32);
        }
    }
}
