//! The few colours that we use, each with one meaning. Everything is understandable without them.

use anstyle::{AnsiColor, Style};

/// A heading.
pub const HEADER: Style = Style::new().bold();
/// Something is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something wants attention.
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// Something is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What to do next.
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Less important.
pub const DIM: Style = Style::new().dimmed();

/// The text in this style, as ANSI sequences; `terminal` strips them where they are unwanted.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
