//! `relay.yaml`: which reports are told to whom.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::relay::api::{ConnectionName, TokenName};
use crate::relay::glob::Glob;

/// The file. A key that is not known is an error: a mistyped condition would match everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesFile {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// What is told to whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is called; how far it has got is kept by this name.
    pub name: TokenName,
    /// Whose events.
    #[serde(default = "default_connection")]
    pub connection: ConnectionName,
    /// Which reports.
    #[serde(default)]
    pub on: Conditions,
    /// To whom.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub send: Receiver,
    /// How long to wait for more of the same, so that a change of many nodes is one message.
    #[serde(default = "coalesce")]
    pub coalesce_seconds: u32,
    /// The most messages a minute; what comes meanwhile is in the next one.
    #[serde(default = "per_minute")]
    pub per_minute: NonZeroU32,
}

/// Which reports. Everything that is said has to fit; of a list, one is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// Resources that changed, would change or failed, such as `File[/etc/sudoers*]`.
    pub resources: Vec<Glob>,
    /// What contains them: a class, a profile or a defined type, such as `Profile::Base` or `Sudo::Conf[*]`.
    pub containers: Vec<Glob>,
    /// Nodes.
    pub nodes: Vec<Glob>,
    /// `changed`, `failed`, `unchanged`.
    pub status: BTreeSet<ReportStatus>,
    /// Only what something outside of Puppet had changed.
    pub corrective: Option<bool>,
    /// Only noop runs, or only real ones.
    pub noop: Option<bool>,
}

/// What a report says of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// Something was changed.
    Changed,
    /// Something failed; a catalog that could not be had, too.
    Failed,
    /// Nothing was changed; a noop run that found something says so, too.
    Unchanged,
}

impl ReportStatus {
    /// The report's word.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportStatus::Changed => "changed",
            ReportStatus::Failed => "failed",
            ReportStatus::Unchanged => "unchanged",
        }
    }
}

/// Where a message goes. Addresses are secrets, so that they come from files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Receiver {
    /// An incoming webhook of Slack, or of whoever understands the same.
    Slack {
        /// File with its URL; nobody else may read it.
        url_file: PathBuf,
    },
    /// Anything that takes JSON, signed by Standard Webhooks.
    Webhook {
        /// File with its URL; nobody else may read it.
        url_file: PathBuf,
        /// File with the secret (`whsec_...`) that signs.
        secret_file: PathBuf,
        /// Authorities to trust, as PEM; without it, this machine's.
        #[serde(default)]
        ca_file: Option<PathBuf>,
    },
}

fn default_connection() -> ConnectionName {
    "default".to_owned().try_into().expect("a name")
}
fn coalesce() -> u32 {
    10
}
fn per_minute() -> NonZeroU32 {
    NonZeroU32::new(30).expect("not zero")
}

/// What is wrong with the text of a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Line and column, from 1, where they are known.
    pub place: Option<(u32, u32)>,
    /// What.
    pub why: String,
}

impl RulesFile {
    /// Reads a text.
    ///
    /// # Errors
    /// Something in it is wrong.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let file: RulesFile = serde_yaml::from_str(text).map_err(|error| {
            let said = error.to_string();
            // The place is told apart from the words.
            let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why).to_owned();
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            Wrong { place: error.location().map(|at| (number(at.line()), number(at.column()))), why }
        })?;
        let mut names = BTreeSet::new();
        match file.rules.iter().find(|rule| !names.insert(&rule.name)) {
            Some(twice) => Err(Wrong { place: None, why: format!("two rules are called `{}`", twice.name) }),
            None => Ok(file),
        }
    }

    /// Reads the file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong: what and where.
    pub fn load(path: &Path) -> Result<Self> {
        let wrong = || Error::usage(format!("the rules in {} cannot be used", path.display()));
        let hint = "docs/guides/relay.md describes the file";
        let text = std::fs::read_to_string(path).map_err(|e| wrong().because(e).hint(hint))?;
        let mut file = Self::parse(&text).map_err(|Wrong { place, why }| {
            let place = place.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default();
            wrong().because(anyhow::anyhow!("{place}{why}")).hint(hint)
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        file.rules.iter_mut().for_each(|rule| rule.send.relative_to(folder));
        Ok(file)
    }
}

impl Receiver {
    /// Makes its paths relative to this folder.
    pub fn relative_to(&mut self, folder: &Path) {
        let join = |path: &mut PathBuf| *path = folder.join(&*path);
        match self {
            Receiver::Slack { url_file } => join(url_file),
            Receiver::Webhook { url_file, secret_file, ca_file } => {
                [url_file, secret_file].into_iter().chain(ca_file).for_each(join);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RulesFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.yaml");
        std::fs::write(&path, text).unwrap();
        RulesFile::load(&path)
    }

    #[test]
    fn a_file_and_its_defaults() {
        let file = read(
            "rules:\n- name: sudoers\n  on: {resources: ['File[/etc/sudoers*]'], status: [changed]}\n  \
             send: {slack: {url_file: /etc/slack}}\n",
        )
        .unwrap();
        let rule = &file.rules[0];
        assert_eq!((rule.coalesce_seconds, rule.per_minute.get(), rule.connection.as_str()), (10, 30, "default"));
        assert!(rule.on.resources[0].fits("File[/etc/sudoers.d/x]"));
    }

    #[test]
    fn what_is_mistyped_is_said() {
        let rule = |text: &str| format!("rules:\n- name: a\n  send: {{slack: {{url_file: /x}}}}\n  {text}\n");
        for (text, word) in [
            (rule("on: {resource: ['File[x]']}"), "resource"),
            (rule("on: {status: [broken]}"), "broken"),
            (rule("per_minute: 0"), "per_minute"),
            ("rules:\n- name: a\n  send: {mail: {}}\n".into(), "mail"),
            ("rules:\n- name: a\n".into(), "send"),
        ] {
            let error = format!("{:?}", read(&text).unwrap_err());
            assert!(error.contains(word), "{word}: {error}");
        }
        let twice = rule("") + &rule("").replace("rules:\n", "");
        assert!(format!("{:?}", read(&twice).unwrap_err()).contains("two rules"));
    }
}
