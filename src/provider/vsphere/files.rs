//! Disk files: who else uses one, and which disk it holds.

use super::fault::Failure;
use super::find;
use super::pages::{self, Each};
use super::property::{From, Object, Wanted};
use super::session::Door;
use super::soap::{Moref, Request, reference};
use crate::model::Words;
use crate::xml::Element;

/// VMs other than `but` that have one of these files as a disk or below one: linked clones, and VMs that share.
///
/// Reads the devices of every VM, which is much; it happens only before a file is deleted for good.
pub(super) async fn users(door: &Door, but: &Moref, files: &[&str]) -> Result<Vec<(String, String)>, Failure> {
    let all = door
        .within(|session| async move {
            let view = find::vm_view(door, &session).await?;
            let wanted = [Wanted { kind: "VirtualMachine", paths: &["name", "config.hardware.device"] }];
            let read = pages::read(door, &session, &wanted, &From::View(&view), Each::whole(chains)).await;
            find::drop_view(door, &session, &view).await;
            read
        })
        .await?;
    let used = |chain: &Vec<String>| {
        files.iter().find(|file| chain.iter().any(|used| used == *file)).map(|file| (*file).to_owned())
    };
    Ok(all
        .into_iter()
        .filter(|(moref, ..)| moref != but)
        .filter_map(|(_, name, chain)| used(&chain).map(|file| (name, file)))
        .collect())
}

/// A VM's name and every file its disks are made of.
fn chains(object: &Object<'_>, _: &mut Words) -> Option<(Moref, String, Vec<String>)> {
    let name = object.text("name").unwrap_or_default().to_owned();
    let devices = object.get("config.hardware.device")?;
    let mut files = Vec::new();
    for device in &devices.children {
        let mut backing = device.child("backing").filter(|_| device.xsi_type() == Some("VirtualDisk"));
        while let Some(link) = backing {
            files.extend(link.text_of("fileName").map(str::to_owned));
            backing = link.child("parent");
        }
    }
    Some((object.moref.clone(), name, files))
}

/// The UUID of the disk in a file; `None` where the server cannot tell.
pub(super) async fn disk_uuid(door: &Door, file: &str, datacenter: &Moref) -> Result<Option<String>, Failure> {
    let session = door.session().await?;
    let Some(manager) = &session.content.virtual_disk_manager else { return Ok(None) };
    let request = Request::new("QueryVirtualDiskUuid", manager, |writer| {
        writer.leaf("name", file);
        reference(writer, "datacenter", datacenter);
    })?;
    match door.call(&request).await {
        Ok(answer) => {
            let tree = answer.tree()?;
            Ok(tree.child("returnval").map(Element::trimmed).filter(|text| !text.is_empty()).map(str::to_owned))
        }
        Err(failure)
            if failure.fault().is_some_and(|fault| fault.kind == "MethodNotFound" || fault.kind == "NotSupported") =>
        {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// `60 00 C2 90 …` and `6000C290-…` are one UUID.
pub(super) fn same_uuid(one: &str, other: &str) -> bool {
    let digits = |text: &str| -> String {
        text.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase()).collect()
    };
    digits(one) == digits(other)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_uuid_is_the_same_in_both_ways_of_writing() {
        let spaced = "60 00 C2 90 a1 13 65 43-7d 13 73 63 c0 8f e6 1d";
        assert!(super::same_uuid(spaced, "6000C290-a113-6543-7d13-7363c08fe61d"));
        assert!(!super::same_uuid(spaced, "6000C290-a113-6543-7d13-7363c08fe61e"));
    }
}
