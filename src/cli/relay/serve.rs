//! `pupperware relay serve`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::relay::api::{TokenName, TokenScope};

/// Serve the Relay API.
///
/// The state is kept in a folder, which one server at a time can use; what was answered is on the disk. Tokens are made
/// with `pupperware relay token`. Beyond the loopback address, TLS is needed.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware relay serve --state-dir ~/.local/state/relay\n  \
    pupperware relay serve --state-dir /var/lib/relay \\\n  \
    \x20   --listen 0.0.0.0:8170 --tls-cert cert.pem --tls-key key.pem")]
pub struct ServeArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8170")]
    pub listen: SocketAddr,
    /// Keep the state in this folder; it is made when it is not there.
    #[arg(long, value_name = "DIR")]
    pub state_dir: PathBuf,
    /// The server's certificate (PEM), with the chain behind it.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Rules by which others are told of reports.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// End a run that nobody has taken after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = clap::value_parser!(u32).range(1..))]
    pub pending_ttl: u32,
    /// Give a run up when its bridge has missed more signs of life than this.
    #[arg(long, value_name = "COUNT", default_value = "3")]
    pub missed_heartbeats: u32,
    /// Make what is in FILE the one token of this name, in the connection `default`. Can be given more than once.
    #[arg(long = "keep-token", value_name = "NAME=SCOPES:FILE")]
    pub keep_tokens: Vec<KeptToken>,
    /// Let no token of this name, in the connection `default`, open anything any more. Can be given more than once.
    #[arg(long = "drop-token", value_name = "NAME")]
    pub drop_tokens: Vec<TokenName>,
    /// Keep runs that ended for so many days.
    #[arg(long, value_name = "DAYS", default_value = "30", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_days: u32,
}

/// A token that is made elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptToken {
    /// What it is called.
    pub name: TokenName,
    /// What it is good for.
    pub scopes: BTreeSet<TokenScope>,
    /// Where it is.
    pub file: PathBuf,
}

impl FromStr for KeptToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(':')?)));
        let (name, (scopes, file)) = parts.ok_or("write NAME=SCOPE[,SCOPE]:FILE, such as ci=run:/run/secrets/ci")?;
        let name = name.parse().map_err(|e| format!("{name}: {e}"))?;
        let scopes = scopes.split(',').map(|scope| TokenScope::from_str(scope, false)).collect::<Result<_, _>>()?;
        Ok(KeptToken { name, scopes, file: file.into() })
    }
}
