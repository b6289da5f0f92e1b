//! No progress: warnings and errors only, or errors only.

use super::event::Event;
use super::{Reporter, failure, terminal};

/// The renderer.
pub(super) struct Quiet {
    errors_only: bool,
}

impl Quiet {
    pub(super) fn new(errors_only: bool) -> Self {
        Quiet { errors_only }
    }
}

impl Reporter for Quiet {
    fn event(&self, event: &Event) {
        if let Event::Warning { text, hint } = event
            && !self.errors_only
        {
            terminal::err(&failure::warning(text, hint.as_deref()));
        }
    }
}
