//! The user's own rules for the platform's Relay server: a file beside the configuration, and the files with secrets that
//! it names. All of them are looked at before anything of the platform is touched.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Refusal, Setting};
use crate::config::problem::{Span, quote};
use crate::config::tree::{self, Data, Node};
use crate::relay::server::rules::{Receiver, RulesFile};

/// Rules are a page or some; more is a mistake.
const LONGEST: u64 = 256 << 10;
/// Where the server finds the files that the rules name.
const THERE: &str = "/etc/pupperware";

/// The path of a file with rules, and after [`RelayRules::load`] what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayRules {
    path: String,
    loaded: Option<Loaded>,
}

/// Rules as the server in its container reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The file, with other paths.
    pub text: String,
    /// What those paths lead to.
    pub beside: Vec<Beside>,
}

/// A file that the rules name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Its path in the server's volume.
    pub path: String,
    /// Where it is on this machine.
    pub from: PathBuf,
    /// Changes with what is in it; too short to tell anything of that.
    pub mark: String,
}

impl RelayRules {
    /// Reads the file, whose path is relative to `folder`, and looks at what it names.
    ///
    /// # Errors
    /// Something cannot be read or is wrong; with the place in the file.
    pub fn load(&mut self, folder: &Path) -> Result<(), Refusal> {
        let full = folder.join(&self.path);
        let text = read(&full)?;
        // What is said is where it stands, as compilers say it.
        let wrong = |span: Option<Span>, why: &str| {
            let place = span.map(|span| format!(":{}:{}", span.line, span.column)).unwrap_or_default();
            Refusal::new(format!("{}{place}: {why}", self.path)).suggest("docs/guides/relay.md describes the file")
        };
        let mut file = RulesFile::parse(&text).map_err(|error| {
            let span = error.place.map(|(line, column)| Span { line, column, len: 1 });
            wrong(span, &error.why)
        })?;
        let tree = tree::parse(&text).root;
        let mut beside = Vec::new();
        let home = full.parent().unwrap_or(folder).to_owned();
        for (at, rule) in file.rules.iter_mut().enumerate() {
            rule.send.relative_to(&home);
            rule.send.look().map_err(|why| wrong(place(tree.as_ref(), at), &format!("rule `{}`: {why}", rule.name)))?;
            let name = rule.name.to_string();
            for (kind, path) in named(&mut rule.send) {
                let there = format!("secrets/rules/{name}.{kind}");
                beside.push(Beside { path: there.clone(), mark: mark(&read(path)?), from: path.clone() });
                *path = format!("{THERE}/{there}").into();
            }
        }
        let text = serde_yaml::to_string(&file).map_err(|error| wrong(None, &error.to_string()))?;
        self.loaded = Some(Loaded { text, beside });
        Ok(())
    }

    /// What the file says, once it is loaded.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.loaded.as_ref()
    }
}

/// The files that a receiver needs, by what they hold.
fn named(receiver: &mut Receiver) -> Vec<(&'static str, &mut PathBuf)> {
    match receiver {
        Receiver::Slack { url_file } => vec![("url", url_file)],
        Receiver::Webhook { url_file, secret_file, ca_file } => {
            let ca = ca_file.as_mut().map(|path| ("ca", path));
            [("url", url_file), ("secret", secret_file)].into_iter().chain(ca).collect()
        }
    }
}

/// Where a rule's receiver stands; else where the rule does.
fn place(root: Option<&Node>, at: usize) -> Option<Span> {
    let entry = |node: &Node, name: &str| match &node.data {
        Data::Mapping(entries) => entries.iter().find(|e| e.key == name).map(|e| (e.key_span, e.value.clone())),
        _ => None,
    };
    let (_, rules) = entry(root?, "rules")?;
    let Data::Sequence(rules) = rules.data else { return None };
    let rule = rules.get(at)?;
    Some(entry(rule, "send").map_or(rule.span, |(span, _)| span))
}

/// The text of a file of a reasonable size.
fn read(path: &Path) -> Result<String, Refusal> {
    let shown = quote(&path.display().to_string());
    let why = |e: std::io::Error| {
        Refusal::new(format!("cannot read {shown}: {e}"))
            .suggest("the path is relative to the folder of the file that names it")
    };
    if !std::fs::metadata(path).map_err(why)?.is_file() {
        return Err(Refusal::new(format!("{shown} is not a file")));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|f| f.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(why)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Refusal::new(format!("{shown} is larger than {} KiB", LONGEST >> 10)));
    }
    String::from_utf8(bytes).map_err(|_| Refusal::new(format!("{shown} is no text")))
}

/// 32 bits of a hash: another content is noticed, and none can be told from it.
fn mark(text: &str) -> String {
    Sha256::digest(text).iter().take(4).map(|b| format!("{b:02x}")).collect()
}

impl fmt::Display for RelayRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl Setting for RelayRules {
    fn expected() -> String {
        "the path of a file with rules".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() || text.contains('\0') {
            return Err(Refusal::new("not a path"));
        }
        Ok(RelayRules { path: text.to_owned(), loaded: None })
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("conf")).unwrap();
        for (name, text, mode) in [
            ("conf/url", "https://hooks.example.com/s3cret", 0o600),
            ("conf/secret", SECRET, 0o600),
            ("conf/open", "https://hooks.example.com/s3cret", 0o644),
            ("conf/none", "hooks.example.com/s3cret", 0o600),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        folder
    }

    fn load(folder: &Path, text: &str) -> Result<Loaded, String> {
        std::fs::write(folder.join("conf/relay.yaml"), text).unwrap();
        let mut rules = RelayRules::parse("conf/relay.yaml").unwrap();
        rules.load(folder).map_err(|refusal| refusal.reason)?;
        Ok(rules.loaded().unwrap().clone())
    }

    #[test]
    fn rules_arrive_as_they_were_meant_with_paths_of_the_container() {
        let folder = folder();
        let text = "rules:\n- name: motd\n  on: {resources: ['File[/etc/motd]'], status: [changed]}\n  send: {webhook: {url_file: url, secret_file: secret}}\n  per_minute: 2\n";
        let loaded = load(folder.path(), text).unwrap();
        insta::assert_snapshot!(loaded.text, @"
        rules:
        - name: motd
          connection: default
          on:
            resources:
            - File[/etc/motd]
            containers: []
            nodes: []
            status:
            - changed
            corrective: null
            noop: null
          send:
            webhook:
              url_file: /etc/pupperware/secrets/rules/motd.url
              secret_file: /etc/pupperware/secrets/rules/motd.secret
              ca_file: null
          coalesce_seconds: 10
          per_minute: 2
        ");
        let again = RulesFile::parse(&loaded.text).unwrap();
        assert_eq!(again.rules[0].per_minute.get(), 2);
        let beside: Vec<_> = loaded.beside.iter().map(|b| (b.path.as_str(), b.from.clone())).collect();
        let from = |name: &str| folder.path().join("conf").join(name);
        assert_eq!(beside, [("secrets/rules/motd.url", from("url")), ("secrets/rules/motd.secret", from("secret"))]);
        assert!(!format!("{loaded:?}").contains("s3cret") && !format!("{loaded:?}").contains(SECRET));

        std::fs::write(from("secret"), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let other = load(folder.path(), text).unwrap();
        assert_eq!(
            (other.beside[0].mark == loaded.beside[0].mark, other.beside[1].mark == loaded.beside[1].mark),
            (true, false)
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let folder = folder();
        let slack = |url: &str| {
            format!(
                "rules:\n- name: first\n  send: {{slack: {{url_file: url}}}}\n- name: second\n  send:\n    slack: {{url_file: {url}}}\n"
            )
        };
        let wrong = |text: &str| load(folder.path(), text).unwrap_err();
        assert!(load(folder.path(), &slack("url")).is_ok());
        for (text, place, word) in [
            (slack("open"), "conf/relay.yaml:5:3: ", "chmod 600"),
            (slack("gone"), "conf/relay.yaml:5:3: ", "gone"),
            (slack("none"), "conf/relay.yaml:5:3: ", "is not a URL"),
            (slack("url").replace("second", "first"), "conf/relay.yaml", "two rules are called `first`"),
            (slack("url").replace("url_file: url}", "uri_file: url}"), "conf/relay.yaml:3:", "uri_file"),
            ("rules: [\n".to_owned(), "conf/relay.yaml:", ""),
            ("rules: 3\n".to_owned(), "conf/relay.yaml:1:8: ", "sequence"),
        ] {
            let said = wrong(&text);
            assert!(said.starts_with(place) && said.contains(word) && !said.contains("s3cret"), "{text}: {said}");
        }
        let mut none = RelayRules::parse("nothing.yaml").unwrap();
        assert!(none.load(folder.path()).unwrap_err().reason.contains("cannot read"));
    }
}
