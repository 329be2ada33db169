//! Reads cloud-init user data: from the manifest itself, or from a plain file in the administrator's secretsDir.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::codes;
use crate::model::{CloudInit, Desired, Secret, VmKey, VmSpec};

/// Largest user data: above any hypervisor's own limit.
const MAX_BYTES: u64 = 1 << 20;

/// The user data of every VM that has some. What cannot be read is told at the VM that names it.
pub fn user_data(desired: &Desired, secrets_dir: &Path) -> Result<BTreeMap<VmKey, Secret>, Vec<Diagnostic>> {
    let mut found = BTreeMap::new();
    let mut problems = Vec::new();
    for vm in desired.vms.values() {
        match user_data_of(vm, secrets_dir) {
            Ok(None) => {}
            Ok(Some(secret)) => {
                found.insert(vm.key.clone(), secret);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// The user data of one VM; `None` when its manifest has none.
pub fn user_data_of(vm: &VmSpec, secrets_dir: &Path) -> Result<Option<Secret>, Box<Diagnostic>> {
    match &vm.cloud_init {
        None => Ok(None),
        Some(CloudInit::Inline(secret)) => Ok(Some(secret.clone())),
        Some(CloudInit::File(name)) => {
            let read = read(&secrets_dir.join(name));
            read.map(Some).map_err(|why| Box::new(problem(vm, name, secrets_dir, &why)))
        }
    }
}

fn read(path: &Path) -> io::Result<Secret> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    // The error of a failed conversion holds the bytes, so it is not passed on.
    String::from_utf8(bytes).map(Secret::new).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

fn problem(vm: &VmSpec, name: &str, secrets_dir: &Path, why: &io::Error) -> Diagnostic {
    Diagnostic {
        origin: vm.origin.clone(),
        length: 1,
        severity: Severity::Error,
        code: codes::USER_DATA.id,
        summary: format!("user data `{name}` of VM `{}` cannot be read: {why}", vm.key),
        hint: Some(format!("it is looked for in {}", secrets_dir.display())),
        source_line: String::new(),
        related: Vec::new(),
    }
}
