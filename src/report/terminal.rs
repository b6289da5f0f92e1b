//! The one place that writes to stdout and stderr. Colours are kept or stripped here; nothing is composed here.
//!
//! A reader of stdout that goes away (`| head`) is no failure: it becomes [`StdoutClosed`], on which `main` ends
//! quietly. Stderr that goes away is ignored, because then there is nobody left to tell.

use std::io::{ErrorKind, IsTerminal, Write};

use crate::error::{Error, Result};

/// Nobody reads our stdout any more.
#[derive(Debug, thiserror::Error)]
#[error("stdout was closed by its reader")]
pub struct StdoutClosed;

impl StdoutClosed {
    /// True when this is why the command ended.
    pub fn caused(error: &Error) -> bool {
        error.source.as_ref().is_some_and(|source| source.is::<StdoutClosed>())
    }
}

/// Writes text to stdout as it is, and flushes it. Styles are dropped when stdout takes none.
pub fn out(text: &str) -> Result<()> {
    let mut stdout = anstream::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Writes bytes to stdout untouched: the output of a program in a container.
pub fn out_bytes(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes text to stderr as it is.
pub fn err(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Writes bytes to stderr untouched.
pub fn err_bytes(bytes: &[u8]) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(bytes).and_then(|()| stderr.flush());
}

/// The width to lay tables out for: none when stdout is no terminal, and nothing may be folded.
pub fn stdout_width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// Rows and columns of the terminal on stderr, or the classic ones when it does not say.
pub fn stderr_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => (24, 80),
    }
}

/// Stdin handed through to a program in a container as it is typed; given back when dropped.
pub struct RawMode {
    before: rustix::termios::Termios,
}

impl RawMode {
    /// Switches stdin to raw mode; `None` when it is no terminal.
    pub fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        let before = rustix::termios::tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Now, &raw).ok()?;
        Some(RawMode { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.before);
    }
}

/// Whether stderr is a terminal.
pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether colours on stderr reach a human: the `--color` choice, `NO_COLOR`, and the terminal decide.
pub fn stderr_takes_color() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

fn written(result: std::io::Result<()>) -> Result<()> {
    result.map_err(|error| {
        let failure = Error::failed("cannot write to stdout");
        match error.kind() {
            ErrorKind::BrokenPipe => failure.because(StdoutClosed),
            _ => failure.because(error),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broken_pipe_ends_quietly() {
        let closed = written(Err(ErrorKind::BrokenPipe.into())).unwrap_err();
        assert!(StdoutClosed::caused(&closed));
        let full = written(Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert!(!StdoutClosed::caused(&full));
    }
}
