//! Keys, sealing and signing of NTLM with extended session security ([MS-NLMP] 3.4.4.2, 3.4.5).

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};

/// HMAC-MD5.
pub(super) fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(key) else { return [0; 16] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// MD5.
pub(super) fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut digest = Md5::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// The stream cipher RC4, which the protocol prescribes.
#[derive(Debug, Clone)]
pub(super) struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    /// A stream from its key, which is not empty.
    pub fn new(key: &[u8]) -> Self {
        let mut state = [0; 256];
        for (value, slot) in (0_u8..=255).zip(&mut state) {
            *slot = value;
        }
        let mut j = 0_u8;
        for (i, key) in (0..256).zip(key.iter().cycle()) {
            j = j.wrapping_add(state[i]).wrapping_add(*key);
            state.swap(i, usize::from(j));
        }
        Self { state, i: 0, j: 0 }
    }

    /// Encrypts or decrypts the next bytes.
    pub fn apply(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut next = || {
            self.i = self.i.wrapping_add(1);
            let (i, value) = (usize::from(self.i), self.state[usize::from(self.i)]);
            self.j = self.j.wrapping_add(value);
            self.state.swap(i, usize::from(self.j));
            self.state[usize::from(self.state[i].wrapping_add(value))]
        };
        bytes.iter().map(|byte| byte ^ next()).collect()
    }
}

/// One direction of a session.
#[derive(Debug)]
struct Direction {
    signing: [u8; 16],
    sealing: [u8; 16],
    stream: Rc4,
    number: u32,
}

impl Direction {
    fn new(session_key: &[u8; 16], who: &str) -> Self {
        let key = |purpose: &str| {
            md5(&[session_key, format!("session key to {who} {purpose} key magic constant\0").as_bytes()])
        };
        let sealing = key("sealing");
        Self { signing: key("signing"), sealing, stream: Rc4::new(&sealing), number: 0 }
    }

    /// The signature of a message that was sealed (or is only signed) just before.
    fn signature(&mut self, message: &[u8], encrypted: bool) -> [u8; 16] {
        let number = self.number.to_le_bytes();
        self.number = self.number.wrapping_add(1);
        let sum = hmac_md5(&self.signing, &[&number, message]);
        let sum = if encrypted { self.stream.apply(&sum[..8]) } else { sum[..8].to_vec() };
        let mut signature = [0; 16];
        signature[0] = 1;
        signature[4..12].copy_from_slice(&sum);
        signature[12..].copy_from_slice(&number);
        signature
    }

    /// Begins the stream anew, as both sides do after the signatures of SPNEGO's mechanism lists.
    fn restart(&mut self) {
        self.stream = Rc4::new(&self.sealing);
    }
}

/// What seals and opens the messages of one connection.
#[derive(Debug)]
pub(super) struct Session {
    incoming: Direction,
    outgoing: Direction,
    /// A key was exchanged: signatures are encrypted too.
    exchanged: bool,
}

impl Session {
    /// The server's side.
    pub fn new(session_key: &[u8; 16], exchanged: bool) -> Self {
        let incoming = Direction::new(session_key, "client-to-server");
        let outgoing = Direction::new(session_key, "server-to-client");
        Self { incoming, outgoing, exchanged }
    }

    /// The plain text of a message; `None`: it was not sealed by the client of this session.
    pub fn open(&mut self, signature: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let plain = self.incoming.stream.apply(sealed);
        let expected = self.incoming.signature(&plain, self.exchanged);
        (expected == signature).then_some(plain)
    }

    /// Signature and cipher text of a message.
    pub fn seal(&mut self, plain: &[u8]) -> ([u8; 16], Vec<u8>) {
        let sealed = self.outgoing.stream.apply(plain);
        (self.outgoing.signature(plain, self.exchanged), sealed)
    }

    /// Checks the client's signature of the list of mechanisms and gives ours.
    pub fn exchange_signatures(&mut self, list: &[u8], theirs: &[u8]) -> Option<[u8; 16]> {
        if self.incoming.signature(list, self.exchanged) != theirs {
            return None;
        }
        self.incoming.restart();
        let ours = self.outgoing.signature(list, self.exchanged);
        self.outgoing.restart();
        Some(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of [MS-NLMP] 4.2.4.4: "Plaintext" sealed under random session key 0x55…
    #[test]
    fn sealing_is_that_of_the_specification() {
        let mut direction = Direction::new(&[0x55; 16], "client-to-server");
        let plain: Vec<u8> = "Plaintext".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let sealed = direction.stream.apply(&plain);
        let expected = [
            0x54, 0xe5, 0x01, 0x65, 0xbf, 0x19, 0x36, 0xdc, 0x99, 0x60, 0x20, 0xc1, 0x81, 0x1b, 0x0f, 0x06, 0xfb, 0x5f,
        ];
        assert_eq!(sealed, expected);
        let signature = direction.signature(&plain, true);
        assert_eq!(signature[4..12], [0x7f, 0xb3, 0x8e, 0xc5, 0xc5, 0x5d, 0x49, 0x76]);
    }
}
