//! `pupperware support-bundle`: what helps others to help, in one archive, without secrets.
//!
//! A part that cannot be had is noted in the archive's manifest and never stops the others: a bundle is made where
//! something is wrong.

mod parts;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::context::{Context, Extra, without_settings};
use crate::cli::global::GlobalArgs;
use crate::cli::observe::SupportBundleArgs;
use crate::engine::{FileEntry, pack};
use crate::error::{Error, Kind, Result};
use crate::observed;
use crate::report::output::{Document, json};
use crate::report::{Report, terminal};

/// What is in the archive. Its shape is relied upon: fields may be added, none is renamed.
#[derive(Debug, Serialize)]
struct Manifest {
    project: String,
    made_at: String,
    version: &'static str,
    /// True when the platform's own secrets were known, and taken out by their values.
    secrets_known: bool,
    parts: Vec<Entry>,
}

/// A part, or why there is none.
#[derive(Debug, Serialize)]
struct Entry {
    file: String,
    bytes: usize,
    error: Option<String>,
}

/// A file of the archive: its content without secrets, or why it could not be had.
struct Part {
    file: String,
    content: Result<String>,
}

/// Collects everything and writes the archive.
pub(super) async fn run(global: &GlobalArgs, args: &SupportBundleArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report);
    let (project, engine) = match &context {
        Ok(context) => (context.project().to_owned(), context.engine()?),
        // A wrong configuration may be the very thing to look at.
        Err(_) => match without_settings(global)? {
            Some(found) => found,
            None => return Err(context.err().expect("it is one")),
        },
    };
    let made_at = Timestamp::now();
    let path = args.to.clone().unwrap_or_else(|| {
        PathBuf::from(format!("pupperware-support-{project}-{}.tar", made_at.strftime("%Y%m%dT%H%M%SZ")))
    });
    // Before the work, and again at its end.
    if path.exists() {
        return Err(exists(&path));
    }
    let file = draft(&path)?;
    let observed = match observed::snapshot(&engine, &project, &[]).await {
        // Nearly all that would be in it is the engine's.
        Err(error) if error.kind == Kind::Engine => return Err(error),
        other => other,
    };
    let (redactor, secrets_known) = parts::redactor(&engine, observed.as_ref().ok()).await;
    let parts = parts::collect(&context, &engine, &project, observed.as_ref(), &redactor).await;

    let entries = parts.iter().map(|part| Entry {
        file: part.file.clone(),
        bytes: part.content.as_ref().map_or(0, String::len),
        error: part.content.as_ref().err().map(|error| redactor.text(&format!("{error:?}"))),
    });
    let manifest = Manifest {
        project: project.clone(),
        made_at: made_at.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        secrets_known,
        parts: entries.collect(),
    };
    for missing in manifest.parts.iter().filter(|part| part.error.is_some()) {
        report.warn(format!("not in the bundle: {}", missing.file));
    }
    let count = manifest.parts.iter().filter(|part| part.error.is_none()).count();
    write(file, &path, archive(&project, &manifest, parts)?)?;
    terminal::out(&format!("{}\n", path.display()))?;
    report.note(format!(
        "{count} parts are in it, with secrets taken out{}; look through it before you give it away",
        if secrets_known { "" } else { " by their names only" }
    ));
    Ok(0)
}

/// A tar with everything in one folder.
fn archive(project: &str, manifest: &Manifest, parts: Vec<Part>) -> Result<Vec<u8>> {
    let folder = format!("pupperware-support-{project}");
    let entry = |file: &str, content: String| FileEntry {
        path: format!("{folder}/{file}"),
        content,
        owner: (0, 0),
        mode: 0o600,
    };
    let mut files = vec![entry("manifest.json", json(&Document::new(manifest))?)];
    files.extend(parts.into_iter().filter_map(|part| Some(entry(&part.file, part.content.ok()?))));
    Ok(pack(&files))
}

/// A file beside the one that is asked for, that only we can read.
fn draft(path: &Path) -> Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(folder).map_err(|e| {
        Error::failed(format!("cannot write into {}", folder.display()))
            .because(e)
            .hint("choose another place with `--to FILE`")
    })
}

/// It appears whole, or not at all.
fn write(mut file: tempfile::NamedTempFile, path: &Path, archive: Vec<u8>) -> Result<()> {
    use std::io::Write;
    let cannot = |e: std::io::Error| Error::failed(format!("cannot write {}", path.display())).because(e);
    file.write_all(&archive).map_err(cannot)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == ErrorKind::AlreadyExists => Err(exists(path)),
        Err(e) => Err(cannot(e.error)),
    }
}

fn exists(path: &Path) -> Error {
    Error::refused(format!("{} is there already", path.display())).hint("choose another name with `--to FILE`")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_archive_is_ours_alone_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.tar");
        write(draft(&path).unwrap(), &path, b"one".to_vec()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = write(draft(&path).unwrap(), &path, b"two".to_vec()).unwrap_err();
        assert_eq!(refused.kind.exit_code(), 6);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn what_could_not_be_had_is_in_the_manifest_only() {
        let parts = vec![
            Part { file: "a.json".into(), content: Ok("{}".into()) },
            Part { file: "b.json".into(), content: Err(Error::failed("no")) },
        ];
        let manifest = Manifest {
            project: "demo".into(),
            made_at: String::new(),
            version: "0",
            secrets_known: false,
            parts: vec![],
        };
        let files = crate::engine::unpack(&archive("demo", &manifest, parts).unwrap()).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["pupperware-support-demo/manifest.json", "pupperware-support-demo/a.json"]);
    }
}
