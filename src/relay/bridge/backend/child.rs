//! A program that we run for nodes: its own process group, nothing to read, and of what it says only the end is kept, or
//! line by line what somebody wants to hear.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// So much of each stream is kept.
const KEPT: usize = 16 << 10;

/// A longer line is left out.
const LONGEST: usize = 8 << 20;

/// How long a program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// A running program.
pub struct Running {
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

/// The ends of what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its data.
    pub stdout: String,
    /// Its troubles.
    pub stderr: String,
}

/// Starts a program, the first of the words.
///
/// # Errors
/// It cannot be started; says which, and why.
pub fn start(words: &[OsString]) -> Result<Running, String> {
    start_with(words, |_| {})
}

/// The same with more settings.
///
/// # Errors
/// As [`start`].
pub fn start_with(words: &[OsString], settings: impl FnOnce(&mut Command)) -> Result<Running, String> {
    let (program, arguments) = words.split_first().ok_or("no program to run")?;
    let mut command = Command::new(program);
    settings(&mut command);
    let child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = child.map_err(|e| format!("cannot run {}: {e}", program.display()))?;
    Ok(Running { stdout: child.stdout.take(), stderr: child.stderr.take(), child })
}

impl Running {
    /// Waits until it has ended and said all.
    pub async fn finish(&mut self) -> Said {
        let (mut stdout, mut stderr) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = tokio::join!(tail(stdout.as_mut()), tail(stderr.as_mut()));
        // Its exit code says nothing that the trailer does not say better.
        let _ = self.child.wait().await;
        Said { stdout, stderr }
    }

    /// The lines of its data, from now on; what [`Self::finish`] tells has none of them then.
    pub fn lines(&mut self) -> Lines {
        Lines { stream: self.stdout.take(), held: Vec::new() }
    }

    /// Ends it and what it started, first by asking.
    pub async fn stop(&mut self) {
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let Some(group) = group else { return };
        let _ = kill_process_group(group, Signal::TERM);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.child.wait().await;
        }
    }
}

/// Lines of a stream as they come.
pub struct Lines {
    stream: Option<ChildStdout>,
    held: Vec<u8>,
}

impl Lines {
    /// The next one, without its end; `None` when no more come. One that is cut short by the end is one, too.
    pub async fn next(&mut self) -> Option<String> {
        let mut seen = 0;
        let mut too_long = false;
        loop {
            if let Some(end) = self.held[seen..].iter().position(|b| *b == b'\n').map(|at| seen + at) {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                if !std::mem::take(&mut too_long) {
                    return Some(String::from_utf8_lossy(&line[..end]).into_owned());
                }
                seen = 0;
                continue;
            }
            if self.held.len() > LONGEST {
                too_long = true;
                self.held.clear();
            }
            seen = self.held.len();
            let mut part = [0; 16 << 10];
            let count = match self.stream.as_mut() {
                Some(stream) => stream.read(&mut part).await.unwrap_or(0),
                None => 0,
            };
            if count == 0 {
                let rest = std::mem::take(&mut self.held);
                self.stream = None;
                return (!rest.is_empty() && !too_long).then(|| String::from_utf8_lossy(&rest).into_owned());
            }
            self.held.extend_from_slice(&part[..count]);
        }
    }
}

/// The end of what a stream holds. What is not UTF-8 becomes question marks of a sort.
async fn tail<R: AsyncRead + Unpin>(stream: Option<&mut R>) -> String {
    let Some(stream) = stream else { return String::new() };
    let mut kept: Vec<u8> = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(count) => kept.extend_from_slice(&part[..count]),
        }
        if kept.len() > 2 * KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
    let from = kept.len().saturating_sub(KEPT);
    String::from_utf8_lossy(&kept[from..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Vec<OsString> {
        ["sh", "-c", script].map(OsString::from).to_vec()
    }

    #[tokio::test]
    async fn the_end_of_what_it_said_is_kept_and_input_is_empty() {
        let said = start(&words("cat; echo oops >&2; echo out; exit 3")).unwrap().finish().await;
        assert_eq!(said, Said { stdout: "out\n".into(), stderr: "oops\n".into() });
        let long = start(&words("i=0; while [ $i -lt 9000 ]; do echo 0123456789; i=$((i+1)); done; echo end"));
        let said = long.unwrap().finish().await.stdout;
        assert!(said.len() <= KEPT && said.ends_with("end\n"));
        assert!(start(&["/nonexistent/ssh".into()]).err().unwrap().contains("/nonexistent/ssh"));
    }

    #[tokio::test]
    async fn lines_come_as_they_are_said_and_a_monster_is_left_out() {
        let script = "echo one; head -c 9000000 /dev/zero | tr '\\0' x; echo; echo two; printf end";
        let mut running = start(&words(script)).unwrap();
        let mut lines = running.lines();
        let mut heard = Vec::new();
        while let Some(line) = lines.next().await {
            heard.push(line);
        }
        assert_eq!(heard, ["one", "two", "end"]);
        assert_eq!(running.finish().await.stdout, "");
    }

    #[tokio::test]
    async fn a_stopped_program_takes_its_children_with_it() {
        let mut running = start(&words("sleep 600 & wait")).unwrap();
        running.stop().await;
        // The pipes close when nobody of the group is left.
        running.finish().await;
    }
}
