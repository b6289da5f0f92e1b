//! `backup prune`, and `backup create --prune`.

use std::path::{Path, PathBuf};

use crate::backup::{check, folder};
use crate::cli::backup::BackupPruneArgs;
use crate::cli::global::GlobalArgs;
use crate::commands::change::confirm;
use crate::commands::context::{Context, Extra};
use crate::error::{Error, Result};
use crate::report::{Report, terminal};

/// Removes the oldest whole backups of this project.
pub(super) fn run(global: &GlobalArgs, args: &BackupPruneArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let keep = kept(&context, args.keep)?;
    let folder = super::folder_or_default(&context, args.dir.as_deref())?;
    let doomed = surplus(context.project(), &folder, keep, report)?;
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
    remove(&doomed)?;
    Ok(0)
}

/// How many stay: as the command line says, else the configuration.
///
/// # Errors
/// Neither does.
pub(super) fn kept(context: &Context, named: Option<u32>) -> Result<u32> {
    let configured = context.settings.config.backup.keep.map(|keep| keep.get());
    named.or(configured).ok_or_else(|| {
        Error::usage("nothing says how many backups to keep")
            .hint("set `backup: { keep: 14 }` in pupperware.yaml, or use `pupperware backup prune --keep N`")
    })
}

/// The whole backups of a project beyond the newest so many. One that is not whole is none: it keeps no other from being
/// kept, and somebody should look at it. Encrypted ones need no key: checksums are of what is stored.
///
/// # Errors
/// The folder's.
pub(super) fn surplus(project: &str, folder: &Path, keep: u32, report: &Report) -> Result<Vec<PathBuf>> {
    let mut whole = vec![];
    for (path, archive) in folder::archives(folder)? {
        let judged = archive.and_then(|a| {
            if a.manifest.project == project { check::checksums(&a).map(|()| Some(a)) } else { Ok(None) }
        });
        match judged {
            Ok(Some(archive)) => whole.push((archive.manifest.finished_at, path)),
            Ok(None) => {}
            Err(error) => report.warn(format!("kept and not counted: {error}")),
        }
    }
    whole.sort();
    let surplus = whole.len().saturating_sub(keep as usize);
    Ok(whole.into_iter().take(surplus).map(|(_, path)| path).collect())
}

/// Removes files, and says so.
///
/// # Errors
/// The first that cannot be removed.
pub(super) fn remove(doomed: &[PathBuf]) -> Result<()> {
    for path in doomed {
        let name = path.display();
        std::fs::remove_file(path).map_err(|e| Error::failed(format!("cannot remove {name}")).because(e))?;
        terminal::out(&format!("removed {name}\n"))?;
    }
    Ok(())
}
