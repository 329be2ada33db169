//! Bodies encrypted by the session's keys: `multipart/encrypted` ([MS-WSMV] 2.2.9.1).
//!
//! Two parts: a description with the length of the plain text, and the signature's length (little-endian), the
//! signature, and the cipher text.

use super::crypto::Session;

const BOUNDARY: &[u8] = b"--Encrypted Boundary";
const OCTETS: &[u8] = b"Content-Type: application/octet-stream\r\n";

/// Is the content type that of a sealed body? Its protocol.
pub(super) fn protocol(content_type: &str) -> Option<String> {
    if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/encrypted") {
        return None;
    }
    let at = content_type.find("protocol=\"")? + 10;
    content_type[at..].split('"').next().map(str::to_owned)
}

/// Opens a sealed body. `None`: it is not one of this session.
pub(super) fn open(session: &mut Session, body: &[u8]) -> Option<Vec<u8>> {
    let head_end = find(body, OCTETS)?;
    let head = std::str::from_utf8(body.get(..head_end)?).ok()?;
    let length: usize = head.split("Length=").nth(1)?.split(['\r', '\n', ';', ' ']).next()?.parse().ok()?;
    let content = body.get(head_end + OCTETS.len()..)?;
    let signature_length = usize::try_from(u32::from_le_bytes(content.get(..4)?.try_into().ok()?)).ok()?;
    let signature = content.get(4..4usize.checked_add(signature_length)?)?;
    let sealed_from = 4 + signature_length;
    let sealed = content.get(sealed_from..sealed_from.checked_add(length)?)?;
    // Nothing but the end may follow.
    if !content.get(sealed_from + length..)?.starts_with(BOUNDARY) {
        return None;
    }
    session.open(signature, sealed)
}

/// Seals a body: its bytes and its content type.
pub(super) fn close(session: &mut Session, protocol: &str, plain: &[u8]) -> (Vec<u8>, String) {
    let (signature, sealed) = session.seal(plain);
    let mut body = Vec::with_capacity(sealed.len() + 300);
    let head = format!(
        "--Encrypted Boundary\r\n\tContent-Type: {protocol}\r\n\tOriginalContent: \
         type=application/soap+xml;charset=UTF-8;Length={}\r\n--Encrypted Boundary\r\n\t",
        plain.len()
    );
    body.extend(head.into_bytes());
    body.extend(OCTETS);
    body.extend(16_u32.to_le_bytes());
    body.extend(signature);
    body.extend(sealed);
    body.extend(BOUNDARY);
    body.extend(b"--\r\n");
    (body, format!("multipart/encrypted;protocol=\"{protocol}\";boundary=\"Encrypted Boundary\""))
}

fn find(body: &[u8], wanted: &[u8]) -> Option<usize> {
    body.windows(wanted.len()).position(|part| part == wanted)
}
