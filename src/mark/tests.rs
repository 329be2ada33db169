//! Marks: read, written, judged.

use super::{Head, MAX_BYTES, MarkError, Pending, Standing, birth_name, identity, judge, of_birth_name, parse, write};
use crate::model::{Config, OwnId};
use crate::plan::sample::{INSTALLATION, applied, config_mut, key, remark, spec, tier};

fn vm() -> crate::model::ObservedVm {
    applied(&spec("app/vm"), &tier("t1", &["vc"]))
}

fn text() -> String {
    config_mut(&mut vm()).mark.clone().unwrap()
}

#[test]
fn a_mark_is_read_as_it_was_written() {
    let mark = parse(&text()).unwrap();
    assert_eq!(write(&mark), text());
    assert!(text().len() < 1200, "{} bytes", text().len());
    assert!(text().starts_with("{\"version\":1,"), "the version comes first");
}

#[test]
fn what_is_not_wholly_understood_is_an_error() {
    assert!(matches!(parse("{}"), Err(MarkError::Malformed(_))));
    assert!(matches!(parse("owned by bob"), Err(MarkError::Malformed(_))));
    assert!(matches!(parse(&text().replace("t1", "T 1")), Err(MarkError::Malformed(_))));
    assert!(matches!(parse(&text()[..text().len() - 1]), Err(MarkError::Malformed(_))));
    assert_eq!(parse(&text().replace("\"version\":1", "\"version\":2")), Err(MarkError::Version(2)));
    assert_eq!(parse("{\"version\":7,\"all\":\"new\"}"), Err(MarkError::Version(7)));
    assert_eq!(parse(&"x".repeat(MAX_BYTES + 1)), Err(MarkError::TooLong(MAX_BYTES + 1)));
}

#[test]
fn the_same_key_has_the_same_identity_always_and_another_number_another() {
    let id = |installation, n| identity(installation, &key("erp/db"), n).to_string();
    assert_eq!(id("prod", 0), "bb8e2572-7b4b-570c-8382-40a366a1c76e", "marks in the field depend on this value");
    assert_ne!(id("prod", 0), id("prod", 1));
    assert_ne!(id("prod", 0), id("test", 0));
}

#[test]
fn a_birth_name_leads_back_to_its_identity() {
    let id = identity("prod", &key("erp/db"), 0);
    assert_eq!(of_birth_name(&birth_name(id)), Some(id));
    assert_eq!(of_birth_name(&format!("tierwright-{}", id.simple())), None);
    assert_eq!(of_birth_name("tierwright-lab"), None);
}

#[test]
fn each_standing_has_its_reason() {
    let mut vm = vm();
    assert!(matches!(judge(&vm, INSTALLATION), Standing::Ours(_)));
    assert_eq!(judge(&vm, "test"), Standing::Foreign(INSTALLATION.to_owned()));
    remark(&mut vm, |mark| mark.pending = Some(Pending::Create));
    assert!(matches!(judge(&vm, INSTALLATION), Standing::Unfinished { mark: Some(_), .. }));
    remark(&mut vm, |mark| (mark.pending, mark.own_id) = (None, None));
    assert!(matches!(judge(&vm, INSTALLATION), Standing::Unfinished { mark: Some(_), .. }));
    remark(&mut vm, |mark| mark.own_id = Some(OwnId::new("original")));
    assert!(matches!(judge(&vm, INSTALLATION), Standing::Clone(_)));
    config_mut(&mut vm).mark = Some("{".to_owned());
    assert!(matches!(judge(&vm, INSTALLATION), Standing::Unreadable(_)));
    config_mut(&mut vm).mark = Some("  ".to_owned());
    assert_eq!(judge(&vm, INSTALLATION), Standing::NoMark);
    vm.name = birth_name(identity(INSTALLATION, &key("app/vm"), 0)).into();
    assert!(matches!(judge(&vm, INSTALLATION), Standing::Unfinished { mark: None, .. }));
    vm.config = Config::Unreadable("no permission".to_owned());
    assert_eq!(judge(&vm, INSTALLATION), Standing::Unknown("no permission".to_owned()));
}

#[test]
fn an_own_id_in_capitals_is_the_same_id() {
    let mut vm = vm();
    let text = config_mut(&mut vm).mark.clone().unwrap();
    let id = vm.id.to_string();
    config_mut(&mut vm).mark =
        Some(text.replace(&format!("\"ownId\":\"{id}\""), &format!("\"ownId\":\"{}\"", id.to_uppercase())));
    assert!(matches!(judge(&vm, INSTALLATION), Standing::Ours(_)));
}

#[test]
fn the_quick_reading_of_a_head_says_what_the_full_one_says() {
    let text = text();
    let (head, mark) = (Head::read(&text).unwrap(), parse(&text).unwrap());
    assert_eq!((head.installation, head.key), (mark.installation.as_str(), mark.key.to_string().as_str()));
    assert_eq!((head.identity, head.own_id), (mark.identity.to_string().as_str(), mark.own_id.unwrap().as_str()));
    assert_eq!((head.tier, head.generation), (mark.tier.as_str(), mark.generation));
    assert_eq!(head.protection, mark.protection);
}

#[test]
fn what_is_not_in_our_own_form_or_not_ordinary_is_read_in_full() {
    let mut vm = vm();
    let refused = |text: &str| Head::read(text).is_none();
    assert!(refused(&text().replace(':', ": ")));
    assert!(refused(&text().replace("prod", "pr\\u006fd")));
    assert!(refused(&text().replace("\"generation\":5", "\"generation\":05")));
    remark(&mut vm, |mark| mark.pending = Some(Pending::Restart));
    assert!(refused(config_mut(&mut vm).mark.as_ref().unwrap()));
    remark(&mut vm, |mark| (mark.pending, mark.own_id) = (None, None));
    assert!(refused(config_mut(&mut vm).mark.as_ref().unwrap()));
}
