//! `pupperware channels`: what releases there are and what each channel points at.

use serde::Serialize;

use super::context::{Context, Extra};
use crate::cli::global::GlobalArgs;
use crate::cli::inspect::ChannelsArgs;
use crate::error::Result;
use crate::release::DEFAULT_CHANNEL;
use crate::report::Report;
use crate::report::output::{Document, Tabular, print_data};
use crate::report::table::Table;

#[derive(Debug, Serialize)]
struct Channels {
    channels: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    stream: Option<u64>,
    release: Option<String>,
    end_of_life: Option<String>,
    default: bool,
    /// True when the platform runs a release of this channel's stream.
    current: bool,
    about: String,
    /// Why it has no release.
    unavailable: Option<String>,
}

impl Tabular for Channels {
    fn table(&self) -> Table {
        let mut table = Table::new(["CHANNEL", "RELEASE", "END OF LIFE", "", "ABOUT"]);
        for row in &self.channels {
            let mark = match (row.current, row.default) {
                (true, _) => "this platform",
                (false, true) => "default",
                (false, false) => "",
            };
            table.row([
                row.name.as_str().into(),
                row.release.as_deref().unwrap_or("-").into(),
                row.end_of_life.as_deref().unwrap_or("-").into(),
                mark.into(),
                row.unavailable
                    .as_ref()
                    .map_or_else(|| row.about.clone(), |why| format!("{}; {why}", row.about))
                    .into(),
            ]);
        }
        table
    }
}

/// Lists them. Works without an engine; then nothing is marked as current.
pub(super) async fn run(global: &GlobalArgs, args: &ChannelsArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra { manifest: Some(&args.manifest), ..Extra::default() }, report)?;
    context.fetch_manifest()?;
    let observed = context.observe().await.map(|(_, observed)| observed).unwrap_or_default();
    let running = observed.lineage().stream();
    let manifest = context.manifest(&observed)?;
    let rows = manifest.channels.iter().map(|(name, channel)| Row {
        name: name.clone(),
        stream: channel.stream,
        release: channel.stream.and_then(|stream| manifest.newest(stream)).map(|r| r.version.to_string()),
        end_of_life: channel.stream.and_then(|stream| Some(manifest.streams.get(&stream)?.end_of_life.clone())),
        default: name == DEFAULT_CHANNEL,
        current: running.is_some() && running == channel.stream,
        about: channel.about.clone(),
        unavailable: channel.unavailable.clone(),
    });
    print_data(args.output, &Document::new(Channels { channels: rows.collect() }))?;
    Ok(0)
}
