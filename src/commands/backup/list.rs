//! `backup list`.

use serde::Serialize;

use crate::backup::{Keys, LeftOut, folder, show_bytes};
use crate::cli::backup::BackupListArgs;
use crate::cli::global::GlobalArgs;
use crate::commands::context::{Context, Extra};
use crate::config::types::AgeRecipient;
use crate::error::Result;
use crate::report::Report;
use crate::report::output::{Document, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};

#[derive(Debug, Clone, Serialize)]
struct Backups {
    backups: Vec<Row>,
}

/// An archive, as far as its outside tells.
#[derive(Debug, Clone, Serialize)]
struct Row {
    file: String,
    /// True when every member is there in its size; `verify` tells whether its content is whole.
    complete: bool,
    /// Why it is not.
    reason: Option<String>,
    project: Option<String>,
    release: Option<String>,
    finished_at: Option<String>,
    stored_bytes: u64,
    bytes: Option<u64>,
    /// The public keys that it is encrypted for; none when it is not encrypted.
    encrypted_for: Vec<AgeRecipient>,
    /// Whether the keys of `--identity` open it; nothing when none were given or none is needed.
    opens: Option<bool>,
    left_out: Vec<LeftOut>,
}

impl Tabular for Backups {
    fn table(&self) -> Table {
        let mut table = Table::new(["FILE", "STATE", "PROJECT", "RELEASE", "FINISHED", "SIZE", "ENCRYPTED"]);
        for row in &self.backups {
            let (word, tone) = if row.complete { ("complete", Tone::Good) } else { ("BROKEN", Tone::Bad) };
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
            let finished = text(&row.finished_at);
            table.row([
                row.file.as_str().into(),
                Cell::toned(word, tone),
                text(&row.project).into(),
                text(&row.release).into(),
                finished.split('.').next().unwrap_or_default().into(),
                show_bytes(row.stored_bytes).into(),
                match (row.encrypted_for.is_empty(), row.opens) {
                    (true, _) => "-".into(),
                    (false, None) => "yes".into(),
                    (false, Some(true)) => "yes, opened".into(),
                    (false, Some(false)) => Cell::toned("yes, for another key", Tone::Warn),
                },
            ]);
        }
        table
    }
}

/// Shows what is in a folder.
pub(super) fn run(global: &GlobalArgs, args: &BackupListArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let folder = super::folder_or_default(&context, args.dir.as_deref())?;
    let keys = args.identity.as_deref().map(Keys::read).transpose()?;
    let rows = folder::archives(&folder)?.into_iter().map(|(path, mut archive)| {
        let encrypted = archive.as_ref().is_ok_and(|a| a.manifest.encrypted());
        let opens = match (&mut archive, keys.clone().filter(|_| encrypted)) {
            (Ok(archive), Some(keys)) => Some(archive.unlock(keys).is_ok()),
            _ => None,
        };
        let manifest = archive.as_ref().ok().map(|a| a.manifest.clone());
        Row {
            file: path.display().to_string(),
            complete: archive.is_ok(),
            reason: archive.err().map(|e| e.to_string()),
            project: manifest.as_ref().map(|m| m.project.clone()),
            release: manifest.as_ref().map(|m| m.release.to_string()),
            finished_at: manifest.as_ref().map(|m| m.finished_at.clone()),
            stored_bytes: path.metadata().map(|m| m.len()).unwrap_or_default(),
            bytes: manifest.as_ref().map(|m| m.members.iter().map(|m| m.bytes).sum()),
            encrypted_for: manifest.as_ref().map(|m| m.encrypted_for.clone()).unwrap_or_default(),
            opens,
            left_out: manifest.map(|m| m.left_out).unwrap_or_default(),
        }
    });
    print_data(args.output, &Document::new(Backups { backups: rows.collect() }))?;
    Ok(0)
}
