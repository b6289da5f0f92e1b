//! The reference of the rules as Markdown, made from the rules themselves.

use std::fmt::Write as _;

use super::rules::THEMES;

/// The text of `docs/reference/audit.md`.
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    for theme in &THEMES {
        let _ = write!(
            out,
            "\n## {}\n\n| rule | severity | what is wrong | what to do |\n|---|---|---|---|\n",
            theme.title
        );
        for rule in theme.rules {
            let _ = writeln!(out, "| `{}` | {} | {} | {} |", rule.id, rule.severity.name(), rule.title, rule.remedy);
        }
    }
    out
}

const HEAD: &str = "\
# Rules of the audit

<!-- Generated from the program: `UPDATE_DOCS=1 cargo test --lib audit::` writes it anew. -->

What `pupperware audit` checks. The ids never change. `CONTAINER`, `NETWORK`, `REFERENCE` and `NAME` stand for what the
finding names. [The guide](../guides/audit.md) tells how to use it, [Security](../concepts/security.md) why it is so.
";

#[cfg(test)]
mod tests {
    #[test]
    fn the_published_reference_is_this_one() {
        crate::config::schema::tests::published("audit.md", &super::markdown());
    }
}
