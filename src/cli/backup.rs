//! `pupperware backup`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

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
    pupperware backup restore FILE   put the platform back\n  \
    pupperware backup schedule --print cron")]
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
        pupperware backup create\n  pupperware backup create --to /srv/backups/ --prune\n  \
        pupperware backup create --recipient age1...     encrypted")]
    Create(BackupCreateArgs),
    /// Show the backups in a directory
    #[command(after_long_help = "Examples:\n  pupperware backup list\n  pupperware backup list /srv/backups -o json")]
    List(BackupListArgs),
    /// Restore a backup elsewhere, prove that, and throw it away
    #[command(after_long_help = "Examples:\n  \
        pupperware backup verify backups/FILE\n  \
        pupperware backup verify --checksums-only backups/FILE\n  \
        pupperware backup verify --identity key.txt backups/FILE")]
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
    /// Print what lets this machine's scheduler back up every day
    ///
    /// Nothing is installed: the text goes to standard output, what to do with it to standard error.
    #[command(after_long_help = "Examples:\n  \
        pupperware backup schedule --print systemd-service\n  \
        pupperware backup schedule --print systemd-timer --at 04:30\n  \
        pupperware backup schedule --print cron --to /mnt/backups")]
    Schedule(BackupScheduleArgs),
}

/// Write a backup.
#[derive(Debug, Clone, Args)]
pub struct BackupCreateArgs {
    /// The file to write, or a directory for it [default: backups/ beside pupperware.yaml].
    #[arg(long, value_name = "PATH")]
    pub to: Option<PathBuf>,
    /// Encrypt it for this public key of age; can be given several times [default: backup.recipients].
    // Not parsed here: what is refused would be shown, and may be a private key.
    #[arg(long, value_name = "KEY")]
    pub recipient: Vec<String>,
    /// Then remove old ones beside it, all but the newest; backup.keep says how many stay.
    #[arg(long)]
    pub prune: bool,
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
    /// Say which of the encrypted ones this file's private keys open.
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
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
    /// The file with a private key that opens it, when it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
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
    /// The file with a private key that opens it, when it is encrypted.
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
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
    /// How many of the newest to keep; broken ones count for nothing and stay [default: backup.keep].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// The directory [default: backups/ beside pupperware.yaml].
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Print what a scheduler needs.
#[derive(Debug, Clone, Args)]
pub struct BackupScheduleArgs {
    /// What to print.
    #[arg(long, value_name = "WHAT", value_enum)]
    pub print: Schedule,
    /// When, every day, by this machine's clock.
    #[arg(long, value_name = "HH:MM", value_parser = parse_time_of_day, default_value = "03:17")]
    pub at: TimeOfDay,
    /// The directory to write into [default: backups/ beside pupperware.yaml].
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// What a scheduler needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Schedule {
    /// The service that systemd's timer starts.
    SystemdService,
    /// The timer that starts the service.
    SystemdTimer,
    /// A line for `crontab -e`.
    Cron,
}

/// A time of day: hour, minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

fn parse_time_of_day(text: &str) -> Result<TimeOfDay, String> {
    let number = |part: &str, below: u8| {
        let digits = matches!(part.len(), 1..=2) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|n| digits && *n < below)
    };
    let parsed = text.split_once(':').and_then(|(hour, minute)| {
        let minute = number(minute, 60).filter(|_| minute.len() == 2)?;
        Some(TimeOfDay { hour: number(hour, 24)?, minute })
    });
    parsed.ok_or_else(|| "write a time of day like 03:17".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day() {
        assert_eq!(parse_time_of_day("03:17"), Ok(TimeOfDay { hour: 3, minute: 17 }));
        assert_eq!(parse_time_of_day("23:59"), Ok(TimeOfDay { hour: 23, minute: 59 }));
        for wrong in ["", "3", "24:00", "3:60", "3:7", "+3:17", "03:17:00", "003:17"] {
            assert!(parse_time_of_day(wrong).is_err(), "{wrong}");
        }
    }
}
