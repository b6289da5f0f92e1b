//! The URL of a git repository. No password fits into it: it is shown in plans, logs and process lists.

use std::fmt;

use serde_json::{Value, json};

use super::{Refusal, Setting};
use crate::config::problem::quote;

/// Where a git repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryUrl(String);

/// How it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `https://`.
    Https,
    /// `ssh://` or `USER@HOST:PATH`.
    Ssh,
    /// `http://` or `git://`: nobody is asked who he is.
    Open,
}

/// The refusal of a URL with a password.
pub const PASSWORD: &str = "there is a password in the URL, where everybody sees it";
/// Where the scheme of a URL ends.
const SCHEME: &str = "://";
/// What tokens of the usual hosts begin with, and the longest user name.
const TOKENS: [&str; 7] = ["ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-", "ATBB"];
const LONGEST_USER: usize = 39;

impl RepositoryUrl {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How it is reached.
    pub fn transport(&self) -> Transport {
        match self.0.split_once(SCHEME).map(|(scheme, _)| scheme) {
            Some("https") => Transport::Https,
            Some("ssh") | None => Transport::Ssh,
            Some(_) => Transport::Open,
        }
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once(SCHEME).map_or(self.0.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        host.split(':').next().unwrap_or_default()
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for RepositoryUrl {
    fn expected() -> String {
        "the URL of a git repository".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let example = "write it like `https://HOST/PATH.git` or `git@HOST:PATH.git`";
        if text.is_empty() || text.starts_with('-') {
            return Err(Refusal::new("not a URL").suggest(example));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/@%+,=[]".contains(c);
        if let Some((scheme, rest)) = text.split_once(SCHEME) {
            if !["https", "http", "ssh", "git"].contains(&scheme) {
                return Err(Refusal::new(format!("git cannot be asked by {} here", quote(scheme))).suggest(example));
            }
            let authority = rest.split('/').next().unwrap_or_default();
            let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
            if user.len() > LONGEST_USER || TOKENS.iter().any(|start| user.starts_with(start)) {
                return Err(Refusal::new("the user name in it looks like a token")
                    .suggest("put it into a file of mode 0600, and name that file with `token`"));
            }
            if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
                // Not quoted: what is shown here may be logged.
                return Err(
                    Refusal::new(PASSWORD).suggest("put it into a file of mode 0600, and name that file with `token`")
                );
            }
        } else if !text.split_once(':').is_some_and(|(host, path)| host.contains('@') && !path.is_empty()) {
            // Quoted only where no password can be in it.
            let shown = if text.contains('@') { "this".to_owned() } else { quote(text) };
            return Err(Refusal::new(format!("{shown} is not the URL of a repository")).suggest(example));
        }
        if let Some(bad) = text.chars().find(|c| !plain(*c)) {
            return Err(Refusal::new(format!("{} cannot be in it", quote(&bad.to_string()))).suggest(example));
        }
        let url = RepositoryUrl(text.to_owned());
        if url.host().is_empty() || url.host().starts_with('-') {
            return Err(Refusal::new("the URL names no host").suggest(example));
        }
        Ok(url)
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 3 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_takes_is_taken_and_nothing_that_runs_a_command() {
        for (text, transport, host) in [
            ("https://git.example.com/a/b.git", Transport::Https, "git.example.com"),
            ("https://user@git.example.com:8443/a.git", Transport::Https, "git.example.com"),
            ("ssh://git@git.example.com:22/a.git", Transport::Ssh, "git.example.com"),
            ("git@git.example.com:a/b.git", Transport::Ssh, "git.example.com"),
            ("git://10.0.0.1/a.git", Transport::Open, "10.0.0.1"),
        ] {
            let url = RepositoryUrl::parse(text).expect(text);
            assert_eq!((url.transport(), url.host()), (transport, host), "{text}");
        }
        for bad in [
            "",
            "--upload-pack=x",
            "ext::sh -c x",
            "file:///etc",
            "/srv/a.git",
            "https://",
            "ssh://-oProxy/a",
            "https://a/b c",
        ] {
            assert!(RepositoryUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let refusal = RepositoryUrl::parse("https://me:s3cret@git.example.com/a.git").expect_err("a password");
        assert!(!format!("{refusal:?}").contains("s3cret"));
        assert!(refusal.suggestion.is_some_and(|s| s.contains("`token`")));
    }
}
