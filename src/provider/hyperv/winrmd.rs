//! Our client against a server whose NTLM, sealing and channel binding are not ours: `winrmd.py`, on pyspnego.
//!
//! It stands beside the project (`../shared/peers`); without it, or without a Python that has pyspnego
//! (`$TIERWRIGHT_PYTHON`), the tests say what they skip.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::cim::Reference;
use super::client::Client;
use super::fault::Failure;
use super::wsman::Message;
use crate::model::{EndpointName, HypervisorType, Secret};
use crate::plan::{EndpointState, Manage};
use crate::settings::{Auth, EndpointSettings, PasswordFrom, Trust};
use crate::xml::Writer;

const USER: &str = r"LAB\svc";
const PASSWORD: &str = "P@ss-word1";
const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";

/// A running server; dropped, it ends.
struct Server {
    child: Child,
    url: String,
    pin: [u8; 32],
    _files: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn skipped(why: &str) -> Option<Server> {
    assert!(std::env::var("TIERWRIGHT_PEERS").as_deref() != Ok("required"), "winrmd.py: {why}");
    eprintln!("skipped: winrmd.py: {why}");
    None
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/peers/winrmd.py")
}

/// A port that was free a moment ago: the script takes none of its own choice.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(tls: bool) -> Option<Server> {
    if !script().is_file() {
        return skipped("it is not there");
    }
    let Some(python) = std::env::var_os("TIERWRIGHT_PYTHON") else { return skipped("$TIERWRIGHT_PYTHON is not set") };
    let files = tempfile::tempdir().unwrap();
    let users = files.path().join("users");
    std::fs::write(&users, format!("LAB:svc:{PASSWORD}\n")).unwrap();
    let port = free_port();
    let mut command = Command::new(python);
    command.arg(script()).arg("--port").arg(port.to_string()).env("NTLM_USER_FILE", users);
    let mut pin = [0; 32];
    if tls {
        // Self-signed and CA:TRUE, as `New-SelfSignedCertificate` and others make them: the pin is enough.
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["hv01".to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        pin = <sha2::Sha256 as sha2::Digest>::digest(certificate.der()).into();
        let (pem, key_file) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        std::fs::write(&pem, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        command.arg("--tls").arg(pem).arg(key_file);
    }
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    // It says so once the socket is bound; connections wait in its queue from then on.
    let listening = lines.by_ref().map_while(Result::ok).any(|line| {
        said.push_str(&line);
        line.starts_with("listening")
    });
    if !listening {
        let _ = child.wait();
        return skipped(&format!("it does not start: {said}"));
    }
    // Its log must be read, or it would stop at a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    let scheme = if tls { "https" } else { "http" };
    Some(Server { child, url: format!("{scheme}://127.0.0.1:{port}/wsman"), pin, _files: files })
}

impl Server {
    fn client(&self, auth: Auth, username: &str, password: &str) -> Client {
        let settings = EndpointSettings {
            name: EndpointName::new("hv").unwrap(),
            hypervisor: HypervisorType::Hyperv,
            urls: vec![self.url.clone()],
            auth,
            username: username.to_owned(),
            password: PasswordFrom::Given(Secret::new(password.to_owned())),
            trust: Trust::Pins(vec![self.pin]),
            manage: Manage::Enforce,
            state: EndpointState::Active,
            parallel: 4,
        };
        Client::new(&self.url, &settings).unwrap()
    }
}

fn shell(id: Option<&str>) -> Reference {
    let selectors = id.map(|id| ("ShellId".to_owned(), id.to_owned())).into_iter().collect();
    Reference { uri: format!("{SHELL}/cmd"), selectors }
}

/// One command through a WinRS shell: created, run, its output received.
async fn run(client: &Client, command: &str) -> String {
    let with = |body: &str| format!("<r:{body}").replacen(' ', &format!(r#" xmlns:r="{SHELL}" "#), 1);
    let create =
        with("Shell ><r:InputStreams>stdin</r:InputStreams><r:OutputStreams>stdout stderr</r:OutputStreams></r:Shell>");
    let create =
        Message::other("http://schemas.xmlsoap.org/ws/2004/09/transfer/Create".to_owned(), shell(None), create);
    let made = client.send(&create).await.unwrap();
    let id = made.instance(|made| Reference::of(&made.0)).unwrap().unwrap();
    let id = id.key("ShellId").unwrap();
    let mut line = Writer::fragment();
    line.leaf("r:Command", command);
    let line = with(&format!("CommandLine >{}</r:CommandLine>", line.finish().unwrap()));
    let started = client.send(&Message::other(format!("{SHELL}/Command"), shell(Some(id)), line)).await.unwrap();
    let command_id = started.instance(|answer| answer.word("CommandId").to_owned()).unwrap();
    let (mut output, mut done) = (Vec::new(), false);
    while !done {
        let receive = with(&format!(
            r#"Receive ><r:DesiredStream CommandId="{command_id}">stdout stderr</r:DesiredStream></r:Receive>"#
        ));
        let received =
            client.send(&Message::other(format!("{SHELL}/Receive"), shell(Some(id)), receive)).await.unwrap();
        received
            .instance(|answer| {
                answer.list("Stream").for_each(|text| output.extend(BASE64.decode(text).unwrap()));
                let state = answer.object("CommandState").and_then(|state| state.attribute("State"));
                done = state.is_some_and(|state| state.ends_with("/Done"));
            })
            .unwrap();
    }
    String::from_utf8(output).unwrap()
}

#[tokio::test]
async fn over_http_every_message_is_sealed_and_understood() {
    let Some(server) = start(false) else { return };
    let client = server.client(Auth::Ntlm, USER, PASSWORD);
    assert!(client.identify().await.unwrap().starts_with("Microsoft Corporation OS: 10.0.20348"));
    let said = run(&client, "hostname & \"ü\"").await;
    assert!(said.contains("hostname &"), "{said}");
    // Long enough for several envelopes, each sealed with the stream cipher gone on.
    assert_eq!(run(&client, "BIG400000").await.len(), 400_000);
}

#[tokio::test]
async fn over_https_the_login_is_bound_to_the_certificate() {
    let Some(server) = start(true) else { return };
    let client = server.client(Auth::Ntlm, USER, PASSWORD);
    assert!(client.identify().await.unwrap().starts_with("Microsoft Corporation"));
    assert!(run(&client, "hostname").await.contains("hostname"));
}

#[tokio::test]
async fn basic_goes_over_https_and_never_over_http() {
    let Some(server) = start(true) else { return };
    server.client(Auth::Basic, "svc", PASSWORD).identify().await.unwrap();
    let Some(open) = start(false) else { return };
    let failure = open.client(Auth::Basic, "svc", PASSWORD).identify().await.unwrap_err();
    assert!(failure.to_string().contains("in the open"), "{failure}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_once_and_not_tried_again() {
    let Some(server) = start(false) else { return };
    let client = server.client(Auth::Ntlm, USER, "wrong");
    assert!(matches!(client.identify().await, Err(Failure::Refused(_))));
    let again = client.identify().await.unwrap_err();
    assert!(again.to_string().contains("not tried again"), "{again}");
}

#[tokio::test]
async fn another_certificate_is_told_with_its_fingerprint() {
    let Some(mut server) = start(true) else { return };
    server.pin[0] ^= 1;
    let failure = server.client(Auth::Ntlm, USER, PASSWORD).identify().await.unwrap_err();
    assert!(matches!(failure, Failure::Certificate(_)), "{failure}");
}
