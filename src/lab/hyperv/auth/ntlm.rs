//! The server's side of NTLMv2 ([MS-NLMP]): a challenge, and the judgement of the response to it.
//!
//! The proof, the message integrity code and the channel binding are checked here. Only version 2 with extended session
//! security and 128-bit keys is taken, as Windows does by default; nobody gets in without a name.

use md4::{Digest as _, Md4};

use super::crypto::{Rc4, Session, hmac_md5, md5};

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";
/// Flags ([MS-NLMP] 2.2.2.5).
const UNICODE: u32 = 0x1;
const KEY_EXCHANGE: u32 = 0x4000_0000;
const STRONG: u32 = 0x2000_0000;
const EXTENDED: u32 = 0x0008_0000;
/// What is offered: also sign, seal, target and its information, always sign, a server, the version, 56 bits.
const OFFERED: u32 =
    UNICODE | KEY_EXCHANGE | STRONG | EXTENDED | 0x4 | 0x10 | 0x20 | 0x200 | 0x8000 | 0x0280_0000 | 0x8000_0000;
/// A server is the target, and there is information on it.
const ALWAYS: u32 = 0x0002_0000 | 0x0080_0000;
/// Windows Server 2022, revision 15 of NTLM.
const VERSION: [u8; 8] = [10, 0, 0x7c, 0x4f, 0, 0, 0, 15];
/// Attributes of the target ([MS-NLMP] 2.2.2.1).
const END: u16 = 0;
const COMPUTER: u16 = 1;
const DOMAIN: u16 = 2;
const DNS_COMPUTER: u16 = 3;
const DNS_DOMAIN: u16 = 4;
const FLAGS: u16 = 6;
const TIME: u16 = 7;
const CHANNEL: u16 = 10;
/// `FLAGS`: the response carries a message integrity code.
const HAS_MIC: u32 = 2;
/// Where the message integrity code stands in a response.
const MIC: std::ops::Range<usize> = 72..88;
/// From 1601, where Windows' time begins, to 1970, in milliseconds.
const FILETIME_OFFSET_MS: u64 = 11_644_473_600_000;

/// A login that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    negotiate: Vec<u8>,
    challenge: Vec<u8>,
    nonce: [u8; 8],
}

/// Whom and what a response is judged by.
pub(super) struct Account<'a> {
    pub user: &'a str,
    pub password: &'a str,
    /// SHA-256 of the server's certificate; `None` without TLS.
    pub certificate: Option<[u8; 32]>,
}

/// Is this the first message of a client?
pub(super) fn is_negotiate(message: &[u8]) -> bool {
    kind(message) == Some(1)
}

/// Is this the response to a challenge?
pub(super) fn is_authenticate(message: &[u8]) -> bool {
    kind(message) == Some(3)
}

fn kind(message: &[u8]) -> Option<u32> {
    message.strip_prefix(SIGNATURE).and_then(|rest| number(rest, 0))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes)
}

impl Begun {
    /// Makes the challenge for a client's first message.
    pub fn new(negotiate: &[u8], host: &str, nonce: [u8; 8], now_ms: i64) -> Option<Self> {
        let flags = number(negotiate, 12)? & OFFERED | ALWAYS;
        let target = utf16(host);
        let mut info = Vec::new();
        for (id, text) in [(DOMAIN, host), (COMPUTER, host), (DNS_DOMAIN, "lab.example"), (DNS_COMPUTER, host)] {
            attribute(&mut info, id, &utf16(text));
        }
        let time = (u64::try_from(now_ms).unwrap_or(0) + FILETIME_OFFSET_MS) * 10_000;
        attribute(&mut info, TIME, &time.to_le_bytes());
        attribute(&mut info, END, &[]);
        let mut challenge = SIGNATURE.to_vec();
        challenge.extend(2_u32.to_le_bytes());
        field(&mut challenge, target.len(), 56);
        challenge.extend(flags.to_le_bytes());
        challenge.extend(nonce);
        challenge.extend([0; 8]);
        field(&mut challenge, info.len(), 56 + target.len());
        challenge.extend(VERSION);
        challenge.extend(target);
        challenge.extend(info);
        Some(Self { negotiate: negotiate.to_vec(), challenge, nonce })
    }

    /// The challenge as it is sent.
    pub fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// Judges the response: the session, or nobody.
    pub fn finish(&self, message: &[u8], account: &Account<'_>) -> Option<Session> {
        let flags = number(message, 60)?;
        if flags & (UNICODE | STRONG | EXTENDED) != UNICODE | STRONG | EXTENDED {
            return None;
        }
        let user = text(payload(message, 36)?)?;
        let domain = text(payload(message, 28)?)?;
        let bare = |name: &str| super::basic::bare(name).to_lowercase();
        if user.is_empty() || bare(&user) != bare(account.user) {
            return None;
        }
        let response = payload(message, 20)?;
        let (proof, blob) = response.split_at_checked(16)?;
        // NTOWFv2 and NTProofStr ([MS-NLMP] 3.3.2).
        let hash: [u8; 16] = Md4::digest(utf16(account.password)).into();
        let key = hmac_md5(&hash, &[&utf16(&(user.to_uppercase() + &domain))]);
        if hmac_md5(&key, &[&self.nonce, blob]) != proof {
            return None;
        }
        let base_key = hmac_md5(&key, &[proof]);
        let exchanged = flags & KEY_EXCHANGE != 0;
        let session_key: [u8; 16] =
            if exchanged { Rc4::new(&base_key).apply(payload(message, 52)?).try_into().ok()? } else { base_key };
        let attributes = attributes(blob.get(28..)?)?;
        let has_mic = attributes.iter().any(|(id, value)| *id == FLAGS && number(value, 0).unwrap_or(0) & HAS_MIC != 0);
        if has_mic && !self.mic_is_good(message, &session_key) {
            return None;
        }
        let binding = attributes.iter().find(|(id, _)| *id == CHANNEL).map(|(_, value)| *value);
        bound(binding, account.certificate).then(|| Session::new(&session_key, exchanged))
    }

    fn mic_is_good(&self, message: &[u8], session_key: &[u8; 16]) -> bool {
        let Some(given) = message.get(MIC) else { return false };
        let mut without = message.to_vec();
        without[MIC].fill(0);
        hmac_md5(session_key, &[&self.negotiate, &self.challenge, &without]) == given
    }
}

/// Does a channel binding, where one is given, belong to this connection? None, or zeros, is let pass: that is
/// `CbtHardeningLevel` Relaxed, Windows' default (recorded).
fn bound(binding: Option<&[u8]>, certificate: Option<[u8; 32]>) -> bool {
    match (binding, certificate) {
        (None, _) => true,
        (Some(given), _) if given.iter().all(|byte| *byte == 0) => true,
        (Some(given), Some(hash)) => given == channel_binding(&hash),
        (Some(_), None) => false,
    }
}

/// MD5 of the channel bindings structure for `tls-server-end-point` (RFC 5929, RFC 2744 3.11): no addresses, then the
/// length and the data.
fn channel_binding(hash: &[u8; 32]) -> [u8; 16] {
    let data = [b"tls-server-end-point:".as_slice(), hash].concat();
    let length = u32::try_from(data.len()).unwrap_or_default().to_le_bytes();
    md5(&[&[0; 16], &length, &data])
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn text(bytes: &[u8]) -> Option<String> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&units).ok()
}

/// What a field (length, maximum, offset) of a message points to.
fn payload(message: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(short(message, at)?);
    let offset = usize::try_from(number(message, at + 4)?).ok()?;
    message.get(offset..offset.checked_add(length)?)
}

fn field(message: &mut Vec<u8>, length: usize, offset: usize) {
    let length = u16::try_from(length).unwrap_or_default().to_le_bytes();
    message.extend(length);
    message.extend(length);
    message.extend(u32::try_from(offset).unwrap_or_default().to_le_bytes());
}

fn attribute(info: &mut Vec<u8>, id: u16, value: &[u8]) {
    info.extend(id.to_le_bytes());
    info.extend(u16::try_from(value.len()).unwrap_or_default().to_le_bytes());
    info.extend(value);
}

fn attributes(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut all = Vec::new();
    loop {
        let (id, length) = (short(bytes, 0)?, usize::from(short(bytes, 2)?));
        if id == END {
            return Some(all);
        }
        all.push((id, bytes.get(4..4 + length)?));
        bytes = bytes.get(4 + length..)?;
    }
}
