//! What the tests of the XenServer front share: a bare JSON-RPC client that knows nothing of types.

use serde_json::{Value, json};
use tierwright::lab::{Lab, LabEndpoint, LabOptions};
use tierwright::model::HypervisorType;

use crate::support::pinned;

/// A client of one member of a pool.
pub struct Xapi {
    client: reqwest::Client,
    pub url: String,
    pub session: String,
}

/// An answer: the result, or code and parameters of a refusal.
pub type Answer = Result<Value, (String, Vec<String>)>;

/// Options of a lab with nothing but the pool.
pub fn options() -> LabOptions {
    LabOptions { only: vec![HypervisorType::Xenserver], ..LabOptions::default() }
}

pub async fn pool() -> (Lab, LabEndpoint) {
    crate::support::lab(options()).await
}

/// A lab, and a client that is logged in to the master.
pub async fn ready(options: LabOptions) -> (Lab, Xapi) {
    let (lab, endpoint) = crate::support::lab(options).await;
    let xapi = Xapi::logged_in(&endpoint, 0).await;
    (lab, xapi)
}

impl Xapi {
    pub fn new(endpoint: &LabEndpoint, member: usize) -> Self {
        let client = pinned(&endpoint.pins[member]);
        Self { client, url: endpoint.urls[member].clone(), session: String::new() }
    }

    pub async fn logged_in(endpoint: &LabEndpoint, member: usize) -> Self {
        let mut xapi = Self::new(endpoint, member);
        xapi.login(&endpoint.username, &endpoint.password).await.expect("the account is let in");
        xapi
    }

    pub async fn login(&mut self, user: &str, password: &str) -> Answer {
        let session = self.raw("session.login_with_password", json!([user, password, "2.3", "test"])).await?;
        session.as_str().expect("a session").clone_into(&mut self.session);
        Ok(session)
    }

    /// A call with everything in its parameters.
    pub async fn raw(&self, method: &str, parameters: Value) -> Answer {
        self.try_raw(method, parameters).await.expect("an answer")
    }

    /// A call that may get no answer.
    pub async fn try_raw(&self, method: &str, parameters: Value) -> reqwest::Result<Answer> {
        let body = json!({"jsonrpc": "2.0", "method": method, "params": parameters, "id": 7}).to_string();
        let reply: Value = serde_json::from_str(&self.send(body).await?).expect("JSON");
        assert_eq!(reply["id"], 7);
        Ok(match reply.get("error") {
            None => Ok(reply["result"].clone()),
            Some(error) => Err((text(&error["message"]), texts(&error["data"]))),
        })
    }

    /// Any bytes.
    pub async fn send(&self, body: String) -> reqwest::Result<String> {
        let request = self.client.post(format!("{}/jsonrpc", self.url)).header("content-type", "application/json");
        request.body(body).send().await?.text().await
    }

    /// A call of a session.
    pub async fn call(&self, method: &str, parameters: Value) -> Answer {
        self.try_call(method, parameters).await.expect("an answer")
    }

    pub async fn try_call(&self, method: &str, parameters: Value) -> reqwest::Result<Answer> {
        let mut all = vec![json!(self.session)];
        all.extend(parameters.as_array().expect("a list").iter().cloned());
        self.try_raw(method, Value::Array(all)).await
    }

    /// A call that must be answered.
    pub async fn ok(&self, method: &str, parameters: Value) -> Value {
        self.call(method, parameters).await.unwrap_or_else(|refusal| panic!("{method}: {refusal:?}"))
    }

    /// A call that must be refused: its code and parameters.
    pub async fn refused(&self, method: &str, parameters: Value) -> (String, Vec<String>) {
        self.call(method, parameters).await.expect_err(method)
    }

    /// The reference of the first VM of a name.
    pub async fn vm(&self, name: &str) -> String {
        text(&self.ok("VM.get_by_name_label", json!([name])).await[0])
    }

    pub async fn get(&self, field: &str, reference: &str) -> Value {
        let (class, field) = field.split_once('.').expect("CLASS.field");
        self.ok(&format!("{class}.get_{field}"), json!([reference])).await
    }

    /// `event.from`.
    pub async fn events(&self, classes: &[&str], token: &str, timeout: f64) -> Value {
        self.ok("event.from", json!([classes, token, timeout])).await
    }

    /// Waits for an asynchronous call by events and takes its task away: the task's last record.
    pub async fn awaited(&self, method: &str, parameters: Value) -> Value {
        let task = text(&self.ok(&format!("Async.{method}"), parameters).await);
        let mut token = String::new();
        loop {
            let batch = self.events(&[&format!("task/{task}")], &token, 30.0).await;
            token = text(&batch["token"]);
            for event in batch["events"].as_array().expect("events") {
                if event["snapshot"]["status"] != "pending" {
                    self.ok("task.destroy", json!([task])).await;
                    return event["snapshot"].clone();
                }
            }
        }
    }

    /// A clone of the golden image, provisioned and started.
    pub async fn started(&self, name: &str) -> String {
        let template = self.vm("tmpl-debian-12").await;
        let vm = text(&self.ok("VM.clone", json!([template, name])).await);
        self.ok("VM.provision", json!([vm])).await;
        self.ok("VM.start", json!([vm, false, false])).await;
        vm
    }

    /// `PUT /import_raw_vdi`: status and text.
    pub async fn import(&self, vdi: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let url = format!("{}/import_raw_vdi?session_id={}&vdi={vdi}&format=raw", self.url, self.session);
        let reply = self.client.put(url).body(body).send().await.expect("an answer");
        (reply.status().as_u16(), reply.text().await.expect("a text"))
    }
}

/// The text of a value.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The texts of a list.
pub fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}")).iter().map(text).collect()
}

/// A disk's record for `VDI.create`.
pub fn disk(sr: &Value, name: &str, gib: u64) -> Value {
    json!([{"SR": sr, "name_label": name, "name_description": "", "virtual_size": (gib << 30).to_string(),
        "type": "user", "sharable": false, "read_only": false, "other_config": {}, "sm_config": {},
        "xenstore_data": {}, "tags": []}])
}

/// A slot's record for `VBD.create`.
pub fn slot(vm: &str, vdi: &str, userdevice: &str) -> Value {
    json!([{"VM": vm, "VDI": vdi, "userdevice": userdevice, "bootable": false, "mode": "RW", "type": "Disk",
        "unpluggable": true, "empty": false, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}])
}

/// A card's record for `VIF.create`.
pub fn card(vm: &str, network: &Value, device: &str, mac: &str) -> Value {
    json!([{"VM": vm, "network": network, "device": device, "MAC": mac, "MTU": 1500, "other_config": {},
        "qos_algorithm_type": "", "qos_algorithm_params": {}}])
}
