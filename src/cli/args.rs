//! Flags that several commands share, and the top-level help.
//!
//! Flags are taken raw here; what they mean together with the settings file and the environment is decided once, in
//! `settings.rs`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Style, Styles};
use clap::{Args, Command, ValueEnum, ValueHint};

/// Flags every command takes.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// Settings file [default: $TIERWRIGHT_CONFIG, else /etc/tierwright/tierwright.yaml]
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    #[arg(value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Say more on stderr; twice for every call, three times for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    pub verbose: u8,
    /// Log lines as `text` or `json` [default: text; for serve without a terminal: json]
    #[arg(long, global = true, value_name = "FORMAT", hide_possible_values = true, help_heading = GLOBAL)]
    pub log_format: Option<LogFormat>,
}

/// What the program is.
pub(super) const ABOUT: &str = "GitOps for virtual machines on several hypervisors: YAML in Git, a plan you can trust";
const GLOBAL: &str = "Global options";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which manifests are looked at.
#[derive(Debug, Clone, Default, Args)]
pub struct Source {
    /// Look at these manifests instead of the configured source; such a plan never removes a VM
    #[arg(short = 'f', long = "file", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub file: Option<PathBuf>,
}

/// The program without its commands.
pub fn base() -> Command {
    let base = Command::new("tierwright")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .max_term_width(100)
        .styles(styles());
    Globals::augment_args(base)
}

/// Commands in the order people meet them; a test compares the list with the commands there are.
pub const GROUPS: [(&str, &[&str]); 4] = [
    ("Look, and change nothing", &["validate", "plan", "drift", "get", "check", "import"]),
    ("Make it so", &["apply", "serve", "pause", "resume"]),
    ("Try it without a hypervisor", &["demo", "lab"]),
    ("Set up", &["explain", "schema", "completion", "man"]),
];

/// The same command with its subcommands listed by purpose in the top-level help. For parsing only: completion scripts
/// leave out what is hidden here.
pub fn grouped(command: Command) -> Command {
    let (heading, name) = (styles().get_header().to_owned(), styles().get_literal().to_owned());
    let mut text = String::from("{about}\n\n{usage-heading} {usage}\n");
    for (title, names) in GROUPS {
        let _ = writeln!(text, "\n{heading}{title}:{heading:#}");
        for sub in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {name}{:<11}{name:#} {about}", sub.get_name());
        }
    }
    let _ = write!(text, "\n{{all-args}}{{after-help}}");
    // `{all-args}` would list the commands a second time.
    let hidden: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.about(ABOUT).help_template(text).override_usage("tierwright [OPTIONS] <COMMAND>").after_help(
        "New here? `tierwright demo` shows it all on simulated hypervisors, with nothing to install.\n\
         `tierwright COMMAND --help` has examples for each command.",
    );
    hidden.into_iter().fold(command, |command, name| command.mut_subcommand(name, |sub| sub.hide(true)))
}

fn styles() -> Styles {
    let bold = Style::new().bold();
    Styles::styled().header(bold).usage(bold).literal(AnsiColor::Cyan.on_default()).placeholder(Style::new().dimmed())
}
