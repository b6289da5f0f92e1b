//! `pupperware relay link`.

use std::num::NonZeroU32;

use hyper::Method;

use super::own::ask;
use crate::cli::relay::link::LinkArgs;
use crate::error::{Error, Result};
use crate::relay::api::{Line, LinkMade, NewLink};
use crate::report::{Report, terminal};

/// Has the server make a link, and prints it.
pub(super) async fn run(args: &LinkArgs, report: &Report) -> Result<u8> {
    let seconds = u32::try_from(args.lasts.as_secs()).ok().and_then(NonZeroU32::new);
    if seconds.is_none() {
        return Err(Error::usage("--lasts is not between a second and a century"));
    }
    let new = NewLink {
        connection: args.connection.clone(),
        name: Line::from(args.name.as_str()),
        run: args.run.clone(),
        seconds,
    };
    let made: LinkMade = ask(&args.server, Method::POST, "/admin/links", Some(&new)).await?;
    report.note(format!("signs {} in, once, until {}", args.name, made.ends_at.strftime("%F %T UTC")));
    let base = args.base_url.as_deref().unwrap_or_default().trim_end_matches('/');
    terminal::out(&format!("{base}{}\n", made.path))?;
    Ok(0)
}
