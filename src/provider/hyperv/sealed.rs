//! The body of a sealed message: `multipart/encrypted` as WinRM frames it ([MS-WSMV] 2.2.9.1.1.2 and 2.2.9.1.2).
//!
//! ```text
//! --Encrypted Boundary
//!     Content-Type: application/HTTP-SPNEGO-session-encrypted
//!     OriginalContent: type=application/soap+xml;charset=UTF-8;Length=N
//! --Encrypted Boundary
//!     Content-Type: application/octet-stream
//! <LE32 length of signature><signature><ciphertext>--Encrypted Boundary--
//! ```
//!
//! Pure: bytes in, bytes out. The ciphertext may hold anything, a boundary included, so its length is taken from the
//! `Length` that the first part declares and from where the body ends, never by looking for the boundary.

use super::fault::Failure;

/// Media type of the whole.
pub(super) const CONTENT_TYPE: &str =
    r#"multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary""#;

const BOUNDARY: &[u8] = b"--Encrypted Boundary";
const OCTETS: &[u8] = b"application/octet-stream";

/// A sealed message taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub signature: Vec<u8>,
    pub data: Vec<u8>,
}

/// Is this the media type of a sealed message?
pub(super) fn is_sealed(content_type: &str) -> bool {
    content_type.trim_start().to_ascii_lowercase().starts_with("multipart/encrypted")
}

/// Frames a sealed message; `length` is that of the text before it was sealed.
pub(super) fn frame(sealed: &Sealed, length: usize) -> Vec<u8> {
    let head = format!(
        "--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\tOriginalContent: \
         type=application/soap+xml;charset=UTF-8;Length={length}\r\n--Encrypted Boundary\r\n\tContent-Type: \
         application/octet-stream\r\n"
    );
    let mut body = head.into_bytes();
    let signature_length = u32::try_from(sealed.signature.len()).unwrap_or(u32::MAX);
    body.extend_from_slice(&signature_length.to_le_bytes());
    body.extend_from_slice(&sealed.signature);
    body.extend_from_slice(&sealed.data);
    body.extend_from_slice(b"--Encrypted Boundary--\r\n");
    body
}

/// Takes a framed message apart.
pub(super) fn open(body: &[u8]) -> Result<Sealed, Failure> {
    let strange = |what: &str| Failure::Senseless(format!("a sealed answer {what}"));
    let length = declared_length(body).ok_or_else(|| strange("that does not tell its length"))?;
    let at = find(body, OCTETS).ok_or_else(|| strange("without its content"))? + OCTETS.len();
    let line_end = find(body.get(at..).unwrap_or_default(), b"\r\n").ok_or_else(|| strange("that breaks off"))?;
    let content = body.get(at + line_end + 2..).unwrap_or_default();
    let (size, rest) = content.split_first_chunk::<4>().ok_or_else(|| strange("that breaks off"))?;
    let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
    // Signatures of NTLM take 16 bytes, those of Kerberos some 60.
    if size > 256 {
        return Err(strange("with a signature of senseless length"));
    }
    let signature = rest.get(..size).ok_or_else(|| strange("that breaks off"))?;
    let data = rest.get(size..).unwrap_or_default();
    let data = data.get(..length).ok_or_else(|| Failure::lost("a sealed answer broke off"))?;
    let end = rest.get(size + length..).unwrap_or_default();
    if !end.starts_with(BOUNDARY) {
        return Err(strange("that is longer than it says"));
    }
    Ok(Sealed { signature: signature.to_vec(), data: data.to_vec() })
}

/// `Length=N` of the first part.
fn declared_length(body: &[u8]) -> Option<usize> {
    let head = body.get(..find(body, OCTETS)?)?;
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let at = text.find("length=")? + "length=".len();
    let digits: String = text.get(at..)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_opened_again_whatever_bytes_it_holds() {
        let data = b"\x00--Encrypted Boundary--\r\n\tContent-Type: application/octet-stream\r\n\xff".to_vec();
        let sealed = Sealed { signature: vec![7; 16], data };
        assert_eq!(open(&frame(&sealed, sealed.data.len())).unwrap(), sealed);
    }

    #[test]
    fn a_frame_cut_anywhere_is_an_error_and_never_a_panic() {
        let sealed = Sealed { signature: vec![7; 16], data: vec![42; 50] };
        let whole = frame(&sealed, 50);
        // The last line's end may be missing: nothing of the message is in it.
        for cut in 0..whole.len() - b"--\r\n".len() {
            assert!(open(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_length_that_is_not_that_of_the_content_is_refused() {
        let sealed = Sealed { signature: vec![7; 16], data: vec![42; 50] };
        assert!(open(&frame(&sealed, 49)).is_err());
        assert!(open(&frame(&sealed, 51)).is_err());
    }
}
