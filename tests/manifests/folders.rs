//! Folders of manifests: order, links, what is missing, empty or cannot be read.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tierwright::source::{SourceProblem, load, read, user_data};

const TIER: &str = "apiVersion: tierwright.dev/v1\nkind: Tier\nmetadata: {name: t}\nspec: {endpoints: [e]}\n";

fn vm(name: &str, more: &str) -> String {
    format!(
        "apiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {{name: {name}}}\n\
         spec: {{tier: t, cpus: 1, memory: 1GiB{more}}}\n"
    )
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("folders can be made");
        fs::write(path, text).expect("a file can be written");
    }
    folder
}

fn codes(path: &Path) -> Vec<&'static str> {
    load(path).diagnostics.iter().map(|problem| problem.code).collect()
}

#[test]
fn files_are_read_by_path_and_dotfiles_are_not() {
    let folder = folder(&[
        ("b.yml", TIER),
        ("a/z.yaml", &vm("z", "")),
        ("a/a.yaml", &vm("a", "")),
        (".git/x.yaml", "not: yaml: at: all"),
        (".hidden.yaml", "["),
        ("README.md", "["),
        ("c.yaml.orig", "["),
    ]);
    let read = read(folder.path());
    let paths: Vec<String> = read
        .texts()
        .iter()
        .map(|text| text.path.strip_prefix(&format!("{}/", folder.path().display())).expect("below").to_owned())
        .collect();
    assert_eq!(paths, ["a/a.yaml", "a/z.yaml", "b.yml"]);
    let loaded = load(folder.path());
    assert_eq!((loaded.files, loaded.desired.expect("valid").vms.len()), (3, 2));
}

#[test]
fn the_revision_names_paths_and_contents_and_not_the_place() {
    let (one, two) = (folder(&[("a.yaml", TIER)]), folder(&[("a.yaml", TIER)]));
    assert_eq!(load(one.path()).revision, load(two.path()).revision);
    assert!(load(one.path()).revision.0.starts_with("sha256:"));
    assert_eq!(load(one.path()).revision.0.len(), "sha256:".len() + 64);
    let renamed = folder(&[("b.yaml", TIER)]);
    assert_ne!(load(one.path()).revision, load(renamed.path()).revision);
    fs::write(two.path().join("a.yaml"), format!("{TIER}# more\n")).expect("written");
    assert_ne!(load(one.path()).revision, load(two.path()).revision);
}

#[test]
fn one_file_is_a_source_too() {
    let folder = folder(&[("a.yaml", TIER), ("b.yaml", "[")]);
    let loaded = load(&folder.path().join("a.yaml"));
    assert_eq!((loaded.files, loaded.desired.expect("valid").tiers.len()), (1, 1));
}

#[test]
fn missing_and_empty_are_told_apart() {
    let folder = folder(&[("README.md", "x")]);
    let missing = load(&folder.path().join("nowhere"));
    assert_eq!((missing.problem, missing.diagnostics[0].code), (Some(SourceProblem::Missing), "TW0401"));
    assert!(missing.desired.is_none());
    let empty = load(folder.path());
    assert_eq!((empty.problem, empty.diagnostics[0].code), (Some(SourceProblem::Empty), "TW0402"));
    assert!(empty.desired.is_none());
    fs::write(folder.path().join("a.yaml"), "# nothing yet\n---\n").expect("written");
    assert_eq!(load(folder.path()).problem, Some(SourceProblem::Empty));
    fs::write(folder.path().join("a.yaml"), "[").expect("written");
    let broken = load(folder.path());
    assert_eq!((broken.problem, broken.diagnostics[0].code), (None, "TW0006"));
}

#[test]
fn a_file_that_is_too_large_is_not_even_read() {
    let folder = folder(&[("a.yaml", TIER)]);
    let file = fs::File::create(folder.path().join("b.yaml")).expect("made");
    file.set_len(1 << 32).expect("a sparse file");
    assert_eq!(codes(folder.path()), ["TW0002"]);
}

#[cfg(unix)]
#[test]
fn a_link_that_leaves_the_folder_is_refused() {
    use std::os::unix::fs::symlink;
    let outside = folder(&[("vm.yaml", &vm("outside", "")), ("sub/x.yaml", TIER)]);
    let folder = folder(&[("a.yaml", TIER)]);
    symlink(outside.path().join("vm.yaml"), folder.path().join("vm.yaml")).expect("a link");
    assert_eq!(codes(folder.path()), ["TW0403"]);
    fs::remove_file(folder.path().join("vm.yaml")).expect("removed");
    symlink(outside.path().join("sub"), folder.path().join("sub")).expect("a link");
    assert_eq!(codes(folder.path()), ["TW0403"]);
    assert!(load(folder.path()).desired.is_none());
}

#[cfg(unix)]
#[test]
fn a_link_inside_the_folder_declares_nothing_twice_and_loops_end() {
    use std::os::unix::fs::symlink;
    let folder = folder(&[("a/t.yaml", TIER), ("a/v.yaml", &vm("v", "")), ("..data/c.yaml", &vm("c", ""))]);
    symlink("t.yaml", folder.path().join("a/again.yaml")).expect("a link");
    symlink("..", folder.path().join("a/loop")).expect("a link");
    // As Kubernetes mounts a ConfigMap: the names are links into a hidden folder.
    symlink("..data/c.yaml", folder.path().join("c.yaml")).expect("a link");
    let loaded = load(folder.path());
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    assert_eq!(loaded.desired.expect("valid").vms.len(), 2);
}

#[cfg(unix)]
#[test]
fn a_dangling_manifest_link_is_an_error() {
    let folder = folder(&[("a.yaml", TIER)]);
    std::os::unix::fs::symlink("gone.yaml", folder.path().join("b.yaml")).expect("a link");
    assert_eq!(codes(folder.path()), ["TW0404"]);
}

#[test]
fn user_data_files_are_read_from_the_secrets_folder() {
    let folder = folder(&[
        ("m/t.yaml", TIER),
        ("m/a.yaml", &vm("a", ", cloudInit: {userDataFile: web.cfg}")),
        ("m/b.yaml", &vm("b", ", cloudInit: {userData: INLINE}")),
        ("m/c.yaml", &vm("c", "")),
        ("s/web.cfg", "FROM A FILE"),
    ]);
    let desired = load(&folder.path().join("m")).desired.expect("valid");
    let read = user_data(&desired, &folder.path().join("s")).expect("all can be read");
    let exposed: Vec<&str> = read.values().map(tierwright::model::Secret::expose).collect();
    assert_eq!(exposed, ["FROM A FILE", "INLINE"]);
    let problems = user_data(&desired, &folder.path().join("m")).expect_err("there is no such file there");
    assert_eq!((problems.len(), problems[0].code, problems[0].origin.line), (1, "TW0405", 3));
    fs::write(folder.path().join("s/web.cfg"), [0xff, 0xfe]).expect("written");
    assert!(user_data(&desired, &folder.path().join("s")).is_err());
}
