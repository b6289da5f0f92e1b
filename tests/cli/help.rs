//! Help texts: the first page in full, and rules that all pages keep.

use insta::assert_snapshot;
use pupperware::cli::Cli;

use crate::{pupperware, transcript};

#[test]
fn the_first_page() {
    assert_snapshot!(transcript(pupperware().arg("-h")), @"
    exit code: 0
    --- stdout
    A whole Puppet platform in containers, from one program

    Usage: pupperware [OPTIONS] <COMMAND>

    Platform:
      up             Install or converge the platform, and prove that it works
      upgrade        Upgrade the platform to another release, or go back
      down           Remove the containers and networks; the data stays
      stop           Stop services without removing them
      start          Start stopped services and wait until they are ready
      restart        Restart services and wait until they are ready
      scale          Change how many compilers and agents there are

    Use and observe:
      status         Show what runs, and whether it is well
      logs           Show the logs of services
      metrics        Print metrics in Prometheus' text format
      exec           Run a command in a service's container
      agent          Work with the platform's own agents
      smoke          Prove the platform end to end: agent, catalog, report
      doctor         Check the engine and the platform for known problems
      history        Show every change of the platform: who, when, what came of it
      support-bundle Collect what helps others to help you, in one archive

    Day two:
      ca             List, sign, revoke and renew certificates
      code           Deploy and check Puppet code
      relay          Run Puppet on request, by the Relay API
      backup         Back the platform up, and put it back
      secrets        Show and rotate the platform's secrets
      audit          Check the security model against what really runs

    Configuration and releases:
      config         Show, check and describe the configuration
      images         Build, fetch and move the component images
      channels       Show the release channels
      releases       Show the releases of the platform that this program knows

    This program:
      completions    Print a shell's completion script
      man            Print the man page, or write all of them
      version        Show the version of this program

    Options:
      -p, --project <NAME>   The platform's name on the engine [default: from the
                             configuration, else pupperware] [env:
                             PUPPERWARE_PROJECT]
      -f, --config <FILE>    The configuration file [default: the nearest
                             pupperware.yaml upwards] [env: PUPPERWARE_CONFIG]
      -H, --host <URL>       The engine's address, such as unix:///run/docker.sock
                             or tcp://host:2375 [env: PUPPERWARE_HOST]
          --context <NAME>   The Docker context that names the engine [env:
                             PUPPERWARE_CONTEXT]
      -v, --verbose...       Log what is done to stderr; twice: every engine call;
                             three times: everything [env: PUPPERWARE_VERBOSE]
      -q, --quiet...         Show no progress, only warnings and errors; twice: only
                             errors [env: PUPPERWARE_QUIET]
          --color <WHEN>     When to use colours: auto, always or never [env:
                             PUPPERWARE_COLOR] [default: auto]
          --progress <MODE>  How to show progress: auto, tty, plain, json or quiet
                             [env: PUPPERWARE_PROGRESS] [default: auto]
      -y, --yes              Answer yes to every question; data loss still needs its
                             own flag [env: PUPPERWARE_YES]
      -h, --help             Print help (see more with '--help')
      -V, --version          Print version
    --- stderr
    ");
}

#[test]
fn the_page_of_a_command() {
    assert_snapshot!(transcript(pupperware().args(["restart", "--help"])), @"
    exit code: 0
    --- stdout
    Restart services and wait until they are ready.

    Without names, the whole platform restarts. Those that need others stop first.

    Usage: pupperware restart [OPTIONS] [SERVICE]...

    Arguments:
      [SERVICE]...
              The services, or replicas of them, to restart

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Plan options:
          --dry-run
              Print the plan and change nothing

          --timings
              Print how long each step took, and which of them everything had to
              wait for

      -o, --output <FORMAT>
              How --dry-run prints the plan, and --timings the times

              Possible values:
              - table: Aligned columns
              - json:  A JSON document
              - yaml:  A YAML document
              
              [default: table]

          --timeout <DURATION>
              Give up when services take longer than this, such as 90s, 10m or 1h
              
              [default: 10m]

          --wait-lock <DURATION>
              Wait this long for another change to end, instead of refusing at once

    Global options:
      -p, --project <NAME>
              The platform's name on the engine [default: from the configuration,
              else pupperware]
              
              [env: PUPPERWARE_PROJECT]

      -f, --config <FILE>
              The configuration file [default: the nearest pupperware.yaml upwards]
              
              [env: PUPPERWARE_CONFIG]

      -H, --host <URL>
              The engine's address, such as unix:///run/docker.sock or
              tcp://host:2375
              
              [env: PUPPERWARE_HOST]

          --context <NAME>
              The Docker context that names the engine
              
              [env: PUPPERWARE_CONTEXT]

      -v, --verbose...
              Log what is done to stderr; twice: every engine call; three times:
              everything
              
              [env: PUPPERWARE_VERBOSE]

      -q, --quiet...
              Show no progress, only warnings and errors; twice: only errors
              
              [env: PUPPERWARE_QUIET]

          --color <WHEN>
              When to use colours: auto, always or never
              
              [env: PUPPERWARE_COLOR]
              [default: auto]

          --progress <MODE>
              How to show progress: auto, tty, plain, json or quiet
              
              [env: PUPPERWARE_PROGRESS]
              [default: auto]

      -y, --yes
              Answer yes to every question; data loss still needs its own flag
              
              [env: PUPPERWARE_YES]

    Examples:
      pupperware restart puppetserver         one service
      pupperware restart --dry-run            in which order they would stop
    --- stderr
    ");
}

#[test]
fn no_arguments_show_help_and_fail() {
    let output = pupperware().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: pupperware [OPTIONS] <COMMAND>"));
}

#[test]
fn every_page_is_complete_and_fits_80_columns() {
    let mut command = Cli::definition();
    command.build();
    check(&mut command);
}

fn check(command: &mut clap::Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let examples = command.get_after_long_help().unwrap_or_else(|| panic!("{name} has no examples")).to_string();
    assert!(examples.starts_with("Examples:\n  pupperware") || name.contains("completions"), "{name}: {examples}");
    assert!(command.get_about().is_some_and(|about| about.to_string().len() <= 64), "{name}: the about is too long");
    for line in examples.lines().take_while(|line| !line.is_empty()) {
        assert!(line.chars().count() <= 80, "{name}: an example would wrap: {line}");
    }
    for arg in command.get_arguments() {
        assert!(arg.get_help().is_some(), "{name}: {} has no help", arg.get_id());
    }
    for page in [command.render_help(), command.render_long_help()] {
        for line in page.to_string().lines() {
            assert!(line.chars().count() <= 80, "{name}: too wide: {line}");
        }
    }
    for subcommand in command.get_subcommands_mut() {
        check(subcommand);
    }
}
