//! Input that means harm: nothing panics, nothing grows beyond its bounds, whatever the bytes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tierwright::diagnostic::{Diagnostic, Style, render};
use tierwright::manifest::{SourceText, compile};
use tierwright::model::{Bytes, Revision};
use tierwright::xml::{Element, Limits};

use crate::by_seed::{Language, MEBIBYTE, shapes, signs, text};

fn problems(bytes: Vec<u8>) -> Vec<Diagnostic> {
    let compiled = compile(Revision("r".into()), &[SourceText { path: Arc::from("a.yaml"), bytes: bytes.into() }]);
    let errors = compiled.diagnostics.iter().any(|diagnostic| diagnostic.code != "TW0319");
    assert_eq!(compiled.desired.is_none(), errors);
    compiled.diagnostics
}

fn codes(text: &str) -> Vec<&'static str> {
    problems(text.as_bytes().to_vec()).iter().map(|problem| problem.code).collect()
}

/// Each is read in a fraction of this even without optimization; what grows with the square is not.
const LIMIT: Duration = Duration::from_secs(10);

#[expect(clippy::disallowed_methods, reason = "a stop watch: what is quadratic takes minutes")]
fn timed(bytes: Vec<u8>) -> (Vec<Diagnostic>, Duration) {
    let began = Instant::now();
    let found = problems(bytes);
    (found, began.elapsed())
}

#[test]
fn a_quarter_mebibyte_of_anything_is_read_in_linear_time() {
    let nested: String = (0..1400).fold(String::new(), |mut text, depth| {
        let _ = writeln!(text, "{:depth$}a:", "");
        text
    });
    let nested = ("deeper by a line each".to_owned(), nested.into_bytes());
    for (name, bytes) in shapes(Language::Yaml, MEBIBYTE / 4).into_iter().chain([nested]) {
        let (found, took) = timed(bytes);
        assert!(took < LIMIT, "{name:?} took {took:?}");
        assert!(!found.is_empty(), "{name:?} was taken");
        assert!(found.len() <= 501, "{} problems kept", found.len());
    }
}

#[test]
fn long_lists_in_a_vm_cost_no_square() {
    let head = "apiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {name: x}\nspec:\n";
    let list = |item: &dyn Fn(usize) -> String| (0..20_000).map(|n| item(n) + ",").collect::<String>();
    let texts = [
        format!("{head}  dependsOn: [{}]\n", list(&|n| format!("a/v{n}"))),
        format!("{head}  ignoreDrift: [{}]\n", list(&|n| format!("disks/d{n}/size"))),
        format!("{head}  disks: [{}]\n", list(&|n| format!("{{name: d{n}, size: 1GiB, storage: s{n}}}"))),
        format!("{head}  {{{}}}\n", list(&|n| format!("field{n}: x"))),
    ];
    for text in texts {
        let (found, took) = timed(text.into_bytes());
        assert!(!found.is_empty());
        assert!(took < LIMIT, "took {took:?}");
    }
}

#[test]
fn aliases_cannot_multiply() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..40 {
        let items = vec![format!("*a{}", n - 1); 10].join(", ");
        let _ = writeln!(bomb, "a{n}: &a{n} [{items}]");
    }
    assert_eq!(codes(&bomb), ["TW0005"]);
    let deep = (1..200).fold(String::from("a0: &a0 [x]\n"), |mut text, n| {
        let _ = writeln!(text, "a{n}: &a{n} [*a{}]", n - 1);
        text
    });
    assert_eq!(codes(&deep), ["TW0004"]);
    assert_eq!(codes("a: &a [*a]\n"), ["TW0012"]);
    assert_eq!(codes("a: &a x\n---\nb: *a\n").last(), Some(&"TW0012"));
}

#[test]
fn depth_ends_at_64() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(codes(&nested(64)), ["TW0105"]);
    assert_eq!(codes(&nested(65)), ["TW0004"]);
    assert_eq!(codes(&nested(300)), ["TW0004"]);
}

#[test]
fn eight_mebibytes_are_the_limit() {
    let text = |bytes: usize| format!("#{}", " ".repeat(bytes - 1));
    assert!(codes(&text(8 << 20)).is_empty());
    assert_eq!(codes(&text((8 << 20) + 1)), ["TW0002"]);
}

#[test]
fn bytes_that_are_no_text_are_refused_before_parsing() {
    assert_eq!(problems(b"a: \xff\xfe".to_vec())[0].code, "TW0001");
    assert_eq!(codes("a: b\0\nkind: hidden\n"), ["TW0003"]);
    assert_eq!(codes("a: \u{85}\n"), ["TW0003"]);
    assert_eq!(codes("a: \u{202e}b\n"), ["TW0010"]);
    let utf16: Vec<u8> = "kind: Tier\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(problems([vec![0xff, 0xfe], utf16].concat())[0].code, "TW0001");
}

/// Of the texts of `cargo bench --bench hostile`, which also takes the time.
const SHARE: u64 = 1_000;

#[test]
fn a_share_of_the_seeded_texts_harms_neither_reader() {
    // Without optimization a mebibyte takes a second: those are the bench's.
    let small = (1..SHARE).map(|seed| [Language::Yaml, Language::Xml].map(|language| text(language, seed)));
    for [yaml, xml] in small.filter(|texts| texts.iter().all(|text| text.len() < MEBIBYTE / 2)) {
        problems(yaml);
        let limits = Limits { elements: 50, ..Limits::REQUEST };
        if let Ok(tree) = Element::parse(&xml, limits) {
            assert!(elements(&tree) <= limits.elements, "{}", String::from_utf8_lossy(&xml));
        }
    }
}

fn elements(tree: &Element<'_>) -> usize {
    1 + tree.children.iter().map(elements).sum::<usize>()
}

/// Pieces that mean something to a YAML scanner or to us, so that random texts get past the first byte.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => prop::sample::select(signs(Language::Yaml)).prop_map(ToOwned::to_owned),
        1 => "[ -~]{1,6}",
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}
proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_or_reaches_a_terminal(text in pieces()) {
        let found = problems(text.into_bytes());
        let shown = render(&found, Style::default());
        prop_assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", shown);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        problems(bytes);
    }

    #[test]
    fn places_lie_within_the_file(text in pieces()) {
        let lines: Vec<&str> = text.strip_prefix('\u{feff}').unwrap_or(&text).split('\n').collect();
        // A lone CR ends a line too, so there may be more lines than LFs.
        let count = lines.len() + text.matches('\r').count();
        for problem in problems(text.clone().into_bytes()) {
            prop_assert!(problem.origin.line >= 1 && problem.origin.line as usize <= count + 1, "{:?}", problem);
            prop_assert!(problem.origin.column >= 1 && problem.length >= 1);
        }
    }

    #[test]
    fn sizes_are_read_back_as_written(mib in 1_u64..(1 << 30)) {
        let size = Bytes::mib(mib);
        prop_assert_eq!(Bytes::parse(&size.to_string()), Ok(size));
    }

    #[test]
    fn durations_mean_their_seconds(seconds in 1_u32..=86_400) {
        let text = match seconds {
            s if s % 3600 == 0 => format!("{}h", s / 3600),
            s if s % 60 == 0 => format!("{}m", s / 60),
            s => format!("{s}s"),
        };
        let manifests = format!(
            "apiVersion: tierwright.dev/v1\nkind: Tier\nmetadata: {{name: t}}\nspec: {{endpoints: [e]}}\n---\n\
             apiVersion: tierwright.dev/v1\nkind: VirtualMachine\nmetadata: {{name: a}}\n\
             spec: {{tier: t, cpus: 1, memory: 1GiB, shutdown: {{timeout: {text}}}}}\n"
        );
        let text = SourceText { path: Arc::from("a.yaml"), bytes: manifests.into_bytes().into() };
        let desired = compile(Revision("r".into()), &[text]).desired.expect("valid");
        let vm = desired.vms.values().next().expect("one VM");
        prop_assert_eq!(vm.shutdown.timeout_seconds, seconds);
    }
}
