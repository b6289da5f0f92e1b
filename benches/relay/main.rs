//! The Relay's limits, measured: how soon a run is taken, how many bridges can race for runs, and how many nodes a run can
//! have. No engine; the server and the bridge are processes of the built program, and `ssh` is a script that sleeps.
//!
//! `make bench-relay` runs everything; `make bench-relay ARGS="--only race"` a part. Results: lines on stdout, and JSON
//! with `--json FILE`. What is measured stands in `pickup`, `race` and `large`; what it is measured with in `site`.

mod large;
mod pickup;
mod race;
mod site;

use std::process::ExitCode;

use serde_json::{Map, Value};

/// What can be measured, in the order in which it is.
const PARTS: [&str; 4] = ["pickup", "timer", "race", "large"];

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let (mut parts, mut json) = (PARTS.map(String::from).to_vec(), None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match name.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--only" => parts = arguments.next().unwrap_or_default().split(',').map(String::from).collect(),
            "--json" => json = arguments.next(),
            _ => {
                eprintln!("error: unknown argument {name}; known: --only, --json");
                return ExitCode::from(2);
            }
        }
    }
    if let Some(odd) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        eprintln!("error: unknown part {odd}; known: {}", PARTS.join(", "));
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut results = Map::new();
    for part in &parts {
        let result = runtime.block_on(async {
            match part.as_str() {
                "pickup" => pickup::long_poll().await,
                "timer" => pickup::timer().await,
                "race" => race::measure().await,
                _ => large::measure().await,
            }
        });
        println!("{part}: {result}");
        results.insert(part.clone(), result);
    }
    if let Some(path) = json
        && let Err(error) = std::fs::write(&path, format!("{:#}\n", Value::Object(results)))
    {
        eprintln!("error: cannot write {path}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
