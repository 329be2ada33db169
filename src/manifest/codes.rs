//! Every code a manifest problem can have: stable, with a title and a paragraph for `explain`.
//!
//! `TW00nn` a file, `TW01nn` a document, `TW02nn` a value, `TW03nn` the whole set, `TW04nn` the source folder,
//! `TW05nn` the settings. A code is
//! never given another meaning; one that is no longer used is not used again. A test checks that each is used.

/// A kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `TW` and four digits.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// What it means, why it is refused and what to do.
    pub text: &'static str,
}

macro_rules! codes {
    ($($name:ident $id:literal $title:literal $text:literal)*) => {
        $(
            #[doc = $title]
            pub const $name: &Code = &Code { id: $id, title: $title, text: $text };
        )*

        /// All of them, in order.
        pub const ALL: &[&Code] = &[$($name),*];
    };
}

/// The code of that id, such as `TW0301`; lower case is taken too.
pub fn find(id: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.id.eq_ignore_ascii_case(id))
}

codes! {
    NOT_UTF8 "TW0001" "the file is not UTF-8"
        "Manifests are UTF-8 text, with or without a byte order mark. Save the file as UTF-8."
    TOO_LARGE "TW0002" "the file is too large"
        "A manifest file may have 8 MiB. Split it: any number of files and folders is read."
    CONTROL_CHARACTER "TW0003" "a control character in the file"
        "Control characters other than tab and line ends are not YAML text. Some would end the document early for one reader and not for another. In a double-quoted string write them as escapes, such as \"\\u0007\"."
    TOO_DEEP "TW0004" "nested too deeply"
        "Manifests nest a handful of levels; 64 are the limit."
    TOO_MANY_ALIASES "TW0005" "aliases expand to too much"
        "Anchors and aliases may be used, but what they expand to is bounded, since a few lines of nested aliases can stand for billions of values."
    SYNTAX "TW0006" "not valid YAML"
        "The YAML parser could not go on at this place. The mistake is often just before it: indentation, a missing quote, a missing space after a colon. Nothing after it in this file was read."
    DUPLICATE_FIELD "TW0007" "a field is given twice"
        "A field may stand once in a mapping. Many YAML readers silently take the last one; which one was meant cannot be known."
    MERGE_KEY "TW0008" "merge keys are not supported"
        "`<<` is not part of YAML 1.2, and readers differ in what it does. Use an instance type or the tier's defaults to share values, or an alias for a whole value."
    TAG "TW0009" "tags are not supported"
        "Tags such as `!!str` or `!include` are not read. Quote text that must stay text."
    TEXT_DIRECTION "TW0010" "an invisible character that reorders text"
        "Characters that change the direction of text make a file read otherwise in a review than it is. Where one is really wanted, write it as an escape in a double-quoted string, such as \"\\u202E\"."
    KEY_NOT_TEXT "TW0011" "a key that is not plain text"
        "The keys of a mapping are field names: text, not a list or a mapping."
    ALIAS "TW0012" "an alias that names nothing usable"
        "An alias must follow its anchor, in the same document, and not stand inside it."
    MORE_PROBLEMS "TW0013" "more problems than are shown"
        "Only the first 500 problems of a file are shown. Mend those and run it again."

    TOO_MANY_VALUES "TW0014" "too many values in one document"
        "A document may hold 100,000 values. Several documents may stand in a file, with `---` between them."

    API_VERSION "TW0101" "apiVersion is not one that is understood"
        "Every document begins with `apiVersion: tierwright.dev/v1`."
    KIND "TW0102" "kind is not one that is understood"
        "The kinds are Tier, InstanceType and VirtualMachine."
    MISSING_FIELD "TW0103" "a required field is missing"
        "The field has no default. The JSON Schemas in schemas/ list what each kind needs."
    UNKNOWN_FIELD "TW0104" "an unknown field"
        "Unknown fields are refused rather than ignored: a misspelt `preventDestory` must not pass for protection."
    WRONG_SHAPE "TW0105" "a value of the wrong shape"
        "A mapping, a list and a plain value are different things; the message says which one is needed here."
    EMPTY_VALUE "TW0106" "a field without a value"
        "A field that stands there must have a value. To take the default, leave the field out."

    NAME "TW0201" "a name that cannot be used"
        "Projects, tiers and endpoints are called by 1-63 of a-z, 0-9 and -. VMs by 1-80 letters, digits, `.`, `_`, `-` and inner spaces, as hypervisors show them. Other names have 1-63 letters, digits, `.`, `_` and `-`."
    SIZE "TW0202" "not a size"
        "Sizes are whole numbers with MiB, GiB or TiB and nothing between, such as 512MiB or 100GiB."
    MEMORY_STEP "TW0203" "memory is not a multiple of 4 MiB"
        "Hypervisors hand out memory in steps of 4 MiB; any other size would be rounded and then look like drift."
    NUMBER "TW0204" "not a whole number in range"
        "The message says which numbers are taken. Numbers stand without quotes."
    PRICE "TW0205" "not a price"
        "Prices are decimal amounts in quotes, such as \"0.025\". Without quotes, YAML readers turn them into binary fractions that are not exact."
    CURRENCY "TW0206" "not a currency"
        "A currency is its ISO 4217 code: three capital letters, such as USD or EUR."
    MAC "TW0207" "not a MAC address for a NIC"
        "A MAC is six pairs of hex digits with colons. A NIC's own address must not be a multicast address: the second digit is even."
    ADDRESS "TW0208" "not an address with its prefix"
        "Addresses are given as the guest configures them: the host's own address and the prefix length, such as 10.1.2.3/24."
    GATEWAY "TW0209" "a gateway that cannot be reached"
        "The gateway must lie in the network of one of the NIC's addresses, and be none of them."
    CHOICE "TW0210" "not one of the choices"
        "The field takes one of a few words; the message lists them."
    DURATION "TW0211" "not a duration"
        "Durations are whole numbers with s, m or h, such as 30s, 5m or 1h; a day at most."
    NEEDS_QUOTES "TW0212" "a value that YAML does not read as text"
        "Without quotes 4711 is a number, true a truth value, and 007 may come out as 7. Where text is wanted, quote it."
    BOOLEAN "TW0213" "not true or false"
        "Write true or false, without quotes. YAML 1.2 knows no yes, no, on or off."
    LABEL "TW0214" "a label that cannot be used"
        "A label's name has 1-63 letters, digits, `.`, `_`, `/` and `-`; its value up to 255 characters without control characters."
    FILE_NAME "TW0215" "not a plain file name"
        "userDataFile names a file directly in the administrator's secretsDir: no folders, no `..`."
    CLOUD_INIT "TW0216" "cloudInit needs exactly one of userData and userDataFile"
        "User data is given in place, or as a file in secretsDir; not both, and not neither."
    IGNORE_DRIFT "TW0217" "not something whose drift can be ignored"
        "ignoreDrift takes name, cpus, memory, power, image, firmware, cloudInit, disks/NAME and nics/NAME with names that this VM has, or a field of these: disks/NAME/size, nics/NAME/network, nics/NAME/mac, nics/NAME/connected."
    REPEATED "TW0218" "named twice in one list"
        "Disks and NICs are known by their name, so a name stands for one of them. In other lists the second mention says nothing."
    TEXT "TW0219" "text that cannot be used"
        "The text is empty, too long, or holds control characters."

    DUPLICATE_NAME "TW0301" "declared twice"
        "Two manifests declare the same tier, instance type or VM. Which one was meant cannot be known, so neither is taken."
    SAME_VM_NAME "TW0302" "two VMs of one tier with the same name"
        "On the hypervisor a VM is called by its name alone, without the project; upper and lower case count as the same."
    NO_SUCH_TIER "TW0303" "no such tier"
        "No Tier manifest of that name was read."
    NO_SUCH_INSTANCE_TYPE "TW0304" "no such instance type"
        "No InstanceType manifest of that name was read."
    NOT_OFFERED "TW0305" "the instance type is not offered on this tier"
        "An instance type with a list of tiers is offered on those alone."
    NO_SUCH_IMAGE "TW0306" "the tier has no such image"
        "Images are declared in the Tier manifest, under spec.images."
    NO_SUCH_NETWORK "TW0307" "the tier has no such network"
        "Networks are declared in the Tier manifest, under spec.networks."
    NO_SUCH_STORAGE "TW0308" "the tier has no such storage"
        "Storage is declared in the Tier manifest, under spec.storage."
    NO_SUCH_VM "TW0309" "no such VM"
        "dependsOn names VMs by their key, project/name; they must be in the same source."
    CYCLE "TW0310" "VMs that depend on each other"
        "dependsOn must not lead back to where it began, or no order would be right."
    MIXED_HYPERVISORS "TW0311" "fields of two hypervisors in one tier"
        "What kind of hypervisor a tier is for follows from its fields; all must be of one kind."
    SAME_MAC "TW0312" "two NICs with one MAC address"
        "Two NICs with one MAC address on a tier take each other's traffic."
    SAME_ADOPTED "TW0313" "two VMs adopt the same one"
        "An existing VM can be taken over by one manifest only."
    RENAMED_FROM "TW0314" "renamedFrom names a VM that is still declared"
        "renamedFrom tells where a VM comes from; the old key must be gone, and can have become one VM only."
    NO_SIZE "TW0315" "no CPUs or no memory"
        "A VM needs cpus and memory, of its own or from an instance type."
    NO_BOOT_DISK "TW0316" "an image without a disk to put it on"
        "The first disk of a VM that is made from an image is the image's boot disk; it must be listed with its size."
    ADOPT_ENDPOINT "TW0317" "adopt names an endpoint that is not the tier's"
        "A VM is adopted where it is; its tier must be the one that this endpoint serves."
    PLACEMENT "TW0318" "a placement that contradicts itself"
        "A vSphere tier names a cluster or a host, not both; createFolders needs a folder."
    SAME_ADDRESS "TW0319" "two VMs with one address on one network"
        "Two guests with the same address on the same network disturb each other."
    UNRESOLVED "TW0320" "a VM could not be resolved"
        "This is a fault of tierwright: the manifest was accepted and then not understood. Nothing is taken from the source rather than a part of it."
    GATEWAY_WITHOUT_ADDRESS "TW0321" "a gateway without an address"
        "A gateway is told to the guest together with the NIC's addresses."

    SOURCE_MISSING "TW0401" "the source does not exist"
        "The folder or file of manifests is not there. Nothing is destroyed because of that."
    SOURCE_EMPTY "TW0402" "no manifest in the source"
        "No .yaml or .yml file with a manifest was found. That is taken for a mistake, never for an order to remove everything."
    LEAVES_SOURCE "TW0403" "a link that leaves the source"
        "A symbolic link may point to a place inside the folder only: what stands outside was not reviewed with it."
    UNREADABLE "TW0404" "a file that cannot be read"
        "A file that cannot be read might hold any manifest, so the source as a whole is refused."
    USER_DATA "TW0405" "user data that cannot be read"
        "userDataFile names a file in the administrator's secretsDir; it must be there, be UTF-8 text and have 1 MiB at most."

    NO_SETTINGS "TW0501" "the settings file cannot be read"
        "Settings are looked for at --config, then $TIERWRIGHT_CONFIG, then /etc/tierwright/tierwright.yaml. They hold one YAML document."
    PASSWORD_INLINE "TW0502" "a password in the settings file"
        "Passwords do not stand in the settings, which are copied, shown and kept in Git. Put it into a file that only tierwright can read (passwordFile), or into an environment variable (passwordEnv)."
    CREDENTIALS "TW0503" "not exactly one source of the password"
        "credentials needs a username and exactly one of passwordFile and passwordEnv."
    PIN "TW0504" "not a certificate's SHA-256"
        "A pin is the SHA-256 of the server certificate's DER form in 64 hex digits; `tierwright check` shows the one that a server presents."
    TLS "TW0505" "two ways to trust a certificate"
        "A certificate is trusted by its pin, by a caFile, or by the system's roots; a pin is enough on its own."
    URL "TW0506" "not the URL of an endpoint"
        "An endpoint is reached by https, with a host and nothing of the account in the URL."
    URLS "TW0507" "not exactly one of url and urls"
        "One server has a url; the hosts of a cluster or pool are listed in urls."
    SAME_ENDPOINT "TW0508" "two endpoints with one name"
        "Tiers name endpoints, and so do marks in the journal; a name stands for one of them."
    NOT_YET "TW0509" "not built yet"
        "The setting is reserved for a later version."
    ENVIRONMENT "TW0510" "an environment variable that cannot be used"
        "TIERWRIGHT_* variables override single settings and are checked as these are."
}
