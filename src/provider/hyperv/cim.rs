//! CIM over WS-Management: instances read, embedded instances and references written, and paths as text.
//!
//! The DMTF binding (DSP0227, DSP0230) as WinRM speaks it: properties are elements, arrays are repeated elements,
//! `xsi:nil` is null, dates stand in an element of their own. An embedded instance is CIM-XML text (DSP0201), which
//! WinRM takes and gives as a string. Pure.

use std::fmt::Write as _;

use super::fault::Failure;
use crate::xml::{Element, Limits, Writer, XSI};

/// A WMI namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespace {
    /// Hyper-V.
    Virtualization,
    /// The operating system: volumes, files.
    Cimv2,
    /// Failover clustering.
    Cluster,
}

impl Namespace {
    const fn path(self) -> &'static str {
        match self {
            Self::Virtualization => "root/virtualization/v2",
            Self::Cimv2 => "root/cimv2",
            Self::Cluster => "root/MSCluster",
        }
    }

    /// Resource URI of a class in it ([MS-WSMV] 2.2.4.30).
    pub(super) fn uri(self, class: &str) -> String {
        format!("http://schemas.microsoft.com/wbem/wsman/1/wmi/{}/{class}", self.path())
    }
}

/// One instance, as an answer holds it.
#[derive(Debug)]
pub(super) struct Instance<'a>(pub Element<'a>);

impl Instance<'_> {
    /// A property's text; `None` when it is null or not told.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let element = self.0.child(name)?;
        if element.head.attribute_in(XSI, "nil") == Some("true") {
            return None;
        }
        // Dates stand in `<cim:Datetime>` or `<cim:Interval>` (DSP0230, 7.2).
        let inner = element.child("Datetime").or_else(|| element.child("Interval")).unwrap_or(element);
        Some(inner.text.as_ref())
    }

    /// A property's text, empty when there is none.
    pub(super) fn word(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// A flag; not told counts as false.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }

    /// The values of an array.
    pub(super) fn list<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        let told = |element: &&Element<'_>| element.head.attribute_in(XSI, "nil") != Some("true");
        self.0.children(name).filter(told).map(|element| element.text.as_ref())
    }

    /// A property that holds an embedded object, however it is written.
    pub(super) fn object(&self, name: &str) -> Option<&Element<'_>> {
        self.0.child(name)
    }
}

/// Names an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub uri: String,
    pub selectors: Vec<(String, String)>,
}

impl Reference {
    /// An instance whose one key is its InstanceID, which most settings have.
    pub(super) fn setting(class: &str, instance_id: &str) -> Self {
        let selectors = vec![("InstanceID".to_owned(), instance_id.to_owned())];
        Self { uri: Namespace::Virtualization.uri(class), selectors }
    }

    /// A VM.
    pub(super) fn system(guid: &str) -> Self {
        let selectors = vec![
            ("CreationClassName".to_owned(), "Msvm_ComputerSystem".to_owned()),
            ("Name".to_owned(), guid.to_ascii_uppercase()),
        ];
        Self { uri: Namespace::Virtualization.uri("Msvm_ComputerSystem"), selectors }
    }

    /// From an endpoint reference (WS-Addressing) in an answer.
    pub(super) fn of(element: &Element<'_>) -> Option<Self> {
        let parameters = element.child("ReferenceParameters")?;
        let uri = parameters.child("ResourceURI")?.trimmed().to_owned();
        let selectors = parameters.child("SelectorSet")?.children("Selector");
        let selector =
            |selector: &Element<'_>| Some((selector.attribute("Name")?.to_owned(), selector.text.to_string()));
        Some(Self { uri, selectors: selectors.filter_map(selector).collect() })
    }

    /// One key.
    #[cfg(test)]
    pub(super) fn key(&self, name: &str) -> Option<&str> {
        let found = self.selectors.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Writes it as an endpoint reference into the element that is open.
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.leaf("a:Address", super::wsman::ANONYMOUS);
        writer.open("a:ReferenceParameters").leaf("w:ResourceURI", &self.uri);
        write_selectors(writer, &self.selectors);
        writer.close();
    }
}

/// `<w:SelectorSet>`.
pub(super) fn write_selectors(writer: &mut Writer, selectors: &[(String, String)]) {
    writer.open("w:SelectorSet");
    for (name, value) in selectors {
        writer.open("w:Selector").attribute("Name", name).text(value).close();
    }
    writer.close();
}

/// An instance to be sent, of which only what is to be set is written.
#[derive(Debug, Clone)]
pub(super) struct Embedded {
    writer_class: &'static str,
    properties: Vec<(&'static str, &'static str, Values)>,
}

#[derive(Debug, Clone)]
enum Values {
    One(String),
    Many(Vec<String>),
}

impl Embedded {
    pub(super) const fn new(class: &'static str) -> Self {
        Self { writer_class: class, properties: Vec::new() }
    }

    /// What it is an instance of.
    pub(super) const fn class(&self) -> &'static str {
        self.writer_class
    }

    fn with(mut self, name: &'static str, kind: &'static str, values: Values) -> Self {
        self.properties.push((name, kind, values));
        self
    }

    pub(super) fn string(self, name: &'static str, value: &str) -> Self {
        self.with(name, "string", Values::One(value.to_owned()))
    }

    pub(super) fn strings(self, name: &'static str, values: &[&str]) -> Self {
        self.with(name, "string", Values::Many(values.iter().map(|value| (*value).to_owned()).collect()))
    }

    pub(super) fn number(self, name: &'static str, kind: &'static str, value: u64) -> Self {
        self.with(name, kind, Values::One(value.to_string()))
    }

    /// "true" and "false" in lower case, as libvirt sends them.
    pub(super) fn flag(self, name: &'static str, value: bool) -> Self {
        self.with(name, "boolean", Values::One(value.to_string()))
    }

    /// As CIM-XML (DSP0201, INSTANCE).
    pub(super) fn text(&self) -> Result<String, Failure> {
        let mut writer = Writer::fragment();
        writer.open("INSTANCE").attribute("CLASSNAME", self.writer_class);
        for (name, kind, values) in &self.properties {
            match values {
                Values::One(value) => {
                    writer.open("PROPERTY").attribute("NAME", name).attribute("TYPE", kind);
                    writer.leaf("VALUE", value).close();
                }
                Values::Many(values) => {
                    writer.open("PROPERTY.ARRAY").attribute("NAME", name).attribute("TYPE", kind).open("VALUE.ARRAY");
                    for value in values {
                        writer.leaf("VALUE", value);
                    }
                    writer.close().close();
                }
            }
        }
        Ok(writer.finish()?)
    }
}

/// A parameter of a method.
#[derive(Debug, Clone)]
pub(super) enum Parameter {
    /// A plain value.
    Plain(String),
    /// An embedded instance.
    Embedded(Embedded),
    /// A reference.
    Reference(Reference),
}

impl Parameter {
    /// Writes it as an element of that name.
    pub(super) fn write(&self, writer: &mut Writer, name: &str) -> Result<(), Failure> {
        writer.open(name);
        match self {
            Self::Plain(text) => drop(writer.text(text)),
            // As a CDATA section, which libvirt has proven with real hosts; `]]>` would end it.
            Self::Embedded(instance) => {
                let text = instance.text()?.replace("]]>", "]]]]><![CDATA[>");
                writer.raw("<![CDATA[").raw(&text).raw("]]>");
            }
            Self::Reference(reference) => reference.write(writer),
        }
        writer.close();
        Ok(())
    }
}

/// The properties of an embedded instance in an answer: CIM-XML text.
pub(super) fn embedded(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let root = Element::parse(text.trim().as_bytes(), Limits::ANSWER)?;
    let instance = find_instance(&root).ok_or_else(|| Failure::senseless("an embedded instance that is none"))?;
    let property = |property: &Element<'_>| {
        let value = property.child("VALUE")?;
        Some((property.attribute("NAME")?.to_owned(), value.text.to_string()))
    };
    Ok(instance.children("PROPERTY").filter_map(property).collect())
}

/// The instance may stand in `<CIM><DECLARATION>…`.
fn find_instance<'e, 'a>(element: &'e Element<'a>) -> Option<&'e Element<'a>> {
    if element.name() == "INSTANCE" {
        return Some(element);
    }
    element.children.iter().find_map(find_instance)
}

/// An object's path as text, as `Parent` and `HostResource` hold it (`SEQUENCES.md`, "Path text").
pub(super) fn path(host: &str, class: &str, keys: &[(&str, &str)]) -> String {
    let mut path = format!(r"\\{host}\Root\Virtualization\V2:{class}");
    for (at, (name, value)) in keys.iter().enumerate() {
        let separator = if at == 0 { '.' } else { ',' };
        let value = value.replace('\\', r"\\").replace('"', "\\\"");
        let _ = write!(path, "{separator}{name}=\"{value}\"");
    }
    path
}

/// A key out of such a path.
pub(super) fn key_of_path(path: &str, key: &str) -> Option<String> {
    let lower = path.to_ascii_lowercase();
    let key = key.to_ascii_lowercase();
    // After `.` or `,`: `Name` must not be found in `CreationClassName`.
    let at = ['.', ','].iter().find_map(|before| {
        let found = format!("{before}{key}=\"");
        lower.find(&found).map(|at| at + found.len())
    })?;
    let mut value = String::new();
    let mut characters = path.get(at..)?.chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

/// A text within quotes of a WQL condition: `\` and `'` are escaped by `\` (WQL, "String Literals").
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gives_back_the_keys_it_was_made_of() {
        let id = r"Microsoft:4764334D-E001-4176-82EE-5594EC9B530E\83F8638B-8DCA-4152-9EDA-2CA8B33039B4\0\0\L";
        let path = path("HV01", "Msvm_ResourceAllocationSettingData", &[("InstanceID", id)]);
        assert!(path.starts_with(r"\\HV01\Root\Virtualization\V2:Msvm_ResourceAllocationSettingData.InstanceID="));
        assert!(path.contains(r"\\83F8638B"));
        assert_eq!(key_of_path(&path, "instanceid").as_deref(), Some(id));
        assert_eq!(key_of_path(&path, "Name"), None);
        let switch = super::path("HV01", "Msvm_VirtualEthernetSwitch", &[("CreationClassName", "X"), ("Name", "GUID")]);
        assert_eq!(key_of_path(&switch, "Name").as_deref(), Some("GUID"));
        assert_eq!(key_of_path("x.InstanceID=\"cut", "InstanceID"), None);
    }

    #[test]
    fn an_embedded_instance_comes_back_as_it_was_written() {
        let notes = "a <b> & \"c\" ]]> ü\nsecond line";
        let written = Embedded::new("Msvm_VirtualSystemSettingData").string("ElementName", notes).flag("IsSaved", true);
        let read = embedded(&written.text().unwrap()).unwrap();
        assert_eq!(read, [("ElementName".to_owned(), notes.to_owned()), ("IsSaved".to_owned(), "true".to_owned())]);
        let mut writer = Writer::fragment();
        writer.open("p");
        Parameter::Embedded(written.clone()).write(&mut writer, "SystemSettings").unwrap();
        let sent = writer.finish().unwrap();
        let element = Element::parse(sent.as_bytes(), Limits::ANSWER).unwrap();
        assert_eq!(element.text_of("SystemSettings"), Some(written.text().unwrap().as_str()));
    }

    #[test]
    fn null_and_dates_and_arrays_are_read() {
        let xml = r#"<p:X xmlns:p="u" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:c="d">
            <p:A xsi:nil="true"/><p:B></p:B><p:T><c:Datetime>2026-01-02T03:04:05Z</c:Datetime></p:T>
            <p:L>1</p:L><p:L>2</p:L><p:F>TRUE</p:F></p:X>"#;
        let instance = Instance(Element::parse(xml.as_bytes(), Limits::ANSWER).unwrap());
        assert_eq!((instance.text("A"), instance.text("B")), (None, Some("")));
        assert_eq!(instance.text("T"), Some("2026-01-02T03:04:05Z"));
        assert_eq!(instance.list("L").collect::<Vec<_>>(), ["1", "2"]);
        assert!(instance.flag("F") && !instance.flag("A"));
    }
}
