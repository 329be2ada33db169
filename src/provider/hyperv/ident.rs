//! Ids as Hyper-V makes them: GUIDs in instance ids, MACs without colons. Pure.

/// The GUID of the VM that a setting belongs to: `Microsoft:<GUID>` or `Microsoft:<GUID>\<device>…`.
pub(super) fn vm_of(instance_id: &str) -> Option<String> {
    let rest = instance_id.strip_prefix("Microsoft:")?;
    let guid = rest.split('\\').next()?;
    is_guid(guid).then(|| guid.to_ascii_lowercase())
}

/// The VM and the device of a guest's network settings: `Microsoft:GuestNetwork\<VM>\<device>`.
pub(super) fn guest_network_of(instance_id: &str) -> Option<String> {
    instance_id.split(['\\', ':']).find(|part| is_guid(part)).map(str::to_ascii_lowercase)
}

/// What follows the VM in an instance id: the device's own id.
pub(super) fn device_of(instance_id: &str) -> Option<&str> {
    instance_id.split_once('\\').map(|(_, device)| device)
}

/// Eight, four, four, four and twelve hex digits.
pub(super) fn is_guid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// `00155D012A03` as `00:15:5d:01:2a:03`; empty while Hyper-V has not chosen one, which it shows as zeros.
pub(super) fn mac(address: &str) -> String {
    let digits: Vec<char> = address.chars().filter(char::is_ascii_hexdigit).map(|c| c.to_ascii_lowercase()).collect();
    if digits.len() != 12 || digits.iter().all(|digit| *digit == '0') {
        return String::new();
    }
    let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
    pairs.join(":")
}

/// A MAC as Hyper-V takes it.
pub(super) fn address(mac: &str) -> String {
    mac.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str = "4764334D-E001-4176-82EE-5594EC9B530E";

    #[test]
    fn a_setting_belongs_to_the_vm_it_names() {
        let vm = Some(VM.to_ascii_lowercase());
        assert_eq!(vm_of(&format!("Microsoft:{VM}")), vm);
        assert_eq!(vm_of(&format!(r"Microsoft:{VM}\83F8638B-8DCA-4152-9EDA-2CA8B33039B4\0\0\L")), vm);
        assert_eq!(guest_network_of(&format!(r"Microsoft:GuestNetwork\{VM}\83F8638B-8DCA-4152-9EDA-2CA8B33039B4")), vm);
        assert_eq!(vm_of(r"Microsoft:Definition\4764334D-E001-4176-82EE-5594EC9B530E\Default"), None);
    }

    #[test]
    fn macs_are_read_and_written() {
        assert_eq!(mac("00155D012A03"), "00:15:5d:01:2a:03");
        assert_eq!(address("00:15:5d:01:2a:03"), "00155D012A03");
        assert_eq!((mac("000000000000"), mac(""), mac("x")), (String::new(), String::new(), String::new()));
    }
}
