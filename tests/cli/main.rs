//! The program as users meet it without an engine: help, errors, exit codes, generated documents.

mod air_gapped;
mod audit;
mod backup;
mod doctor;
mod engine;
mod engines;
mod exit_codes;
mod generated;
mod help;
mod https;
mod observe;
mod reference;
mod status;
mod upgrade;
mod usage;

use std::process::Output;

use assert_cmd::Command;

/// The program, apart from the environment and the terminal of whoever runs the tests.
fn pupperware() -> Command {
    let mut command = Command::cargo_bin("pupperware").expect("the binary is built with the tests");
    command.env_clear();
    command
}

/// Exit code, stdout and stderr, as one text for snapshots.
fn transcript(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the program runs");
    let code = status.code().map_or("none".to_owned(), |code| code.to_string());
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    format!("exit code: {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
}
