//! Progress on a terminal: a line for each stage that ended, above live lines for what is under way.
//!
//! The live lines are one block that indicatif redraws in place; what is in it is composed here, as plain text.
//! The cursor is never hidden, so there is nothing to restore when we are killed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::event::{Event, Stage};
use super::progress::{ClosedStage, Ending, Progress, Step};
use super::ticker::Ticker;
use super::{Env, Reporter, failure, style, terminal, words};
use crate::error::Error;

/// The time between two frames.
const FRAME: Duration = Duration::from_millis(100);

/// The renderer.
pub(super) struct Tty {
    began: Instant,
    screen: Arc<Mutex<Screen>>,
    frames: Mutex<Option<Ticker>>,
}

impl Tty {
    pub(super) fn on_stderr(env: &Env) -> Self {
        let look = Look { utf8: env.utf8, color: env.color };
        let screen = Screen::new(look, ProgressDrawTarget::stderr, terminal::stderr_size);
        Tty { began: Instant::now(), screen: Arc::new(Mutex::new(screen)), frames: Mutex::default() }
    }

    fn start_frames(&self) {
        let (began, screen) = (self.began, self.screen.clone());
        let ticker = Ticker::start(FRAME, move || {
            screen.lock().unwrap_or_else(PoisonError::into_inner).draw(began.elapsed());
        });
        *self.frames.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticker);
    }

    fn stop_frames(&self) {
        // Taken out first: the thread that is waited for may be asking for the screen.
        let ticker = self.frames.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(ticker);
    }
}

impl Reporter for Tty {
    fn event(&self, event: &Event) {
        match event {
            Event::PlanStarted { .. } => self.start_frames(),
            Event::PlanFinished { .. } => self.stop_frames(),
            _ => {}
        }
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).take(self.began.elapsed(), event);
    }

    fn failure(&self, error: &Error) {
        self.stop_frames();
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        terminal::err(&failure::text(error));
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.stop_frames();
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
struct Look {
    utf8: bool,
    color: bool,
}

impl Look {
    fn paint(self, style: Style, text: &str) -> String {
        if self.color { style::paint(style, text) } else { text.to_owned() }
    }

    fn pick(self, utf8: &'static str, ascii: &'static str) -> &'static str {
        if self.utf8 { utf8 } else { ascii }
    }

    /// The spinner's picture at this time.
    fn spinner(self, at: Duration) -> char {
        let pictures = self.pick("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/");
        let frame = (at.as_millis() / FRAME.as_millis()) as usize;
        pictures.chars().nth(frame % pictures.chars().count()).unwrap_or(' ')
    }
}

/// The state of the display.
struct Screen {
    look: Look,
    target: Box<dyn Fn() -> ProgressDrawTarget + Send>,
    /// Rows and columns; asked for every frame, since windows change their size.
    size: Box<dyn Fn() -> (usize, usize) + Send>,
    progress: Progress,
    /// The block of live lines; only there while a plan is under way.
    live: Option<ProgressBar>,
}

impl Screen {
    fn new(
        look: Look,
        target: impl Fn() -> ProgressDrawTarget + Send + 'static,
        size: impl Fn() -> (usize, usize) + Send + 'static,
    ) -> Self {
        Screen { look, target: Box::new(target), size: Box::new(size), progress: Progress::default(), live: None }
    }

    /// Takes an event in and prints what stays.
    fn take(&mut self, at: Duration, event: &Event) {
        let change = self.progress.apply(at, event);
        // What is printed below redraws the live lines, too; they must not show what just ended.
        self.draw(at);
        match event {
            Event::PlanStarted { .. } => {
                self.clear();
                let style = ProgressStyle::with_template("{msg}").expect("the template is constant");
                let bar = ProgressBar::with_draw_target(None, (self.target)());
                self.live = Some(bar.with_style(style));
            }
            Event::StepFailed { error, .. } => {
                let name = change.step.map(|step| step.name).unwrap_or_default();
                self.print(&format!(" {} {name}: {error}", self.mark(Ending::Failed)));
            }
            Event::Warning { text, hint } => {
                self.print(&format!("{} {text}", self.look.paint(style::WARN, "warning:")));
                if let Some(hint) = hint {
                    self.print(&format!("{} {hint}", self.look.paint(style::HINT, "hint:")));
                }
            }
            Event::Note { text } => self.print(text),
            _ => {}
        }
        for closed in &change.closed {
            self.print(&self.closing_line(closed));
        }
        if let Event::PlanFinished { .. } = event {
            self.clear();
        }
    }

    /// Prints above the live lines; one line at a time, as indicatif loses count of more.
    fn print(&self, text: &str) {
        for line in text.lines() {
            match &self.live {
                Some(bar) => bar.println(line),
                None => terminal::err(&format!("{line}\n")),
            }
        }
    }

    /// Redraws the live lines.
    fn draw(&self, at: Duration) {
        if let Some(bar) = &self.live {
            let (rows, columns) = (self.size)();
            bar.set_message(self.live_lines(at, rows, columns).join("\n"));
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.live.take() {
            bar.finish_and_clear();
        }
    }

    fn mark(&self, ending: Ending) -> String {
        match ending {
            Ending::Done => self.look.paint(style::GOOD, self.look.pick("✓", "+")),
            Ending::Failed => self.look.paint(style::BAD, self.look.pick("✗", "x")),
            Ending::Unfinished => self.look.paint(style::WARN, self.look.pick("–", "-")),
        }
    }

    fn closing_line(&self, closed: &ClosedStage) -> String {
        let suffix = if closed.ending == Ending::Unfinished { " (not finished)" } else { "" };
        let took = self.look.paint(style::DIM, &words::elapsed(closed.took));
        format!(" {} {}{suffix} {took}", self.mark(closed.ending), closed.stage.title())
    }

    /// What is under way, in no more lines than fit with one to spare for the cursor.
    fn live_lines(&self, at: Duration, rows: usize, columns: usize) -> Vec<String> {
        let spinner = self.look.spinner(at);
        let mut lines = Vec::new();
        for (stage, open) in &self.progress.open {
            let count =
                self.progress.sizes.get(stage).map(|size| format!(" {}/{size}", open.ended)).unwrap_or_default();
            let took = words::elapsed(at.saturating_sub(open.since));
            lines.push(format!(" {spinner} {}{count} {took}", stage.title()));
            let steps = self.shown_steps(*stage);
            let widest = steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
            for step in steps {
                let state = words::doing(&step.kind);
                let took = words::elapsed(at.saturating_sub(step.since));
                let reason = step.reason.as_deref().unwrap_or_default();
                let line = format!("   {spinner} {:widest$}  {state} {took}  {reason}", step.name);
                lines.push(line.trim_end().to_owned());
            }
        }
        let most = rows.saturating_sub(1).max(1);
        if lines.len() > most {
            let hidden = lines.len() - (most - 1);
            lines.truncate(most - 1);
            lines.push(format!("   {} and {hidden} more", self.look.pick("…", "...")));
        }
        lines.into_iter().map(|line| self.cut(line, columns)).collect()
    }

    /// One step for each name: a service has one line, whatever is done to it at the same time.
    fn shown_steps(&self, stage: Stage) -> Vec<&Step> {
        let mut shown: Vec<&Step> = Vec::new();
        for step in self.progress.running_in(stage) {
            match shown.iter_mut().find(|other| stage == Stage::Services && other.name == step.name) {
                Some(other) => *other = step,
                None => shown.push(step),
            }
        }
        shown
    }

    /// A live line that wrapped would be two; what is cut off here is in the next line that stays, or the logs.
    fn cut(&self, line: String, columns: usize) -> String {
        let most = columns.saturating_sub(1).max(1);
        if line.chars().count() <= most {
            return line;
        }
        let ellipsis = self.look.pick("…", "...");
        let kept = most.saturating_sub(ellipsis.chars().count());
        line.chars().take(kept).chain(ellipsis.chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;
    use insta::assert_snapshot;

    use super::*;
    use crate::report::script::{self, Script, at};

    const PLAIN: Look = Look { utf8: true, color: false };

    fn screen(look: Look, term: &InMemoryTerm) -> Screen {
        let term = term.clone();
        Screen::new(look, move || ProgressDrawTarget::term_like(Box::new(term.clone())), || (24, 80))
    }

    /// What is left on the terminal when all is over.
    fn play(look: Look, script: Script) -> String {
        let term = InMemoryTerm::new(24, 80);
        let mut screen = screen(look, &term);
        for (at, event) in script {
            screen.take(at, &event);
            screen.draw(at);
        }
        assert!(screen.live.is_none());
        term.contents()
    }

    /// The live lines after the first `count` events.
    fn live(count: usize, now: f64, rows: usize, columns: usize) -> String {
        let mut screen = screen(PLAIN, &InMemoryTerm::new(24, 80));
        for (at, event) in script::out_of_order().into_iter().take(count) {
            screen.take(at, &event);
        }
        screen.live_lines(at(now), rows, columns).join("\n")
    }

    #[test]
    fn a_line_for_each_stage_stays() {
        assert_snapshot!(play(PLAIN, script::out_of_order()), @"
        ✓ Placing certificates and configuration 1.0s
        ✓ Preparing images 9.5s
        ✓ Starting services 8.5s
        ");
    }

    #[test]
    fn a_failure_stays_beside_what_was_cut_short() {
        assert_snapshot!(play(PLAIN, script::failing()), @"
         ✓ Creating networks and volumes 0.1s
        warning: little memory: 3 GiB
        hint: give the engine 4 GiB
         ✗ puppetserver: exited with code 137
        waiting for running steps; press Ctrl-C to stop now
         ✗ Starting services 13.9s
        ");
    }

    #[test]
    fn ascii_where_there_is_no_utf8() {
        assert_snapshot!(play(Look { utf8: false, color: false }, script::failing()), @"
         + Creating networks and volumes 0.1s
        warning: little memory: 3 GiB
        hint: give the engine 4 GiB
         x puppetserver: exited with code 137
        waiting for running steps; press Ctrl-C to stop now
         x Starting services 13.9s
        ");
    }

    #[test]
    fn live_lines_tell_what_is_waited_for() {
        assert_snapshot!(live(12, 3.0, 24, 80), @"
        ⠋ Preparing images 1/2 3.0s
          ⠋ image puppetserver  building 2.9s  step 4/9: installing puppetserver
        ⠋ Starting services 1/2 1.0s
          ⠋ puppetdb  waiting 0.8s  waiting for postgres
        ");
    }

    #[test]
    fn live_lines_fit_a_small_terminal() {
        assert_snapshot!(live(12, 3.0, 4, 30), @"
        ⠋ Preparing images 1/2 3.0s
          ⠋ image puppetserver  bui…
          … and 2 more
        ");
    }

    #[test]
    fn nothing_live_is_left_when_it_is_dropped_midway() {
        let term = InMemoryTerm::new(24, 80);
        let mut screen = screen(PLAIN, &term);
        for (at, event) in script::out_of_order().into_iter().take(4) {
            screen.take(at, &event);
            screen.draw(at);
        }
        assert!(term.contents().contains("Preparing images"));
        screen.clear();
        assert_eq!(term.contents(), "");
    }
}
