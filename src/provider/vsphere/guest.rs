//! What cloud-init finds in `guestinfo`: user data, and metadata with the network configuration. Pure.
//!
//! Keys and encodings are those of cloud-init's DataSourceVMware (cloud-init documentation, "VMware").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::mark::Mark;
use crate::model::Secret;
use crate::plan::CreateVm;
use crate::provider::cloud_init;

/// The entries of the extra configuration. The mark tells the MACs.
pub(super) fn entries(order: &CreateVm, mark: &Mark, user_data: Option<&Secret>) -> Vec<(&'static str, Secret)> {
    let base64 = || Secret::new("base64".to_owned());
    let mut entries = vec![
        ("guestinfo.metadata", Secret::new(STANDARD.encode(metadata(order, mark).to_string()))),
        ("guestinfo.metadata.encoding", base64()),
    ];
    if let Some(user_data) = user_data.filter(|_| order.cloud_init) {
        entries.push(("guestinfo.userdata", Secret::new(STANDARD.encode(user_data.expose()))));
        entries.push(("guestinfo.userdata.encoding", base64()));
    }
    entries
}

fn metadata(order: &CreateVm, mark: &Mark) -> Value {
    let mut metadata = Map::new();
    metadata.insert("instance-id".to_owned(), json!(order.identity.to_string()));
    metadata.insert("local-hostname".to_owned(), json!(cloud_init::hostname(order.name.as_str())));
    if let Some(network) = cloud_init::network(order, mark) {
        metadata.insert("network".to_owned(), network);
    }
    Value::Object(metadata)
}
