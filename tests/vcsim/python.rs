//! VMware's own client, for what happens behind our back and for comparing.

use std::path::Path;
use std::process::Command;

use crate::peer::{Vcsim, absent};

/// Runs one of the pyvmomi scripts; `None` where there is no interpreter.
pub fn python(vcsim: &Vcsim, script: &str, arguments: &[&str]) -> Option<String> {
    let Some(python) = std::env::var_os("TIERWRIGHT_PYTHON") else {
        absent("pyvmomi ($TIERWRIGHT_PYTHON)", "what is changed or compared by VMware's own client");
        return None;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let output = Command::new(python).arg(path).arg(&vcsim.url).args(arguments).output().expect("python starts");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("scripts write UTF-8"))
}
