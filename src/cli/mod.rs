//! The command line as types: flags, arguments, help texts and examples. No logic.
//!
//! One file a command; what a command does is in `commands`. [`Cli::command`] is the definition that parsing, help,
//! completions, man pages and `docs/reference/cli.md` all come from.

pub mod agent;
pub mod audit;
pub mod backup;
pub mod ca;
pub mod change;
pub mod code;
pub mod config;
pub mod down;
pub mod exec;
pub mod generate;
pub mod global;
pub mod images;
pub mod inspect;
pub mod lifecycle;
pub mod logs;
pub mod observe;
pub mod relay;
pub mod release;
pub mod scale;
pub mod secrets;
pub mod service;
pub mod smoke;
mod styles;
pub mod time;
pub mod up;
pub mod upgrade;

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

/// The whole command line.
#[derive(Debug, clap::Parser)]
#[command(
    name = "pupperware",
    version,
    about = "A whole Puppet platform in containers, from one program",
    long_about = "A whole Puppet platform in containers, from one program.\n\n\
        Pupperware installs, verifies, changes and removes a Puppet platform (PostgreSQL, PuppetDB, Puppet Server, \
        agents) on any Docker Engine. What it starts are ordinary containers, volumes and networks.",
    after_long_help = "Examples:\n  \
        pupperware up                     install or converge, then prove it\n  \
        pupperware status                 what runs, and whether it is well\n  \
        pupperware logs -f puppetserver   follow a service's log\n  \
        pupperware down                   remove the containers, keep the data\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong input, 3 differs or unhealthy, 4 no engine, 5 timed out, 6 refused, \
        10 rolled back.",
    max_term_width = 80,
    styles = styles::STYLES,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: global::GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands; what each means is said at its arguments.
#[derive(Debug, clap::Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum Command {
    Up(up::UpArgs),
    Upgrade(upgrade::UpgradeArgs),
    Down(down::DownArgs),
    Stop(lifecycle::StopArgs),
    Start(lifecycle::StartArgs),
    Restart(lifecycle::RestartArgs),
    Scale(scale::ScaleArgs),
    Status(inspect::StatusArgs),
    Logs(logs::LogsArgs),
    Metrics(observe::MetricsArgs),
    Exec(exec::ExecArgs),
    Agent(agent::AgentArgs),
    Ca(ca::CaArgs),
    Code(code::CodeArgs),
    Relay(relay::RelayArgs),
    Smoke(smoke::SmokeArgs),
    Doctor(inspect::DoctorArgs),
    Audit(audit::AuditArgs),
    SupportBundle(observe::SupportBundleArgs),
    Secrets(secrets::SecretsArgs),
    Backup(backup::BackupArgs),
    Config(config::ConfigArgs),
    Images(images::ImagesArgs),
    Channels(inspect::ChannelsArgs),
    Releases(upgrade::ReleasesArgs),
    History(upgrade::HistoryArgs),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
    Version(generate::VersionArgs),
}

/// The commands as `--help` groups them.
const GROUPS: &[(&str, &[&str])] = &[
    ("Platform", &["up", "upgrade", "down", "stop", "start", "restart", "scale"]),
    (
        "Use and observe",
        &["status", "logs", "metrics", "exec", "agent", "smoke", "doctor", "history", "support-bundle"],
    ),
    ("Day two", &["ca", "code", "relay", "backup", "secrets", "audit"]),
    ("Configuration and releases", &["config", "images", "channels", "releases"]),
    ("This program", &["completions", "man", "version"]),
];

impl Cli {
    /// Parses arguments, the program's name first.
    pub fn parse_args(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        // A variable that is set to nothing counts as not set, as CI systems cannot always unset one.
        let ignore_empty = |arg: clap::Arg| match std::env::var_os(arg.get_env().unwrap_or_default()) {
            Some(value) if value.is_empty() => arg.env(Resettable::Reset),
            _ => arg,
        };
        let mut command = Self::definition().mut_args(ignore_empty);
        command = command.mut_subcommands(|subcommand| subcommand.mut_args(ignore_empty));
        Self::parse_by(&mut command, args)
    }

    fn parse_by(command: &mut clap::Command, args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = command.try_get_matches_from_mut(args)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(command))?;
        // Both name the engine. A flag beats the other one's variable, or a change could reach the wrong engine.
        match (matches.value_source("host"), matches.value_source("context")) {
            (Some(ValueSource::CommandLine), Some(ValueSource::CommandLine)) => {
                return Err(command.error(ErrorKind::ArgumentConflict, "give --host or --context, not both"));
            }
            (Some(ValueSource::CommandLine), _) => cli.global.context = None,
            (_, Some(ValueSource::CommandLine)) => cli.global.host = None,
            _ => {}
        }
        Ok(cli)
    }

    /// The definition of the command line, with the commands in groups on the first help page.
    pub fn definition() -> clap::Command {
        let command = Self::command();
        let (header, literal) = (styles::STYLES.get_header(), styles::STYLES.get_literal());
        let mut template = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
        for (title, names) in GROUPS {
            template += &format!("\n{header}{title}:{header:#}\n");
            for name in *names {
                let about = command.find_subcommand(name).and_then(|sub| sub.get_about());
                let about = about.map(ToString::to_string).unwrap_or_default();
                template += &format!("  {literal}{name:<14}{literal:#} {about}\n");
            }
        }
        template += &format!("\n{header}Options:{header:#}\n{{options}}{{after-help}}");
        command.help_template(template)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::definition().debug_assert();
    }

    #[test]
    fn every_command_is_in_one_group() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let command = Cli::command();
        let mut defined: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        grouped.sort_unstable();
        defined.sort_unstable();
        assert_eq!(grouped, defined);
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        let parse = |line: &str| Cli::parse_args(line.split(' ').map(OsString::from)).unwrap().global;
        let (before, after) =
            (parse("pupperware -p demo -f a.yaml -v logs"), parse("pupperware logs -p demo --config a.yaml -v"));
        for global in [before, after] {
            assert_eq!(global.project.as_deref(), Some("demo"));
            assert_eq!(global.config, Some("a.yaml".into()));
            assert_eq!(global.verbose, 1);
        }
    }

    #[test]
    fn a_flag_for_the_engine_beats_the_other_ones_variable() {
        // Any variable that is set while tests run will do.
        let mut command = Cli::definition().mut_arg("host", |arg| arg.env("CARGO_MANIFEST_DIR"));
        let mut parse = |line: &str| Cli::parse_by(&mut command, line.split(' ').map(OsString::from));
        assert!(parse("pupperware status").unwrap().global.host.is_some());
        let global = parse("pupperware status --context staging").unwrap().global;
        assert_eq!((global.host, global.context.as_deref()), (None, Some("staging")));
        assert!(parse("pupperware --context staging status -H tcp://a:1").is_err());
    }
}
