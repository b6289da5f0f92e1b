//! `backup prune`.

use crate::backup::{check, folder};
use crate::cli::backup::BackupPruneArgs;
use crate::cli::global::GlobalArgs;
use crate::commands::change::confirm;
use crate::commands::context::{Context, Extra};
use crate::error::{Error, Result};
use crate::report::{Report, terminal};

/// Removes the oldest whole backups of this project. One that is not whole is none: it keeps no other from being kept,
/// and somebody should look at it.
pub(super) fn run(global: &GlobalArgs, args: &BackupPruneArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let folder = super::folder_or_default(&context, args.dir.as_deref())?;
    let mut whole = vec![];
    for (path, archive) in folder::archives(&folder)? {
        let judged = archive.and_then(|a| {
            if a.manifest.project == context.project() { check::checksums(&a).map(|()| Some(a)) } else { Ok(None) }
        });
        match judged {
            Ok(Some(archive)) => whole.push((archive.manifest.finished_at, path)),
            Ok(None) => {}
            Err(error) => report.warn(format!("kept and not counted: {error}")),
        }
    }
    whole.sort();
    let surplus = whole.len().saturating_sub(args.keep as usize);
    let doomed: Vec<_> = whole.into_iter().take(surplus).map(|(_, path)| path).collect();
    if doomed.is_empty() {
        terminal::out("nothing to remove\n")?;
        return Ok(0);
    }
    let names: Vec<String> = doomed.iter().map(|p| p.display().to_string()).collect();
    if args.dry_run {
        terminal::out(&names.iter().map(|n| format!("would remove {n}\n")).collect::<String>())?;
        return Ok(0);
    }
    confirm(&context, &format!("removing {}", names.join(", ")))?;
    for (path, name) in doomed.iter().zip(names) {
        std::fs::remove_file(path).map_err(|e| Error::failed(format!("cannot remove {name}")).because(e))?;
        terminal::out(&format!("removed {name}\n"))?;
    }
    Ok(0)
}
