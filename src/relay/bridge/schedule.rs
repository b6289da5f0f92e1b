//! Which nodes come when: canaries, batches, and when enough have failed. Pure.

use std::collections::BTreeMap;

use crate::relay::api::{Limits, NodeName, NodeResult};

/// The order of a run's nodes.
#[derive(Debug, Clone)]
pub struct Schedule {
    waves: Vec<Vec<NodeName>>,
    canary: bool,
    max_failures: Option<usize>,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Start these, and come again when they have ended.
    Run(Vec<NodeName>),
    /// No more: the rest is skipped, for this reason.
    Stop(&'static str),
    /// All have ended.
    Done,
}

impl Schedule {
    /// The order that the limits ask for; the tighter limit of failures counts.
    pub fn new(nodes: &[NodeName], limits: &Limits, own_max_failures: Option<u32>) -> Self {
        let canary = limits.canary.map_or(0, |n| n.get() as usize).min(nodes.len());
        let (first, others) = nodes.split_at(canary);
        let mut waves = vec![first.to_vec()];
        match limits.batch {
            Some(size) => waves.extend(others.chunks(size.get() as usize).map(<[NodeName]>::to_vec)),
            None => waves.push(others.to_vec()),
        }
        waves.retain(|wave| !wave.is_empty());
        let max_failures = limits.max_failures.map(std::num::NonZeroU32::get);
        let max_failures = max_failures.into_iter().chain(own_max_failures).min().map(|n| n as usize);
        Schedule { waves, canary: canary > 0, max_failures }
    }

    /// True when no further node may be started.
    pub fn exhausted(&self, failures: usize) -> bool {
        self.max_failures.is_some_and(|most| failures >= most)
    }

    /// What to do, by what became of nodes so far.
    pub fn next(&self, results: &BTreeMap<NodeName, NodeResult>) -> Next {
        let failures = results.values().filter(|r| !r.status.is_good()).count();
        for (number, wave) in self.waves.iter().enumerate() {
            let left: Vec<NodeName> = wave.iter().filter(|node| !results.contains_key(*node)).cloned().collect();
            if !left.is_empty() {
                return if self.exhausted(failures) { Next::Stop(TOO_MANY) } else { Next::Run(left) };
            }
            let bad = wave.iter().filter_map(|node| results.get(node)).any(|r| !r.status.is_good());
            let last = number + 1 == self.waves.len();
            if number == 0 && self.canary && bad && !last {
                return Next::Stop("a canary failed");
            }
        }
        Next::Done
    }
}

/// Why the rest is skipped.
pub const TOO_MANY: &str = "too many nodes failed";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::relay::api::NodeStatus;

    fn nodes(count: usize) -> Vec<NodeName> {
        (0..count).map(|n| format!("n{n}").parse().unwrap()).collect()
    }

    fn limits(text: &str) -> Limits {
        serde_json::from_str(text).unwrap()
    }

    fn end(results: &mut BTreeMap<NodeName, NodeResult>, nodes: &[NodeName], status: NodeStatus) {
        results.extend(nodes.iter().map(|n| (n.clone(), NodeResult::new(n.clone(), status))));
    }

    #[test]
    fn canaries_then_batches() {
        let all = nodes(6);
        let schedule = Schedule::new(&all, &limits(r#"{"canary":1,"batch":2}"#), None);
        let mut results = BTreeMap::new();
        let mut sizes = Vec::new();
        while let Next::Run(wave) = schedule.next(&results) {
            sizes.push(wave.len());
            end(&mut results, &wave, NodeStatus::Changed);
        }
        assert_eq!(sizes, [1, 2, 2, 1]);
        assert_eq!(schedule.next(&results), Next::Done);
    }

    #[test]
    fn a_canary_that_fails_keeps_the_others_from_it() {
        let all = nodes(3);
        let schedule = Schedule::new(&all, &limits(r#"{"canary":1}"#), None);
        let mut results = BTreeMap::new();
        end(&mut results, &all[..1], NodeStatus::Failed);
        assert_eq!(schedule.next(&results), Next::Stop("a canary failed"));
        let only = Schedule::new(&all[..1], &limits(r#"{"canary":5}"#), None);
        assert_eq!(only.next(&results), Next::Done, "there are no others");
    }

    #[test]
    fn enough_failures_stop_the_run_and_the_tighter_limit_counts() {
        let all = nodes(4);
        let schedule = Schedule::new(&all, &limits(r#"{"batch":1,"max_failures":3}"#), Some(1));
        let mut results = BTreeMap::new();
        end(&mut results, &all[..1], NodeStatus::Unreachable);
        assert_eq!(schedule.next(&results), Next::Stop(TOO_MANY));
    }

    proptest! {
        /// Each node comes once, in whatever pieces a restart leaves.
        #[test]
        fn every_node_comes_exactly_once(count in 0usize..40, canary in 1u32..5, batch in 1u32..7, stop in 0usize..40) {
            let all = nodes(count);
            let limits = limits(&format!(r#"{{"canary":{canary},"batch":{batch}}}"#));
            let mut results = BTreeMap::new();
            let mut seen = Vec::new();
            while let Next::Run(wave) = Schedule::new(&all, &limits, None).next(&results) {
                let done = if seen.is_empty() { wave.len().min(stop.max(1)) } else { wave.len() };
                seen.extend(wave[..done].to_vec());
                end(&mut results, &wave[..done], NodeStatus::Unchanged);
            }
            prop_assert_eq!(seen, all);
        }
    }
}
