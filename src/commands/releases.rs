//! `pupperware releases`: what releases there are, what one is made of, what changes between two. No engine is needed; with
//! one, the platform's own is marked.

use std::collections::BTreeSet;

use semver::Version;
use serde::Serialize;

use super::context::{Context, Extra};
use crate::cli::global::GlobalArgs;
use crate::cli::upgrade::{ReleasesArgs, ReleasesCommand};
use crate::error::Result;
use crate::release::{Manifest, Release, schema};
use crate::report::output::{Document, Output, Tabular, json, print_data};
use crate::report::table::Table;
use crate::report::{Report, terminal};

#[derive(Debug, Serialize)]
struct Releases {
    releases: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    release: String,
    date: String,
    channels: Vec<String>,
    end_of_life: Option<String>,
    /// The oldest release that can be upgraded to it.
    upgrade_from: Option<String>,
    /// True when the platform runs it.
    current: bool,
}

impl Tabular for Releases {
    fn table(&self) -> Table {
        let mut table = Table::new(["RELEASE", "DATE", "CHANNELS", "END OF LIFE", "UPGRADE FROM", ""]);
        for row in &self.releases {
            table.row([
                row.release.as_str().into(),
                row.date.as_str().into(),
                row.channels.join(", ").into(),
                row.end_of_life.as_deref().unwrap_or("-").into(),
                row.upgrade_from.as_deref().unwrap_or("-").into(),
                if row.current { "this platform" } else { "" }.into(),
            ]);
        }
        table
    }
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    row: Row,
    /// The oldest Puppet of agents that its server serves.
    agents: Option<String>,
    notes: Vec<String>,
    components: Vec<Component>,
}

#[derive(Debug, Serialize)]
struct Component {
    name: String,
    version: String,
    /// Where a ready image can be pulled; nothing where it is built.
    image: Option<String>,
}

impl Tabular for Shown {
    fn table(&self) -> Table {
        let mut table = Table::new(["COMPONENT", "VERSION", "IMAGE"]);
        for component in &self.components {
            let image = component.image.as_deref().unwrap_or("built here");
            table.row([component.name.as_str().into(), component.version.as_str().into(), image.into()]);
        }
        table
    }
}

#[derive(Debug, Serialize)]
struct Diff {
    from: String,
    to: String,
    components: Vec<Changed>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Changed {
    name: String,
    from: Option<String>,
    to: Option<String>,
}

impl Tabular for Diff {
    fn table(&self) -> Table {
        let mut table = Table::new(["COMPONENT", &self.from, &self.to]);
        for c in &self.components {
            let shown = |version: &Option<String>| version.as_deref().unwrap_or("-").to_owned();
            table.row([c.name.as_str().into(), shown(&c.from).into(), shown(&c.to).into()]);
        }
        table
    }
}

/// Shows what was asked for.
pub(super) async fn run(global: &GlobalArgs, args: &ReleasesArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra { manifest: Some(&args.manifest), ..Extra::default() }, report)?;
    context.fetch_manifest()?;
    let observed = context.observe().await.map(|(_, observed)| observed).unwrap_or_default();
    let now = observed.record.as_ref().map(|r| r.release.clone());
    let manifest = context.manifest(&observed)?;
    let (output, notes) = match &args.command {
        ReleasesCommand::List(args) => {
            let mut all: Vec<&Release> = manifest.releases.iter().collect();
            all.sort_by(|a, b| a.version.cmp(&b.version));
            let releases = all.into_iter().map(|release| row(&manifest, release, now.as_ref())).collect();
            print_data(args.output, &Document::new(Releases { releases }))?;
            (args.output, vec![])
        }
        ReleasesCommand::Show(args) => {
            let release = manifest.exactly(&args.release)?;
            let shown = shown(&manifest, release, now.as_ref());
            let notes = shown.notes.clone();
            print_data(args.output, &Document::new(shown))?;
            (args.output, notes)
        }
        ReleasesCommand::Diff(args) => {
            let (from, to) = (manifest.exactly(&args.from)?, manifest.exactly(&args.to)?);
            let diff = diff(from, to);
            let notes = diff.notes.clone();
            print_data(args.output, &Document::new(diff))?;
            (args.output, notes)
        }
        ReleasesCommand::Schema(_) => {
            terminal::out(&json(&schema::schema())?)?;
            return Ok(0);
        }
    };
    if output == Output::Table && !notes.is_empty() {
        let lines: String = notes.iter().map(|note| format!("  {note}\n")).collect();
        terminal::out(&format!("\nto know before an upgrade:\n{lines}"))?;
    }
    Ok(0)
}

fn row(manifest: &Manifest, release: &Release, now: Option<&Version>) -> Row {
    Row {
        release: release.version.to_string(),
        date: release.date.clone(),
        channels: manifest.channels_of(release).into_iter().map(ToOwned::to_owned).collect(),
        end_of_life: manifest.end_of_life(&release.version).map(ToOwned::to_owned),
        upgrade_from: release.upgrade_from.as_ref().map(ToString::to_string),
        current: now == Some(&release.version),
    }
}

fn shown(manifest: &Manifest, release: &Release, now: Option<&Version>) -> Shown {
    let components = release.components.iter().map(|(name, c)| Component {
        name: name.clone(),
        version: c.version.clone(),
        image: c.image.clone(),
    });
    Shown {
        row: row(manifest, release, now),
        agents: release.agents.as_ref().map(ToString::to_string),
        notes: release.notes.clone(),
        components: components.collect(),
    }
}

/// What is not the same in both; the notes are of the one that is gone to.
fn diff(from: &Release, to: &Release) -> Diff {
    let names: BTreeSet<&String> = from.components.keys().chain(to.components.keys()).collect();
    let version = |release: &Release, name: &String| release.components.get(name).map(|c| c.version.clone());
    let changed = names.into_iter().filter(|name| from.components.get(*name) != to.components.get(*name));
    Diff {
        from: from.version.to_string(),
        to: to.version.to_string(),
        components: changed
            .map(|name| Changed { name: name.clone(), from: version(from, name), to: version(to, name) })
            .collect(),
        notes: to.notes.clone(),
    }
}
