//! The seed of cloud-init's NoCloud data source: a CD labelled `cidata` with `meta-data`, `user-data` and, where
//! addresses are declared, `network-config` (cloud-init documentation, "NoCloud"). Pure.

use serde_json::{Value, json};

use super::{hostname, iso9660, network};
use crate::mark::Mark;
use crate::model::Secret;
use crate::plan::CreateVm;

/// The label that every version of the data source looks for.
const LABEL: &str = "cidata";

/// The image of the seed, bytes of a CD. The mark tells the MACs. Holds the user data: never to be logged.
pub(in crate::provider) fn seed(order: &CreateVm, mark: &Mark, user_data: Option<&Secret>) -> Vec<u8> {
    let metadata = json!({
        "instance-id": order.identity.to_string(),
        "local-hostname": hostname(order.name.as_str()),
    });
    let metadata = metadata.to_string();
    // The data source is only taken for one when both files are there; an empty one says nothing.
    let user_data = user_data.filter(|_| order.cloud_init).map(Secret::expose).unwrap_or_default();
    let network = network(order, mark).as_ref().map(Value::to_string);
    let mut files = vec![("meta-data", metadata.as_bytes()), ("user-data", user_data.as_bytes())];
    files.extend(network.as_ref().map(|network| ("network-config", network.as_bytes())));
    iso9660::image(LABEL, &files)
}
