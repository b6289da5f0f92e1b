//! Progress as plain lines, for logs and CI: one for each change with the time since the start, never per tick.
//!
//! When nothing changes for a while, a heartbeat names what is waited for and why.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::event::Event;
use super::progress::{Change, Ending, Progress};
use super::ticker::Ticker;
use super::{Reporter, style, terminal, words};

/// How long it may be silent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the silence is measured.
const CHECK: Duration = Duration::from_secs(1);

/// The renderer.
pub(super) struct Plain {
    began: Instant,
    log: Arc<Mutex<Log>>,
    heartbeat: Mutex<Option<Ticker>>,
}

impl Plain {
    pub(super) fn new() -> Self {
        Plain { began: Instant::now(), log: Arc::default(), heartbeat: Mutex::default() }
    }

    fn start_heartbeat(&self) {
        let (began, log) = (self.began, self.log.clone());
        let ticker = Ticker::start(CHECK, move || {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            write(&log.heartbeat(began.elapsed()));
        });
        *self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticker);
    }

    fn stop_heartbeat(&self) {
        // Taken out first: the thread that is waited for may be asking for the log.
        let ticker = self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(ticker);
    }
}

impl Reporter for Plain {
    fn event(&self, event: &Event) {
        match event {
            Event::PlanStarted { .. } => self.start_heartbeat(),
            Event::PlanFinished { .. } => self.stop_heartbeat(),
            _ => {}
        }
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        write(&log.lines(self.began.elapsed(), event));
    }
}

fn write(lines: &[String]) {
    for line in lines {
        terminal::err(&format!("{line}\n"));
    }
}

/// Composes the lines.
#[derive(Default)]
struct Log {
    progress: Progress,
    /// Whether a plan is under way. Outside of one, times mean nothing and are left out.
    timed: bool,
    spoke: Duration,
}

impl Log {
    /// The lines that an event is worth.
    fn lines(&mut self, at: Duration, event: &Event) -> Vec<String> {
        self.timed |= matches!(event, Event::PlanStarted { .. });
        let change = self.progress.apply(at, event);
        let lines = compose(event, &change);
        if !lines.is_empty() {
            self.spoke = at;
        }
        let prefix = if self.timed { format!("{} ", prefix(at)) } else { String::new() };
        self.timed &= !matches!(event, Event::PlanFinished { .. });
        lines.into_iter().map(|line| format!("{prefix}{line}")).collect()
    }

    /// The line that breaks a long silence, if it is one.
    fn heartbeat(&mut self, at: Duration) -> Vec<String> {
        if self.progress.running.is_empty() || at.saturating_sub(self.spoke) < HEARTBEAT {
            return Vec::new();
        }
        self.spoke = at;
        let waits = self.progress.running.values().map(|step| {
            let reason = step.reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
            let time = words::elapsed(at.saturating_sub(step.since));
            format!("{} ({} for {time}{reason})", step.name, words::doing(&step.kind))
        });
        vec![format!("{} still at work: {}", prefix(at), waits.collect::<Vec<_>>().join(", "))]
    }
}

fn prefix(at: Duration) -> String {
    format!("[{:>6}]", words::elapsed(at))
}

fn compose(event: &Event, change: &Change) -> Vec<String> {
    let mut lines = Vec::new();
    match (event, &change.step) {
        (Event::StepStarted { .. }, Some(step)) if words::is_slow(&step.kind) => {
            lines.push(format!("{}: {}", step.name, words::doing(&step.kind)));
        }
        (Event::StepProgress { text, .. }, Some(step)) => lines.push(format!("{}: {text}", step.name)),
        (Event::StepFinished { elapsed_ms, outcome, .. }, Some(step)) => {
            let outcome = outcome.as_ref().map(|outcome| format!(": {outcome}")).unwrap_or_default();
            lines.push(format!("{}: {} ({}){outcome}", step.name, words::done(&step.kind), took(*elapsed_ms)));
        }
        (Event::StepFailed { elapsed_ms, error, .. }, Some(step)) => {
            let failed = style::paint(style::BAD, "failed");
            lines.push(format!("{}: {failed} ({}): {error}", step.name, took(*elapsed_ms)));
        }
        (Event::Warning { text, hint }, _) => {
            lines.push(format!("{} {text}", style::paint(style::WARN, "warning:")));
            lines.extend(hint.as_ref().map(|hint| format!("{} {hint}", style::paint(style::HINT, "hint:"))));
        }
        (Event::Note { text }, _) => lines.push(text.clone()),
        _ => {}
    }
    for closed in &change.closed {
        let ending = match closed.ending {
            Ending::Done => "done",
            Ending::Failed => "failed",
            Ending::Unfinished => "not finished",
        };
        lines.push(format!("{}: {ending} ({})", closed.stage.title(), words::elapsed(closed.took)));
    }
    lines
}

fn took(elapsed_ms: u64) -> String {
    words::elapsed(Duration::from_millis(elapsed_ms))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::report::script::{self, Script, at};

    fn render(script: Script) -> String {
        let mut log = Log::default();
        let lines: Vec<String> = script.iter().flat_map(|(at, event)| log.lines(*at, event)).collect();
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    #[test]
    fn each_change_is_a_line() {
        assert_snapshot!(render(script::out_of_order()), @"
        [  0.0s] image puppetdb: pulling
        [  0.1s] image puppetserver: building
        [  1.0s] image puppetdb: pulled (1.0s)
        [  2.0s] volume ca: placed (1.0s): 3 certificates
        [  2.0s] Placing certificates and configuration: done (1.0s)
        [  2.1s] image puppetserver: step 4/9: installing puppetserver
        [  2.2s] puppetdb: created (0.2s)
        [  2.2s] puppetdb: waiting
        [  2.5s] puppetdb: waiting for postgres
        [  9.5s] image puppetserver: built (9.4s)
        [  9.5s] Preparing images: done (9.5s)
        [ 10.5s] puppetdb: ready (8.3s): puppetdb 8.8.1
        [ 10.5s] Starting services: done (8.5s)
        ");
    }

    #[test]
    fn a_failure_is_told_when_it_happens() {
        assert_snapshot!(render(script::failing()), @"
        [  0.1s] volume ca: created (0.1s)
        [  0.1s] Creating networks and volumes: done (0.1s)
        [  0.1s] puppetserver: waiting
        [  0.1s] compiler-2: waiting
        [  0.2s] warning: little memory: 3 GiB
        [  0.2s] hint: give the engine 4 GiB
        [ 12.2s] puppetserver: failed (12.1s): exited with code 137
        [ 12.3s] waiting for running steps; press Ctrl-C to stop now
        [ 14.0s] compiler-2: ready (13.9s)
        [ 14.0s] Starting services: failed (13.9s)
        ");
    }

    #[test]
    fn times_are_left_out_beside_a_plan() {
        let note = || Event::Note { text: "wrote the man pages".into() };
        let script = vec![(at(0.1), note()), (at(0.2), script::plan(&[])), (at(0.3), note())];
        assert_eq!(render(script), "wrote the man pages\n[  0.3s] wrote the man pages");
    }

    #[test]
    fn silence_is_broken_after_a_while() {
        let mut log = Log::default();
        for (at, event) in script::out_of_order().into_iter().take(12) {
            log.lines(at, &event);
        }
        assert!(log.heartbeat(at(17.4)).is_empty());
        assert_snapshot!(log.heartbeat(at(17.6)).join("\n"), @"[ 17.6s] still at work: image puppetserver (building for 17.5s; step 4/9: installing puppetserver), puppetdb (waiting for 15.4s; waiting for postgres)");
        assert!(log.heartbeat(at(18.6)).is_empty());
    }
}
