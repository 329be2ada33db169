//! What the texts of a manifest look like, as JSON Schemas: one type per form, with its pattern.
//!
//! These types hold nothing; they stand in `#[schemars(with = …)]`. The readers in `read/` judge the same forms with
//! better words; a test runs an independent validator over good and bad manifests to keep the two together.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A form of text, for people.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// By which a schema tells it.
    pub pattern: &'static str,
    /// In a word or two.
    pub short: &'static str,
}

macro_rules! forms {
    ($($name:ident $pattern:literal $max:literal $short:literal $doc:literal)*) => {
        /// All forms; where two have one pattern, the first stands for both.
        pub const FORMS: &[Form] = &[$(Form { pattern: $pattern, short: $short }),*];
        $(
        #[doc = $doc]
        #[derive(Debug)]
        pub struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "maxLength": $max})
            }
        }
    )*};
}

forms! {
    TierText "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" 63 "name" "The name of a tier."
    EndpointText "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" 63 "name" "The name of an endpoint."
    ProjectText "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" 63 "name" "A project."
    VmNameText "^[A-Za-z0-9._-]([A-Za-z0-9._ -]{0,78}[A-Za-z0-9._-])?$" 80 "VM name" "A VM's name on its hypervisor."
    KeyText "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?[A-Za-z0-9._-]([A-Za-z0-9._ -]{0,78}[A-Za-z0-9._-])?$" 144 "project/name" "`project/name`."
    WordText "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$" 63 "name" "The name of an image, network, storage, disk, NIC or instance type."
    SizeText "^[1-9][0-9]*(MiB|GiB|TiB)$" 16 "size" "A size such as 32GiB."
    MoneyText "^(0|[1-9][0-9]{0,8})(\\.[0-9]{1,9})?$" 19 "amount" "A decimal amount such as \"0.025\"."
    CurrencyText "^[A-Z]{3}$" 3 "currency" "An ISO 4217 code such as USD."
    MacText "^[0-9A-Fa-f][02468ACEace]([:-][0-9A-Fa-f]{2}){5}$" 17 "MAC" "A unicast MAC address."
    AddressText "^[0-9A-Fa-f.:]+/[0-9]{1,3}$" 43 "address/prefix" "An address with its prefix length, such as 10.1.2.3/24."
    IpText "^[0-9A-Fa-f.:]+$" 39 "address" "An IP address."
    DurationText "^[1-9][0-9]{0,5}[smh]$" 7 "duration" "A duration such as 30s, 5m or 1h."
    FileNameText "^[A-Za-z0-9_-][A-Za-z0-9._-]*$" 128 "file name" "A plain file name."
    IgnoreDriftText "^(name|cpus|memory|power|image|firmware|cloudInit|disks/[A-Za-z0-9._-]+(/size)?|nics/[A-Za-z0-9._-]+(/(network|mac|connected))?)$" 80 "path" "Something whose drift can be ignored."
    LabelKey "^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$" 63 "label" "A label's name."
    LabelValue "^[^\\u0000-\\u001F]*$" 255 "text" "A label's value."
    PlainText "^[^\\u0000-\\u001F]*[^\\u0000-\\u001F ][^\\u0000-\\u001F]*$" 1024 "text" "One line of text."
}

/// A map with checked names.
pub(super) fn named<K: JsonSchema, T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut names = K::json_schema(generator);
    names.remove("type");
    json_schema!({
        "type": "object",
        "propertyNames": names,
        "additionalProperties": T::json_schema(generator),
    })
}

macro_rules! named {
    ($($name:ident $key:ident $entry:ty;)*) => {$(
        /// Entries by name.
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                named::<$key, $entry>(generator)
            }
        }
    )*};
}

named! {
    Labels LabelKey LabelValue;
    Images WordText super::ImageEntry;
    Networks WordText super::NetworkEntry;
    Stores WordText super::StorageEntry;
}
