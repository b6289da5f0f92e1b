//! The benchmark: this program beside docker-compose v2, with stock images and with ours, in one run.
//!
//! `make bench` runs everything; `make bench ARGS="--rounds 5 --only start,noop"` a part. The sides take turns (A B A B),
//! so that a machine that changes its speed changes it for both; between samples a fixed computation tells how much it
//! did, and when that was too much, or the samples of one side are too far apart, no ratio is printed. Results: a table,
//! and JSON with `--json FILE`. What the sides are stands in `sides` and `peers/`; how figures are judged in `figures`.

mod figures;
mod load;
mod machine;
mod sides;

use std::process::ExitCode;

use figures::{Comparison, Unit};
use machine::Noise;
use sides::{Images, Side};

/// What can be measured, in the order in which it is.
const PARTS: [&str; 6] = ["sizes", "start", "warm", "noop", "memory", "load"];

struct Choice {
    rounds: usize,
    channel: String,
    parts: Vec<String>,
    json: Option<String>,
}

fn choice() -> Result<Choice, String> {
    let mut choice =
        Choice { rounds: 3, channel: "stable".into(), parts: PARTS.map(String::from).to_vec(), json: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
        match name.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--rounds" => choice.rounds = value()?.parse().map_err(|_| "--rounds needs a number")?,
            "--channel" => choice.channel = value()?,
            "--only" => choice.parts = value()?.split(',').map(String::from).collect(),
            "--json" => choice.json = Some(value()?),
            _ => return Err(format!("unknown argument {name}; known: --rounds, --channel, --only, --json")),
        }
    }
    match choice.parts.iter().find(|p| !PARTS.contains(&p.as_str())) {
        Some(odd) => Err(format!("unknown part {odd}; known: {}", PARTS.join(", "))),
        None => Ok(choice),
    }
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let choice = match choice() {
        Ok(choice) => choice,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            return ExitCode::from(2);
        }
    };
    let images = Images::prepare(&choice.channel);
    let mut noise = Noise::default();
    let mut comparisons = Vec::new();
    let wants = |part: &str| choice.parts.iter().any(|p| p == part);
    if wants("sizes") {
        comparisons.push(images.sizes());
    }
    let mut ours = Side::ours(&images);
    let mut same = Side::compose(&images, "compose, our images", images.ours.clone());
    let mut stock = Side::compose(&images, "compose, stock images", images.stock.clone());
    for (part, title) in [("start", "empty volumes to the first report"), ("warm", "volumes exist, to a new report")] {
        if !wants(part) {
            continue;
        }
        let mut wall = Comparison::new(title, Unit::Seconds);
        let mut cpu = Comparison::new(&format!("{title}: processor time"), Unit::CpuSeconds);
        for round in 0..choice.rounds {
            for side in [&mut ours, &mut same, &mut stock] {
                noise.sample();
                eprintln!("{title}: round {} of {}: {}", round + 1, choice.rounds, side.name());
                let taken = side.starts(part == "warm");
                // One platform at a time: an idle one takes processor time, too.
                side.down();
                wall.add(side.name(), taken.wall);
                cpu.add(side.name(), taken.cpu);
            }
        }
        noise.sample();
        comparisons.extend([wall, cpu]);
    }
    if wants("noop") {
        ours.stays_up();
        same.stays_up();
        let mut noop = Comparison::new("`up` with nothing to do", Unit::Milliseconds);
        let mut status = Comparison::new("`status`, `ps`", Unit::Milliseconds);
        for _ in 0..choice.rounds * 10 {
            for side in [&ours, &same] {
                noop.add(side.name(), side.no_op());
                status.add(side.name(), side.status());
            }
        }
        noise.sample();
        ours.down();
        same.down();
        comparisons.extend([noop, status]);
    }
    if wants("memory") {
        let mut memory = Comparison::new("memory of the services after start", Unit::Mebibytes);
        for side in [&mut ours, &mut same, &mut stock] {
            side.stays_up();
            memory.add(side.name(), side.memory());
            side.down();
        }
        comparisons.push(memory);
    }
    if wants("load") {
        comparisons.extend(load::compare(&images, &mut [&mut ours, &mut stock], choice.rounds, &mut noise));
    }
    for side in [&mut ours, &mut same, &mut stock] {
        side.destroy();
    }
    let steady = noise.steady();
    for comparison in &comparisons {
        println!("{}", comparison.table(steady));
    }
    println!("{}", noise.says());
    if let Some(file) = &choice.json {
        let parts: Vec<_> = comparisons.iter().map(|c| c.json(steady)).collect();
        let all = serde_json::json!({ "machine": machine::describe(), "noise": noise.json(), "comparisons": parts });
        if let Err(wrong) = std::fs::write(file, format!("{all:#}\n")) {
            eprintln!("error: cannot write {file}: {wrong}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
