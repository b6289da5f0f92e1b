//! Tokens, as who administers a server sees them. These requests are answered on the server's own socket only.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{ConnectionName, Line, RunId, TokenId, TokenName};

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// Ask for runs, look at them, cancel them, and read events.
    Run,
    /// Take runs and say how they go.
    Bridge,
    /// Send events.
    Trigger,
    /// Approve runs or deny them, and look at them.
    Approve,
}

impl TokenScope {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            TokenScope::Run => "run",
            TokenScope::Bridge => "bridge",
            TokenScope::Trigger => "trigger",
            TokenScope::Approve => "approve",
        }
    }
}

impl fmt::Display for TokenScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Body of `POST /admin/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The connection that it belongs to; made with its first token.
    pub connection: ConnectionName,
    /// What it is called there.
    pub name: TokenName,
    /// What it is good for.
    pub scopes: BTreeSet<TokenScope>,
}

/// What is known about a token. The token itself is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// By which it is spoken of.
    pub id: TokenId,
    /// The connection that it belongs to.
    pub connection: ConnectionName,
    /// What it is called there.
    pub name: TokenName,
    /// What it is good for.
    pub scopes: BTreeSet<TokenScope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself: it was replaced by a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, since the server started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

impl TokenInfo {
    /// True when it opens anything.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Answer (201) to making or rotating a token: the only time that it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMade {
    /// The secret.
    pub token: String,
    /// What is kept of it.
    pub info: TokenInfo,
}

/// Answer to `GET /admin/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    /// By connection and name; those that opened things once, too.
    pub tokens: Vec<TokenInfo>,
}

/// Body of `POST /admin/links`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// Whose runs it shows.
    pub connection: ConnectionName,
    /// Whom it signs in; decisions are theirs.
    pub name: Line,
    /// The only run that it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How long it works; an hour when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<NonZeroU32>,
}

/// Answer (201) to making a link: the only time that it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkMade {
    /// Its path on the server.
    pub path: String,
    /// Until when it works.
    pub ends_at: Timestamp,
}
