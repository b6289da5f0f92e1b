//! `pupperware backup`: archives of the platform, and the platform from archives.

mod create;
mod list;
mod prune;
mod restore;
mod schedule;
mod verify;

use std::path::{Path, PathBuf};

pub(super) use restore::{restoration, whole};

use super::context::Context;
use crate::backup::folder;
use crate::cli::backup::{BackupArgs, BackupCommand};
use crate::cli::global::GlobalArgs;
use crate::config::Config;
use crate::config::model::ControlRepo;
use crate::error::{Error, Result};
use crate::plan::backup::Order;
use crate::report::Report;

/// Carries it out.
pub(super) async fn run(global: &GlobalArgs, args: &BackupArgs, report: &Report) -> Result<u8> {
    match &args.command {
        BackupCommand::Create(args) => create::run(global, args, report).await,
        BackupCommand::List(args) => list::run(global, args, report),
        BackupCommand::Verify(args) => verify::run(global, args, report).await,
        BackupCommand::Restore(args) => restore::run(global, args, report).await,
        BackupCommand::Prune(args) => prune::run(global, args, report),
        BackupCommand::Schedule(args) => schedule::run(global, args, report),
    }
}

/// Where archives are when nobody says so.
fn default_folder(context: &Context) -> PathBuf {
    context.folder().join("backups")
}

/// The folder that was named, or the default.
fn folder_or_default(context: &Context, named: Option<&Path>) -> Result<PathBuf> {
    match named {
        None => Ok(default_folder(context)),
        Some(dir) if dir.is_dir() => Ok(dir.to_owned()),
        Some(dir) => Err(Error::usage(format!("{} is no directory", dir.display()))),
    }
}

/// What a backup of this platform is written from and to.
pub(super) fn order(context: &Context, to: Option<&Path>) -> Result<Order> {
    let name = folder::name(context.project(), jiff::Timestamp::now());
    let target = match to {
        None => default_folder(context).join(name),
        Some(to) if to.is_dir() || to.to_string_lossy().ends_with('/') => to.join(name),
        Some(file) => file.to_owned(),
    };
    let settings = &context.settings;
    Ok(Order {
        file: absolute(&target)?,
        config: settings.config_file.as_deref().map(absolute).transpose()?,
        code_dir: settings.config.code.dir.as_ref().map(|d| d.display().to_string()),
        beside: beside(&settings.config),
        recipients: settings.config.backup.recipients.clone(),
    })
}

/// Files of this machine that the configuration names and no volume holds: setting, path.
fn beside(config: &Config) -> Vec<(String, String)> {
    let policy = config.puppetserver.autosign_policy.as_ref().map(ToString::to_string);
    let repo = config.code.control_repo.as_ref();
    let of_repo = |file: fn(&ControlRepo) -> Option<&PathBuf>| repo.and_then(file).map(|p| p.display().to_string());
    let all = [
        ("puppetserver.autosign_policy", policy),
        ("code.control_repo.ssh_key", of_repo(|r| r.ssh_key.as_ref())),
        ("code.control_repo.token", of_repo(|r| r.token.as_ref())),
        ("code.control_repo.known_hosts", of_repo(|r| r.known_hosts.as_ref())),
    ];
    let rules = config.relay.rules.as_ref();
    let named = rules.and_then(|rules| rules.loaded()).into_iter().flat_map(|loaded| &loaded.beside);
    let rules = rules.map(ToString::to_string).into_iter().chain(named.map(|file| file.from.display().to_string()));
    let all = all.into_iter().filter_map(|(setting, path)| Some((setting.to_owned(), path?)));
    all.chain(rules.map(|path| ("relay.rules".to_owned(), path))).collect()
}

/// A path that means the same from everywhere, as text: it goes into plans and records.
fn absolute(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path)
        .map_err(|e| Error::usage(format!("{} is no path that can be used", path.display())).because(e))?;
    let text = absolute.to_str().map(ToOwned::to_owned);
    text.ok_or_else(|| Error::usage(format!("{} is not valid UTF-8", path.display())))
}
