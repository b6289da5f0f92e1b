//! From events to what people and programs read: terminal, plain lines, JSON lines, nothing; and tables.
//!
//! Everything that the program writes leaves through this room, and through [`terminal`] at its very end.
//! No decisions about the platform are made here.

pub mod event;
pub mod exposition;
pub mod failure;
mod json;
pub mod junit;
pub mod output;
mod plain;
mod progress;
mod quiet;
pub mod redact;
pub mod style;
pub mod table;
pub mod terminal;
mod ticker;
mod tty;
pub(crate) mod words;

use std::sync::Arc;

use crate::error::Error;
use event::Event;

/// How progress is shown while a command works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Mode {
    /// Live lines on a terminal, plain lines elsewhere and in CI.
    #[default]
    Auto,
    /// Live lines, redrawn in place.
    Tty,
    /// One line for each change.
    Plain,
    /// One JSON object a line.
    Json,
    /// Warnings and errors only.
    Quiet,
}

/// What the choice of a renderer depends on, taken from the process once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Env {
    /// Stderr is a terminal that can move its cursor.
    pub live: bool,
    /// A CI system runs us.
    pub ci: bool,
    /// The terminal shows UTF-8.
    pub utf8: bool,
    /// Stderr takes colours.
    pub color: bool,
    /// Even warnings are unwanted (`-qq`).
    pub errors_only: bool,
}

impl Env {
    /// Looks at stderr and the environment.
    pub fn detect() -> Self {
        let var = |name: &str| std::env::var(name).unwrap_or_default();
        // The first one that is set decides, as the C library has it.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(var).into_iter().find(|v| !v.is_empty()).unwrap_or_default();
        Env {
            live: terminal::stderr_is_terminal() && var("TERM") != "dumb",
            ci: !matches!(var("CI").as_str(), "" | "0" | "false"),
            utf8: locale.to_ascii_uppercase().replace('-', "").contains("UTF8"),
            color: terminal::stderr_takes_color(),
            errors_only: false,
        }
    }
}

impl Mode {
    /// Turns `auto` into the mode that fits.
    pub fn resolve(self, env: &Env) -> Mode {
        match self {
            Mode::Auto if env.live && !env.ci => Mode::Tty,
            Mode::Auto => Mode::Plain,
            chosen => chosen,
        }
    }
}

/// A renderer of events.
pub trait Reporter: Send + Sync {
    /// Shows one event. Called from any thread; must not block on anything but the terminal.
    fn event(&self, event: &Event);

    /// Shows why the command failed; the last thing that is shown.
    fn failure(&self, error: &Error) {
        terminal::err(&failure::text(error));
    }
}

/// The handle that commands and the executor report through. Cheap to clone.
#[derive(Clone)]
pub struct Report {
    reporter: Arc<dyn Reporter>,
}

impl Report {
    /// A handle on any renderer; tests bring their own.
    pub fn new(reporter: impl Reporter + 'static) -> Self {
        Report { reporter: Arc::new(reporter) }
    }

    /// The renderer for this mode.
    pub fn for_mode(mode: Mode, env: &Env) -> Self {
        match mode.resolve(env) {
            Mode::Tty => Self::new(tty::Tty::on_stderr(env)),
            Mode::Json => Self::new(json::Json),
            Mode::Quiet => Self::new(quiet::Quiet::new(env.errors_only)),
            Mode::Plain | Mode::Auto => Self::new(plain::Plain::new()),
        }
    }

    /// Reports an event.
    pub fn event(&self, event: Event) {
        self.reporter.event(&event);
    }

    /// Reports something that the user should know and that does not stop us.
    pub fn warn(&self, text: impl Into<String>) {
        self.event(Event::Warning { text: text.into(), hint: None });
    }

    /// A warning with what to do about it.
    pub fn warn_with_hint(&self, text: impl Into<String>, hint: impl Into<String>) {
        self.event(Event::Warning { text: text.into(), hint: Some(hint.into()) });
    }

    /// Reports a plain message.
    pub fn note(&self, text: impl Into<String>) {
        self.event(Event::Note { text: text.into() });
    }

    /// Reports the failure that ends the command.
    pub fn failure(&self, error: &Error) {
        self.reporter.failure(error);
    }
}

#[cfg(test)]
mod script;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_live_only_on_a_terminal_outside_ci() {
        let env = Env { live: true, ci: false, utf8: true, color: true, errors_only: false };
        assert_eq!(Mode::Auto.resolve(&env), Mode::Tty);
        assert_eq!(Mode::Auto.resolve(&Env { ci: true, ..env }), Mode::Plain);
        assert_eq!(Mode::Auto.resolve(&Env { live: false, ..env }), Mode::Plain);
        assert_eq!(Mode::Json.resolve(&env), Mode::Json);
    }
}
