//! NTLM wrapped in SPNEGO (RFC 4178): the little DER that takes.

/// 1.3.6.1.4.1.311.2.2.10: NTLM.
const NTLM: &[u8] = &[0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];
/// 1.3.6.1.5.5.2: SPNEGO itself.
const SPNEGO: &[u8] = &[0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];

/// How far the negotiation is (`negState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Completed = 0,
    Incomplete = 1,
    /// NTLM was not the client's first choice: both sign the list.
    RequestMic = 3,
}

/// What a client's token holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Token {
    /// The mechanisms' list as it was encoded, in the first token alone.
    pub mechanisms: Option<Vec<u8>>,
    /// The mechanism's own message.
    pub message: Option<Vec<u8>>,
    /// The signature of the mechanisms' list.
    pub signature: Option<Vec<u8>>,
}

impl Token {
    /// Is NTLM among the mechanisms?
    pub fn offers_ntlm(&self) -> bool {
        self.mechanisms.as_ref().is_some_and(|list| list.windows(NTLM.len()).any(|part| part == NTLM))
    }
}

/// Reads a client's token. `None`: it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Token> {
    let (tag, outer, _) = element(bytes)?;
    let fields = match tag {
        0x60 => {
            let inner = outer.strip_prefix(SPNEGO)?;
            let (0xa0, inner, _) = element(inner)? else { return None };
            inner
        }
        0xa1 => outer,
        _ => return None,
    };
    let (0x30, mut fields, _) = element(fields)? else { return None };
    let mut token = Token::default();
    while !fields.is_empty() {
        let (field, value, rest) = element(fields)?;
        fields = rest;
        match (tag, field) {
            (0x60, 0xa0) => token.mechanisms = Some(value.to_vec()),
            (_, 0xa2) => token.message = Some(octets(value)?),
            (_, 0xa3) => token.signature = octets(value),
            _ => {}
        }
    }
    Some(token)
}

/// Writes the server's token.
pub(super) fn write(progress: Progress, first: bool, message: Option<&[u8]>, signature: Option<&[u8]>) -> Vec<u8> {
    let mut fields = wrapped(0xa0, &[0x0a, 1, progress as u8]);
    if first {
        fields.extend(wrapped(0xa1, NTLM));
    }
    for (tag, bytes) in [(0xa2, message), (0xa3, signature)] {
        if let Some(bytes) = bytes {
            fields.extend(wrapped(tag, &wrapped(0x04, bytes)));
        }
    }
    wrapped(0xa1, &wrapped(0x30, &fields))
}

fn octets(value: &[u8]) -> Option<Vec<u8>> {
    match element(value)? {
        (0x04, bytes, _) => Some(bytes.to_vec()),
        _ => None,
    }
}

/// Tag, content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        Ok(short) => out.extend([0x81, short]),
        Err(_) => {
            out.push(0x82);
            out.extend(u16::try_from(length).unwrap_or_default().to_be_bytes());
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back() {
        let long = vec![7; 300];
        let written = write(Progress::Incomplete, true, Some(&long), Some(&[1; 16]));
        let read = read(&written).expect("a token");
        assert_eq!((read.message, read.signature), (Some(long), Some(vec![1; 16])));
        for cut in 0..written.len() {
            assert_eq!(super::read(&written[..cut]), None, "{cut}");
        }
    }
}
