//! The binary against vcsim, from YAML files to running VMs and back; pyvmomi looks on from the other side.

use serde_json::Value;

use crate::peer::Vcsim;
use crate::python::python;
use crate::site::{Site, setting};

/// A VM of these sizes, disks and NICs as YAML flow maps.
fn vm(name: &str, memory: &str, disks: &str, nics: &str) -> String {
    format!(
        "apiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {{project: e2e, name: {name}}}\nspec:\n  \
         tier: tier-1\n  cpus: 2\n  memory: {memory}\n  allowReboot: always\n  shutdown: {{timeout: 5s, force: true}}\n  \
         disks: [{disks}]\n  nics: [{nics}]\n"
    )
}

const OURS: [&str; 2] = ["e2e-db-01", "e2e-web-01"];

#[test]
fn yaml_files_become_vms_and_every_later_edit_is_planned_applied_and_gone_from_the_next_plan() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let site = Site::new(&vcsim);
    let before = site.dump(&[]);
    let root = "{name: root, size: 12GiB}";
    let eth0 = "{name: eth0, network: app}";
    site.write("db.yaml", &vm("e2e-db-01", "2GiB", root, eth0));
    site.write("web.yaml", &format!("{}  image: base\n", vm("e2e-web-01", "1GiB", root, eth0)));

    // The plan names the creates; nothing is there yet.
    let preview = site.expect(&["plan", "--detailed-exitcode"], 2);
    for name in OURS {
        assert!(preview.contains(&format!("e2e/{name}")), "{preview}");
    }
    let creates: Vec<_> = OURS.map(|name| (format!("e2e/{name}"), "create".to_owned())).into();
    assert_eq!(site.steps(), creates);
    assert_eq!(site.dump(&[]), before);

    // Applied: our instanceUuid and mark, seen by VMware's own client.
    site.expect(&["apply", "--yes"], 0);
    if let Some(dump) = site.dump(&[]) {
        for name in OURS {
            let vm = &dump[name];
            let mark: Value = serde_json::from_str(setting(vm, "tierwright.mark").expect("a mark")).expect("JSON");
            assert_eq!(mark["key"], format!("e2e/{name}"));
            assert_eq!(mark["ownId"], vm["config"]["instanceUuid"]);
            assert_eq!(mark["identity"], vm["config"]["instanceUuid"]);
            assert_eq!(vm["runtime"]["powerState"], "poweredOn");
        }
    }

    // Converged: nothing to plan, and a second apply changes nothing at all, configuration versions included.
    site.expect(&["plan", "--detailed-exitcode"], 0);
    let settled = site.dump(&[]);
    site.expect(&["apply", "--yes"], 0);
    assert_eq!(site.dump(&[]), settled);

    // Drift, by field, from and to.
    if python(&vcsim, "behind.py", &["memory", "e2e-db-01", "4096"]).is_some() {
        let drift = site.json(&["drift", "-o", "json", "--detailed-exitcode"], 2);
        let lines: Vec<_> = drift.as_array().expect("lines").iter().collect();
        assert_eq!(lines.len(), 1, "{drift}");
        let line = lines[0];
        assert_eq!((&line["key"], &line["field"]), (&"e2e/e2e-db-01".into(), &"memory".into()));
        assert_eq!((&line["from"], &line["to"]), (&"2GiB".into(), &"4GiB".into()));
    }

    // More memory than either, a grown disk, a new disk, a new NIC; the other VM leaves Git.
    let disks = "{name: root, size: 16GiB}, {name: data, size: 3GiB, storage: other}";
    let nics = "{name: eth0, network: app}, {name: eth1, network: lan}";
    site.write("db.yaml", &vm("e2e-db-01", "8GiB", disks, nics));
    site.remove("web.yaml");
    let changes =
        [("e2e/e2e-db-01".to_owned(), "update".to_owned()), ("e2e/e2e-web-01".to_owned(), "delete".to_owned())];
    assert_eq!(site.steps(), changes);
    site.expect(&["apply", "--yes"], 0);
    site.expect(&["plan", "--detailed-exitcode"], 0);
    let vms = site.json(&["get", "vms", "-o", "json"], 0);
    let text = vms.to_string();
    assert!(text.contains("e2e-db-01") && !text.contains("e2e-web-01"), "{text}");
    if let Some(dump) = site.dump(&[]) {
        assert_eq!(dump["e2e-db-01"]["config"]["hardware"]["memoryMB"], 8192);
        assert!(dump.get("e2e-web-01").is_none());
    }

    // VMs that are not ours are as before, to the last property.
    assert_eq!(site.dump(&OURS), before);
}

#[test]
fn an_observed_endpoint_is_never_changed() {
    let Some(vcsim) = Vcsim::start(&[]) else { return };
    let site = Site::new(&vcsim);
    let settings = site.dir.path().join("tierwright.yaml");
    let text = std::fs::read_to_string(&settings).expect("the settings");
    std::fs::write(&settings, format!("{text}    manage: observe\n")).expect("the folder is ours");
    site.write("db.yaml", &vm("e2e-db-01", "2GiB", "{name: root, size: 4GiB}", "{name: eth0, network: app}"));
    let before = site.dump(&[]);
    let ran = site.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 3, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(site.dump(&[]), before);
}
