//! `pupperware upgrade`, `releases` and `history`.

use clap::{Args, Subcommand};
use semver::Version;

use super::change::ChangeArgs;
use super::release::ManifestArgs;
use crate::report::output::Output;

/// Upgrade the platform to another release, or go back.
///
/// Without a channel or a release: the newest release of the stream that runs. Another stream is gone to when it is
/// asked for, one major version at a time, and with a yes. Everything is backed up first; the new release takes the old
/// one's place only when all data is there, and is remembered only when it is proved. Whatever fails before that is
/// undone: the old release runs again, from its own data, and the exit code is 10. Before anything is touched, every
/// node's catalog is compiled with both releases and compared.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware upgrade                    the newest of this stream\n  \
    pupperware upgrade --dry-run          what would be done\n  \
    pupperware upgrade --channel stable   to another stream\n  \
    pupperware upgrade --prepare          images, checks and a rehearsal on a copy\n  \
    pupperware upgrade --rollback         go back\n  \
    pupperware upgrade --prune            give up the way back")]
pub struct UpgradeArgs {
    /// The channel to take the release from: lts or stable.
    #[arg(long, value_name = "CHANNEL", env = "PUPPERWARE_CHANNEL", hide_env_values = true)]
    pub channel: Option<String>,
    /// This release, and no other; excludes a channel.
    #[arg(long, value_name = "VERSION", env = "PUPPERWARE_RELEASE", hide_env_values = true)]
    pub to: Option<Version>,
    /// Go back from an upgrade that was interrupted, or with a yes from one that is over.
    #[arg(long, group = "other")]
    pub rollback: bool,
    /// Get the images, check, and go through it all with a copy of the data; the platform itself stays as it is.
    #[arg(long, group = "other", conflicts_with = "dry_run")]
    pub prepare: bool,
    /// Remove the databases of before, once their time is over; then there is no way back.
    #[arg(long, group = "other")]
    pub prune: bool,
    /// Go on where the new release does not compile what the old one does.
    #[arg(long)]
    pub ignore_code_check: bool,
    /// Go on outside of the window that the configuration names.
    #[arg(long)]
    pub outside_window: bool,
    /// Where releases are listed.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Show the releases of the platform that this program knows.
///
/// A release is one tested set of images. Those with the same major version are a stream, which a channel points at.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware releases list               all of them\n  \
    pupperware releases show 8.0.0         what one is made of\n  \
    pupperware releases diff 7.0.0 8.0.0   what changes")]
pub struct ReleasesArgs {
    /// Where releases are listed.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// What to show.
    #[command(subcommand)]
    pub command: ReleasesCommand,
}

/// What to show of releases.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum ReleasesCommand {
    List(ReleasesListArgs),
    Show(ReleasesShowArgs),
    Diff(ReleasesDiffArgs),
    Schema(ReleasesSchemaArgs),
}

/// Print the JSON Schema of a release manifest.
///
/// For editors and for CI, when you list releases yourself.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware releases schema > releases.schema.json")]
pub struct ReleasesSchemaArgs {}

/// Show all releases.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware releases list\n  pupperware releases list -o json")]
pub struct ReleasesListArgs {
    /// How to print them.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Show what a release is made of.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware releases show 8.0.0\n  pupperware releases show 8.0.0 -o yaml")]
pub struct ReleasesShowArgs {
    /// The release.
    #[arg(value_name = "VERSION")]
    pub release: Version,
    /// How to print it.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Show what changes from one release to another.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware releases diff 7.0.0 8.0.0")]
pub struct ReleasesDiffArgs {
    /// The one.
    #[arg(value_name = "FROM")]
    pub from: Version,
    /// The other.
    #[arg(value_name = "TO")]
    pub to: Version,
    /// How to print it.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Show every change of the platform: who, when, what came of it.
///
/// Read from the journal, which lives with the platform and tells of each plan that was carried out, by whomever and
/// from wherever.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware history             every change, the newest last\n  \
    pupperware history --last 5    the newest five\n  \
    pupperware history -o json     for programs")]
pub struct HistoryArgs {
    /// Only the newest so many.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub last: Option<u32>,
    /// How to print them.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}
