//! Microsoft Hyper-V hosts and failover clusters over WS-Management.

mod binding;
mod cim;
mod client;
mod connection;
mod fault;
mod job;
mod login;
#[cfg(test)]
mod recorded;
mod sealed;
#[cfg(test)]
mod winrmd;
mod wsman;
