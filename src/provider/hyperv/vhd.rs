//! Virtual hard disks: their size, id and parent, asked for one by one.
//!
//! No class lists sizes of virtual disks, so each costs a call (`GetVirtualHardDiskSettingData`); it is made once, and
//! again when the VM that has the disk has changed.

use super::cim::{self, Parameter};
use super::client::{Client, Invoke};
use super::fault::{Failure, Fault};
use super::job;
use crate::model::Bytes;

/// What a virtual hard disk says of itself (Msvm_VirtualHardDiskSettingData).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vhd {
    pub size: Bytes,
    pub id: Option<String>,
    pub parent: Option<String>,
    /// 2 VHD, 3 VHDX.
    pub format: u64,
}

/// Class of the service that makes and looks into virtual hard disks.
pub(super) const IMAGES: &str = "Msvm_ImageManagementService";
/// Class of the service that makes and changes VMs.
pub(super) const MACHINES: &str = "Msvm_VirtualSystemManagementService";

/// Looks into one.
pub(super) async fn read(client: &Client, path: &str) -> Result<Vhd, Failure> {
    let invoke = Invoke {
        target: client.service(IMAGES).await?,
        method: "GetVirtualHardDiskSettingData",
        parameters: vec![("Path", Parameter::Plain(path.to_owned()))],
    };
    let mut output = client.invoke(&invoke).await?;
    // A host may look by a job, whose answer holds no settings: they are there when it is asked again (SEQUENCES.md,
    // "Inspect VHDX").
    if let (4096, Some(job)) = (output.value, &output.job) {
        job::wait(client, job, &|_| {}).await?;
        output = client.invoke(&invoke).await?;
    }
    if output.value != 0 {
        return Err(Failure::Fault(Fault::returned(output.value)));
    }
    let text = output.text("SettingData").ok_or_else(|| Failure::senseless("a disk without settings"))?;
    parse(text)
}

fn parse(text: &str) -> Result<Vhd, Failure> {
    let properties = cim::embedded(text)?;
    let find = |name: &str| {
        let found = properties.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let size = find("MaxInternalSize").and_then(|size| size.parse().ok());
    Ok(Vhd {
        size: Bytes(size.ok_or_else(|| Failure::senseless("a disk that does not tell its size"))?),
        id: find("VirtualDiskId").map(str::to_ascii_lowercase),
        parent: find("ParentPath").map(str::to_owned),
        format: find("Format").and_then(|format| format.parse().ok()).unwrap_or(0),
    })
}

/// Is there no such file? Hosts say so by a return value, by a job's error, or in words alone.
pub(super) fn is_not_there(failure: &Failure) -> bool {
    failure.kind() == crate::provider::ErrorKind::NotFound
        || failure.fault().is_some_and(|fault| {
            let words = fault.words.to_lowercase();
            // Win32 ERROR_FILE_NOT_FOUND and ERROR_PATH_NOT_FOUND, as jobs word them.
            words.contains("0x80070002") || words.contains("0x80070003") || words.contains("cannot find the")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_disk_are_read_and_a_disk_without_a_size_is_refused() {
        let text = |size: &str| {
            format!(
                r#"<INSTANCE CLASSNAME="Msvm_VirtualHardDiskSettingData"><PROPERTY NAME="Format" TYPE="uint16"><VALUE>3</VALUE>
                </PROPERTY><PROPERTY NAME="ParentPath" TYPE="string"></PROPERTY>{size}<PROPERTY NAME="VirtualDiskId"
                TYPE="string"><VALUE>ABCD</VALUE></PROPERTY></INSTANCE>"#
            )
        };
        let size = r#"<PROPERTY NAME="MaxInternalSize" TYPE="uint64"><VALUE>1073741824</VALUE></PROPERTY>"#;
        let vhd = Vhd { size: Bytes::gib(1), id: Some("abcd".to_owned()), parent: None, format: 3 };
        assert_eq!(parse(&text(size)).unwrap(), vhd);
        assert!(parse(&text("")).is_err());
    }
}
