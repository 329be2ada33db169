//! Our mark on a VM of a world, wherever its hypervisor has a place for it: the same three places that DESIGN section 5
//! names, read and written here without the program's help.

use std::sync::Arc;

use tierwright::lab::world;

/// vSphere's extraConfig.
pub const VSPHERE: &str = "tierwright.mark";
/// XenServer's other_config; while a mark is being replaced, the next one stands beside it.
const XENSERVER: [&str; 2] = ["tierwright:mark", "tierwright:mark.next"];
/// The block in Hyper-V's notes.
const BLOCK: [&str; 2] = ["[tierwright: leave this block alone]\n", "\n[end of tierwright]"];

/// The text of the mark, if there is one.
pub fn text(vm: &world::Vm) -> Option<&str> {
    let mut settings = [VSPHERE].into_iter().chain(XENSERVER);
    settings.find_map(|key| vm.setting(key)).or_else(|| in_notes(&vm.annotation).map(|(_, text, _)| text))
}

/// What stands before the mark, the mark, and what stands after.
fn in_notes(notes: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = notes.split_once(BLOCK[0])?;
    let (text, after) = rest.split_once(BLOCK[1])?;
    Some((before, text, after))
}

/// Puts another text in place of the one that is there; an empty one removes it.
pub fn replace(vm: &mut world::Vm, text: &str) {
    let notes: Option<Arc<str>> = in_notes(&vm.annotation).map(|(before, _, after)| match text {
        "" => format!("{}{after}", before.strip_suffix('\n').unwrap_or(before)).into(),
        _ => format!("{before}{}{text}{}{after}", BLOCK[0], BLOCK[1]).into(),
    });
    if let Some(notes) = notes {
        vm.annotation = notes;
        return;
    }
    let [_, next] = XENSERVER;
    vm.set_setting(next, "");
    for key in [VSPHERE, XENSERVER[0]] {
        if vm.setting(key).is_some() {
            vm.set_setting(key, text);
        }
    }
}
