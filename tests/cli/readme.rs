//! README tells the truth: rights, commands, exit codes and the preview are compared with the program.

use std::path::Path;

fn text(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("part of the crate")
}

/// The list in a provider's `rights.rs`, as rows of a table.
fn asked(file: &str) -> Vec<String> {
    let code = text(file);
    let list =
        code.split_once("const NEEDED").and_then(|(_, rest)| rest.split_once("];")).expect("the list is there").0;
    list.lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("\"),"))
        .filter_map(|line| line.split_once("\", \""))
        .map(|(right, needed_for)| format!("| `{right}` | {needed_for} |"))
        .collect()
}

#[test]
fn readme_lists_exactly_the_rights_that_check_asks_for() {
    let readme = text("README.md");
    let mut compared = 0;
    for (_, section) in
        readme.match_indices("<!-- rights: those of ").map(|(at, found)| readme.split_at(at + found.len()))
    {
        let (file, rest) = section.split_once(',').expect("a file is named");
        let told: Vec<_> = rest.lines().skip(3).take_while(|line| line.starts_with('|')).map(str::to_owned).collect();
        let asked = asked(file);
        assert!(asked.len() > 4, "{file}: {asked:?}");
        assert_eq!(told, asked, "{file}");
        compared += 1;
    }
    let providers = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider")).expect("there");
    let with_rights = providers.filter(|entry| entry.as_ref().is_ok_and(|one| one.path().join("rights.rs").is_file()));
    assert_eq!(compared, with_rights.count(), "each provider has its section");
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
