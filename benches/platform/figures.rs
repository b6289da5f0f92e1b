//! Samples and what may be said of them: medians, and ratios where the samples allow one.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// The samples of one side may be so far apart, largest to smallest without the outermost ones, before a ratio of
/// their medians means nothing.
const MOST_SPREAD: f64 = 1.6;

/// What is counted.
#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    /// Wall-clock time.
    Seconds,
    /// Time of all processors together, of everything on the machine.
    CpuSeconds,
    /// Wall-clock time.
    Milliseconds,
    /// Memory and disk.
    Mebibytes,
    /// More is better.
    PerSecond,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::CpuSeconds => "CPU s",
            Unit::Milliseconds => "ms",
            Unit::Mebibytes => "MiB",
            Unit::PerSecond => "/s",
        }
    }
}

/// The same thing done by several sides; the first is ours.
pub struct Comparison {
    title: String,
    unit: Unit,
    sides: Vec<(String, Vec<f64>)>,
}

impl Comparison {
    /// Nothing measured yet.
    pub fn new(title: &str, unit: Unit) -> Self {
        Comparison { title: title.into(), unit, sides: Vec::new() }
    }

    /// One sample of a side.
    pub fn add(&mut self, side: &str, value: f64) {
        match self.sides.iter_mut().find(|(name, _)| name == side) {
            Some((_, values)) => values.push(value),
            None => self.sides.push((side.into(), vec![value])),
        }
    }

    /// How many times better the first side is than this one, or why that cannot be said.
    fn ratio(&self, side: usize, steady: bool) -> Result<f64, &'static str> {
        let (ours, theirs) = (&self.sides[0].1, &self.sides[side].1);
        let timed = self.unit != Unit::Mebibytes;
        if timed && !steady && self.unit != Unit::CpuSeconds {
            return Err("machine too noisy");
        }
        if timed && (spread(ours) > MOST_SPREAD || spread(theirs) > MOST_SPREAD) {
            return Err("samples too far apart");
        }
        let ratio = median(theirs) / median(ours);
        Ok(if self.unit == Unit::PerSecond { 1.0 / ratio } else { ratio })
    }

    /// For people.
    pub fn table(&self, steady: bool) -> String {
        let mut out = format!("{}\n", self.title);
        for (number, (side, values)) in self.sides.iter().enumerate() {
            let ratio = match (number, self.ratio(number, steady)) {
                (0, _) => String::new(),
                (_, Ok(ratio)) => format!("ours is {ratio:.2}x better"),
                (_, Err(why)) => format!("no ratio: {why}"),
            };
            let unit = self.unit.name();
            let (least, most) = (sorted(values)[0], sorted(values)[values.len() - 1]);
            let _ = writeln!(
                out,
                "  {side:<24} {:>9.2} {unit:<6} {least:>9.2} .. {most:<9.2} n={:<3} {ratio}",
                median(values),
                values.len()
            );
        }
        out
    }

    /// For programs.
    pub fn json(&self, steady: bool) -> Value {
        let side = |number: usize| {
            let (name, values) = &self.sides[number];
            let ratio = self.ratio(number, steady);
            json!({
                "side": name, "samples": values, "median": median(values),
                "times_better_is_ours": ratio.ok(), "no_ratio_because": ratio.err(),
            })
        };
        let sides: Vec<Value> = (0..self.sides.len()).map(side).collect();
        json!({ "title": self.title, "unit": self.unit.name(), "sides": sides })
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle sample; of an even number the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let values = sorted(values);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// The sample below which this part of all lies, 0 to 1.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let values = sorted(values);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let at = ((values.len() as f64 * part).ceil() as usize).clamp(1, values.len());
    values[at - 1]
}

/// Largest to smallest of the middle eight tenths.
fn spread(values: &[f64]) -> f64 {
    quantile(values, 0.9) / quantile(values, 0.1)
}
