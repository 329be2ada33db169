//! What was explained, as text for a person.

use std::fmt::Write as _;

use super::{CodeText, Exits, Explained, Field, Topics};
use crate::explain::blocks::BlockText;

/// Columns of running text.
const WIDTH: usize = 96;

/// The text.
pub fn render(explained: &Explained) -> String {
    match explained {
        Explained::Topics(topics) => of_topics(topics),
        Explained::Field(field) => of_field(field),
        Explained::Code(code) => of_code(code),
        Explained::Block(block) => of_block(block),
        Explained::Exit(exits) => of_exits(exits),
    }
}

fn of_topics(topics: &Topics) -> String {
    let mut text = String::new();
    let lists = [
        ("Kinds, and the settings: each with its fields, such as VirtualMachine.spec.disks", &topics.kinds),
        ("Problems of files", &topics.codes),
        ("Why a change is held back", &topics.blocks),
    ];
    for (title, list) in lists {
        let width = list.iter().map(|titled| titled.name.len()).max().unwrap_or(0);
        let _ = writeln!(text, "{title}:");
        for titled in list {
            let _ = writeln!(text, "  {:width$}  {}", titled.name, titled.title);
        }
        text.push('\n');
    }
    text.push_str("Exit codes:\n  exit-codes\n");
    text
}

fn of_field(field: &Field) -> String {
    let must = if field.required && field.path.contains('.') { ", required" } else { "" };
    let mut text = format!("{}: {}{must}\n", field.path, field.takes);
    paragraph(&mut text, 2, &field.description);
    if !field.words.is_empty() && field.words.iter().any(|(word, _)| field.takes.contains(word.as_str())) {
        let width = field.words.iter().map(|(word, _)| word.len()).max().unwrap_or(0);
        text.push('\n');
        for (word, meaning) in &field.words {
            hanging(&mut text, &format!("  {word:width$}  "), meaning);
        }
    }
    if !field.fields.is_empty() {
        let name = field.fields.iter().map(|line| line.name.len()).max().unwrap_or(0) + 1;
        let takes = field.fields.iter().map(|line| line.takes.len()).max().unwrap_or(0);
        text.push_str("\nFields (* must be given):\n");
        for line in &field.fields {
            let mark = if line.required { "*" } else { "" };
            let head = format!("  {:name$}  {:takes$}  ", format!("{}{mark}", line.name), line.takes);
            hanging(&mut text, &head, &line.description);
        }
        // Where there is most to see below.
        let deep = |line: &&super::FieldLine| line.takes.contains("mapping");
        let below = field.fields.iter().find(|line| line.name == "spec").or_else(|| field.fields.iter().find(deep));
        if let Some(below) = below {
            let _ = writeln!(text, "\nMore: tierwright explain {}.{}", field.path, below.name);
        }
    }
    text
}

fn of_code(code: &CodeText) -> String {
    let mut text = format!("{}: {}\n", code.code, code.title);
    paragraph(&mut text, 2, code.text);
    text.push_str("\nFor example:\n");
    for line in code.example.lines() {
        let _ = writeln!(text, "{}", format!("    {line}").trim_end());
    }
    text
}

fn of_block(block: &BlockText) -> String {
    let mut text = format!("{}: {}\n", block.code, block.title);
    paragraph(&mut text, 2, block.means);
    for (title, told) in [("For example", block.example), ("What to do", block.way_out)] {
        let _ = writeln!(text, "\n{title}:");
        paragraph(&mut text, 4, told);
    }
    text
}

fn of_exits(exits: &Exits) -> String {
    let mut text = String::new();
    for exit in &exits.exits {
        hanging(&mut text, &format!("{:>3}  ", exit.code), exit.text);
    }
    text
}

/// Running text, indented.
fn paragraph(text: &mut String, indent: usize, told: &str) {
    hanging(text, &" ".repeat(indent), told);
}

/// Running text behind a head, the lines after the first as far in as the head is wide.
fn hanging(text: &mut String, head: &str, told: &str) {
    let indent = " ".repeat(head.chars().count());
    let mut line = head.to_owned();
    let mut begun = false;
    for word in told.split_whitespace() {
        if begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line.clone_from(&indent);
            begun = false;
        }
        if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    let _ = writeln!(text, "{}", line.trim_end());
}
