//! Folders with archives: names, what is there, what a killed run left.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Archive, EXTENSION};
use crate::error::{Error, Result};

/// How the name of an archive ends that is not whole.
const PARTIAL: &str = "partial";

/// The name of an archive of this platform, made now.
pub fn name(project: &str, now: Timestamp) -> String {
    format!("{project}-{}.{EXTENSION}", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// True for the name of a file that [`name`] made for this platform: what somebody named by hand is theirs to remove.
pub fn is_named_by_us(path: &Path, project: &str) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let time = name.strip_prefix(project).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(EXTENSION));
    time.and_then(|rest| rest.strip_suffix('.')).is_some_and(is_time)
}

/// The name that it has until it is whole.
pub(super) fn partial(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".");
    name.push(PARTIAL);
    name.into()
}

/// Files in a folder whose names end like this, by name. A folder that is not there is empty.
fn files(folder: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let cannot = |e: std::io::Error| Error::failed(format!("cannot read {}", folder.display())).because(e);
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(cannot)?,
    };
    let mut found = vec![];
    for entry in entries {
        let path = entry.map_err(cannot)?.path();
        if path.file_name().and_then(OsStr::to_str).is_some_and(|n| n.ends_with(suffix)) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// All archives of a folder, whole or not; the oldest first, by their names.
///
/// # Errors
/// The folder cannot be read.
pub fn archives(folder: &Path) -> Result<Vec<(PathBuf, Result<Archive>)>> {
    let found = files(folder, &format!(".{EXTENSION}"))?;
    Ok(found.into_iter().map(|path| (path.clone(), Archive::open(&path))).collect())
}

/// Removes what killed runs of this project left in a folder; a run that still writes keeps its own.
///
/// # Errors
/// The folder cannot be read.
pub fn sweep(folder: &Path, project: &str) -> Result<()> {
    for path in files(folder, &format!(".{EXTENSION}.{PARTIAL}"))? {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let rest = name.strip_prefix(project).and_then(|rest| rest.strip_prefix('-'));
        let ours = rest.and_then(|rest| rest.split_once('.')).is_some_and(|(time, _)| is_time(time));
        if ours && File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            tracing::info!(path = %path.display(), "removing what a killed backup left");
            // The next run tries again.
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(())
}

/// True for the time in a name, as [`name`] writes it. What follows a project's name otherwise makes it another project.
fn is_time(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| text.as_bytes()[range].iter().all(u8::is_ascii_digit);
    text.len() == 16
        && text.is_ascii()
        && digits(0..8)
        && digits(9..15)
        && text.as_bytes()[8] == b'T'
        && text.ends_with('Z')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_make_are_ours() {
        let made = name("demo", "2026-11-21T03:17:00Z".parse().unwrap());
        assert_eq!(made, "demo-20261121T031700Z.pupperware");
        let ours = |name: &str| is_named_by_us(&Path::new("/srv").join(name), "demo");
        assert!(ours(&made));
        for other in [
            "before-migration.pupperware",
            "demo-2-20261121T031700Z.pupperware",
            "demo.pupperware",
            "demo-\u{e9}2345678901234.pupperware",
        ] {
            assert!(!ours(other), "{other}");
        }
    }
}
