//! `pupperware relay token`: asks the server that runs, by the socket in its folder.

use hyper::Method;
use jiff::Timestamp;
use serde::Serialize;

use super::own::ask;
use crate::cli::relay::token::{TokenCommand, TokenListArgs};
use crate::error::Result;
use crate::relay::api::{NewToken, TokenInfo, TokenList, TokenMade};
use crate::report::output::{Document, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};
use crate::report::{Report, terminal};

/// Carries out the subcommand.
pub(super) async fn run(command: &TokenCommand, report: &Report) -> Result<u8> {
    match command {
        TokenCommand::Create(args) => {
            let new = NewToken {
                connection: args.connection.clone(),
                name: args.name.clone(),
                scopes: args.scopes.iter().copied().collect(),
            };
            let made = ask(&args.server, Method::POST, "/admin/tokens", Some(&new)).await?;
            show(&made, report)?;
        }
        TokenCommand::List(args) => list(args).await?,
        TokenCommand::Rotate(args) => {
            let path = format!("/admin/tokens/{}/rotate", args.id);
            let made = ask(&args.server, Method::POST, &path, None::<&()>).await?;
            show(&made, report)?;
            report.note(format!("the token {} ends in 24 hours; `relay token revoke` ends it now", args.id));
        }
        TokenCommand::Revoke(args) => {
            let path = format!("/admin/tokens/{}/revoke", args.id);
            let info: TokenInfo = ask(&args.server, Method::POST, &path, None::<&()>).await?;
            report.note(format!("the token `{}` of {} opens nothing any more", info.name, info.connection));
        }
    }
    Ok(0)
}

/// The token alone on stdout, so that it can go into a file.
fn show(made: &TokenMade, report: &Report) -> Result<()> {
    report.note(format!("token {} of {}; it is not shown again", made.info.id, made.info.connection));
    terminal::out(&format!("{}\n", made.token))
}

#[derive(Debug, Serialize)]
struct Tokens {
    tokens: Vec<TokenInfo>,
    #[serde(skip)]
    now: Timestamp,
}

impl Tabular for Tokens {
    fn table(&self) -> Table {
        let mut table = Table::new(["ID", "CONNECTION", "NAME", "SCOPES", "STATE", "MADE", "LAST USED"]);
        for info in &self.tokens {
            let scopes: Vec<&str> = info.scopes.iter().map(|scope| scope.as_str()).collect();
            table.row([
                info.id.as_str().into(),
                info.connection.as_str().into(),
                info.name.as_str().into(),
                scopes.join(", ").into(),
                state(info, self.now),
                info.created_at.strftime("%F").to_string().into(),
                info.last_used_at.map_or("-".to_owned(), |at| at.strftime("%F %T").to_string()).into(),
            ]);
        }
        table
    }
}

fn state(info: &TokenInfo, now: Timestamp) -> Cell {
    match (info.revoked_at, info.expires_at) {
        (Some(_), _) => Cell::toned("revoked", Tone::Bad),
        (None, Some(end)) if end <= now => Cell::toned("ended", Tone::Bad),
        (None, Some(end)) => Cell::toned(format!("ends {}", end.strftime("%F %R")), Tone::Warn),
        (None, None) => Cell::toned("live", Tone::Good),
    }
}

async fn list(args: &TokenListArgs) -> Result<()> {
    let list: TokenList = ask(&args.server, Method::GET, "/admin/tokens", None::<&()>).await?;
    let now = Timestamp::now();
    let tokens = list.tokens.into_iter().filter(|info| args.all || info.is_live(now)).collect();
    print_data(args.output, &Document::new(Tokens { tokens, now }))
}
