//! The reference of the file as Markdown: every key with type, default, meaning and example.
//!
//! Made from the same source as the JSON Schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::keys::{self, Key};
use super::schema::{self, Described};

/// The text of `docs/reference/configuration.md`.
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    let settings = schema::settings();
    for key in keys::KEYS {
        match settings.iter().find(|setting| setting.key.path == key.path) {
            None => {
                let _ = write!(out, "## {}\n\n{}\n\n", key.path, key.about);
            }
            Some(setting) => one(&mut out, setting),
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

const HEAD: &str = "\
# `pupperware.yaml`

<!-- Generated from the program: `UPDATE_DOCS=1 cargo test --lib config::` writes it anew. -->

Every key is optional; without a file, or with an empty one, all defaults hold. The file is looked for as
`pupperware.yaml` or `pupperware.yml` in the current directory and above it, up to the root of the git repository;
`--config` (`PUPPERWARE_CONFIG`) names another one. Flags win over environment variables, those over the file.

`pupperware config validate` shows every error at once, `pupperware config show` every value and where it comes from.
Editors check the file while you type if its first line is

```yaml
# yaml-language-server: $schema=pupperware.schema.json
```

with the path of `pupperware config schema`'s output. The file is YAML 1.2 without aliases, tags and directives, of at
most 1 MiB. Sizes are binary: `512m` is 512 MiB, `2g` is 2 GiB.

## Top level

";

fn one(out: &mut String, setting: &Described) {
    let Key { path, about, example } = setting.key;
    let _ = write!(out, "### `{path}`\n\n{about}\n\n");
    let _ = writeln!(out, "- Type: {}", setting.expected);
    let default = match &setting.default {
        Value::Null => "unset".to_owned(),
        value => format!("`{value}`"),
    };
    let _ = writeln!(out, "- Default: {}", default.replace("`\"", "`").replace("\"`", "`"));
    let names: Vec<&str> = path.split('.').collect();
    let lines = names.iter().enumerate().map(|(depth, name)| format!("{}{name}:", "  ".repeat(depth)));
    let yaml = format!("{} {example}", lines.collect::<Vec<_>>().join("\n"));
    let _ = write!(out, "\n```yaml\n{yaml}\n```\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_reference_is_this_one() {
        crate::config::schema::tests::published("configuration.md", &markdown());
    }
}
