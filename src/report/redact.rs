//! Takes secrets out of text and JSON that is given to others: known values, private keys, and what is named like a
//! secret. Better too much than too little.

use serde_json::Value;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Values that are shorter stand for themselves too often.
const SHORTEST: usize = 8;
/// A name with one of these in it is that of a secret. Lower case.
const NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "private_key",
    "privatekey",
    "credential",
    "authorization",
];

/// Knows which values are secret. Never shown: it has no `Debug`.
#[derive(Default)]
pub struct Redactor {
    known: Vec<String>,
}

impl Redactor {
    /// Takes these values out wherever they are. Too short ones are left out.
    pub fn new(known: impl IntoIterator<Item = String>) -> Self {
        let mut known: Vec<String> =
            known.into_iter().map(|value| value.trim().to_owned()).filter(|value| value.len() >= SHORTEST).collect();
        // The longest first: another may be a part of it.
        known.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Redactor { known }
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.known {
            text = text.replace(value.as_str(), REDACTED);
        }
        let text = without_keys(&text);
        text.split_inclusive('\n').map(line).collect()
    }

    /// The JSON without secrets: fields that are named like one lose their value, all other text is gone through.
    pub fn json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.json(item)).collect()),
            Value::Object(fields) => {
                let field = |(name, value): (String, Value)| match value {
                    Value::String(_) | Value::Number(_) if is_secret(&name) => (name, Value::String(REDACTED.into())),
                    value => (self.text(&name), self.json(value)),
                };
                Value::Object(fields.into_iter().map(field).collect())
            }
            other => other,
        }
    }
}

/// True for a name like `DB_PASSWORD`; not for that of a file, which may well tell what is in it.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    !name.contains('/') && NAMES.iter().any(|part| name.contains(part))
}

/// Private keys, as PEM: from their first line to their last, or to the end of the text.
fn without_keys(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    const KIND: &str = "PRIVATE KEY-----";
    /// The end of a boundary of a private key at or after the start of one.
    fn boundary(text: &str, begin: &str) -> Option<(usize, usize)> {
        let mut from = 0;
        loop {
            let start = from + text[from..].find(begin)?;
            let after = start + begin.len();
            let end = after + text[after..].find("-----")? + 5;
            if text[start..end].ends_with(KIND) {
                return Some((start, end));
            }
            from = after;
        }
    }
    let mut out = String::new();
    let mut rest = text;
    loop {
        match (boundary(rest, BEGIN), boundary(rest, END)) {
            // The rest of one whose beginning is not here.
            (begin, Some((end_start, end))) if begin.is_none_or(|(start, _)| end_start < start) => {
                out.push_str(REDACTED);
                rest = &rest[end..];
            }
            (Some((start, _)), end) => {
                out.push_str(&rest[..start]);
                out.push_str(REDACTED);
                match end {
                    Some((_, end)) => rest = &rest[end..],
                    None => return out,
                }
            }
            (None, _) => {
                out.push_str(rest);
                return out;
            }
        }
    }
}

/// A line without the values of what is named like a secret, and without passwords in URLs.
fn line(line: &str) -> String {
    let line = without_url_passwords(line);
    let lower = line.to_ascii_lowercase();
    let mut out = String::new();
    let mut at = 0;
    while let Some(found) = next_name(&lower, at) {
        match value_after(&line, found) {
            Some((start, end)) if start >= at => {
                out.push_str(&line[at..start]);
                out.push_str(REDACTED);
                at = end;
            }
            _ => {
                out.push_str(&line[at..found]);
                at = found;
            }
        }
    }
    out.push_str(&line[at..]);
    out
}

/// Where the next name of a secret ends, letters and digits that belong to it included.
fn next_name(lower: &str, from: usize) -> Option<usize> {
    let ends = NAMES.iter().filter_map(|name| Some(from + lower[from..].find(name)? + name.len()));
    let end = ends.min()?;
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    Some(end + lower[end..].find(|c: char| !word(c)).unwrap_or(lower.len() - end))
}

/// Where the value of a name is that ends here: `=`, `:` or `=>` and it, or, for a flag, a space and it.
fn value_after(line: &str, name_end: usize) -> Option<(usize, usize)> {
    let rest = &line[name_end..];
    let unquoted = rest.trim_start_matches(['"', '\'', '\\']);
    let separated = unquoted.trim_start_matches([' ', '\t']);
    let value = if let Some(value) = separated.strip_prefix("=>") {
        value
    } else if let Some(value) = separated.strip_prefix(['=', ':']) {
        value
    } else if is_flag(&line[..name_end]) && rest.starts_with(' ') {
        rest
    } else {
        return None;
    };
    let value = value.trim_start_matches([' ', '\t']);
    let bare = value.trim_start_matches(['"', '\'', '\\']);
    let quoted = bare.len() < value.len();
    let scheme = ["Bearer ", "Basic "].iter().find_map(|scheme| bare.strip_prefix(scheme)).unwrap_or(bare);
    let start = line.len() - scheme.len();
    let end_of = |c: char| match quoted {
        true => matches!(c, '"' | '\'' | '\\' | '\n'),
        false => c.is_whitespace() || matches!(c, ',' | ';' | '&' | '"' | '\'' | ')' | '}' | ']'),
    };
    let length = scheme.find(end_of).unwrap_or(scheme.len());
    let told = scheme.starts_with(REDACTED) || ["null", "true", "false", "none"].contains(&&scheme[..length]);
    (length > 0 && !told).then_some((start, start + length))
}

/// True when the text ends in a word that begins with two dashes.
fn is_flag(text: &str) -> bool {
    text.rsplit([' ', '"', '\'']).next().is_some_and(|word| word.starts_with("--"))
}

/// `scheme://user:password@host`.
fn without_url_passwords(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let authority = after.find(|c: char| c == '/' || c.is_whitespace() || c == '"').unwrap_or(after.len());
        match after[..authority].rfind('@').and_then(|host| Some((after[..host].find(':')?, host))) {
            Some((colon, host)) => {
                out.push_str(&after[..=colon]);
                out.push_str(REDACTED);
                rest = &after[host..];
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn redacted(text: &str) -> String {
        Redactor::new(["0123456789abcdef".to_owned()]).text(text)
    }

    #[test]
    fn known_values_go_wherever_they_are() {
        assert_eq!(redacted("x0123456789abcdefy"), "x[redacted]y");
        assert_eq!(Redactor::new(["short".into()]).text("short"), "short");
    }

    #[test]
    fn values_go_by_their_names() {
        for (text, expected) in [
            ("password=hunter2 user=a", "password=[redacted] user=a"),
            ("DB_PASSWORD=hunter2", "DB_PASSWORD=[redacted]"),
            (r#"{"password": "two words", "a": 1}"#, r#"{"password": "[redacted]", "a": 1}"#),
            (r#"{\"token\":\"abc\"}"#, r#"{\"token\":\"[redacted]\"}"#),
            ("'api_key' => 'abc',", "'api_key' => '[redacted]',"),
            ("curl --password hunter2 --url x", "curl --password [redacted] --url x"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
            ("secret_key_base: abc\nnext: line\n", "secret_key_base: [redacted]\nnext: line\n"),
            ("password=a&token=b", "password=[redacted]&token=[redacted]"),
            ("https://me:hunter2@git.example.com/x", "https://me:[redacted]@git.example.com/x"),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "FATAL:  password authentication failed for user \"puppetdb\"",
            "a one-time token that lets its request be signed",
            "/etc/pupperware/secrets/puppetdb-password",
            "https://puppetdb:8081/pdb/query/v4",
            "postgres://postgres:5432/puppetdb",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn keys_go_whole_however_they_are_cut() {
        let (begin, end) = ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----");
        assert_eq!(redacted(&format!("a\n{begin}\nMIIB\n{end}\nb")), "a\n[redacted]\nb");
        assert_eq!(redacted(&format!(r"a {begin}\nMIIB\n{end}\n b")), r"a [redacted]\n b");
        assert_eq!(redacted(&format!("a\n{begin}\nMIIB\n")), "a\n[redacted]");
        assert_eq!(redacted(&format!("MIIB\n{end}\nb")), "[redacted]\nb");
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n";
        assert_eq!(redacted(&format!("{certificate}{begin}\nMIIB\n{end}")), format!("{certificate}[redacted]"));
    }

    #[test]
    fn fields_and_environments_of_json_are_gone_through() {
        let found = json!({ "Env": ["PATH=/bin", "DB_PASSWORD=hunter2"], "Password": "x", "Labels": { "a": "b" },
            "TokenCount": 3, "secrets": ["0123456789abcdef"] });
        let expected = json!({ "Env": ["PATH=/bin", "DB_PASSWORD=[redacted]"], "Password": REDACTED,
            "Labels": { "a": "b" }, "TokenCount": REDACTED, "secrets": [REDACTED] });
        assert_eq!(Redactor::new(["0123456789abcdef".into()]).json(found), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_gone_through_to_its_end(text in r#"(password|token|=|:|"|'| |é|://|@|-----BEGIN |PRIVATE KEY-----|-----END |\n|a){0,40}"#) {
            redacted(&text);
        }

        #[test]
        fn no_known_value_is_left(before in ".{0,20}", after in ".{0,20}") {
            let text = redacted(&format!("{before}0123456789abcdef{after}"));
            prop_assert!(!text.contains("0123456789abcdef"));
        }
    }
}
