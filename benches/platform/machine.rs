//! The machine that measures: what it is, how steady it was, how much processor time went by.

use std::time::Instant;

use serde_json::{Value, json};

use crate::figures::{median, quantile};

/// A fixed computation may take so much longer at one time than at another before times mean nothing.
const MOST_NOISE: f64 = 1.4;

/// Entries of the table that the fixed computation walks through: 32 MiB, more than a core's caches hold. Neighbours on
/// the same host slow down memory long before they slow down arithmetic.
const TABLE: u32 = 1 << 23;
/// Steps of one walk.
const WALK: u32 = 1 << 21;

/// How long a fixed computation took, now and then.
#[derive(Default)]
pub struct Noise {
    /// Where to go from each entry; all entries are on one round.
    table: Vec<u32>,
    milliseconds: Vec<f64>,
}

impl Noise {
    /// Runs it once, on one processor.
    pub fn sample(&mut self) {
        if self.table.is_empty() {
            // A linear congruence of full period.
            self.table = (0..TABLE).map(|i| i.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % TABLE).collect();
        }
        let start = Instant::now();
        let last = (0..WALK).fold(0, |at: u32, _| self.table[at as usize]);
        std::hint::black_box(last);
        self.milliseconds.push(start.elapsed().as_secs_f64() * 1000.0);
    }

    /// True when ratios of times may be told.
    pub fn steady(&self) -> bool {
        self.milliseconds.is_empty()
            || quantile(&self.milliseconds, 0.9) / quantile(&self.milliseconds, 0.1) <= MOST_NOISE
    }

    /// For people.
    pub fn says(&self) -> String {
        if self.milliseconds.is_empty() {
            return "nothing was timed".into();
        }
        let (least, most) = (quantile(&self.milliseconds, 0.0), quantile(&self.milliseconds, 1.0));
        format!(
            "noise: a fixed computation took {least:.0} to {most:.0} ms, {:.0} in the middle, n={}: {}",
            median(&self.milliseconds),
            self.milliseconds.len(),
            if self.steady() { "steady enough" } else { "too noisy for ratios of times" }
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({ "milliseconds": self.milliseconds, "steady": self.steady() })
    }
}

/// Processors, memory, kernel.
pub fn describe() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value.trim()).to_owned()
    };
    json!({
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "model": field(&read("/proc/cpuinfo"), "model name"),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "engine": crate::sides::docker(&["version", "--format", "{{.Server.Version}}"]),
        "storage": crate::sides::docker(&["info", "--format", "{{.Driver}}"]),
    })
}

/// Processor seconds that the machine has spent since it started, all processors together.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("Linux");
    let fields: Vec<f64> =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq; in hundredths of a second.
    (fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / 100.0
}
