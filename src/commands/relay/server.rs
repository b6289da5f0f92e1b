//! The server that a command talks to, and what its refusals mean to people.

use crate::cli::relay::server::ServerArgs;
use crate::error::{Error, Kind, Result};
use crate::relay::client::connection::{Connection, Limits};
use crate::relay::client::relay::{CallError, Relay};
use crate::relay::client::target::Target;
use crate::relay::client::tls::TlsFiles;
use crate::relay::client::token::TokenFile;

/// The server that the user named.
///
/// # Errors
/// None is named, or what is named cannot be used.
pub(super) fn named(args: &ServerArgs) -> Result<Relay> {
    let (Some(url), Some(token)) = (&args.relay_url, &args.token_file) else {
        return Err(Error::usage("no server is named").hint("give `--relay-url` and `--token-file`"));
    };
    let target = Target::parse(url).map_err(|why| Error::usage(format!("--relay-url: {why}")))?;
    let token = TokenFile::new(token);
    token.read().map_err(Error::usage)?;
    let files = TlsFiles { ca: args.ca_file.clone(), identity: None };
    Connection::new(target, &files, Some(token), Limits::default()).map(Relay::new).map_err(Error::usage)
}

/// A call's failure for people.
pub(super) fn failed(what: &str, error: CallError) -> Error {
    let kind = match &error {
        CallError::Refused { .. } | CallError::NotFound => Kind::Usage,
        CallError::Conflict { .. } => Kind::Refused,
        CallError::NotSent(_) | CallError::Trouble { .. } | CallError::Unauthorized(_) => Kind::Failed,
    };
    let hint = match &error {
        CallError::Unauthorized(_) => {
            Some("the token was revoked, or is for something else; `--token-file` names another")
        }
        CallError::NotSent(_) => Some("is it the right `--relay-url`, and the right `--ca-file`?"),
        CallError::NotFound => Some("`pupperware relay runs list` shows the runs that there are"),
        _ => None,
    };
    let failed = Error::new(kind, what).because(error);
    match hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}
