//! `pupperware logs`: the services' logs, each line with its service.

use std::sync::atomic::{AtomicBool, Ordering};

use super::context::{Context, Extra};
use crate::cli::global::GlobalArgs;
use crate::cli::logs::LogsArgs;
use crate::cli::time::Since;
use crate::engine::LogQuery;
use crate::error::{Error, Result};
use crate::execute::cancel::Cancel;
use crate::plan;
use crate::report::{Report, terminal};

/// Shows logs; following, until the containers end or the user interrupts.
pub(super) async fn run(global: &GlobalArgs, args: &LogsArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let (engine, observed) = context.observe().await?;
    let containers: Vec<(&String, &str)> = plan::chosen(&observed, &args.services)?
        .into_iter()
        .map(|(name, _)| (name, name.strip_prefix(context.project()).unwrap_or(name).trim_start_matches('-')))
        .collect();
    if containers.is_empty() {
        return Err(Error::failed(format!("{} has no containers, so there are no logs", context.project()))
            .hint("start the platform with `pupperware up`"));
    }
    let since = args.since.map(|since| match since {
        Since::Ago(ago) => jiff::Timestamp::now().as_second() - i64::try_from(ago.as_secs()).unwrap_or(i64::MAX / 2),
        Since::At(time) => time.as_second(),
    });
    let width = containers.iter().map(|(_, shown)| shown.len()).max().unwrap_or(0);
    // Whoever read us has gone: all streams stop.
    let closed = AtomicBool::new(false);
    let streams = containers.iter().map(|(name, shown)| {
        let (engine, closed) = (&engine, &closed);
        async move {
            let query = LogQuery {
                container: (*name).clone(),
                follow: args.follow,
                tail: args.tail,
                since: since.map(|s| i32::try_from(s).unwrap_or(i32::MAX)),
                timestamps: args.timestamps,
            };
            let mut outcome = Ok(());
            engine
                .logs(&query, &mut |line| {
                    if outcome.is_ok() {
                        outcome = terminal::out(&format!("{shown:<width$} | {line}\n"));
                        closed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                    }
                })
                .await?;
            outcome
        }
    });
    let all = futures_util::future::try_join_all(streams);
    let cancel = Cancel::listen();
    let gone = async {
        while !closed.load(Ordering::Relaxed) {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        outcome = all => outcome.map(|_| 0),
        () = gone => Ok(0),
        () = cancel.requested() => Ok(0),
    }
}
