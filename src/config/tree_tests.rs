//! Tests of the YAML reader: places, refusals, and that no text makes it panic.

use proptest::prelude::*;

use super::*;

fn messages(text: &str) -> Vec<String> {
    let mut problems = parse(text).problems;
    problems.sort_by_key(|p| p.span);
    problems
        .into_iter()
        .map(|p| {
            let place = p.span.map(|s| format!("{}:{}+{}", s.line, s.column, s.len));
            format!("{} {} {}", place.unwrap_or_default(), p.path, p.message)
        })
        .collect()
}

fn at(line: u32, column: u32, len: u32) -> Span {
    Span { line, column, len }
}

#[test]
fn every_value_knows_its_place() {
    let tree = parse("# top\nproject: demo\nlist:\n  - \"zwölf\"\n  - {a: 1}\n");
    assert_eq!(tree.problems, []);
    let Some(Node { data: Data::Mapping(entries), .. }) = tree.root else {
        panic!("a mapping");
    };
    assert_eq!((entries[0].key.as_str(), entries[0].key_span), ("project", at(2, 1, 7)));
    assert_eq!(entries[0].value.span, at(2, 10, 4));
    let Data::Sequence(items) = &entries[1].value.data else {
        panic!("a list");
    };
    assert_eq!(items[0].span, at(4, 5, 7));
    let Data::Mapping(inner) = &items[1].data else {
        panic!("a mapping");
    };
    assert_eq!((inner[0].key_span, inner[0].value.span), (at(5, 6, 1), at(5, 9, 1)));
}

#[test]
fn scalars_have_the_types_of_yaml_1_2() {
    let kind = |text: &str| match parse(&format!("k: {text}\n")).root.map(|n| n.data) {
        Some(Data::Mapping(entries)) => match entries[0].value.data {
            Data::Scalar { kind, .. } => kind,
            _ => panic!("a scalar"),
        },
        _ => panic!("a mapping"),
    };
    assert_eq!(kind(""), Scalar::Null);
    assert_eq!(kind("true"), Scalar::Bool(true));
    assert_eq!(kind("yes"), Scalar::Text);
    assert_eq!(kind("8140"), Scalar::Integer);
    assert_eq!(kind("\"8140\""), Scalar::Text);
    assert_eq!(kind("0x1f"), Scalar::Integer);
    assert_eq!(kind("1.5"), Scalar::Float);
    assert_eq!(kind("1.5.0"), Scalar::Text);
    assert_eq!(kind("infinity"), Scalar::Text);
    assert_eq!(kind("127.0.0.1:8140"), Scalar::Text);
}

#[test]
fn nothing_is_an_empty_configuration() {
    for text in ["", "\n", "# only a comment\n", "---\n", "~\n", "\u{feff}"] {
        assert_eq!(parse(text), Tree { root: None, problems: vec![] }, "{text:?}");
    }
    assert!(parse("\u{feff}project: x\r\nchannel: lts\r\n").root.is_some());
}

#[test]
fn duplicate_keys_show_both_places() {
    let tree = parse("a:\n  b: 1\n  c: 2\n  b: 3\n");
    let problem = &tree.problems[0];
    assert_eq!((problem.path.as_str(), problem.message.as_str()), ("a.b", "`b` is given twice"));
    assert_eq!(problem.span, Some(at(4, 3, 1)));
    assert_eq!(problem.related.as_ref().map(|r| r.span), Some(at(2, 3, 1)));
    assert!(tree.root.is_some(), "the rest is still checked");
}

#[test]
fn aliases_are_refused_and_bombs_stay_small() {
    assert_eq!(
        messages("a: &x 1\nb: *x\nc: *nowhere\n"),
        ["2:4+2 b aliases are not supported", "3:4+8 c aliases are not supported"]
    );
    let mut bomb = String::from("a0: &a0 [x]\n");
    for level in 1..30 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    assert_eq!(parse(&bomb).problems.len(), 290);
    assert_eq!(messages("*x : 1\n").len(), 1);
}

#[test]
fn depth_is_limited() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(messages(&nested(MAX_DEPTH)), Vec::<String>::new());
    assert_eq!(messages(&nested(MAX_DEPTH + 1)), ["1:33+1  nested deeper than 32 levels"]);
    assert_eq!(parse(&"[".repeat(500_000)).problems.len(), 1);
    let block: String = (0..2000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert_eq!(parse(&block).problems.len(), 1);
}

#[test]
fn other_refusals_are_located() {
    assert_eq!(
        messages("a: 1\n---\nb: 2\n"),
        ["2:1+3  a second document starts here; one file holds one configuration"]
    );
    assert_eq!(
        messages("a:\n\tb: 1\n\t\tc: 1\n"),
        ["2:1+1  a tab is used for indentation", "3:1+2  a tab is used for indentation"]
    );
    assert_eq!(messages("a: !!str 1\n"), ["1:4+5 a tags such as `!!str` are not supported"]);
    assert_eq!(messages("[a, b]: 1\n").len(), 1);
    for broken in ["a: [1\n", "a: \"x\n", "a: b: c\n", "%YAML 1.2\n---\na: 1\n", "a: 'x\n\n\n", "}\n"] {
        let found = messages(broken);
        assert_eq!(found.len(), 1, "{broken:?}: {found:?}");
        assert!(found[0].contains("not valid YAML: "), "{found:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        parse(&text);
    }

    #[test]
    fn no_yaml_like_text_panics(text in "[-a-c:?,&*!|>'\"%@`{}\\[\\]# \\n\\t~0-9.]{0,60}") {
        let lines = text.lines().count() as u32;
        for problem in parse(&text).problems {
            if let Some(span) = problem.span {
                prop_assert!(span.line <= lines.max(1), "{:?} in {:?}", problem, text);
            }
        }
    }
}
