//! `tierwright lab`: simulated hypervisors to try things on, until Ctrl-C.
//!
//! Prints `ready` on a line of its own once every front answers, and the counts of mutating calls at its end.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{ClockMode, FRONTS, Lab, LabError, LabOptions, faults};
use crate::model::HypervisorType;

/// Flags of `tierwright lab`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct LabArgs {
    /// Write a settings file that points at the lab, with password files and stateDir beside it
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Folder of manifests to name in the settings file
    #[arg(long, value_name = "PATH", default_value = "manifests")]
    pub source: PathBuf,
    /// Fronts to start, separated by commas; without it all that are built
    #[arg(long, value_name = "TYPES", value_delimiter = ',', value_parser = front)]
    pub only: Vec<HypervisorType>,
    /// Unmanaged VMs per front
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub vms: usize,
    /// Seed of ids, addresses and unmanaged VMs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Rules for what goes wrong, a YAML file
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Port of the first front; the others follow (0: any free ones)
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Also a standalone ESXi host, as endpoint esx-lab
    #[arg(long)]
    pub esxi: bool,
    /// Also a Hyper-V cluster of so many nodes, as endpoint hv-cluster
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub hyperv_nodes: usize,
}

fn front(word: &str) -> Result<HypervisorType, String> {
    let found = FRONTS.iter().find(|kind| kind.to_string() == word).copied();
    found.ok_or_else(|| {
        let all: Vec<String> = FRONTS.iter().map(ToString::to_string).collect();
        format!("not a hypervisor type; there are {}", all.join(", "))
    })
}

/// A line; whoever listened may have left after `ready`, which must not end the lab.
macro_rules! say {
    ($to:expr, $($text:tt)*) => {
        drop(writeln!($to, $($text)*))
    };
}

/// Starts the lab, says so, and runs until Ctrl-C or SIGTERM.
pub async fn run(args: LabArgs) -> Result<(), LabError> {
    let rules = args.faults.as_deref().map_or_else(|| Ok(Vec::new()), faults::read_rules)?;
    let lab = Lab::start(LabOptions {
        seed: args.seed,
        vms: args.vms,
        only: args.only,
        esxi: args.esxi,
        hyperv_nodes: args.hyperv_nodes.min(64),
        faults: rules,
        clock: ClockMode::Real,
        port: args.port,
        ..LabOptions::default()
    })
    .await?;
    for endpoint in lab.endpoints() {
        say!(io::stderr(), "{} ({}) at {}", endpoint.name, endpoint.hypervisor, endpoint.urls.join(", "));
        match args.settings {
            // Simulated machines only; without a settings file there is no other way to learn it.
            None => say!(io::stderr(), "  user {}, password {}", endpoint.username, endpoint.password),
            Some(_) => say!(io::stderr(), "  user {}, password in the settings' secrets folder", endpoint.username),
        }
        say!(io::stderr(), "  certificate {}", endpoint.pins.join(", "));
    }
    if let Some(file) = &args.settings {
        let source = std::path::absolute(&args.source).unwrap_or(args.source);
        super::settings::write(&lab.endpoints(), file, &source)?;
        say!(io::stderr(), "settings {}", shown(file));
    }
    let mut stop = Signals::new().map_err(LabError::Signals)?;
    say!(io::stdout(), "ready");
    stop.wait().await;
    let counts = lab.record().mutating_counts();
    lab.stop().await;
    say!(io::stdout(), "mutating calls: {}", counts.values().sum::<u64>());
    for (operation, count) in counts {
        say!(io::stdout(), "  {operation} {count}");
    }
    Ok(())
}

fn shown(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string()
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on unix")]
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn wait(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
