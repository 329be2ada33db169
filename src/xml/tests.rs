use proptest::prelude::*;

use super::{Element, Limits, Reader, Writer, XmlError, theirs};

fn parse(text: &str) -> Result<Element<'_>, XmlError> {
    Element::parse(text.as_bytes(), Limits { bytes: 4096, depth: 8, attributes: 4, text: 100, elements: 20 })
}

#[test]
fn types_are_known_by_namespace_and_not_by_prefix() {
    let vcsim = r#"<val xmlns="urn:vim25" xmlns:XMLSchema-instance="http://www.w3.org/2001/XMLSchema-instance"
        XMLSchema-instance:type="VirtualDisk" other="1"/>"#;
    let real = r#"<v:val xmlns:v="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
        xsi:type="v:VirtualDisk" other="1"/>"#;
    for text in [vcsim, real] {
        let element = parse(text).unwrap();
        assert!(element.head.is("urn:vim25", "val"));
        let kind = element.head.kind.unwrap();
        assert_eq!((kind.namespace, kind.name), ("urn:vim25", "VirtualDisk"));
        assert_eq!(element.attribute("other"), Some("1"));
    }
    let pretender = r#"<val xmlns:xsi="urn:else" xsi:type="VirtualDisk"/>"#;
    assert_eq!(parse(pretender).unwrap().xsi_type(), None);
}

#[test]
fn a_namespace_ends_with_its_element() {
    let element = parse(r#"<a><b xmlns="x"><c/></b><d/></a>"#).unwrap();
    let spaces: Vec<_> = element.children.iter().map(|child| (child.name(), child.head.namespace)).collect();
    assert_eq!(spaces, [("b", "x"), ("d", "")]);
    assert_eq!(element.path(&["b", "c"]).unwrap().head.namespace, "x");
}

#[test]
fn text_is_joined_over_references_sections_and_comments() {
    let element = parse("<a>x &lt;&#x41;<!-- no -->&amp;<![CDATA[<raw>]]> y\r\n</a>").unwrap();
    assert_eq!(element.text, "x <A&<raw> y\n");
}

#[test]
fn children_are_pulled_one_by_one_and_the_rest_is_skipped() {
    let text = b"<a><skip><deep/>text</skip><b>1</b><b>2</b><tail/></a>";
    let mut reader = Reader::new(text, Limits::ANSWER).unwrap();
    let root = reader.root().unwrap();
    let mut seen = Vec::new();
    while let Some(head) = reader.child_named(&root, "b").unwrap() {
        seen.push(reader.element(head).unwrap().text.into_owned());
    }
    reader.finish().unwrap();
    assert_eq!(seen, ["1", "2"]);
}

#[test]
fn a_place_is_gone_on_from_with_what_has_come_since() {
    let text = r#"<a xmlns="one" xmlns:p="two"><first/><p:b>1</p:b><b>2</b></a>"#;
    let (before, after) = text.split_at(text.find("<p:b>").unwrap());
    let mut reader = Reader::of_text(before, Limits::ANSWER).unwrap();
    let root = reader.root().unwrap();
    let first = reader.child(&root).unwrap().unwrap();
    reader.element(first).unwrap();
    let place = reader.place();
    for whole in [after.len(), after.len() - "<b>2</b></a>".len()] {
        let mut reader = Reader::resumed(&place, 0, &after[..whole], Limits::ANSWER).unwrap();
        let next = reader.child_of(&place).unwrap().unwrap();
        assert_eq!((next.namespace, next.name), ("two", "b"));
        assert_eq!(reader.element(next).unwrap().text, "1");
        assert_eq!(reader.at(), text.find("<b>").unwrap());
    }
    let rest = &after[after.find("<b>").unwrap()..];
    let mut reader = Reader::resumed(&place, after.len() - rest.len(), rest, Limits::ANSWER).unwrap();
    let next = reader.child_of(&place).unwrap().unwrap();
    assert_eq!((next.namespace, &*reader.text_of(next).unwrap()), ("one", "2"));
    assert!(reader.child_of(&place).unwrap().is_none());
    reader.finish().unwrap();
    let small = Limits { bytes: text.len() - 1, ..Limits::ANSWER };
    assert!(matches!(Reader::resumed(&place, 0, after, small), Err(XmlError::TooMuch { .. })));
}

#[test]
fn what_is_skipped_still_ends_where_it_should() {
    let text = br#"<a xmlns="one"><b xmlns="two"><c x="&amp;"/><c><a/></c></b><b/><tail>t</tail></a>"#;
    let mut reader = Reader::new(text, Limits::ANSWER).unwrap();
    let root = reader.root().unwrap();
    let first = reader.child(&root).unwrap().unwrap();
    assert_eq!((first.namespace, first.name), ("two", "b"));
    assert_eq!(reader.child(&first).unwrap().unwrap().namespace, "two");
    let second = reader.child(&root).unwrap().unwrap();
    assert_eq!((second.namespace, second.name), ("one", "b"));
    assert!(reader.child(&second).unwrap().is_none());
    let tail = reader.child(&root).unwrap().unwrap();
    assert_eq!(reader.element(tail).unwrap().text, "t");
    assert!(reader.child(&root).unwrap().is_none());
    reader.finish().unwrap();
    for bad in ["<a><b><c></b></c></a>", "<a><b><c>", "<a><b><!DOCTYPE x></b></a>"] {
        let mut reader = Reader::new(bad.as_bytes(), Limits::ANSWER).unwrap();
        let root = reader.root().unwrap();
        assert!(reader.child(&root).is_ok() && reader.child(&root).is_err(), "{bad}");
    }
}

#[test]
fn what_is_not_wanted_is_left_out_with_all_it_holds() {
    let text = br#"<a><b>1<no x="&none;"><b>2</b></no><p:b xmlns:p="p">3</p:b></b><no/><b/></a>"#;
    let mut reader = Reader::new(text, Limits::ANSWER).unwrap();
    let root = reader.root().unwrap();
    let element = reader.element_of(root, |name| name == "b").unwrap();
    reader.finish().unwrap();
    let first = &element.children[0];
    assert_eq!((element.children.len(), &*first.text, first.children.len()), (2, "1", 1));
    assert_eq!((&*first.children[0].text, first.children[0].head.namespace), ("3", "p"));
    for bad in ["<a><no><b></no></b></a>", "<a><no><b>", "<a><no><!DOCTYPE x></no></a>"] {
        let mut reader = Reader::new(bad.as_bytes(), Limits::ANSWER).unwrap();
        let root = reader.root().unwrap();
        assert!(reader.element_of(root, |name| name == "b").is_err(), "{bad}");
    }
    let deep = format!("<a>{}{}</a>", "<no>".repeat(64), "</no>".repeat(64));
    let mut reader = Reader::new(deep.as_bytes(), Limits::ANSWER).unwrap();
    let root = reader.root().unwrap();
    assert!(matches!(reader.element_of(root, |_| false), Err(XmlError::TooMuch { .. })));
}

#[test]
fn another_reader_reads_the_same() {
    let texts = [
        r#"<?xml version="1.0" encoding='UTF-8' ?><!-- - --><a b = "1"  c='"'><?x y?>t<d e="a>b"/>u</a ><!-- end -->"#,
        "<a>\r\n\r&#13;&#xA;&quot;&apos;<![CDATA[ ]] > ]]]]></a>",
        "<a b='\r\n\t&#10; &lt;&#x20ac;'><b ><c></c></b\n></a>",
        "<a\n><é ü=\"ö\">漢<b/></é></a>",
    ];
    for text in texts {
        let ours = Element::parse(text.as_bytes(), Limits::ANSWER).unwrap();
        assert_eq!(Some(theirs::plain(&ours)), theirs::read(text), "{text}");
    }
}

#[test]
fn what_could_hurt_is_refused() {
    let deep = "<a>".repeat(9) + &"</a>".repeat(9);
    let wide = format!("<a>{}</a>", "<b/>".repeat(30));
    let attributes = r#"<a a="1" b="1" c="1" d="1" e="1"/>"#;
    let long = format!("<a>{}</a>", "x".repeat(101));
    let pieces = format!("<a>{}</a>", "&amp;x".repeat(60));
    for text in [deep.as_str(), &wide, attributes, &long, &pieces, &" ".repeat(5000)] {
        assert!(matches!(parse(text), Err(XmlError::TooMuch { .. })), "{text}: {:?}", parse(text));
    }
    let dtd = r#"<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>"#;
    for text in [dtd, "<a>&x;</a>", r#"<?xml version="1.0" encoding="latin1"?><a/>"#] {
        assert!(matches!(parse(text), Err(XmlError::Refused { .. })), "{text}: {:?}", parse(text));
    }
    for text in ["<a></b>", "<a/><b/>", "x<a/>", "<p:a/>", "<a>&#0;</a>", "<a>&#x1;</a>", "<a b='1' b='2'/>"] {
        assert!(matches!(parse(text), Err(XmlError::Malformed { .. })), "{text}: {:?}", parse(text));
    }
    assert!(Element::parse(b"<a>\xff</a>", Limits::REQUEST).is_err());
}

#[test]
fn a_document_cut_anywhere_is_an_error() {
    let whole = r#"<a x="1"><b>text &amp; more</b><c/><!-- c --><![CDATA[d]]></a>"#;
    assert!(parse(whole).is_ok());
    for cut in 0..whole.len() {
        assert!(parse(&whole[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn what_xml_cannot_carry_is_not_sent() {
    let mut writer = Writer::fragment();
    writer.leaf("a", "bell \u{7}");
    assert_eq!(writer.finish(), Err(XmlError::Unwritable(7)));
}

/// Well-formed content: texts, references, sections, comments, elements in elements.
fn content() -> impl Strategy<Value = String> {
    let leaves = [
        "x",
        " ",
        "\r\n",
        "\r",
        "é",
        "&lt;",
        "&#65;",
        "&#x20ac;",
        "<![CDATA[<&]]>",
        "<![CDATA[]]>",
        "<!-- > -->",
        "<?p?>",
    ];
    let attributes = ["", " ", " c='1'", " c = \"&amp;\t\" d='>'", "\nc='\r\n' ü=''"];
    let leaf = proptest::sample::select(leaves.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let name = proptest::sample::select(vec!["a", "b", "é-1"]);
        let attributes = proptest::sample::select(attributes.to_vec());
        let end = proptest::sample::select(vec!["", " ", "\n"]);
        (name, attributes, end, proptest::collection::vec(inner, 0..6)).prop_map(|(name, attributes, end, inside)| {
            if inside.is_empty() {
                format!("<{name}{attributes}/>")
            } else {
                format!("<{name}{attributes}>{}</{name}{end}>", inside.concat())
            }
        })
    })
}

proptest! {
    #[test]
    fn what_is_well_formed_is_read_as_another_reader_reads_it(inside in content()) {
        let text = format!("<a>{inside}</a>");
        let ours = Element::parse(text.as_bytes(), Limits::ANSWER).unwrap();
        prop_assert_eq!(Some(theirs::plain(&ours)), theirs::read(&text));
    }

    #[test]
    fn any_text_written_is_read_back(text in "[\\t\\n\\r -\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]{0,40}") {
        let mut writer = Writer::document();
        writer.open("a").attribute("b", &text).leaf("c", &text).open("d").close();
        let document = writer.finish().unwrap();
        let element = Element::parse(document.as_bytes(), Limits::ANSWER).unwrap();
        prop_assert_eq!(element.attribute("b"), Some(text.as_str()));
        prop_assert_eq!(element.text_of("c"), Some(text.as_str()));
        prop_assert_eq!(element.text_of("d"), Some(""));
    }

    #[test]
    fn what_is_taken_another_reader_takes_and_reads_the_same(
        inside in "(<[ab] ?|</[ab]>|[xy] |/>|>|&lt;|&#65;| [ab]=[\"']|[\"']|<!--|-->|<!\\[CDATA\\[|\\]\\]>|\r|\n|é){0,25}",
    ) {
        let text = format!("<a>{inside}</a>");
        if let Ok(ours) = Element::parse(text.as_bytes(), Limits::ANSWER) {
            prop_assert_eq!(Some(theirs::plain(&ours)), theirs::read(&text));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Element::parse(&bytes, Limits::REQUEST);
    }

    #[test]
    fn no_near_xml_makes_it_panic(text in "(<[ab:/!?]{0,3}|[ab]|>|/>|&[#xam;]{0,4}|=|[\"']|xmlns|\\[CDATA\\[|--| ){0,30}") {
        let _ = Element::parse(text.as_bytes(), Limits::REQUEST);
    }
}
