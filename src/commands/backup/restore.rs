//! `backup restore`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::backup::{Archive, Content, Keys, Manifest, check, show_bytes};
use crate::cli::backup::BackupRestoreArgs;
use crate::cli::global::GlobalArgs;
use crate::commands::change::{self, Change, Outcome, confirm};
use crate::commands::context::{Context, Extra, Platform};
use crate::engine::{Engine, EngineInfo};
use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::plan::{self, Restoration};
use crate::release::Lineage;
use crate::report::{Report, terminal};
use crate::settings::{self, Origin, Restored};

/// Puts a platform back.
pub(super) async fn run(global: &GlobalArgs, args: &BackupRestoreArgs, report: &Report) -> Result<u8> {
    let archive = whole(&args.file, args.identity.as_deref(), report)?;
    let manifest = &archive.manifest;
    let (context, restored) = context(global, args, &archive, report)?;
    let platform = platform(&context, manifest).await?;
    let mut what = restoration(&archive, args.identity.as_deref(), &args.only)?;
    if !args.no_safety_backup {
        let mut safety = super::order(&context, None)?;
        if restored.is_some() {
            // The configuration is the archive's, and not of what is there now.
            (safety.config, safety.code_dir, safety.beside) = (None, None, vec![]);
        }
        if safety.recipients.is_empty() {
            // Who keeps one backup secret does not want the next one in plain.
            safety.recipients = manifest.encrypted_for.clone();
        }
        what.safety = Some(safety);
    }
    what.configuration = restored.map(|restored| (restored.path, restored.text));
    let plan = |observed: &Observed| plan::restore(&platform.desired, observed, &what);
    let first = plan(&platform.observed)?;
    let asked: BTreeSet<String> = plan::losses(&first).into_iter().collect();
    if !args.change.dry_run {
        room(&platform.engine, &platform.info, manifest, &what)?;
        if let Some((path, _)) = &what.configuration {
            can_write_beside(path)?;
        }
        if !asked.is_empty() {
            let (project, keys) = (context.project(), asked.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
            let question = format!("replacing {keys} of {project} by what was there at {}", manifest.finished_at);
            confirm(&context, &question)?;
        }
    }
    let change = Change {
        command: "backup restore",
        engine: &platform.engine,
        release: platform.release.version.clone(),
        channel: platform.desired.channel.clone(),
    };
    let under_lock = async |observed: &Observed| {
        let plan = plan(observed)?;
        match plan::losses(&plan).into_iter().find(|key| !asked.contains(key)) {
            None => Ok(plan),
            Some(key) => Err(Error::refused(format!("the volume {key} came up meanwhile, and would be lost as well"))
                .hint("run the same command again, and say whether that is meant")),
        }
    };
    if let Outcome::Done(_) = change::run(&context, &change, &args.change, &platform.observed, under_lock).await? {
        if let Some((path, _)) = &what.configuration {
            context.report.note(format!("{} comes from the backup", path.display()));
        }
        for left_out in manifest.left_out.iter().filter(|_| args.only.is_empty()) {
            context.report.note(format!("not in the backup: {} ({})", left_out.what, left_out.why));
        }
        terminal::out(&format!("{} is back as of {}, and proved\n", context.project(), manifest.finished_at))?;
    }
    Ok(0)
}

/// An archive that is whole to its last byte, and open.
///
/// # Errors
/// It is not whole, or no key opens it.
pub(in crate::commands) fn whole(file: &Path, identity: Option<&Path>, report: &Report) -> Result<Archive> {
    let mut archive = Archive::open(file)?;
    archive.unlock(identity.map(Keys::read).transpose()?.unwrap_or_default())?;
    archive.path = super::absolute(file)?.into();
    let stored: u64 = archive.manifest.members.iter().map(|m| m.stored_bytes).sum();
    report.note(format!("checking {} ({})", file.display(), show_bytes(stored)));
    check::whole(&archive, &mut |_, _| {})?;
    Ok(archive)
}

/// Settings for the project that is restored: the one that was named, else the archive's. Where there is no
/// configuration, the archive's counts, and is written for whoever comes next; a part is put into a platform that is
/// there, with the configuration that it has.
fn context(
    global: &GlobalArgs,
    args: &BackupRestoreArgs,
    archive: &Archive,
    report: &Report,
) -> Result<(Context, Option<Restored>)> {
    let theirs = &archive.manifest.project;
    let of = |project: &str| GlobalArgs { project: Some(project.to_owned()), ..global.clone() };
    let asked = args.as_project.as_deref().map_or_else(|| global.clone(), of);
    let here = Context::new(&asked, &Extra::default(), report)?;
    let named = !matches!(here.settings.origins.of("project"), Origin::Default);
    if args.as_project.is_none() && named && here.project() != theirs {
        let (file, ours) = (args.file.display(), here.project());
        return Err(Error::refused(format!("{file} is a backup of {theirs}, and this is {ours}"))
            .hint(format!("restore it with `--project {theirs}`, or under another name with `--as {ours}`")));
    }
    let name = args.as_project.as_deref().unwrap_or(theirs);
    let wanted = here.settings.config_file.is_none() && args.only.is_empty();
    let Some(text) = archive.configuration()?.filter(|_| wanted) else {
        let here = if here.project() == name { here } else { Context::new(&of(name), &Extra::default(), report)? };
        return Ok((here, None));
    };
    let text = settings::named(&text, name).ok_or_else(|| {
        Error::refused(format!("the pupperware.yaml of {} cannot be given the name {name}", args.file.display()))
            .hint("write one here first, with that `project`")
    })?;
    let restored = Restored { path: here.folder().join("pupperware.yaml"), text };
    // Keys and scripts that it names are not in the archive; `up` asks for them. A code directory has to be there.
    let elsewhere = Extra { restored: Some(&restored), elsewhere: true, ..Extra::default() };
    let mut context = Context::new(&of(name), &elsewhere, report)?;
    if !matches!(context.settings.origins.of("code.dir"), Origin::Default) {
        context = Context::new(&of(name), &Extra { elsewhere: false, ..elsewhere }, report)?;
    }
    Ok((context, Some(restored)))
}

/// The platform that the archive is put into.
///
/// # Errors
/// The archive is of another release line, or of a newer release.
pub(super) async fn platform(context: &Context, manifest: &Manifest) -> Result<Platform> {
    if let Some(definition) = &manifest.definition {
        context.learn(definition);
    }
    let known = context.manifest(&Observed::default())?;
    let theirs = &manifest.release;
    if known.newest(theirs.major).is_none_or(|newest| newest.version < *theirs) {
        return Err(Error::refused(format!("the backup is of release {theirs}, which this program does not know"))
            .hint("use the pupperware that made it, or a newer one"));
    }
    let exact = known.exactly(theirs).is_ok();
    let lineage = if exact { Lineage::Release(theirs.clone()) } else { Lineage::Stream(theirs.major) };
    let platform = context.platform_of(lineage).await?;
    let ours = &platform.release.version;
    if ours.major != theirs.major || ours < theirs {
        return Err(Error::refused(format!(
            "the backup is of release {theirs}, and {} runs {ours}",
            context.project()
        ))
        .hint("restore it under another name with `--as NAME`, where it can have its own release"));
    }
    Ok(platform)
}

/// What to take from an archive: everything, or these parts.
///
/// # Errors
/// A part is not in it.
pub(in crate::commands) fn restoration(
    archive: &Archive,
    identity: Option<&Path>,
    only: &[crate::backup::Part],
) -> Result<Restoration> {
    let (file, manifest) = (super::absolute(&archive.path)?, &archive.manifest);
    let mut parts = only.to_vec();
    parts.sort();
    parts.dedup();
    if let Some(part) = parts.iter().find(|p| manifest.member(&p.content()).is_none()) {
        let left_out = manifest.left_out.iter().find(|l| l.what == part.name());
        return Err(Error::usage(format!("{file} holds no {}", part.name()))
            .details(left_out.map(|l| format!("it was left out: {}", l.why))));
    }
    let wanted = |content: &Content| parts.is_empty() || parts.iter().any(|p| p.content() == *content);
    let volumes: Vec<String> = manifest.volumes().filter(|key| wanted(&Content::Volume(key.clone()))).collect();
    if parts.is_empty() && (!volumes.iter().any(|key| key == "ca") || manifest.member(&Content::Database).is_none()) {
        return Err(Error::failed(format!("{file} holds no CA or no database")));
    }
    let database = wanted(&Content::Database);
    let identity = identity.filter(|_| manifest.encrypted()).map(super::absolute).transpose()?.map(Into::into);
    Ok(Restoration { file, identity, configuration: None, volumes, database, only: parts, safety: None })
}

/// Before anything goes, not when half of it is gone.
fn can_write_beside(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    tempfile::tempfile_in(folder).map(|_| ()).map_err(|e| {
        Error::failed(format!("cannot write {}", path.display()))
            .because(e)
            .hint("run it in another directory; the configuration of the backup is written there")
    })
}

/// The engine must have room for what comes.
fn room(engine: &Engine, info: &EngineInfo, manifest: &Manifest, what: &Restoration) -> Result<()> {
    match crate::checks::free_bytes(engine, info) {
        Some(free) => fits(free, &info.root_dir, manifest, what),
        None => Ok(()),
    }
}

/// A database needs about twice its dump, for its indexes.
fn fits(free: u64, place: &str, manifest: &Manifest, what: &Restoration) -> Result<()> {
    let bytes = |content: &Content| manifest.member(content).map_or(0, |m| m.bytes);
    let volumes: u64 = what.volumes.iter().map(|key| bytes(&Content::Volume(key.clone()))).sum();
    let database = if what.database { bytes(&Content::Database).saturating_mul(2) } else { 0 };
    let needed = volumes.saturating_add(database).saturating_add(256 << 20);
    if free >= needed {
        return Ok(());
    }
    let (have, need) = (show_bytes(free), show_bytes(needed));
    Err(Error::failed(format!("{have} are free in {place}, and the backup needs {need}"))
        .hint("free some space; `docker system df` shows what uses it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::Member;

    #[test]
    fn a_folder_that_cannot_be_written_is_told_before_anything_goes() {
        let folder = tempfile::tempdir().unwrap();
        assert!(can_write_beside(&folder.path().join("pupperware.yaml")).is_ok());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the try leaves nothing");
        let gone = folder.path().join("gone/pupperware.yaml");
        assert_eq!(can_write_beside(&gone).unwrap_err().what, format!("cannot write {}", gone.display()));
    }

    #[test]
    fn a_backup_that_does_not_fit_is_refused_before_anything_goes() {
        let member = |path: &str, bytes| Member { path: path.into(), stored_bytes: 1, bytes, sha256: String::new() };
        let manifest = Manifest {
            schema_version: 1,
            project: "demo".into(),
            release: semver::Version::new(8, 0, 0),
            definition: None,
            channel: None,
            program: "0.1.0".into(),
            started_at: String::new(),
            finished_at: String::new(),
            encrypted_for: vec![],
            packages: std::collections::BTreeMap::new(),
            members: vec![member("volumes/ca.tar.zst", 1 << 20), member("database/puppetdb.dump.zst.age", 1 << 30)],
            left_out: vec![],
        };
        let what = Restoration {
            file: "x".into(),
            identity: None,
            configuration: None,
            volumes: vec!["ca".into()],
            database: true,
            only: vec![],
            safety: None,
        };
        let needed = (1 << 20) + (2 << 30) + (256 << 20);
        assert!(fits(needed, "/var/lib/docker", &manifest, &what).is_ok());
        let refused = fits(needed - 1, "/var/lib/docker", &manifest, &what).unwrap_err();
        assert_eq!(refused.what, "2.4 GB are free in /var/lib/docker, and the backup needs 2.4 GB");
        let part = Restoration { database: false, ..what };
        assert!(fits(512 << 20, "/var/lib/docker", &manifest, &part).is_ok(), "only what is put back counts");
    }
}
