//! What the newtypes hold, and what they refuse.

use super::*;

#[test]
fn a_key_is_a_label_and_a_name() {
    assert_eq!(VmKey::parse("erp/erp-db-01").unwrap().to_string(), "erp/erp-db-01");
    assert_eq!(VmKey::parse("web 01").unwrap().to_string(), "default/web 01");
    for wrong in ["", "/", "a/", "/a", "A/b", "-a/b", "a-/b", "a/b/c", "a/ b", "a/b ", "a/ü", "a/b\n"] {
        assert!(VmKey::parse(wrong).is_err(), "`{wrong}` was taken");
    }
    assert!(VmKey::parse(&format!("a/{}", "x".repeat(80))).is_ok());
    assert!(VmKey::parse(&format!("a/{}", "x".repeat(81))).is_err());
}

#[test]
fn sizes_are_whole_numbers_with_a_unit_and_print_as_they_read() {
    assert_eq!(Bytes::parse("32GiB").unwrap(), Bytes::gib(32));
    assert_eq!(Bytes::parse("1024MiB").unwrap().to_string(), "1GiB");
    assert_eq!(Bytes::parse("1536MiB").unwrap().to_string(), "1536MiB");
    assert_eq!(Bytes::parse("2TiB").unwrap().to_string(), "2TiB");
    for wrong in
        ["", "32", "32GB", "32 GiB", "0GiB", "-1GiB", "1.5GiB", "GiB", "99999999999TiB", "18446744073709551616MiB"]
    {
        assert!(Bytes::parse(wrong).is_err(), "`{wrong}` was taken");
    }
}

#[test]
fn an_observed_size_that_is_no_whole_mebibyte_survives_json() {
    let odd = Bytes(1_234_567);
    assert_eq!(serde_json::from_str::<Bytes>(&serde_json::to_string(&odd).unwrap()).unwrap(), odd);
}

#[test]
fn money_is_exact_and_rounds_half_to_even_only_when_shown() {
    assert_eq!(Money::parse("0.125").unwrap().to_string(), "0.12");
    assert_eq!(Money::parse("0.135").unwrap().to_string(), "0.14");
    assert_eq!(Money::parse("40").unwrap().to_string(), "40.00");
    for wrong in ["", ".5", "5.", "-1", "1e3", "1,5", "+1", "1.2.3"] {
        assert!(Money::parse(wrong).is_err(), "`{wrong}` was taken");
    }
}

#[test]
fn an_own_id_is_the_same_in_either_case() {
    assert_eq!(OwnId::new("4C4C4544-AB"), OwnId::new("4c4c4544-ab"));
}

#[test]
fn a_secret_shows_itself_nowhere() {
    let secret = Secret::new("canary".into());
    assert_eq!(format!("{secret:?}"), "***");
    assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
}

#[test]
fn a_digest_is_matched_by_a_prefix_long_enough_to_be_meant() {
    let digest = Digest::of(b"plan");
    assert!(digest.matches(digest.short()));
    assert!(digest.matches(digest.as_str()));
    assert!(!digest.matches(&digest.as_str()[..11]));
    assert!(!digest.matches(""));
}
