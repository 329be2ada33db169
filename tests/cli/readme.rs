//! README tells the truth: rights, commands, exit codes and the preview are compared with the program.

use std::path::Path;

fn text(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("part of the crate")
}

#[test]
fn readme_lists_exactly_the_rights_that_check_asks_for() {
    let code = text("src/provider/vsphere/rights.rs");
    let list =
        code.split_once("const NEEDED").and_then(|(_, rest)| rest.split_once("];")).expect("the list is there").0;
    let asked: Vec<String> = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("\"),"))
        .filter_map(|line| line.split_once("\", \""))
        .map(|(right, needed_for)| format!("| `{right}` | {needed_for} |"))
        .collect();
    assert!(asked.len() > 15, "{asked:?}");
    let readme = text("README.md");
    let told: Vec<String> = readme
        .lines()
        .skip_while(|line| !line.starts_with("<!-- rights"))
        .skip(3)
        .take_while(|line| line.starts_with('|'))
        .map(str::to_owned)
        .collect();
    assert_eq!(told, asked);
}

#[test]
fn readme_names_every_command() {
    let readme = text("README.md");
    for sub in tierwright::cli::command().get_subcommands() {
        assert!(
            readme.contains(&format!("`{}", sub.get_name()))
                || readme.contains(&format!("tierwright {}", sub.get_name())),
            "{}",
            sub.get_name()
        );
    }
}
