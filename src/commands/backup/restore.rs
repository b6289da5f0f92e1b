//! `backup restore`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::backup::{Archive, Content, Manifest, check, show_bytes};
use crate::cli::backup::BackupRestoreArgs;
use crate::cli::global::GlobalArgs;
use crate::commands::change::{self, Change, Outcome, confirm};
use crate::commands::context::{Context, Extra, Platform};
use crate::engine::{Engine, EngineInfo};
use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::plan::{self, Restoration};
use crate::release::{self, Lineage};
use crate::report::{Report, terminal};
use crate::settings::Origin;

/// Puts a platform back.
pub(super) async fn run(global: &GlobalArgs, args: &BackupRestoreArgs, report: &Report) -> Result<u8> {
    let archive = whole(&args.file, report)?;
    let manifest = &archive.manifest;
    let context = context(global, args, &archive, report)?;
    let platform = platform(&context, manifest).await?;
    let mut what = restoration(&archive, &args.only)?;
    if !args.no_safety_backup {
        what.safety = Some(super::order(&context, None)?);
    }
    let plan = |observed: &Observed| plan::restore(&platform.desired, observed, &what);
    let first = plan(&platform.observed)?;
    let asked: BTreeSet<String> = plan::losses(&first).into_iter().collect();
    if !args.change.dry_run {
        room(&platform.engine, &platform.info, manifest, &what)?;
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
        terminal::out(&format!("{} is back as of {}, and proved\n", context.project(), manifest.finished_at))?;
    }
    Ok(0)
}

/// An archive that is whole to its last byte.
///
/// # Errors
/// It is not.
pub(super) fn whole(file: &Path, report: &Report) -> Result<Archive> {
    let mut archive = Archive::open(file)?;
    archive.path = super::absolute(file)?.into();
    let stored: u64 = archive.manifest.members.iter().map(|m| m.stored_bytes).sum();
    report.note(format!("checking {} ({})", file.display(), show_bytes(stored)));
    check::whole(&archive, &mut |_, _| {})?;
    Ok(archive)
}

/// Settings for the project that is restored: the one that was named, else the archive's.
fn context(global: &GlobalArgs, args: &BackupRestoreArgs, archive: &Archive, report: &Report) -> Result<Context> {
    let of = |project: &str| GlobalArgs { project: Some(project.to_owned()), ..global.clone() };
    if let Some(name) = &args.as_project {
        return Context::new(&of(name), &Extra::default(), report);
    }
    let theirs = &archive.manifest.project;
    let mut context = Context::new(global, &Extra::default(), report)?;
    // A part is put into a platform that is there, with the configuration that it has.
    if context.settings.config_file.is_none() && args.only.is_empty() && !args.change.dry_run {
        put_configuration_back(&context, archive)?;
        // Keys and scripts that it names are not in the archive; `up` asks for them. A code directory has to be there.
        context = Context::new(global, &Extra { elsewhere: true, ..Extra::default() }, report)?;
        if context.settings.config.code.dir.is_some() {
            context = Context::new(global, &Extra::default(), report)?;
        }
    }
    if context.project() == theirs {
        return Ok(context);
    }
    if matches!(context.settings.origins.of("project"), Origin::Default) {
        return Context::new(&of(theirs), &Extra::default(), report);
    }
    Err(Error::refused(format!("{} is a backup of {theirs}, and this is {}", args.file.display(), context.project()))
        .hint(format!("restore it with `--project {theirs}`, or under another name with `--as {}`", context.project())))
}

/// Where there is no configuration, the archive's is used, and stays for whoever comes next.
fn put_configuration_back(context: &Context, archive: &Archive) -> Result<()> {
    let Some(text) = archive.configuration()? else { return Ok(()) };
    let path = context.folder().join("pupperware.yaml");
    let cannot = |e: std::io::Error| Error::failed(format!("cannot write {}", path.display())).because(e);
    let mut file = File::create_new(&path).map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    context.report.note(format!("{} comes from the backup", path.display()));
    Ok(())
}

/// The platform that the archive is put into.
///
/// # Errors
/// The archive is of another release line, or of a newer release.
pub(super) async fn platform(context: &Context, manifest: &Manifest) -> Result<Platform> {
    let known = release::Manifest::embedded()?;
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
pub(super) fn restoration(archive: &Archive, only: &[crate::backup::Part]) -> Result<Restoration> {
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
    Ok(Restoration { file, volumes, database, only: parts, safety: None })
}

/// The engine must have room for what comes; a database needs about twice its dump, for its indexes.
fn room(engine: &Engine, info: &EngineInfo, manifest: &Manifest, what: &Restoration) -> Result<()> {
    let bytes = |content: &Content| manifest.member(content).map_or(0, |m| m.bytes);
    let volumes: u64 = what.volumes.iter().map(|key| bytes(&Content::Volume(key.clone()))).sum();
    let database = if what.database { bytes(&Content::Database).saturating_mul(2) } else { 0 };
    let needed = volumes.saturating_add(database).saturating_add(256 << 20);
    let Some(free) = crate::checks::free_bytes(engine, info) else { return Ok(()) };
    if free >= needed {
        return Ok(());
    }
    let (have, need) = (show_bytes(free), show_bytes(needed));
    Err(Error::failed(format!("{have} are free in {}, and the backup needs {need}", info.root_dir))
        .hint("free some space; `docker system df` shows what uses it"))
}
