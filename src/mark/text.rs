//! Mark to text and back. The text is canonical JSON: fields in declaration order, maps sorted, no white space.

use super::Mark;

/// The only format there is so far.
pub const VERSION: u32 = 1;

/// Longest mark that is read or meant to be written. A VM with 60 disks and 10 NICs needs about 10 KiB; XenServer's
/// `other_config` values and Hyper-V's Notes take far more than this, so a longer text is not one of ours.
pub const MAX_BYTES: usize = 32 * 1024;

/// Why a text is not a mark; fit for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// Longer than any mark of ours.
    #[error("the mark is {0} bytes long, more than {MAX_BYTES}")]
    TooLong(usize),
    /// A format this program does not know: a newer tierwright wrote it.
    #[error("the mark has format version {0}; this tierwright knows {VERSION}")]
    Version(u32),
    /// Not the JSON of a mark.
    #[error("the mark cannot be read: {0}")]
    Malformed(String),
}

/// Reads a mark. Nothing is guessed: what is not wholly understood is an error.
pub fn parse(text: &str) -> Result<Mark, MarkError> {
    /// What every version has.
    #[derive(serde::Deserialize)]
    struct AnyVersion {
        version: u32,
    }
    if text.len() > MAX_BYTES {
        return Err(MarkError::TooLong(text.len()));
    }
    match serde_json::from_str::<Mark>(text) {
        Ok(mark) if mark.version == VERSION => Ok(mark),
        Ok(mark) => Err(MarkError::Version(mark.version)),
        Err(error) => match serde_json::from_str::<AnyVersion>(text) {
            // A newer format may well lack today's fields: the version is then the better explanation.
            Ok(any) if any.version != VERSION => Err(MarkError::Version(any.version)),
            _ => Err(MarkError::Malformed(error.to_string())),
        },
    }
}

/// Writes a mark.
///
/// # Panics
/// Never: a mark holds string keys and plain values only.
pub fn write(mark: &Mark) -> String {
    serde_json::to_string(mark).expect("a mark holds string keys and plain values only")
}
