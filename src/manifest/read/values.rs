//! Values with a form of their own: names, keys, sizes, money, durations, labels, file names.

use super::{Reader, Slot};
use crate::manifest::codes;
use crate::manifest::report::shown;
use crate::manifest::tree::Spot;
use crate::model::{Bytes, Currency, EndpointName, Money, NameError, OwnId, TierName, VmKey, VmName};

/// Largest size of a disk or of memory: far above any hypervisor, and small enough that sums of many stay exact.
const MAX_SIZE: u64 = 1024 * Bytes::TIB;

/// Longest shutdown timeout.
const MAX_SECONDS: u32 = 24 * 3600;

impl Reader<'_> {
    /// The name of a tier.
    pub(super) fn tier_name(&mut self, slot: Slot<'_>) -> Option<TierName> {
        self.checked_name(slot, TierName::new)
    }

    /// The name of an endpoint.
    pub(crate) fn endpoint_name(&mut self, slot: Slot<'_>) -> Option<EndpointName> {
        self.checked_name(slot, EndpointName::new)
    }

    /// A VM's name.
    pub(super) fn vm_name(&mut self, slot: Slot<'_>) -> Option<VmName> {
        self.checked_name(slot, VmName::new)
    }

    /// `project/name`.
    pub(super) fn key(&mut self, slot: Slot<'_>) -> Option<VmKey> {
        self.checked_name(slot, VmKey::parse)
    }

    /// A project: the same form as a tier's name.
    pub(crate) fn project(&mut self, slot: Slot<'_>) -> Option<String> {
        self.checked_name(slot, |text| VmKey::new(text, "vm").map(|key| key.project().to_owned()))
    }

    pub(crate) fn checked_name<T>(&mut self, slot: Slot<'_>, make: impl Fn(&str) -> Result<T, NameError>) -> Option<T> {
        let text = self.text(slot)?;
        match make(text) {
            Ok(name) => Some(name),
            Err(NameError { what, why, .. }) => {
                let lower = text.trim().to_lowercase().replace([' ', '_'], "-");
                let problem = self.error(slot.node.spot, codes::NAME, format!("{what} `{}` {why}", shown(text)));
                if make(&lower).is_ok() {
                    problem.hint(format!("`{lower}` would do"));
                }
                None
            }
        }
    }

    /// The name of an instance type, image, network, storage, disk or NIC, as a value.
    pub(super) fn word_name(&mut self, slot: Slot<'_>) -> Option<String> {
        let text = self.text(slot)?;
        self.word_key(text, slot.node.spot)
    }

    /// The same, as a key.
    pub(super) fn word_key(&mut self, text: &str, spot: Spot) -> Option<String> {
        if is_word(text, |c| matches!(c, '.' | '_' | '-')) {
            return Some(text.to_owned());
        }
        let summary = format!(
            "the name `{}` must be 1-63 letters, digits, `.`, `_` and `-`, and start and end with a letter or digit",
            shown(text)
        );
        self.error(spot, codes::NAME, summary);
        None
    }

    /// A label's name.
    pub(super) fn label_key(&mut self, text: &str, spot: Spot) -> Option<String> {
        if is_word(text, |c| matches!(c, '.' | '_' | '-' | '/')) {
            return Some(text.to_owned());
        }
        self.error(spot, codes::LABEL, format!("the label name `{}` must be 1-63 letters, digits, `.`, `_`, `/` and `-`, and start and end with a letter or digit", shown(text)));
        None
    }

    /// A label's value.
    pub(super) fn label_value(&mut self, slot: Slot<'_>) -> Option<String> {
        let text = self.text(slot)?;
        if text.chars().count() <= 255 && !text.chars().any(char::is_control) {
            return Some(text.to_owned());
        }
        self.error(
            slot.node.spot,
            codes::LABEL,
            format!(
                "the value of label `{}` must have at most 255 characters and no control characters",
                shown(slot.name)
            ),
        );
        None
    }

    /// A size.
    pub(super) fn size(&mut self, slot: Slot<'_>) -> Option<Bytes> {
        let text = self.raw(slot, "a size such as 32GiB")?;
        let why = match Bytes::parse(text) {
            Ok(_) if text.starts_with('0') => "must not start with 0",
            Ok(size) if size.0 <= MAX_SIZE => return Some(size),
            Ok(_) => "is too large",
            Err(error) => error.why,
        };
        let problem = self.error(slot.node.spot, codes::SIZE, format!("`{}`: `{}` {why}", slot.name, shown(text)));
        if let Some(meant) = meant_size(text) {
            problem.hint(format!("write `{}: {meant}`", slot.name));
        }
        None
    }

    /// A size of memory: a multiple of 4 MiB.
    pub(super) fn memory(&mut self, slot: Slot<'_>) -> Option<Bytes> {
        let size = self.size(slot)?;
        let step = 4 * Bytes::MIB;
        if size.0.is_multiple_of(step) {
            return Some(size);
        }
        self.error(slot.node.spot, codes::MEMORY_STEP, format!("`{}`: `{size}` is not a multiple of 4MiB", slot.name))
            .hint(format!("the next one is {}", Bytes(size.0.next_multiple_of(step))));
        None
    }

    /// A price.
    pub(super) fn money(&mut self, slot: Slot<'_>) -> Option<Money> {
        let text = self.raw(slot, "an amount in quotes")?;
        let plain = matches!(slot.node.value, crate::manifest::tree::Value::Scalar { plain: true, .. });
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let leading = whole.len() > 1 && whole.starts_with('0');
        match Money::parse(text) {
            Ok(money) if !plain && !leading && whole.len() <= 9 && fraction.len() <= 9 => Some(money),
            Ok(_) if plain => {
                self.error(slot.node.spot, codes::PRICE, format!("`{}` must be in quotes", slot.name)).hint(format!(
                    "write `{}: \"{}\"`",
                    slot.name,
                    shown(text)
                ));
                None
            }
            _ => {
                self.error(
                    slot.node.spot,
                    codes::PRICE,
                    format!(
                        "`{}`: `{}` must be a decimal amount such as \"0.025\", with at most 9 digits before and after the point",
                        slot.name,
                        shown(text)
                    ),
                );
                None
            }
        }
    }

    /// A currency.
    pub(super) fn currency(&mut self, slot: Slot<'_>) -> Option<Currency> {
        let text = self.text(slot)?;
        match Currency::new(text) {
            Ok(currency) => Some(currency),
            Err(error) => {
                let upper = text.to_ascii_uppercase();
                let problem = self.error(slot.node.spot, codes::CURRENCY, format!("`{}` {}", shown(text), error.why));
                if Currency::new(&upper).is_ok() {
                    problem.hint(format!("write `{}: {upper}`", slot.name));
                }
                None
            }
        }
    }

    /// A duration, in seconds.
    pub(crate) fn duration(&mut self, slot: Slot<'_>) -> Option<u32> {
        let text = self.raw(slot, "a duration such as 5m")?;
        if let Some(seconds) = seconds(text) {
            return Some(seconds);
        }
        let problem = self.error(
            slot.node.spot,
            codes::DURATION,
            format!(
                "`{}`: `{}` must be a whole number with s, m or h, such as 5m, and at most 24h",
                slot.name,
                shown(text)
            ),
        );
        if text.parse::<u32>().is_ok_and(|n| n > 0 && n <= MAX_SECONDS) {
            problem.hint(format!("write `{}: {text}s` if seconds are meant", slot.name));
        }
        None
    }

    /// A plain file name.
    pub(super) fn file_name(&mut self, slot: Slot<'_>) -> Option<String> {
        let text = self.text(slot)?;
        let plain = (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            && !text.starts_with('.');
        if plain {
            return Some(text.to_owned());
        }
        self.error(
            slot.node.spot,
            codes::FILE_NAME,
            // The value is not said back: it may be user data at the wrong key.
            format!("`{}` must be a plain file name of letters, digits, `.`, `_` and `-`, without folders", slot.name),
        )
        .hint("the file stands directly in the administrator's secretsDir");
        None
    }

    /// A hypervisor's own id of a VM.
    pub(super) fn own_id(&mut self, slot: Slot<'_>) -> Option<OwnId> {
        self.line(slot).map(|text| OwnId::new(&text))
    }
}

fn is_word(text: &str, inner: impl Fn(char) -> bool) -> bool {
    (1..=63).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || inner(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// Seconds of `30s`, `5m` or `1h`.
pub(crate) fn seconds(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let digits = !number.is_empty() && !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
    let seconds = number.parse::<u32>().ok().filter(|_| digits)?.checked_mul(unit)?;
    (seconds <= MAX_SECONDS).then_some(seconds)
}

/// What a size in another notation was probably meant to be: `100`, `100GB`, `100 GiB`, `100g`, `1.5TiB`.
fn meant_size(text: &str) -> Option<String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "g" | "gb" | "gi" | "gib" => Bytes::GIB,
        "m" | "mb" | "mi" | "mib" => Bytes::MIB,
        "t" | "tb" | "ti" | "tib" => Bytes::TIB,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 6 || fraction.len() > 3 {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let thousandths = whole.parse::<u64>().ok()? * scale + fraction.parse::<u64>().unwrap_or(0);
    let bytes = thousandths.checked_mul(unit)?;
    let bytes = bytes.is_multiple_of(scale * Bytes::MIB).then_some(Bytes(bytes / scale))?;
    (bytes.0 > 0 && bytes.0 <= MAX_SIZE).then(|| bytes.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_other_notations_are_understood_for_the_hint() {
        let meant = |text| meant_size(text);
        assert_eq!(meant("100").as_deref(), Some("100GiB"));
        assert_eq!(meant("100GB").as_deref(), Some("100GiB"));
        assert_eq!(meant("512 mb").as_deref(), Some("512MiB"));
        assert_eq!(meant("1.5TiB").as_deref(), Some("1536GiB"));
        assert_eq!(meant("0"), None);
        assert_eq!(meant("many"), None);
    }

    #[test]
    fn durations_have_one_unit_and_an_end() {
        assert_eq!(seconds("30s"), Some(30));
        assert_eq!(seconds("5m"), Some(300));
        assert_eq!(seconds("24h"), Some(86_400));
        for wrong in ["", "5", "m", "0s", "05m", "25h", "1h30m", "-1s", "5 m", "9999999999h", "5µ"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
