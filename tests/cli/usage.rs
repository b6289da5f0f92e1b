//! What the program says to wrong input, and how it ends when its reader goes away.

use std::process::{Command, Stdio};

use insta::assert_snapshot;

use crate::{pupperware, transcript};

#[test]
fn an_unknown_command_brings_a_suggestion() {
    assert_snapshot!(transcript(pupperware().arg("statsu")), @"
    exit code: 2
    --- stdout
    --- stderr
    error: unrecognized subcommand 'statsu'

      tip: some similar subcommands exist: 'start', 'status'

    Usage: pupperware [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn a_bad_duration_is_explained() {
    assert_snapshot!(transcript(pupperware().args(["up", "--timeout", "10"])), @"
    exit code: 2
    --- stdout
    --- stderr
    error: invalid value '10' for '--timeout <DURATION>': the unit is missing after 10; write it like 90s, 10m or 1h30m

    For more information, try '--help'.
    ");
}

#[test]
fn a_bad_replica_is_explained() {
    assert_snapshot!(transcript(pupperware().args(["restart", "agent.zero"])), @"
    exit code: 2
    --- stdout
    --- stderr
    error: invalid value 'agent.zero' for '[SERVICE]...': `zero` is no replica number; write it like agent.1

    For more information, try '--help'.
    ");
}

#[test]
fn exit_code_means_something_only_for_a_dry_run() {
    assert_snapshot!(transcript(pupperware().args(["up", "--exit-code"])), @"
    exit code: 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      --dry-run

    Usage: pupperware up --dry-run --exit-code

    For more information, try '--help'.
    ");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let mut command = pupperware();
    for name in ["PROJECT", "CONFIG", "HOST", "CONTEXT", "VERBOSE", "QUIET", "COLOR", "PROGRESS", "YES"] {
        command.env(format!("PUPPERWARE_{name}"), "");
    }
    command.arg("version").assert().success();
}

#[test]
fn variables_set_flags() {
    let mut command = pupperware();
    command.env("PUPPERWARE_YES", "1").env("PUPPERWARE_QUIET", "2").env("PUPPERWARE_PROGRESS", "json");
    command.arg("version").assert().success();
    pupperware().env("PUPPERWARE_YES", "perhaps").arg("version").assert().code(2);
}

#[test]
fn failures_are_json_when_progress_is() {
    let mut command = pupperware();
    command.env("PUPPERWARE_LOG", "=").args(["--progress", "json", "version"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&line["event"], &line["kind"], &line["exit_code"]), (&"error".into(), &"usage".into(), &2.into()));
}

/// `pupperware completions bash | head -1` is no failure.
#[test]
fn a_closed_stdout_ends_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(pupperware().get_program());
    let output = command.args(["completions", "bash"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// It goes nowhere when there is nothing to encrypt: no engine is asked.
#[test]
fn a_value_to_encrypt_is_looked_at_first() {
    let mut nothing = pupperware();
    nothing.args(["code", "eyaml", "encrypt"]).write_stdin("\n");
    assert_snapshot!(transcript(&mut nothing), @"
    exit code: 2
    --- stdout
    --- stderr
    error: there is nothing to encrypt in standard input
    ");
    assert_snapshot!(transcript(pupperware().args(["code", "eyaml", "encrypt", "/nonexistent"])), @"
    exit code: 2
    --- stdout
    --- stderr
    error: cannot read /nonexistent
      caused by: No such file or directory (os error 2)
    ");
    assert_snapshot!(transcript(pupperware().args(["code", "eyaml", "encrypt", "--pair", "0", "value"])), @"
    exit code: 2
    --- stdout
    --- stderr
    error: invalid value '0' for '--pair <NUMBER>': 0 is not in 1..=4294967295

    For more information, try '--help'.
    ");
}
