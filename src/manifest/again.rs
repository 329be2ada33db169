//! A set of files compiled part by part: what did not change since an earlier revision is taken over, the rest is read a
//! batch at a time, so that what was written in ten thousand files is never held all at once.
//!
//! ```text
//! files that declare tiers or types --read--> Known --+--> batch after batch: read, checked, resolved --> VmSpecs --+
//!                                                                                 VmSpecs of an earlier revision --+
//!                                                                     rules over all of them <---------------------+
//! ```
//!
//! Right by construction where anything is wrong: this knows good sets alone. A VM follows from its own file and from the
//! files that declare tiers and instance types, and from nothing else. The rules over the whole set run over all VMs, the
//! same rules as ever. As soon as a single problem is found it gives up, and everything is compiled at once, which tells of
//! the problem where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::read::{self, Documents};
use super::report::Report;
use super::resolve::{self, Shared};
use super::{Compiled, SourceText, check};
use crate::model::{Desired, Revision, VmKey, VmSpec};

/// Files read together: their documents take some 3 KB for each VM.
pub(super) const BATCH: usize = 256;

/// A set that was compiled with nothing to tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'e> {
    /// Its files.
    pub texts: &'e [SourceText],
    /// What it asks for.
    pub desired: &'e Desired,
    /// Files that declare tiers or instance types.
    pub common: &'e BTreeSet<Arc<str>>,
}

/// Compiles a set from an earlier one; `None`: it must be compiled without that.
pub fn compile_from(earlier: Earlier<'_>, revision: Revision, texts: &[SourceText]) -> Option<Compiled> {
    let order = super::in_order(texts);
    let touched = touched(earlier, &order)?;
    let stands = |vm: &VmSpec| !touched.contains(&*vm.origin.path) && !earlier.common.contains(&vm.origin.path);
    let standing = earlier.desired.vms.values().filter(|vm| stands(vm)).map(Arc::clone).collect();
    let is_common = |text: &SourceText| earlier.common.contains(&text.path);
    let (common, others) = numbered(&order).partition(|(_, text)| is_common(text));
    let others: Vec<_> = others;
    let changed = others.into_iter().filter(|(_, text)| touched.contains(&*text.path)).collect();
    Parts { order: &order, common, changed, standing }.compile(revision)
}

/// Compiles a set of many files with nothing to go by; `None`: it must be compiled at once.
pub(super) fn compile_in_batches(revision: Revision, order: &[&SourceText]) -> Option<Compiled> {
    let (common, changed) = numbered(order).partition(|(_, text)| may_declare(&text.bytes));
    Parts { order, common, changed, standing: Vec::new() }.compile(revision)
}

/// Could this file declare a tier or an instance type? One that does and looks otherwise, by an escape, is noticed when it
/// is read.
fn may_declare(bytes: &[u8]) -> bool {
    [&b"Tier"[..], b"InstanceType"].iter().any(|kind| memchr::memmem::find(bytes, kind).is_some())
}

/// Paths of files that came, went or changed; `None` when one of them declares tiers or instance types.
fn touched<'e>(earlier: Earlier<'e>, order: &[&'e SourceText]) -> Option<BTreeSet<&'e str>> {
    let before: BTreeMap<&str, &Arc<[u8]>> = earlier.texts.iter().map(|text| (&*text.path, &text.bytes)).collect();
    let mut unseen: BTreeSet<&str> = before.keys().copied().collect();
    let mut touched = BTreeSet::new();
    for text in order {
        unseen.remove(&*text.path);
        // The same bytes are most often the very same.
        if before.get(&*text.path) != Some(&&text.bytes) {
            touched.insert(&*text.path);
        }
    }
    touched.append(&mut unseen);
    (!touched.iter().any(|path| earlier.common.contains(*path))).then_some(touched)
}

/// A file and its number.
type Numbered<'t> = (u32, &'t SourceText);

fn numbered<'t>(order: &[&'t SourceText]) -> impl Iterator<Item = Numbered<'t>> {
    (0..).zip(order.iter().copied())
}

/// What a set is compiled from.
struct Parts<'t> {
    order: &'t [&'t SourceText],
    /// Files that declare tiers or instance types, or might.
    common: Vec<Numbered<'t>>,
    /// Other files that are read.
    changed: Vec<Numbered<'t>>,
    /// VMs of files that are not.
    standing: Vec<Arc<VmSpec>>,
}

impl Parts<'_> {
    fn compile(self, revision: Revision) -> Option<Compiled> {
        let Self { order, common, changed, standing } = self;
        let mut report = Report::new();
        let common = documents(&common, &mut report)?;
        let known = check::know(&common, &mut report);
        let tiers = resolve::tiers(&known, order, &mut report);
        let mut shared = Shared::default();
        for vm in &standing {
            shared.take_up(vm);
        }
        let mut vms = standing;
        let mut take = |documents: &Documents, report: &mut Report| {
            check::targets(&known, &documents.vms, report);
            vms.extend(resolve::vms(&documents.vms, &known, order, (&mut shared, report)));
            report.is_empty().then_some(())
        };
        take(&common, &mut report)?;
        for batch in changed.chunks(BATCH) {
            let documents = documents(batch, &mut report)?;
            if documents.common().next().is_some() {
                return None;
            }
            take(&documents, &mut report)?;
        }
        let declared = vms.len();
        let vms: BTreeMap<VmKey, Arc<VmSpec>> = vms.into_iter().map(|vm| (vm.key.clone(), vm)).collect();
        check::together(&vms, &mut report);
        let instance_types = common.instance_types.len();
        (report.is_empty() && vms.len() == declared).then(|| Compiled {
            manifests: tiers.len() + instance_types + declared,
            instance_types,
            common: super::paths(common.common(), order),
            desired: Some(Desired { revision, tiers, vms }),
            diagnostics: Vec::new(),
        })
    }
}

/// What these files say, if nothing is wrong with them.
fn documents(files: &[Numbered<'_>], report: &mut Report) -> Option<Documents> {
    let mut documents = Documents::default();
    for (file, text) in files {
        read::file(*file, &text.bytes, &mut documents, report);
        if !report.is_empty() || documents.incomplete {
            return None;
        }
    }
    Some(documents)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::manifest::{compile, compile_at_once};

    const TIER: &str = "apiVersion: tierwright.dev/v1\nkind: Tier\nmetadata: {name: t}\n\
        spec: {endpoints: [e], networks: {app: {portGroup: p}}, defaults: {firmware: bios}}\n";

    fn vm(number: usize) -> String {
        let mut text = format!(
            "apiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {{name: vm-{number}, labels: {{like: Tier}}}}\n\
             spec: {{tier: t, cpus: 1, memory: 1GiB, nics: [{{name: n, network: app}}]"
        );
        if number.is_multiple_of(3) {
            let _ = write!(text, ", dependsOn: [vm-{}]", number + 1);
        }
        text + "}\n"
    }

    /// A file for each VM, and the tier somewhere among them; some texts in their place are others.
    fn texts(others: &[(usize, &str)]) -> Vec<SourceText> {
        let text = |number: usize| match others.iter().find(|(at, _)| *at == number) {
            Some((_, text)) => (*text).to_owned(),
            None if number == 300 => format!("{}---\n{TIER}", vm(number)),
            None if number % 50 == 7 => vm(number).replace("Tier", "none"),
            None => vm(number),
        };
        let file =
            |number| SourceText { path: format!("{number:04}.yaml").into(), bytes: text(number).into_bytes().into() };
        (0..=3 * BATCH).map(file).collect()
    }

    fn in_batches(texts: &[SourceText]) -> Option<Compiled> {
        compile_in_batches(Revision("r".into()), &crate::manifest::in_order(texts))
    }

    fn at_once(texts: &[SourceText]) -> Compiled {
        compile_at_once(Revision("r".into()), &crate::manifest::in_order(texts))
    }

    #[test]
    fn batch_after_batch_comes_to_the_same_as_at_once() {
        let mut texts = texts(&[(3 * BATCH, "# nothing\n")]);
        let whole = at_once(&texts);
        assert!(whole.diagnostics.is_empty(), "{:?}", whole.diagnostics[0]);
        assert_eq!(in_batches(&texts).unwrap(), whole);
        texts.reverse();
        assert_eq!(in_batches(&texts).unwrap(), whole);
    }

    #[test]
    fn what_is_wrong_anywhere_is_told_as_it_is_told_at_once() {
        let hidden = TIER.replace("kind: Tier", "kind: \"T\\x69er\"").replace("name: t", "name: hidden");
        let wrong = [
            vm(20).replace("app", "ap"),
            vm(20).replace("cpus", "cpu"),
            vm(20).replace("tier: t", "tier: other"),
            vm(21).replace("vm-22", "vm-21"),
            vm(21).replace("vm-22", "gone"),
            vm(500),
            vm(20) + "[",
            hidden,
        ];
        for text in wrong {
            let texts = texts(&[(20, &text), (21, &vm(21)), (22, &vm(22)), (3 * BATCH, "# nothing\n")]);
            assert!(in_batches(&texts).is_none(), "{text}");
            assert_eq!(compile(Revision("r".into()), &texts), at_once(&texts), "{text}");
        }
    }
}
