//! A configuration that comes from a backup, and is in no file yet.

use std::path::PathBuf;

use crate::config::tree;
use crate::config::types::{ProjectName, Setting};
use crate::config::validate::validate;

/// What a configuration file will say, and where it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// The text with this project's name in it; everything else stays as the user wrote it. Nothing when that cannot be done.
/// Without a name, or with another one, the next command in the file's folder would be about another platform.
pub fn named(text: &str, project: &str) -> Option<String> {
    let project = ProjectName::parse(project).ok()?;
    let good = |text: &String| {
        let validated = validate(tree::parse(text), None);
        !validated.is_bad() && validated.config.project == project
    };
    let said = validate(tree::parse(text), None).given.get("project").copied();
    let Some(span) = said else {
        if good(&text.to_owned()) {
            return Some(text.to_owned());
        }
        // Before everything, or where a document begins.
        let key = format!("project: {project}\n");
        let after_start = text.find("---\n").map(|at| at + 4);
        let places = [Some(0), after_start].into_iter().flatten();
        return places.map(|at| format!("{}{key}{}", &text[..at], &text[at..])).find(good);
    };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let line = lines.get_mut(span.line as usize - 1)?;
    let chars: Vec<char> = line.chars().collect();
    let (start, end) = (span.column as usize - 1, (span.column + span.len) as usize - 1);
    let (before, after) = (chars.get(..start)?, chars.get(end..)?);
    *line = before.iter().chain(project.as_str().chars().collect::<Vec<_>>().iter()).chain(after).collect();
    Some(lines.concat()).filter(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_put_where_the_old_one_was_and_nothing_else_changes() {
        for (text, expected) in [
            (
                "# ours\nproject: demo  # as ever\nagents: { replicas: 2 }\n",
                "# ours\nproject: two  # as ever\nagents: { replicas: 2 }\n",
            ),
            ("{ project: \"demo\", agents: { replicas: 2 } }", "{ project: two, agents: { replicas: 2 } }"),
            ("project: two\n", "project: two\n"),
            ("agents:\n  replicas: 2\n", "project: two\nagents:\n  replicas: 2\n"),
            ("---\nagents: { replicas: 2 }\n", "---\nproject: two\nagents: { replicas: 2 }\n"),
            ("", "project: two\n"),
        ] {
            assert_eq!(named(text, "two").as_deref(), Some(expected), "{text}");
        }
        assert_eq!(named("agents: { replicas: 2 }\n", "pupperware").as_deref(), Some("agents: { replicas: 2 }\n"));
    }

    #[test]
    fn what_cannot_be_named_stays_alone() {
        assert_eq!(named("{ agents: { replicas: 2 } }", "two"), None);
        assert_eq!(named("project: demo\n", "Not A Name"), None);
    }
}
