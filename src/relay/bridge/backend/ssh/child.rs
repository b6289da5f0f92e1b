//! A program that we run for a node: its own process group, nothing to read, and only the end of what it says is kept.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// So much of each stream is kept.
const KEPT: usize = 16 << 10;

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
    let (program, arguments) = words.split_first().ok_or("no program to run")?;
    let child = Command::new(program)
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
    async fn a_stopped_program_takes_its_children_with_it() {
        let mut running = start(&words("sleep 600 & wait")).unwrap();
        running.stop().await;
        // The pipes close when nobody of the group is left.
        running.finish().await;
    }
}
