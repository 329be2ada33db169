//! Every class, property, method and parameter on the wire, sent or answered, is in the class data of the reference.
//!
//! The front refuses what is not in its `schema.txt`, and that is made from the class data; here both are checked, and
//! then a VM's whole life with all lists, message by message.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tierwright::xml::{Element, Limits};

use super::life;
use super::wsman::{V2, Wsman, instance, lab, options, uri};
use crate::support::{python, reference};

const SCHEMA: &str = include_str!("../../../src/lab/hyperv/schema.txt");

/// Class data: properties by class, and parameters by class and method, in lower case where case does not count.
#[derive(Default)]
struct Known {
    properties: BTreeMap<String, BTreeSet<String>>,
    parameters: BTreeMap<String, BTreeMap<String, String>>,
    bases: BTreeMap<String, String>,
}

impl Known {
    fn read(reference: &Path) -> Self {
        let mut known = Self::default();
        for file in ["virtualization-v2-classes", "virtualization-v2-supplement", "cimv2-classes", "mscluster-classes"]
        {
            let path = reference.join("hyperv").join(format!("{file}.json"));
            let text = std::fs::read_to_string(path).expect("class data");
            let data: Value = serde_json::from_str(&text).expect("JSON");
            for (class, found) in data["classes"].as_object().expect("classes") {
                let properties = known.properties.entry(class.clone()).or_default();
                for list in ["props", "server2019_only"] {
                    let texts = found[list].as_array().into_iter().flatten().filter_map(Value::as_str);
                    properties.extend(texts.map(name));
                }
                if let Some(base) = found["super"].as_str() {
                    known.bases.insert(class.clone(), base.to_owned());
                }
            }
            for (class, methods) in data["methods"].as_object().expect("methods") {
                let all = known.parameters.entry(class.clone()).or_default();
                for (method, found) in methods.as_object().expect("methods") {
                    all.entry(method.clone()).or_insert_with(|| found["sig"].as_str().unwrap_or_default().to_owned());
                }
            }
        }
        known
    }

    fn has_class(&self, class: &str) -> bool {
        self.properties.contains_key(class) || self.bases.values().any(|base| base == class)
    }

    fn has_property(&self, class: &str, property: &str) -> bool {
        self.properties.get(class).is_some_and(|all| all.contains(property))
    }

    fn signature(&self, class: &str, method: &str) -> Option<&str> {
        self.parameters.get(class)?.get(method).map(String::as_str)
    }

    /// What of a message is not in the class data.
    fn strangers(&self, message: &str) -> Vec<String> {
        let envelope = Element::parse(message.as_bytes(), Limits::ANSWER).expect("XML");
        let mut found = Vec::new();
        self.walk(&envelope, &mut found);
        found
    }

    fn walk(&self, element: &Element<'_>, found: &mut Vec<String>) {
        if element.name() == "ReferenceParameters" || element.name() == "Header" {
            self.selectors(element, found);
        }
        if let Some(call) = element.name().strip_suffix("_INPUT").or_else(|| element.name().strip_suffix("_OUTPUT")) {
            self.parameters(element, call, found);
        } else if let Some((_, class)) = wmi(element.head.namespace)
            && element.name() == class
        {
            if !self.has_class(class) {
                found.push(class.to_owned());
            }
            let strange = element.children.iter().filter(|child| !self.has_property(class, child.name()));
            found.extend(strange.map(|child| format!("{class}.{}", child.name())));
        }
        self.embedded(&element.text, found);
        for child in &element.children {
            self.walk(child, found);
        }
    }

    fn selectors(&self, element: &Element<'_>, found: &mut Vec<String>) {
        let Some((_, class)) = element.text_of("ResourceURI").and_then(wmi) else { return };
        if class != "*" && !self.has_class(class) {
            found.push(class.to_owned());
        }
        for selector in element.child("SelectorSet").into_iter().flat_map(|set| &set.children) {
            let key = selector.attribute("Name").unwrap_or_default();
            if !self.has_property(class, key) {
                found.push(format!("{class}[{key}]"));
            }
        }
    }

    fn parameters(&self, element: &Element<'_>, method: &str, found: &mut Vec<String>) {
        let class = wmi(element.head.namespace).map_or("", |(_, class)| class);
        let Some(signature) = self.signature(class, method) else {
            found.push(format!("{class}.{method}"));
            return;
        };
        for child in element.children.iter().filter(|child| child.name() != "ReturnValue") {
            let way = if element.name().ends_with("_INPUT") { "[in" } else { "out]" };
            let listed = signature.split(['(', ',', ')']).map(str::trim);
            let known = listed.filter(|part| part.contains(way)).any(|part| name(part) == child.name());
            if !known {
                found.push(format!("{class}.{method}({})", child.name()));
            }
        }
    }

    fn embedded(&self, text: &str, found: &mut Vec<String>) {
        let text = text.trim();
        if !text.starts_with("<INSTANCE") {
            return;
        }
        let instance = Element::parse(text.as_bytes(), Limits::ANSWER).expect("an embedded instance");
        let class = instance.attribute("CLASSNAME").unwrap_or_default();
        for property in &instance.children {
            let name = property.attribute("NAME").unwrap_or_default();
            if !self.has_property(class, name) {
                found.push(format!("{class}.{name}"));
            }
        }
    }
}

/// `uint16 Roles[] = {2}` -> `Roles`.
fn name(declared: &str) -> String {
    let front = declared.split('=').next().unwrap_or_default().trim();
    front.split_whitespace().last().unwrap_or_default().trim_end_matches("[]").to_owned()
}

fn wmi(uri: &str) -> Option<(&str, &str)> {
    uri.trim().strip_prefix("http://schemas.microsoft.com/wbem/wsman/1/wmi/")?.rsplit_once('/')
}

/// Namespace and name of the classes the front has.
fn classes() -> Vec<(&'static str, &'static str)> {
    let lines = SCHEMA.lines().filter_map(|line| line.strip_prefix("C "));
    lines.filter_map(|line| line.split(" : ").next()?.split_once(' ')).collect()
}

#[test]
fn the_fronts_schema_is_made_from_the_class_data() {
    let (Some(reference), Some(python)) = (reference(), python("json")) else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/wmi_schema.py");
    let output = Command::new(python).arg(script).arg(reference.join("hyperv")).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout) == SCHEMA, "src/lab/hyperv/schema.txt is stale: run {script}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_on_the_wire_is_unknown_to_the_class_data() {
    let Some(reference) = reference() else { return };
    let known = Known::read(&reference);
    let (lab, client) = lab(options()).await;
    let made = life::define(&client, "seen-1", 2).await;
    let file = r"D:\Hyper-V\seen-1\root.vhdx";
    made.disk(&client, file).await;
    made.nic(&client).await;
    made.state(&client, 2).await.expect("on");
    looks(&client, file).await;
    for (namespace, class) in classes() {
        client.list(namespace, class).await.unwrap_or_else(|reply| panic!("{class}: {}", reply.text));
    }
    let seen = client.seen.lock().expect("seen").clone();
    assert!(seen.len() > 120, "{}", seen.len());
    let strangers: BTreeSet<String> = seen.iter().flat_map(|message| known.strangers(message)).collect();
    // Windows declares no property of `MSCluster_Property`; this one is what it is there for (reference, README).
    assert!(strangers.iter().all(|stranger| stranger == "MSCluster_Property.VmID"), "{strangers:?}");
    lab.stop().await;
}

/// Methods that only look.
async fn looks(client: &Wsman, file: &str) {
    let path = format!("<p:Path>{file}</p:Path>");
    for method in ["GetVirtualHardDiskSettingData", "GetVirtualHardDiskState", "ValidateVirtualHardDisk"] {
        client.ims(method, &path).await.expect("an answer");
    }
    client
        .vsms("GetSummaryInformation", "<p:RequestedInformation>4</p:RequestedInformation>")
        .await
        .expect("summaries");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_windows_does_not_have_is_refused() {
    let (lab, client) = lab(options()).await;
    let code = |number: u32| format!("Code=\"{number}\"");
    let class = client.get(V2, "Msvm_Nothing", &[("Name", "x")]).await;
    assert!(class.text.contains(&code(0x8033_8000)) && class.text.contains("does not exist"), "{}", class.text);
    let key = client.get(V2, "Msvm_ComputerSystem", &[("Nome", "x")]).await;
    assert!(key.text.contains("w:InvalidSelectors"), "{}", key.text);
    let service = "Msvm_VirtualSystemManagementService";
    let method = client.invoke(service, &[], "DefineEverything", "").await;
    assert!(method.text.contains("a:ActionNotSupported"), "{}", method.text);
    let parameter = client.invoke(service, &[], "DefineSystem", "<p:Systems>x</p:Systems>").await;
    assert!(parameter.text.contains("w:InvalidParameter") && parameter.text.contains("Systems"), "{}", parameter.text);
    let wrong = instance("Msvm_VirtualSystemSettingData", &[("ElementNome", "x")]);
    let parameters = format!("<p:SystemSettings>{wrong}</p:SystemSettings>");
    let property = client.invoke(service, &[], "DefineSystem", &parameters).await;
    assert!(property.text.contains("has no property ElementNome"), "{}", property.text);
    for query in
        ["SELECT * FROM Msvm_ComputerSystem WHERE Nome = 'x'", "SELECT Nome FROM Msvm_ComputerSystem", "SELEC * FROM x"]
    {
        let reply = client.list(V2, query).await.expect_err(query);
        assert!(reply.text.contains("n:CannotProcessFilter"), "{query}: {}", reply.text);
    }
    let shell = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd";
    let reply =
        client.ask("http://schemas.xmlsoap.org/ws/2004/09/transfer/Create", shell, "", "").await.expect("an answer");
    assert!(reply.status == 500 && reply.text.contains("s:Fault"), "{}", reply.text);
    assert_eq!(lab.record().mutating_counts(), BTreeMap::new());
    let computer = uri("root/cimv2", "Win32_ComputerSystem");
    let put = client.ask("http://schemas.xmlsoap.org/ws/2004/09/transfer/Put", &computer, "", "").await;
    assert!(put.expect("an answer").text.contains("not capable"), "Put");
    lab.stop().await;
}
