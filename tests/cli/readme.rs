//! README tells the truth: rights, commands, exit codes and the preview are compared with the program.

use std::path::Path;

fn text(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("part of the crate")
}

/// The rights in a provider's list, as README tells them.
fn asked(code: &str) -> Vec<String> {
    let list =
        code.split_once("const NEEDED").and_then(|(_, rest)| rest.split_once("];")).expect("the list is there").0;
    list.lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("\"),"))
        .filter_map(|line| line.split_once("\", \""))
        .map(|(right, needed_for)| format!("| `{right}` | {needed_for} |"))
        .collect()
}

/// The rows of the table below a comment.
fn told(readme: &str, comment: &str) -> Vec<String> {
    let table = readme.lines().skip_while(|line| !line.starts_with(comment)).skip(3);
    table.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

#[test]
fn readme_lists_exactly_the_rights_that_check_asks_for() {
    let readme = text("README.md");
    for (file, comment, least) in [
        ("src/provider/vsphere/rights.rs", "<!-- rights", 15),
        ("src/provider/hyperv/rights.rs", "<!-- hyperv rights", 4),
    ] {
        let asked = asked(&text(file));
        assert!(asked.len() > least, "{asked:?}");
        assert_eq!(told(&readme, comment), asked, "{file}");
    }
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
