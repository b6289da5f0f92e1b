//! `pupperware logs`: the services' logs, each line with its service.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::context::{Context, Extra};
use crate::cli::global::GlobalArgs;
use crate::cli::logs::{LogFormat, LogsArgs};
use crate::cli::time::Since;
use crate::desired::labels;
use crate::engine::{LogLine, LogQuery};
use crate::error::{Error, Result};
use crate::execute::cancel::Cancel;
use crate::plan;
use crate::report::{Report, terminal};

/// A line for programs. Its shape is relied upon: fields may be added, none is renamed.
#[derive(Debug, Serialize)]
struct Line<'a> {
    service: &'a str,
    container: &'a str,
    /// RFC 3339, by the engine's clock.
    time: Option<&'a str>,
    stream: &'static str,
    message: &'a str,
}

/// Shows logs; following, until the containers end or the user interrupts.
pub(super) async fn run(global: &GlobalArgs, args: &LogsArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let (engine, observed) = context.observe().await?;
    let containers: Vec<Source> = plan::chosen(&observed, &args.services)?
        .into_iter()
        .map(|(name, container)| Source {
            name,
            service: container.label(labels::SERVICE),
            shown: name.strip_prefix(context.project()).unwrap_or(name).trim_start_matches('-'),
        })
        .collect();
    if containers.is_empty() {
        return Err(Error::failed(format!("{} has no containers, so there are no logs", context.project()))
            .hint("start the platform with `pupperware up`"));
    }
    let since = args.since.map(|since| match since {
        Since::Ago(ago) => jiff::Timestamp::now().as_second() - i64::try_from(ago.as_secs()).unwrap_or(i64::MAX / 2),
        Since::At(time) => time.as_second(),
    });
    let width = containers.iter().map(|source| source.shown.len()).max().unwrap_or(0);
    // Whoever read us has gone: all streams stop.
    let closed = AtomicBool::new(false);
    let streams = containers.iter().map(|source| {
        let (engine, closed) = (&engine, &closed);
        async move {
            let query = LogQuery {
                container: source.name.to_owned(),
                follow: args.follow,
                tail: args.tail,
                since: since.map(|s| i32::try_from(s).unwrap_or(i32::MAX)),
                timestamps: args.timestamps || args.output == LogFormat::Json,
            };
            let mut outcome = Ok(());
            engine
                .logs(&query, &mut |line| {
                    if outcome.is_ok() {
                        outcome = terminal::out(&match args.output {
                            LogFormat::Text => format!("{:<width$} | {}\n", source.shown, line.text),
                            LogFormat::Json => source.json(line),
                        });
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

/// A container whose log is shown.
struct Source<'a> {
    name: &'a str,
    service: &'a str,
    /// What stands before its lines.
    shown: &'a str,
}

impl Source<'_> {
    /// A line that begins with its time, as a JSON object and a line end.
    fn json(&self, line: LogLine) -> String {
        // An empty line is its time alone.
        let (time, message) = line.text.split_once(' ').unwrap_or((line.text, ""));
        let timed = time.parse::<jiff::Timestamp>().is_ok();
        let line = Line {
            service: self.service,
            container: self.name,
            time: timed.then_some(time),
            stream: if line.stderr { "stderr" } else { "stdout" },
            message: if timed { message } else { line.text },
        };
        // Text always serialises.
        serde_json::to_string(&line).expect("text serialises") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_object_of_its_own() {
        let source = Source { name: "demo-postgres-1", service: "postgres", shown: "postgres-1" };
        let text = "2026-11-21T12:00:00.5Z LOG:  \"quoted\"\tand more";
        assert_eq!(
            source.json(LogLine { stderr: true, text }),
            concat!(
                r#"{"service":"postgres","container":"demo-postgres-1","time":"2026-11-21T12:00:00.5Z","#,
                r#""stream":"stderr","message":"LOG:  \"quoted\"\tand more"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn lines_without_text_or_time_lose_nothing() {
        let source = Source { name: "a", service: "b", shown: "a" };
        let empty = source.json(LogLine { stderr: false, text: "2026-11-21T12:00:00Z" });
        assert!(empty.contains(r#""time":"2026-11-21T12:00:00Z","stream":"stdout","message":"""#), "{empty}");
        let odd = source.json(LogLine { stderr: false, text: "no time here" });
        assert!(odd.contains(r#""time":null"#) && odd.contains(r#""message":"no time here""#), "{odd}");
    }
}
