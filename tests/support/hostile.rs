//! Texts that mean harm, by seed: mutations of good ones, and ones put together from what means something to a reader; and
//! shapes, one piece over and over, that find what costs a square.
//!
//! One seed is one text, whoever asks: a test takes a few thousand, `cargo bench --bench hostile` a hundred thousand.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Yaml,
    Xml,
}

/// One in so many texts is blown up to a mebibyte.
const LARGE: u64 = 500;

/// How large.
pub const MEBIBYTE: usize = 1 << 20;

/// The text of a seed.
pub fn text(language: Language, seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut text = if seed.is_multiple_of(2) { mutated(language, &mut rng) } else { generated(language, &mut rng) };
    if seed % LARGE == LARGE - 1 || seed.is_multiple_of(LARGE) {
        grow(&mut text, &mut rng);
    }
    text
}

/// Texts of about so many bytes, each with the piece that it repeats and what stands before; none of them is taken.
pub fn shapes(language: Language, bytes: usize) -> Vec<(String, Vec<u8>)> {
    let shapes = match language {
        Language::Yaml => YAML_SHAPES,
        Language::Xml => XML_SHAPES,
    };
    let grown = |(prefix, piece): &(&str, &str)| {
        let times = (bytes - prefix.len()) / piece.len();
        (format!("{prefix}{piece}…"), format!("{prefix}{}", piece.repeat(times)).into_bytes())
    };
    shapes.iter().map(grown).collect()
}

/// Repeats a piece of the text until it has a mebibyte, so that whatever costs a square shows.
fn grow(text: &mut Vec<u8>, rng: &mut StdRng) {
    let piece = slice(text, rng, 200);
    if piece.is_empty() {
        return;
    }
    let at = rng.random_range(0..=text.len());
    let tail = text.split_off(at);
    while text.len() + tail.len() + piece.len() <= MEBIBYTE {
        text.extend_from_slice(&piece);
    }
    text.extend_from_slice(&tail);
}

/// A good text with one to eight things wrong with it.
fn mutated(language: Language, rng: &mut StdRng) -> Vec<u8> {
    let good = match language {
        Language::Yaml => GOOD_YAML,
        Language::Xml => GOOD_XML,
    };
    let mut text = good[rng.random_range(0..good.len())].as_bytes().to_vec();
    for _ in 0..rng.random_range(1..9) {
        mutate(language, &mut text, rng);
    }
    text
}

fn mutate(language: Language, text: &mut Vec<u8>, rng: &mut StdRng) {
    let at = rng.random_range(0..=text.len());
    match rng.random_range(0..7) {
        0 if at < text.len() => text[at] = rng.random(),
        1 => text.truncate(at),
        2 => {
            let piece = slice(text, rng, 80);
            text.splice(at..at, piece);
        }
        3 => {
            let end = (at + rng.random_range(0..40)).min(text.len());
            text.drain(at..end);
        }
        4 => {
            let piece = slice(text, rng, 12);
            let times = rng.random_range(1..200);
            text.splice(at..at, piece.repeat(times));
        }
        5 if at < text.len() => text[at] ^= 1 << rng.random_range(0..8),
        _ => {
            let sign = signs(language)[rng.random_range(0..signs(language).len())];
            text.splice(at..at, sign.bytes());
        }
    }
}

fn slice(text: &[u8], rng: &mut StdRng, most: usize) -> Vec<u8> {
    let from = rng.random_range(0..=text.len());
    let to = (from + rng.random_range(0..=most)).min(text.len());
    text[from..to].to_vec()
}

/// Signs one after the other, some of them many times.
fn generated(language: Language, rng: &mut StdRng) -> Vec<u8> {
    let signs = signs(language);
    let mut text = Vec::new();
    for _ in 0..rng.random_range(0..80) {
        let sign = signs[rng.random_range(0..signs.len())].as_bytes();
        let times = if rng.random_range(0..20) == 0 { rng.random_range(1..300) } else { 1 };
        text.extend(sign.repeat(times));
    }
    text
}

/// What means something to a reader.
pub const fn signs(language: Language) -> &'static [&'static str] {
    match language {
        Language::Yaml => YAML,
        Language::Xml => XML,
    }
}

/// What means something to a YAML scanner or to us.
const YAML: &[&str] = &[
    "\n",
    "\r\n",
    "\r",
    " ",
    "  ",
    "    ",
    "\t",
    "-",
    "- ",
    "--- ",
    "---\n",
    "...\n",
    "? ",
    ": ",
    ":",
    ",",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!str ",
    "!t ",
    "|",
    "|2-\n",
    ">",
    ">+\n",
    "'",
    "\"",
    "\\x41",
    "\\u00",
    "#",
    " # c\n",
    "%YAML 1.2\n",
    "%TAG ! !\n",
    "<<: ",
    "~",
    "null",
    "true",
    "0x1F",
    "1e9",
    "\u{feff}",
    "é",
    "日本",
    "😀",
    "\u{a0}",
    "@",
    "`",
    "\0",
    "\u{7f}",
    "\u{2028}",
    "\u{202e}",
    "a",
    "name",
    "apiVersion: tierwright.dev/v1\n",
    "kind: VirtualMachine\n",
    "kind: Tier\n",
    "kind: InstanceType\n",
    "metadata: {name: a}\n",
    "spec:\n",
    "  tier: t\n",
    "  cpus: 2\n",
    "  memory: 4GiB\n",
    "  disks:\n",
    "    - {name: root, size: 1GiB}\n",
    "  nics: [{name: a, network: b}]\n",
    "  dependsOn: [a, b/c]\n",
    "  cloudInit:\n",
    "    userData: |\n",
    "  networks: {a: {portGroup: b}}\n",
    "  endpoints: [e]\n",
    "  price: {currency: USD}\n",
];

const VM_HEAD: &str = "apiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {name: x}\nspec:\n";
const TIER_HEAD: &str = "apiVersion: tierwright.dev/v1\nkind: Tier\nmetadata: {name: t}\nspec:\n";

/// What stands before, and the piece.
const YAML_SHAPES: &[(&str, &str)] = &[
    ("", "["),
    ("", "{"),
    ("", "- "),
    ("", "? "),
    ("", "a: "),
    ("[", "[],"),
    ("[[[[[[[[", "a,"),
    ("[", "[a]: x,"),
    ("{", "\"k\":1,"),
    ("- &a x\n", "- *a\n"),
    ("", "- &a x\n"),
    ("", "- !!str x\n"),
    ("", "--- a\n"),
    ("", "a: b\n"),
    ("", "\""),
    ("a: |\n", "  a\n"),
    ("a: >\n", " a\n\n"),
    ("", "a"),
    ("\"", "\\x41"),
    (VM_HEAD, "  userData: [\n"),
    (VM_HEAD, "  cpus: 0\n"),
    (TIER_HEAD, "  endpoints: [e]\n"),
];

/// What means something to an XML parser or to a SOAP client.
const XML: &[&str] = &[
    "<",
    ">",
    "/>",
    "</",
    "<a>",
    "</a>",
    "<a/>",
    "<a b=\"c\">",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a [<!ENTITY x \"y\">]>",
    "&lt;",
    "&amp;",
    "&x;",
    "&#x41;",
    "&#0;",
    "&#x10FFFF;",
    "&#xD800;",
    "&",
    ";",
    "\"",
    "'",
    "=",
    " ",
    "\n",
    "\r\n",
    "\t",
    "xmlns=\"urn:vim25\"",
    "xmlns:a=\"b\"",
    "xsi:type=\"a:b\"",
    "xsi:nil=\"true\"",
    "a:",
    "<a:b xmlns:a=\"c\">",
    "</a:b>",
    "<?pi x?>",
    "é",
    "😀",
    "\0",
    "\u{7f}",
    "\u{feff}",
    "text",
    "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\">",
    "<soapenv:Body>",
    "</soapenv:Body>",
    "</soapenv:Envelope>",
    "<returnval>",
    "</returnval>",
    "<val xsi:type=\"ArrayOfVirtualDevice\">",
    "</val>",
];

const XML_SHAPES: &[(&str, &str)] = &[
    ("", "<"),
    ("", "<a>"),
    ("<r>", "<a/>"),
    ("<r>", "&lt;"),
    ("<r>", "<!-- -->"),
    ("<r>", "<![CDATA[x]]>"),
    ("<r ", "a=\"b\" "),
    ("<r>", "<a xmlns:a=\"b\" a:c=\"d\"/>"),
    ("<r>", "text "),
    ("<r a=\"", "&#x41;"),
    ("", "&x;"),
];

const GOOD_YAML: &[&str] = &[
    include_str!("../../examples/tiers/tier-1.yaml"),
    include_str!("../../examples/tiers/tier-2.yaml"),
    include_str!("../../examples/erp/database.yaml"),
    include_str!("../../examples/erp/application.yaml"),
    include_str!("../../examples/web/shop.yaml"),
    include_str!("../../examples/instance-types.yaml"),
];

const GOOD_XML: &[&str] = &[
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
     xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
     xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><RetrievePropertiesExResponse xmlns=\"urn:vim25\">\
     <returnval><token>1</token><objects><obj type=\"VirtualMachine\">vm-42</obj><propSet><name>name</name>\
     <val xsi:type=\"xsd:string\">erp-db-01</val></propSet><propSet><name>config.hardware.device</name>\
     <val xsi:type=\"ArrayOfVirtualDevice\"><VirtualDevice xsi:type=\"VirtualDisk\"><key>2000</key>\
     <backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>[flash] a/a.vmdk</fileName></backing>\
     <controllerKey>1000</controllerKey><unitNumber>0</unitNumber><capacityInKB>16777216</capacityInKB></VirtualDevice>\
     </val></propSet></objects></returnval></RetrievePropertiesExResponse></soapenv:Body></soapenv:Envelope>",
    "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
     xmlns:p=\"http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/Msvm_ComputerSystem\"><s:Header>\
     <a:Action>http://schemas.xmlsoap.org/ws/2004/09/enumeration/PullResponse</a:Action></s:Header><s:Body>\
     <p:Msvm_ComputerSystem><p:Caption>Virtual Machine</p:Caption><p:ElementName>web &amp; co</p:ElementName>\
     <p:EnabledState>2</p:EnabledState><p:InstallDate><![CDATA[2026-11-22]]></p:InstallDate></p:Msvm_ComputerSystem>\
     </s:Body></s:Envelope>",
    "<S:Fault xmlns:S=\"http://schemas.xmlsoap.org/soap/envelope/\"><faultcode>ServerFaultCode</faultcode><faultstring>no\
     </faultstring><detail><InvalidLoginFault xmlns=\"urn:vim25\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
     xsi:type=\"InvalidLogin\"/></detail></S:Fault>",
];
