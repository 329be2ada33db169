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
fn the_man_page_is_as_reviewed_and_every_command_has_one() {
    let bench = Bench::new();
    let page = bench.run(&["man"]).expect(0).stdout;
    crate::harness::as_reviewed("tierwright.1", &page);
    bench.run(&["man", "--dir", "pages"]).expect(0);
    let mut pages: Vec<String> = std::fs::read_dir(bench.path().join("pages"))
        .expect("the folder was made")
        .map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    pages.sort();
    let mut wanted: Vec<String> = commands().iter().map(|name| format!("tierwright-{name}.1")).collect();
    wanted.push("tierwright.1".to_owned());
    wanted.sort();
    assert_eq!(pages, wanted);
    for name in commands() {
        let page = bench.run(&["man", &name]).expect(0).stdout;
        let file = std::fs::read_to_string(bench.path().join(format!("pages/tierwright-{name}.1"))).expect("a page");
        assert_eq!(page, file);
        for part in [".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", ".SH EXAMPLES", "config"] {
            assert!(page.contains(part), "{name} has no {part}:\n{page}");
        }
    }
    bench.run(&["man", "nothing"]).expect(64);
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

#[test]
fn examples_are_not_broken_in_the_middle() {
    for sub in tierwright::cli::command().get_subcommands() {
        let help = sub.get_after_help().expect("examples").to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 98, "{}: a terminal of 100 columns breaks: {line}", sub.get_name());
        }
    }
}
