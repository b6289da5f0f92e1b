//! What each command means, one file a command. They call the pipeline; none talks to the engine itself.

mod agent;
mod audit;
mod backup;
mod ca;
mod change;
mod channels;
mod code;
mod completions;
mod config;
mod context;
mod doctor;
mod down;
mod exec;
mod eyaml;
mod history;
mod images;
mod lifecycle;
mod logs;
mod man;
mod metrics;
mod relay;
mod releases;
mod scale;
mod secrets;
mod smoke;
mod status;
mod support_bundle;
mod up;
mod upgrade;
mod version;

use crate::cli::{Cli, Command};
use crate::error::Result;
use crate::report::Report;
use lifecycle::Verb;

/// Carries out the command that was typed. The number is the process's exit code; failures carry their own.
///
/// # Errors
/// Whatever the command fails with.
pub async fn run(cli: Cli, report: Report) -> Result<u8> {
    let global = &cli.global;
    match &cli.command {
        Command::Up(args) => up::run(global, args, &report).await,
        Command::Upgrade(args) => upgrade::run(global, args, &report).await,
        Command::Down(args) => down::run(global, args, &report).await,
        Command::Stop(args) => lifecycle::run(global, Verb::Stop, &args.services, &args.change, &report).await,
        Command::Start(args) => lifecycle::run(global, Verb::Start, &args.services, &args.change, &report).await,
        Command::Restart(args) => lifecycle::run(global, Verb::Restart, &args.services, &args.change, &report).await,
        Command::Scale(args) => scale::run(global, args, &report).await,
        Command::Status(args) => status::run(global, args, &report).await,
        Command::Logs(args) => logs::run(global, args, &report).await,
        Command::Metrics(args) => metrics::run(global, args, &report).await,
        Command::Exec(args) => exec::run(global, args, &report).await,
        Command::Agent(args) => agent::run(global, args, &report).await,
        Command::Ca(args) => ca::run(global, args, &report).await,
        Command::Code(args) => code::run(global, args, &report).await,
        Command::Relay(args) => relay::run(global, args, &report).await,
        Command::Smoke(args) => smoke::run(global, args, &report).await,
        Command::Doctor(args) => doctor::run(global, args, &report).await,
        Command::Audit(args) => audit::run(global, args, &report).await,
        Command::SupportBundle(args) => support_bundle::run(global, args, &report).await,
        Command::Secrets(args) => secrets::run(global, args, &report).await,
        Command::Backup(args) => backup::run(global, args, &report).await,
        Command::Config(args) => config::run(global, args, &report).await,
        Command::Images(args) => images::run(global, args, &report).await,
        Command::Channels(args) => channels::run(global, args, &report).await,
        Command::Releases(args) => releases::run(global, args, &report).await,
        Command::History(args) => history::run(global, args, &report).await,
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args, &report),
        Command::Version(args) => version::run(args),
    }
}
