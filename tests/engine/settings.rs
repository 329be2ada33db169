//! Settings: what a whole file means, and what is said of bad ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tierwright::diagnostic::{self, Style};
use tierwright::plan::{EndpointState, Manage};
use tierwright::settings::{Auth, Environment, PasswordFrom, Settings, SettingsError, Trust, parse};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/settings")
}

fn read(case: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let bytes = fs::read(folder().join(case)).unwrap();
    let environment: Environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parse(&Path::new("/etc/tierwright").join(case), &bytes, &environment)
}

fn said(case: &str, environment: &[(&str, &str)]) -> String {
    diagnostic::render(&read(case, environment).unwrap_err().diagnostics, Style::default())
}

#[test]
fn a_whole_file_means_what_it_says() {
    let settings = read("everything.yaml", &[]).unwrap();
    assert_eq!(settings.installation, "prod");
    assert_eq!(settings.source, Path::new("/etc/tierwright/manifests"));
    assert_eq!(settings.state_dir, Path::new("/var/lib/tierwright-prod"));
    assert_eq!(settings.interval, Duration::from_mins(5));
    assert_eq!(settings.limits.destroys_per_day, 5);
    let [vc, hv, sealed, basic, xs] = settings.endpoints.as_slice() else { panic!("five endpoints") };
    assert!(matches!(&vc.password, PasswordFrom::File(path) if path == Path::new("/etc/tierwright/secrets/vc-prod")));
    assert!(matches!(&vc.trust, Trust::Pins(pins) if pins[0][..2] == [0x0f, 0x1e]));
    assert_eq!((vc.manage, vc.parallel), (Manage::Enforce, 2));
    assert_eq!(hv.urls.len(), 2);
    assert!(matches!(&hv.password, PasswordFrom::Env(name) if name == "HV_PASSWORD"));
    assert_eq!(hv.trust, Trust::CaFile("/etc/tierwright/ca.pem".into()));
    assert_eq!((hv.auth, sealed.auth, basic.auth), (Auth::Ntlm, Auth::Ntlm, Auth::Basic));
    assert!(sealed.urls[0].starts_with("http://"));
    assert_eq!((xs.manage, xs.state, &xs.trust), (Manage::Suggest, EndpointState::Maintenance, &Trust::SystemRoots));
}

#[test]
fn the_environment_overrides_the_file() {
    let environment = [
        ("TIERWRIGHT_STATE_DIR", "/tmp/elsewhere"),
        ("TIERWRIGHT_INTERVAL", "10s"),
        ("TIERWRIGHT_INSTALLATION", "staging"),
        ("TIERWRIGHT_SOURCE", "/srv/manifests"),
    ];
    let settings = read("everything.yaml", &environment).unwrap();
    assert_eq!(settings.state_dir, Path::new("/tmp/elsewhere"));
    assert_eq!(settings.interval, Duration::from_secs(10));
    assert_eq!(settings.installation, "staging");
    assert_eq!(settings.source, Path::new("/srv/manifests"));
}

#[test]
fn the_environment_is_checked_like_the_file() {
    insta::assert_snapshot!(said(
        "everything.yaml",
        &[("TIERWRIGHT_INTERVAL", "soon"), ("TIERWRIGHT_INSTALLATION", "Big One")]
    ));
}

#[test]
fn every_mistake_is_told_at_once_and_no_password_with_it() {
    let text = said("many-mistakes.yaml", &[]);
    assert!(!text.contains("canary"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_syntax_error_amid_a_password_does_not_show_it() {
    let text = said("broken-yaml.yaml", &[]);
    assert!(!text.contains("canary"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn settings_are_one_document_that_is_not_empty() {
    insta::assert_snapshot!("two_documents", said("two-documents.yaml", &[]));
    insta::assert_snapshot!("empty", said("empty.yaml", &[]));
}

#[test]
fn a_missing_file_says_where_settings_are_looked_for() {
    let error = tierwright::settings::load(Some(Path::new("/nonexistent/tierwright.yaml"))).unwrap_err();
    insta::assert_snapshot!(diagnostic::render(&error.diagnostics, Style::default()));
}

#[test]
fn a_password_file_may_be_a_credential_of_the_service() {
    let bytes = b"installation: test
source: {path: m}
endpoints:
  - name: vc-prod
    type: vsphere
    url: https://vc.corp/sdk
    credentials: {username: svc, passwordFile: \"${CREDENTIALS_DIRECTORY}/vc-prod\"}
";
    let file = |environment: &Environment| {
        let settings = parse(Path::new("/etc/tierwright/tierwright.yaml"), bytes, environment).unwrap();
        match &settings.endpoints[0].password {
            PasswordFrom::File(path) => path.clone(),
            other => panic!("{other:?}"),
        }
    };
    let service = Environment::from([("CREDENTIALS_DIRECTORY".into(), "/run/credentials/tierwright.service".into())]);
    assert_eq!(file(&service), Path::new("/run/credentials/tierwright.service/vc-prod"));
    // By hand: it says what is missing when somebody logs in, and not before.
    assert_eq!(file(&Environment::new()), Path::new("${CREDENTIALS_DIRECTORY}/vc-prod"));
}
