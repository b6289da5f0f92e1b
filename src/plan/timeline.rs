//! How a plan went: when each step began and ended, and which of them the whole had to wait for.
//!
//! Pure: plan and measured times in, timeline out. `execute` measures.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Plan, Step, render};

/// When a step was under way, in milliseconds from the start of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Index in the plan.
    pub id: usize,
    /// Beginning.
    pub began_ms: u64,
    /// End.
    pub ended_ms: u64,
}

/// A plan that was carried out, with its times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Format.
    pub schema_version: u32,
    /// Project.
    pub project: String,
    /// What went by before the first step: taking the lock, looking at the engine, planning. Milliseconds.
    pub before_ms: u64,
    /// From the first step's beginning to the last one's end. Milliseconds.
    pub steps_ms: u64,
    /// In the order of their beginnings.
    pub steps: Vec<TimedStep>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimedStep {
    /// Index in the plan.
    pub id: usize,
    /// What it did.
    pub kind: &'static str,
    /// What it worked on.
    pub resource: String,
    /// From the start of the plan. Milliseconds.
    pub began_ms: u64,
    /// Milliseconds.
    pub took_ms: u64,
    /// The step that ended last of those that it needed.
    pub waited_for: Option<usize>,
    /// True when everything had to wait for it: shorter, it would have made the whole shorter.
    pub critical: bool,
}

/// A step that is not critical is told to people when it took at least this part of the whole.
const WORTH_TELLING: u64 = 20;
/// Columns of the bar that stands for the whole time.
const BAR: u64 = 40;

/// Puts times and plan together. Steps without a time were not carried out, and are left out.
pub fn timeline(project: &str, plan: &Plan, before_ms: u64, spans: &[Span]) -> Timeline {
    let span = |id: usize| spans.iter().find(|s| s.id == id);
    let last_needed = |step: &Step| {
        let needed = step.needs.iter().filter_map(|n| span(*n));
        needed.max_by_key(|s| (s.ended_ms, s.id)).map(|s| s.id)
    };
    let mut critical = Vec::new();
    let mut next = spans.iter().max_by_key(|s| (s.ended_ms, s.id)).map(|s| s.id);
    while let Some(id) = next {
        critical.push(id);
        next = last_needed(&plan.steps[id]);
    }
    let mut steps: Vec<TimedStep> = plan
        .steps
        .iter()
        .filter_map(|step| {
            let span = span(step.id)?;
            Some(TimedStep {
                id: step.id,
                kind: step.action.kind(),
                resource: step.action.resource(),
                began_ms: span.began_ms,
                took_ms: span.ended_ms.saturating_sub(span.began_ms),
                waited_for: last_needed(step),
                critical: critical.contains(&step.id),
            })
        })
        .collect();
    steps.sort_by_key(|s| (s.began_ms, s.id));
    let steps_ms = spans.iter().map(|s| s.ended_ms).max().unwrap_or(0);
    Timeline { schema_version: 1, project: project.to_owned(), before_ms, steps_ms, steps }
}

/// The critical path with a bar for each step, then what took long beside it.
pub fn text(timeline: &Timeline) -> String {
    let mut out = format!("{} s before the first step, then the critical path:\n", seconds(timeline.before_ms));
    for step in timeline.steps.iter().filter(|s| s.critical) {
        line(&mut out, timeline, step);
    }
    let worth = timeline.steps_ms / WORTH_TELLING;
    let beside: Vec<&TimedStep> = timeline.steps.iter().filter(|s| !s.critical && s.took_ms >= worth).collect();
    if !beside.is_empty() {
        out.push_str("beside it:\n");
        beside.iter().for_each(|step| line(&mut out, timeline, step));
    }
    let _ = writeln!(out, "{} s in all\n", seconds(timeline.before_ms + timeline.steps_ms));
    out
}

fn line(out: &mut String, timeline: &Timeline, step: &TimedStep) {
    let column = |ms: u64| usize::try_from(ms * BAR / timeline.steps_ms.max(1)).unwrap_or(0);
    let (from, to) = (column(step.began_ms), column(step.began_ms + step.took_ms));
    let bar = format!("{}{}", " ".repeat(from), "#".repeat((to - from).max(1)));
    let what = format!("{} {}", render::verb(step.kind), step.resource);
    let _ = writeln!(
        out,
        "{:>7} +{:>6}  |{bar:<width$}| {what}",
        seconds(step.began_ms),
        seconds(step.took_ms),
        width = usize::try_from(BAR).unwrap_or(0) + 1
    );
}

fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::plan::Action;

    fn plan() -> Plan {
        let wait = |service: &str| Action::WaitReady { name: format!("demo-{service}-1"), service: service.into() };
        let steps = [(wait("postgres"), vec![]), (wait("puppetdb"), vec![]), (wait("puppetserver"), vec![0, 1])];
        let steps = steps.into_iter().enumerate();
        Plan {
            steps: steps.map(|(id, (action, needs))| Step { id, action, cause: "it starts".into(), needs }).collect(),
        }
    }

    fn spans(times: [(u64, u64); 3]) -> Vec<Span> {
        times
            .iter()
            .enumerate()
            .map(|(id, (began_ms, ended_ms))| Span { id, began_ms: *began_ms, ended_ms: *ended_ms })
            .collect()
    }

    #[test]
    fn the_step_that_was_waited_for_is_critical() {
        let timeline = timeline("demo", &plan(), 250, &spans([(0, 1500), (0, 8000), (8010, 10_000)]));
        let critical: Vec<usize> = timeline.steps.iter().filter(|s| s.critical).map(|s| s.id).collect();
        assert_eq!(critical, [1, 2]);
        assert_eq!(timeline.steps[2].waited_for, Some(1));
        assert_snapshot!(text(&timeline), @"
        0.2 s before the first step, then the critical path:
            0.0 +   8.0  |################################         | wait for container demo-puppetdb-1
            8.0 +   1.9  |                                ######## | wait for container demo-puppetserver-1
        beside it:
            0.0 +   1.5  |######                                   | wait for container demo-postgres-1
        10.2 s in all
        ");
    }

    #[test]
    fn what_was_not_carried_out_is_left_out() {
        let timeline = timeline("demo", &plan(), 0, &spans([(0, 10), (0, 20), (20, 30)])[..2]);
        assert_eq!(timeline.steps.len(), 2);
        assert_eq!(timeline.steps_ms, 20);
        assert_eq!(super::timeline("demo", &plan(), 0, &[]).steps, []);
    }
}
