//! `docs/reference/exit-codes.md` names every kind of failure with its code.

use pupperware::error::Kind;

/// Each kind once; a new one does not compile until it is put into the chain.
fn after(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Failed => Some(Kind::Usage),
        Kind::Usage => Some(Kind::Differs),
        Kind::Differs => Some(Kind::Engine),
        Kind::Engine => Some(Kind::TimedOut),
        Kind::TimedOut => Some(Kind::Refused),
        Kind::Refused => Some(Kind::RolledBack),
        Kind::RolledBack => Some(Kind::Interrupted),
        Kind::Interrupted => Some(Kind::Terminated),
        Kind::Terminated => Some(Kind::Child(0)),
        Kind::Child(_) => None,
    }
}

#[test]
fn every_kind_is_documented() {
    let page = include_str!("../../docs/reference/exit-codes.md");
    let kinds: Vec<Kind> = std::iter::successors(Some(Kind::Failed), |kind| after(*kind)).collect();
    for kind in &kinds {
        let code = match kind {
            Kind::Child(_) => "any".to_owned(),
            other => other.exit_code().to_string(),
        };
        let row = format!("| {code} | `{}` |", kind.name());
        assert!(page.contains(&row), "docs/reference/exit-codes.md lacks a row that starts with: {row}");
    }
    let rows = page.lines().filter(|line| line.contains("| `")).count();
    assert_eq!(rows, kinds.len(), "a documented kind does not exist");
}
