//! Help is documentation: every command has an example that parses, and changed help shows in review.

use std::fmt::Write as _;

use crate::harness::Bench;

fn commands() -> Vec<String> {
    tierwright::cli::command().get_subcommands().map(|sub| sub.get_name().to_owned()).collect()
}

#[test]
fn every_command_has_an_example_that_parses() {
    for mut sub in tierwright::cli::command().get_subcommands().cloned().collect::<Vec<_>>() {
        let name = sub.get_name().to_owned();
        let help = sub.render_long_help().to_string();
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("`{name} --help` has no example"));
        let lines: Vec<&str> = examples.lines().filter_map(|line| line.strip_prefix("  tierwright ")).collect();
        assert!(!lines.is_empty(), "{name}");
        for line in lines {
            let outcome = tierwright::cli::command().try_get_matches_from(words(line));
            assert!(
                outcome.is_ok(),
                "{name}: `tierwright {line}`: {}",
                outcome.err().map(|e| e.to_string()).unwrap_or_default()
            );
        }
    }
}

/// An example without its explanation, redirection or pipe, as a shell would split it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec!["tierwright".to_owned()];
    let mut quoted = line.split('\'');
    while let Some(plain) = quoted.next() {
        let end = ["  ", " > ", " | "].iter().filter_map(|stop| plain.find(stop)).min();
        let (plain, end) = match end {
            Some(end) => (&plain[..end], true),
            None => (plain, false),
        };
        words.extend(plain.split_whitespace().map(str::to_owned));
        if end {
            break;
        }
        words.extend(quoted.next().map(str::to_owned));
    }
    words
}

#[test]
fn the_help_lists_every_command_once() {
    let help = Bench::new().run(&["--help"]).expect(0).stdout;
    for name in commands() {
        let lines = help.lines().filter(|line| line.starts_with(&format!("  {name} "))).count();
        assert_eq!(lines, 1, "{name} in\n{help}");
    }
}

#[test]
fn help_is_as_reviewed() {
    let bench = Bench::new();
    let mut text = bench.run(&["--help"]).expect(0).stdout;
    for name in commands() {
        let _ = writeln!(text, "\n$ tierwright {name} --help");
        text.push_str(&bench.run(&[&name, "--help"]).expect(0).stdout);
    }
    crate::harness::as_reviewed("help.txt", &text);
}

#[test]
fn completion_scripts_know_every_command() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.run(&["completion", shell]).expect(0).stdout;
        for name in commands() {
            assert!(script.contains(&name), "{shell}: {name}");
        }
    }
}
