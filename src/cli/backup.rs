//! `pupperware backup`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::change::ChangeArgs;
use super::time::parse_duration;
use crate::backup::Part;
use crate::report::output::Output;

/// Back the platform up, and put it back.
///
/// A backup is one file with everything that nobody can make again: certificate authority, keys, database, code, secrets
/// and configuration. It is written while the platform serves. Keep it as safe as the platform itself: keys are in it.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware backup create         a new file in backups/\n  \
    pupperware backup verify FILE    restore it elsewhere, and prove that\n  \
    pupperware backup restore FILE   put the platform back")]
pub struct BackupArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: BackupCommand,
}

/// What to do with backups.
#[derive(Debug, Clone, Subcommand)]
pub enum BackupCommand {
    /// Write a backup while the platform serves
    #[command(after_long_help = "Examples:\n  \
        pupperware backup create\n  pupperware backup create --to /srv/backups/")]
    Create(BackupCreateArgs),
    /// Show the backups in a directory
    #[command(after_long_help = "Examples:\n  pupperware backup list\n  pupperware backup list /srv/backups -o json")]
    List(BackupListArgs),
    /// Restore a backup elsewhere, prove that, and throw it away
    #[command(after_long_help = "Examples:\n  \
        pupperware backup verify backups/FILE\n  \
        pupperware backup verify --checksums-only backups/FILE")]
    Verify(BackupVerifyArgs),
    /// Put a platform back from a backup
    ///
    /// The whole file is checked before anything is touched. Agents keep working with the certificates that they have.
    /// Whatever came after the backup is lost; a backup of that is made first.
    #[command(after_long_help = "Examples:\n  \
        pupperware backup restore FILE                   also where nothing is left\n  \
        pupperware backup restore FILE --only database   one part\n  \
        pupperware backup restore FILE --as demo2        under another name")]
    Restore(BackupRestoreArgs),
    /// Remove old backups, all but the newest whole ones
    #[command(after_long_help = "Examples:\n  \
        pupperware backup prune --keep 7 --dry-run\n  pupperware --yes backup prune --keep 7")]
    Prune(BackupPruneArgs),
}

/// Write a backup.
#[derive(Debug, Clone, Args)]
pub struct BackupCreateArgs {
    /// The file to write, or a directory for it [default: backups/ beside pupperware.yaml].
    #[arg(long, value_name = "PATH")]
    pub to: Option<PathBuf>,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Show backups.
#[derive(Debug, Clone, Args)]
pub struct BackupListArgs {
    /// The directory [default: backups/ beside pupperware.yaml].
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Verify a backup.
#[derive(Debug, Clone, Args)]
pub struct BackupVerifyArgs {
    /// The backup.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only read it: every checksum, and whether its content can be unpacked. Needs no engine.
    #[arg(long)]
    pub checksums_only: bool,
    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
    /// Give up when services take longer than this, such as 90s, 10m or 1h.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10m")]
    pub timeout: Duration,
}

/// Put a platform back.
#[derive(Debug, Clone, Args)]
pub struct BackupRestoreArgs {
    /// The backup.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Put back only this part; can be given several times.
    #[arg(long, value_name = "PART", value_enum)]
    pub only: Vec<Part>,
    /// Restore as a platform of this name, whatever the backup's was.
    #[arg(long = "as", value_name = "NAME")]
    pub as_project: Option<String>,
    /// Make no backup of what is there now before it is replaced.
    #[arg(long)]
    pub no_safety_backup: bool,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Remove old backups.
#[derive(Debug, Clone, Args)]
pub struct BackupPruneArgs {
    /// How many of the newest to keep. Broken ones count for nothing and stay.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: u32,
    /// The directory [default: backups/ beside pupperware.yaml].
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
}
