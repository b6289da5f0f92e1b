//! `docs/reference/cli.md` is what clap knows, as Markdown. `UPDATE_DOCS=1 cargo test --test cli` writes it anew.

use std::fmt::Write;

use clap::{Arg, ArgAction, Command};
use pupperware::cli::Cli;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/cli.md");
const GLOBAL: &str = "Global options";

#[test]
fn the_reference_is_up_to_date() {
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PATH, page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(written == page, "{PATH} is out of date: run `UPDATE_DOCS=1 cargo test --test cli reference`");
}

/// The schema of release manifests, for editors that fetch it.
#[test]
fn the_schema_of_manifests_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/releases.schema.json");
    let output = crate::pupperware().args(["releases", "schema"]).output().unwrap();
    let schema = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && schema.contains("\"title\": \"Release manifest of pupperware\""));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, schema).unwrap();
        return;
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == schema, "{path} is out of date: run `UPDATE_DOCS=1 cargo test --test cli reference`");
}

fn page() -> String {
    let mut root = Cli::definition();
    root.build();
    let mut page = String::from("# Command line\n\n<!-- Generated from the program; see tests/cli/reference.rs. -->\n");
    let about = root.get_long_about().expect("the program says what it is").to_string();
    write!(page, "\n{about}\n\n## {GLOBAL}\n\nEvery command takes these, before or after its name.\n").unwrap();
    let globals: Vec<&Arg> = root.get_arguments().filter(|arg| arg.get_help_heading() == Some(GLOBAL)).collect();
    page += &table(&globals);
    for command in root.get_subcommands() {
        section(&mut page, command, 2);
    }
    page
}

fn section(page: &mut String, command: &Command, level: usize) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    write!(page, "\n{} {name}\n\n{about}\n", "#".repeat(level)).unwrap();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").lines().map(str::trim).collect::<Vec<_>>().join("\n");
    write!(page, "\n```text\n{usage}\n```\n").unwrap();
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| arg.get_help_heading() != Some(GLOBAL) && !matches!(arg.get_id().as_str(), "help" | "version"))
        .collect();
    if !own.is_empty() {
        *page += &table(&own);
    }
    if let Some(examples) = command.get_after_long_help() {
        let examples = examples.to_string();
        let lines = examples.lines().skip(1).map(|line| line.trim_start()).collect::<Vec<_>>().join("\n");
        write!(page, "\n```sh\n{lines}\n```\n").unwrap();
    }
    for subcommand in command.get_subcommands() {
        section(page, subcommand, level + 1);
    }
}

fn table(args: &[&Arg]) -> String {
    let mut table = String::from("\n| argument | meaning |\n|---|---|\n");
    for arg in args {
        let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
        meaning.push('.');
        let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        let values: Vec<String> = arg.get_possible_values().iter().map(|v| format!("`{}`", v.get_name())).collect();
        if takes_value && !values.is_empty() && !arg.is_hide_possible_values_set() {
            write!(meaning, " One of {}.", values.join(", ")).unwrap();
        }
        let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if takes_value && !default.is_empty() {
            write!(meaning, " Default: `{}`.", default.join(" ")).unwrap();
        }
        if let Some(env) = arg.get_env() {
            write!(meaning, " Environment: `{}`.", env.to_string_lossy()).unwrap();
        }
        writeln!(table, "| `{}` | {} |", spelling(arg), meaning.replace('|', "\\|")).unwrap();
    }
    table
}

fn spelling(arg: &Arg) -> String {
    let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    let many = if arg.get_num_args().is_some_and(|range| range.max_values() > 1) { "..." } else { "" };
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let flags: Vec<String> =
        arg.get_short().map(|s| format!("-{s}")).into_iter().chain(arg.get_long().map(|l| format!("--{l}"))).collect();
    match (flags.is_empty(), takes_value) {
        (true, _) => format!("{value}{many}"),
        (false, true) => format!("{} {value}{many}", flags.join(", ")),
        (false, false) => flags.join(", "),
    }
}
