//! Prometheus' text format: families of samples, each with its help and its kind.

use std::fmt::Write;

/// Metrics, in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Exposition {
    families: Vec<Family>,
}

#[derive(Debug, Clone)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Exposition {
    /// Adds a sample of something that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], value: f64) {
        self.add(name, help, "gauge", labels, value);
    }

    /// Adds a sample of something that only counts up, from its service's start on.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], value: f64) {
        self.add(name, help, "counter", labels, value);
    }

    fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        let labels = labels.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        match self.families.iter_mut().find(|f| f.name == name) {
            Some(family) => family.samples.push((labels, value)),
            None => self.families.push(Family { name, help, kind, samples: vec![(labels, value)] }),
        }
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Family { name, help, kind, samples } in &self.families {
            // Writing into a String cannot fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (labels, value) in samples {
                let labels: Vec<String> = labels.iter().map(|(key, v)| format!("{key}=\"{}\"", escaped(v))).collect();
                let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        }
        text
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_below_their_family() {
        let mut metrics = Exposition::default();
        metrics.gauge("up", "Runs.", &[("service", "a")], 1.0);
        metrics.counter("seen_total", "Seen.", &[], 518_979_584.0);
        metrics.gauge("up", "Runs.", &[("service", "odd \"\\\n")], 0.5);
        let text = "# HELP up Runs.\n# TYPE up gauge\nup{service=\"a\"} 1\nup{service=\"odd \\\"\\\\\\n\"} 0.5\n\
            # HELP seen_total Seen.\n# TYPE seen_total counter\nseen_total 518979584\n";
        assert_eq!(metrics.text(), text);
    }
}
