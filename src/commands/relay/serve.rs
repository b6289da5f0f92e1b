//! `pupperware relay serve`.

use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli::relay::serve::ServeArgs;
use crate::error::{Error, Result};
use crate::execute::cancel::Cancel;
use crate::relay::api::NewToken;
use crate::relay::api::life::Patience;
use crate::relay::client::token::TokenFile;
use crate::relay::server::book::{Retention, Rules};
use crate::relay::server::rules::{RulesFile, Teller};
use crate::relay::server::{Relay, tls};
use crate::report::Report;

/// Serves until it is asked to end.
pub(super) async fn run(args: &ServeArgs, report: &Report) -> Result<u8> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)?),
        // Tokens must not go over a network in the clear.
        _ if !args.listen.ip().is_loopback() => {
            let hint = "give `--tls-cert` and `--tls-key`, or listen at 127.0.0.1";
            return Err(Error::usage(format!("{} is no loopback address, and there is no TLS", args.listen)).hint(hint));
        }
        _ => None,
    };
    let cannot = |error: std::io::Error| {
        Error::failed(format!("cannot listen at {}", args.listen))
            .because(error)
            .hint("choose another address with `--listen ADDR:PORT`")
    };
    let port = TcpListener::bind(args.listen).await.map_err(cannot)?;
    let address = port.local_addr().map_err(cannot)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let rules = Rules {
        patience: Patience {
            pending: SignedDuration::from_secs(args.pending_ttl.into()),
            missed: args.missed_heartbeats.into(),
            ..Patience::default()
        },
        retention: Retention {
            runs_for: SignedDuration::from_hours(24 * i64::from(args.keep_days)),
            ..Retention::default()
        },
        ..Rules::default()
    };
    let tellers = match &args.rules {
        Some(path) => Teller::all(RulesFile::load(path)?).map_err(|why| {
            Error::usage(format!("the rules in {} cannot be used", path.display())).because(anyhow::anyhow!(why))
        })?,
        None => Vec::new(),
    };
    let cancel = Cancel::listen();
    let (end, ending) = watch::channel(false);
    let relay = Relay::open(&args.state_dir, rules, port, tls, ending)?.telling(tellers);
    for kept in &args.keep_tokens {
        let token = TokenFile::new(&kept.file).read().map_err(Error::usage)?;
        let connection = "default".parse().expect("a name");
        let new = NewToken { connection, name: kept.name.clone(), scopes: kept.scopes.clone() };
        relay.keep_token(new, token).await?;
    }
    for name in &args.drop_tokens {
        relay.drop_token("default".parse().expect("a name"), name.clone()).await?;
    }
    report.note(format!("the Relay API is at {scheme}://{address}; Ctrl-C ends this"));
    let ask = async {
        cancel.requested().await;
        end.send_replace(true);
    };
    tokio::join!(relay.run(), ask);
    Ok(0)
}
