//! What triggers each problem code: the smallest piece of a manifest or of the settings that does. A test completes
//! each piece to a file and reads it: what comes out must be that code.

use std::fmt;

use crate::diagnostic::escaped;

/// Something that triggers a code.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// Of which code.
    pub code: &'static str,
    /// The documents of a file, or one text.
    pub fragments: &'static [Fragment],
}

/// A piece of a document.
#[derive(Debug, Clone, Copy)]
pub struct Fragment {
    /// Of what.
    pub within: Within,
    /// The piece; what is usual is left out.
    pub text: &'static str,
}

/// What a piece is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// A VirtualMachine.
    Vm,
    /// A Tier.
    Tier,
    /// An `InstanceType`.
    InstanceType,
    /// A whole file, as it is.
    File,
    /// The settings.
    Settings,
    /// Nothing that can be written down: told.
    Told,
}

/// The example of a code.
pub fn of(code: &str) -> Option<&'static Example> {
    ALL.iter().find(|example| example.code == code)
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Fragment { within, text }) in self.fragments.iter().enumerate() {
            if at > 0 {
                f.write_str("---\n")?;
            }
            match within {
                Within::Vm => f.write_str("kind: VirtualMachine\n")?,
                Within::Tier => f.write_str("kind: Tier\n")?,
                Within::InstanceType => f.write_str("kind: InstanceType\n")?,
                Within::Settings => f.write_str("# tierwright.yaml\n")?,
                Within::File | Within::Told => {}
            }
            for line in text.lines() {
                writeln!(f, "{}", line.chars().flat_map(escaped).collect::<String>())?;
            }
        }
        Ok(())
    }
}

const fn one(within: Within, text: &'static str) -> Fragment {
    Fragment { within, text }
}

macro_rules! examples {
    ($($code:literal: $($within:ident $text:literal),+;)*) => {
        const ALL: &[Example] =
            &[$(Example { code: $code, fragments: &[$(one(Within::$within, $text)),+] }),*];
    };
}

examples! {
    "TW0001": Told "A file that an editor saved as UTF-16 or Latin-1.";
    "TW0002": Told "A file of 9 MiB.";
    "TW0003": File "kind: Tier\u{7}\n";
    "TW0004": File "a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n";
    "TW0005": Told "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n... and so on\n";
    "TW0006": File "kind: Tier\n metadata: {name: tier-1}\n";
    "TW0007": Vm "spec:\n  cpus: 2\n  cpus: 4\n";
    "TW0008": Vm "spec:\n  <<: {cpus: 2}\n";
    "TW0009": Vm "spec:\n  cpus: !!int 2\n";
    "TW0010": File "kind: Tier # \u{202e}see left\n";
    "TW0011": Vm "spec:\n  ? [cpus]\n  : 2\n";
    "TW0012": Vm "spec:\n  dependsOn: &all [*all]\n";
    "TW0013": Told "A file with more than 500 problems.";
    "TW0014": Told "One document with a list of 100,001 numbers.";
    "TW0101": File "apiVersion: tierwright.dev/v2\nkind: Tier\n";
    "TW0102": File "apiVersion: tierwright.dev/v1\nkind: VirtualMashine\n";
    "TW0103": Tier "metadata: {}\n";
    "TW0104": Vm "spec:\n  preventDestory: true\n";
    "TW0105": Vm "spec:\n  disks: {name: root, size: 10GiB}\n";
    "TW0106": Vm "spec:\n  memory:\n";
    "TW0201": Vm "metadata: {name: web/01}\n";
    "TW0202": Vm "spec:\n  memory: 32GB\n";
    "TW0203": Vm "spec:\n  memory: 1030MiB\n";
    "TW0204": Vm "spec:\n  cpus: 0\n";
    "TW0205": Tier "spec:\n  price: {currency: USD, vcpuHour: 0.025}\n";
    "TW0206": Tier "spec:\n  price: {currency: Dollar}\n";
    "TW0207": Vm "spec:\n  nics: [{name: eth0, network: app, mac: \"01:00:5e:00:00:01\"}]\n";
    "TW0208": Vm "spec:\n  nics: [{name: eth0, network: app, addresses: [10.1.2.3]}]\n";
    "TW0209": Vm "spec:\n  nics: [{name: eth0, network: app, addresses: [10.1.2.3/24], gateway: 10.9.9.1}]\n";
    "TW0210": Vm "spec:\n  power: on\n";
    "TW0211": Vm "spec:\n  shutdown: {timeout: 5 minutes}\n";
    "TW0212": Vm "metadata: {name: web, labels: {cost-center: 4711}}\n";
    "TW0213": Vm "spec:\n  preventDestroy: yes\n";
    "TW0214": Vm "metadata: {name: web, labels: {\"cost center\": \"4711\"}}\n";
    "TW0215": Vm "spec:\n  cloudInit: {userDataFile: ../web.yaml}\n";
    "TW0216": Vm "spec:\n  cloudInit: {}\n";
    "TW0217": Vm "spec:\n  ignoreDrift: [disks/data/size]\n";
    "TW0218": Vm "spec:\n  disks: [{name: root, size: 10GiB}, {name: root, size: 20GiB}]\n";
    "TW0219": Tier "spec:\n  description: \"\"\n";
    "TW0301": Tier "metadata: {name: tier-1}\n", Tier "metadata: {name: tier-1}\n";
    "TW0302": Vm "metadata: {project: erp, name: web}\n", Vm "metadata: {project: shop, name: Web}\n";
    "TW0303": Vm "spec:\n  tier: tier-9\n";
    "TW0304": Vm "spec:\n  instanceType: huge\n";
    "TW0305": InstanceType "metadata: {name: small}\nspec: {cpus: 1, memory: 1GiB, tiers: [tier-2]}\n", Tier "metadata: {name: tier-2}\n", Vm "spec:\n  tier: tier-1\n  instanceType: small\n";
    "TW0306": Vm "spec:\n  image: debian-99\n  disks: [{name: root, size: 10GiB}]\n";
    "TW0307": Vm "spec:\n  nics: [{name: eth0, network: nowhere}]\n";
    "TW0308": Vm "spec:\n  disks: [{name: root, size: 10GiB, storage: nowhere}]\n";
    "TW0309": Vm "spec:\n  dependsOn: [erp/nobody]\n";
    "TW0310": Vm "metadata: {name: a}\nspec:\n  dependsOn: [b]\n", Vm "metadata: {name: b}\nspec:\n  dependsOn: [a]\n";
    "TW0311": Tier "metadata: {name: mixed}\nspec:\n  networks: {app: {portGroup: PG-APP}, db: {switch: vSwitch}}\n";
    "TW0312": Vm "metadata: {name: a}\nspec:\n  nics: [{name: eth0, network: app, mac: \"00:50:56:00:00:01\"}]\n", Vm "metadata: {name: b}\nspec:\n  nics: [{name: eth0, network: app, mac: \"00:50:56:00:00:01\"}]\n";
    "TW0313": Vm "metadata: {name: a}\nspec:\n  adopt: {endpoint: vc-prod, id: \"50303d4b-1f2e\"}\n", Vm "metadata: {name: b}\nspec:\n  adopt: {endpoint: vc-prod, id: \"50303d4b-1f2e\"}\n";
    "TW0314": Vm "metadata: {name: old}\n", Vm "metadata: {name: new}\nspec:\n  renamedFrom: old\n";
    "TW0315": File "apiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {name: web}\nspec: {tier: tier-1, cpus: 2}\n";
    "TW0316": Vm "spec:\n  image: debian-12\n";
    "TW0317": Vm "spec:\n  adopt: {endpoint: vc-other, id: \"50303d4b-1f2e\"}\n";
    "TW0318": Tier "metadata: {name: both}\nspec:\n  placement: {cluster: gold, host: esx01}\n";
    "TW0319": Vm "metadata: {name: a}\nspec:\n  nics: [{name: eth0, network: app, addresses: [10.1.2.3/24]}]\n", Vm "metadata: {name: b}\nspec:\n  nics: [{name: eth0, network: app, addresses: [10.1.2.3/24]}]\n";
    "TW0320": Told "Nothing should; please report it with the manifest.";
    "TW0321": Vm "spec:\n  nics: [{name: eth0, network: app, gateway: 10.1.2.1}]\n";
    "TW0401": Told "`source: {path: ./manifets}` where the folder is ./manifests.";
    "TW0402": Told "A folder with nothing but a README.";
    "TW0403": Told "ln -s /etc/passwd manifests/vm.yaml";
    "TW0404": Told "A file that only root may read, with the service under another account.";
    "TW0405": Told "`cloudInit: {userDataFile: web.yaml}` and no web.yaml in secretsDir.";
    "TW0501": Settings "";
    "TW0502": Settings "endpoints:\n  - name: vc-prod\n    type: vsphere\n    url: https://vc.corp/sdk\n    credentials: {username: svc, password: example}\n";
    "TW0503": Settings "endpoints:\n  - name: vc-prod\n    type: vsphere\n    url: https://vc.corp/sdk\n    credentials: {username: svc}\n";
    "TW0504": Settings "endpoints:\n  - name: vc-prod\n    type: vsphere\n    url: https://vc.corp/sdk\n    credentials: {username: svc, passwordFile: vc}\n    tls: {pinSha256: \"12:34\"}\n";
    "TW0505": Settings "endpoints:\n  - name: vc-prod\n    type: vsphere\n    url: https://vc.corp/sdk\n    credentials: {username: svc, passwordFile: vc}\n    tls: {pinSha256: \"0000000000000000000000000000000000000000000000000000000000000000\", caFile: ca.pem}\n";
    "TW0506": Settings "endpoints:\n  - name: vc-prod\n    type: vsphere\n    url: http://vc.corp/sdk\n    credentials: {username: svc, passwordFile: vc}\n";
    "TW0507": Settings "endpoints:\n  - name: vc-prod\n    type: vsphere\n    credentials: {username: svc, passwordFile: vc}\n";
    "TW0508": Settings "endpoints:\n  - {name: vc, type: vsphere, url: \"https://a/sdk\", credentials: {username: svc, passwordFile: a}}\n  - {name: vc, type: vsphere, url: \"https://b/sdk\", credentials: {username: svc, passwordFile: b}}\n";
    "TW0509": Settings "source: {git: \"https://git.corp/vms\"}\n";
    "TW0510": Told "TIERWRIGHT_INTERVAL=60 (without a unit)";
}
