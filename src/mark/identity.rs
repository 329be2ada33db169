//! A VM's identity: a UUID that follows from who asked for it, so that a create that was cut short is found again.

use uuid::Uuid;

use crate::model::VmKey;

/// Namespace of all identities: UUIDv5 of `tierwright.dev` in the DNS namespace. Never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x02cc_04b0_b82b_5703_a54e_5fd0_99ba_477a);

/// UUIDv5 of installation, first key and n. Letters, digits and `-` only stand in the installation's name, so `/` parts
/// the fields without doubt.
pub fn identity(installation: &str, first_key: &VmKey, n: u32) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{installation}/{first_key}/{n}").as_bytes())
}

/// The identity that a birth name stands for, if it is one.
pub fn of_birth_name(name: &str) -> Option<Uuid> {
    let text = name.strip_prefix("tierwright-")?;
    // Only the hyphenated form that `birth_name` writes; `Uuid` would take others too.
    (text.len() == 36).then(|| text.parse().ok()).flatten()
}
