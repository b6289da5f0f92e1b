//! `backup`: how many are kept, how old the last may be, whom they are encrypted for.

use super::reader::{Context, Section};
use crate::config::model::Backup;
use crate::config::problem::Problem;
use crate::config::tree::Node;
use crate::config::types::{AgeRecipient, PRIVATE_KEY, Ttl};

const RECIPIENTS: &str = "backup.recipients";
const MAX_AGE: &str = "backup.max_age";

/// Reads the section.
pub(super) fn read(context: &mut Context, node: Option<Node>) -> Backup {
    let mut s = Section::new(context, "backup", node);
    let (keep, max_age) = (s.read("keep"), s.read::<Ttl>("max_age"));
    let mut recipients: Vec<AgeRecipient> = Vec::new();
    for (recipient, span) in s.read_list::<AgeRecipient>("recipients").unwrap_or_default() {
        if recipients.contains(&recipient) {
            let message = format!("`{recipient}` is listed twice");
            s.context().problems.push(Problem::warning(span, RECIPIENTS, message));
        } else {
            recipients.push(recipient);
        }
    }
    hide_private_keys(s.context());
    s.finish();
    if let Some(span) = context.given.get(MAX_AGE).filter(|_| max_age.is_some_and(|t| t.seconds() == 0)) {
        let problem = Problem::error(*span, MAX_AGE, "no backup is as young as that");
        context.problems.push(problem.suggest("write a time like 26h, or leave it out"));
    }
    Backup { keep, max_age, recipients }
}

/// The lines of the file are not shown where a private key can stand in them, nor is what was found there.
fn hide_private_keys(context: &mut Context) {
    let private = |p: &Problem| p.message == PRIVATE_KEY || p.message.to_ascii_uppercase().contains("AGE-SECRET-KEY-");
    let ours = |p: &&mut Problem| p.path.starts_with(RECIPIENTS);
    if !context.problems.iter().any(|p| p.path.starts_with(RECIPIENTS) && private(p)) {
        return;
    }
    for problem in context.problems.iter_mut().filter(ours) {
        if private(problem) {
            problem.message = PRIVATE_KEY.into();
        }
        if let Some(span) = problem.span.take() {
            problem.message = format!("line {}: {}", span.line, problem.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tree;
    use crate::config::validate::validate;

    const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

    fn problems(lines: &str) -> Vec<String> {
        let validated = validate(tree::parse(&format!("backup:\n{lines}")), None);
        let shown = validated.problems.iter();
        shown.map(|p| format!("{}: {} ({})", p.path, p.message, p.span.is_some())).collect()
    }

    #[test]
    fn what_makes_sense_is_taken() {
        let text = format!("backup: {{ keep: 7, max_age: 26h, recipients: [{PUBLIC}] }}\n");
        let backup = validate(tree::parse(&text), None).config.backup;
        assert_eq!((backup.keep.unwrap().get(), backup.max_age.unwrap().seconds()), (7, 26 * 3600));
        assert_eq!(backup.recipients[0].to_string(), PUBLIC);
        assert_eq!(problems(&format!("  recipients: [{PUBLIC}, {PUBLIC}]\n")).len(), 1);
    }

    #[test]
    fn what_makes_none_is_refused() {
        assert_eq!(problems("  max_age: 0s\n"), ["backup.max_age: no backup is as young as that (true)"]);
        assert!(problems("  keep: 0\n")[0].starts_with("backup.keep: "));
        assert!(problems("  recipients: [age1x]\n")[0].ends_with("not a public key of age (true)"));
    }

    #[test]
    fn a_line_with_a_private_key_is_named_and_not_shown() {
        for lines in ["  recipients: [x, AGE-SECRET-KEY-1GQ9]\n", "  recipients: AGE-SECRET-KEY-1GQ9\n"] {
            let problems = problems(lines);
            assert!(problems.last().unwrap().contains("line 2: this is a private key"), "{problems:?}");
            assert!(problems.iter().all(|p| p.ends_with("(false)") && !p.contains("GQ9")), "{problems:?}");
        }
    }
}
