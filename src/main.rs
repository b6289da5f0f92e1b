//! Parses the command line, sets up report and log, runs the command, and turns the outcome into an exit code.

use std::process::ExitCode;

use pupperware::cli::Cli;
use pupperware::cli::global::{Color, GlobalArgs};
use pupperware::error::{Error, Result};
use pupperware::report::terminal::StdoutClosed;
use pupperware::report::{Env, Mode, Report};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = match Cli::parse_args(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are "errors", too. A reader that went away does not want to hear of it.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    choose_color(cli.global.color);
    let logs = log_filter(&cli.global);
    let report = report_for(&cli.global, logs.is_some());
    let outcome = start_log(logs).and_then(|()| run(cli, report.clone()));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) if StdoutClosed::caused(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report.failure(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

fn run(cli: Cli, report: Report) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::failed("cannot start the runtime").because(error))?;
    let outcome = runtime.block_on(pupperware::commands::run(cli, report));
    // A read of stdin under way (`exec -i`) must not hold the end of the program up.
    runtime.shutdown_background();
    outcome
}

fn choose_color(color: Color) {
    match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

fn report_for(global: &GlobalArgs, logs: bool) -> Report {
    let env = Env { errors_only: global.quiet > 1, ..Env::detect() };
    let mode = match global.progress {
        // `-q` wins over a mode that CI set for everything, but not over JSON, which programs parse.
        Mode::Auto | Mode::Tty | Mode::Plain if global.quiet > 0 => Mode::Quiet,
        // Log lines would tear a display that is redrawn in place.
        Mode::Auto if logs => Mode::Plain,
        mode => mode,
    };
    Report::for_mode(mode, &env)
}

/// What to log, as `PUPPERWARE_LOG` or `-v` say; nothing otherwise.
fn log_filter(global: &GlobalArgs) -> Option<String> {
    let chosen = std::env::var("PUPPERWARE_LOG").ok().filter(|filter| !filter.is_empty());
    chosen.or_else(|| match global.verbose {
        0 => None,
        1 => Some("pupperware=info".into()),
        2 => Some("pupperware=debug".into()),
        _ => Some("trace".into()),
    })
}

fn start_log(filter: Option<String>) -> Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    let parsed: std::result::Result<EnvFilter, _> = filter.parse();
    let filter = parsed.map_err(|error| Error::usage("PUPPERWARE_LOG is not a log filter").because(error))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}
