//! Where a plan under way stands, folded from its events. The live and the plain renderer both read it.
//!
//! Steps form a graph, so stages overlap: one is open from its first started step until as many of its steps have
//! ended as the plan counted for it. No layout and no clock here.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Event, Stage};

/// A step under way.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Where it is shown.
    pub(super) stage: Stage,
    /// `wait_ready`, ...
    pub(super) kind: String,
    /// Who it is about, as shown: `puppetserver`, `volume ca`.
    pub(super) name: String,
    /// When it started, since the display began.
    pub(super) since: Duration,
    /// What it last said about itself.
    pub(super) reason: Option<String>,
}

/// A stage whose first step has started.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenStage {
    /// When its first step started.
    pub(super) since: Duration,
    /// How many of its steps have ended, well or not.
    pub(super) ended: usize,
    /// Whether one of them failed.
    pub(super) failed: bool,
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// All its steps succeeded.
    Done,
    /// At least one failed.
    Failed,
    /// The plan ended before all its steps did.
    Unfinished,
}

/// A stage that has just ended.
#[derive(Debug)]
pub(super) struct ClosedStage {
    pub(super) stage: Stage,
    pub(super) took: Duration,
    pub(super) ending: Ending,
}

/// What an event changed.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// The step that the event is about, as it was at that time; ended ones are no longer running.
    pub(super) step: Option<Step>,
    /// The stages that ended by it.
    pub(super) closed: Vec<ClosedStage>,
}

/// The state of the plan under way; empty between plans.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How many steps the plan has in each stage.
    pub(super) sizes: BTreeMap<Stage, usize>,
    /// The stages that have begun and not ended.
    pub(super) open: BTreeMap<Stage, OpenStage>,
    /// The steps under way, by number.
    pub(super) running: BTreeMap<usize, Step>,
}

impl Progress {
    /// Takes an event in, `at` this time since the display began.
    pub(super) fn apply(&mut self, at: Duration, event: &Event) -> Change {
        match event {
            Event::PlanStarted { stages, .. } => {
                *self = Progress { sizes: stages.clone(), ..Progress::default() };
                Change::default()
            }
            Event::StepStarted { id, stage, kind, resource, service, .. } => {
                let name = name_of(resource, service.as_deref());
                let step = Step { stage: *stage, kind: kind.clone(), name, since: at, reason: None };
                self.open.entry(*stage).or_insert_with(|| OpenStage { since: at, ..OpenStage::default() });
                self.running.insert(*id, step.clone());
                Change { step: Some(step), closed: Vec::new() }
            }
            Event::StepProgress { id, text } => {
                let step = self.running.get_mut(id).filter(|step| step.reason.as_ref() != Some(text));
                let step = step.map(|step| {
                    step.reason = Some(text.clone());
                    step.clone()
                });
                Change { step, closed: Vec::new() }
            }
            Event::StepFinished { id, .. } => self.end_step(at, *id, false),
            Event::StepFailed { id, .. } => self.end_step(at, *id, true),
            Event::PlanFinished { .. } => {
                self.running.clear();
                let open: Vec<Stage> = self.open.keys().copied().collect();
                let closed = open.into_iter().filter_map(|stage| self.close(at, stage)).collect();
                Change { step: None, closed }
            }
            Event::Warning { .. } | Event::Note { .. } => Change::default(),
        }
    }

    /// The running steps of a stage, oldest first.
    pub(super) fn running_in(&self, stage: Stage) -> impl Iterator<Item = &Step> {
        let mut steps: Vec<&Step> = self.running.values().filter(|step| step.stage == stage).collect();
        steps.sort_by_key(|step| step.since);
        steps.into_iter()
    }

    fn end_step(&mut self, at: Duration, id: usize, failed: bool) -> Change {
        let Some(step) = self.running.remove(&id) else { return Change::default() };
        let stage = step.stage;
        let mut change = Change { step: Some(step), closed: Vec::new() };
        if let Some(open) = self.open.get_mut(&stage) {
            open.ended += 1;
            open.failed |= failed;
            if self.sizes.get(&stage).is_some_and(|size| open.ended >= *size) {
                change.closed.extend(self.close(at, stage));
            }
        }
        change
    }

    fn close(&mut self, at: Duration, stage: Stage) -> Option<ClosedStage> {
        let open = self.open.remove(&stage)?;
        let complete = self.sizes.get(&stage).is_none_or(|size| open.ended >= *size);
        let ending = match (open.failed, complete) {
            (true, _) => Ending::Failed,
            (false, true) => Ending::Done,
            (false, false) => Ending::Unfinished,
        };
        Some(ClosedStage { stage, took: at.saturating_sub(open.since), ending })
    }
}

/// A service's first container goes by the service's name; anything else by its own.
fn name_of(resource: &str, service: Option<&str>) -> String {
    let Some(container) = resource.strip_prefix("container ") else { return resource.to_owned() };
    match service {
        Some(service) if container.strip_prefix(service) == Some("-1") => service.to_owned(),
        _ => container.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_replica_goes_by_the_service() {
        assert_eq!(name_of("container puppetdb-1", Some("puppetdb")), "puppetdb");
        assert_eq!(name_of("container compiler-2", Some("compiler")), "compiler-2");
        assert_eq!(name_of("volume ca", None), "volume ca");
    }

    #[test]
    fn a_stage_ends_with_its_last_step_even_when_a_later_one_has_begun() {
        let mut progress = Progress::default();
        let mut endings = Vec::new();
        for (at, event) in crate::report::script::out_of_order() {
            endings
                .extend(progress.apply(at, &event).closed.into_iter().map(|c| (c.stage, c.took.as_secs(), c.ending)));
        }
        assert_eq!(
            endings,
            [
                (Stage::Credentials, 1, Ending::Done),
                (Stage::Images, 9, Ending::Done),
                (Stage::Services, 8, Ending::Done)
            ]
        );
    }
}
