//! The machine that measures: what it is, how steady it was, how much processor time went by.

use std::time::Instant;

use serde_json::{Value, json};

use crate::figures::{median, quantile};

/// A fixed computation may take so much longer at one time than at another before times mean nothing.
const MOST_NOISE: f64 = 1.4;

/// How long a fixed computation took, now and then.
#[derive(Default)]
pub struct Noise(Vec<f64>);

impl Noise {
    /// Runs it once, on one processor.
    pub fn sample(&mut self) {
        let start = Instant::now();
        let mut state = 1_u64;
        for _ in 0..100_000_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        }
        std::hint::black_box(state);
        self.0.push(start.elapsed().as_secs_f64() * 1000.0);
    }

    /// True when ratios of times may be told.
    pub fn steady(&self) -> bool {
        self.0.is_empty() || quantile(&self.0, 0.9) / quantile(&self.0, 0.1) <= MOST_NOISE
    }

    /// For people.
    pub fn says(&self) -> String {
        if self.0.is_empty() {
            return "nothing was timed".into();
        }
        let (least, most) = (quantile(&self.0, 0.0), quantile(&self.0, 1.0));
        format!(
            "noise: a fixed computation took {least:.0} to {most:.0} ms, {:.0} in the middle, n={}: {}",
            median(&self.0),
            self.0.len(),
            if self.steady() { "steady enough" } else { "too noisy for ratios of times" }
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({ "milliseconds": self.0, "steady": self.steady() })
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
