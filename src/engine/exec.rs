//! Commands inside running containers.

use std::ops::ControlFlow;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::ResizeExecOptionsBuilder;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use tokio::sync::watch;

use super::transfer::Attached;
use super::{Cause, Engine, EngineError};

/// How often, and how long in between, an engine is asked for the exit code of a command whose output has ended.
const ASKING: (u32, Duration) = (400, Duration::from_millis(25));

/// A command to run in a container.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// Container name or id.
    pub container: String,
    /// The command; no secrets, the engine shows it to anyone.
    pub command: Vec<String>,
    /// `name` or `uid`; the container's own when absent.
    pub user: Option<String>,
    /// Bytes for its standard input.
    pub stdin: Option<Vec<u8>>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct ExecOutput {
    /// Exit code.
    pub code: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A terminal size and whether to have one at all, for interactive use.
#[derive(Debug, Clone)]
pub struct Terminal {
    /// Allocate one.
    pub tty: bool,
    /// Keep standard input open and forward ours.
    pub stdin: bool,
    /// Rows and columns, now and whenever they change.
    pub size: watch::Receiver<(i32, i32)>,
}

impl Engine {
    /// Runs a command and collects its output. `line` is called for each whole line of standard output as it comes.
    ///
    /// # Errors
    /// The engine's; a command that exits non-zero is not an error.
    pub async fn exec(
        &self,
        request: &ExecRequest,
        line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<ExecOutput, EngineError> {
        let Attached { id, mut output, mut input } = self.attach(request, request.stdin.is_some()).await?;
        if let Some(bytes) = &request.stdin {
            let io =
                |e: std::io::Error| EngineError::new(Cause::Other, format!("cannot write to the command's input: {e}"));
            input.write_all(bytes).await.map_err(io)?;
            input.shutdown().await.map_err(io)?;
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut reported = 0;
        while let Some(chunk) = output.next().await {
            match chunk? {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => stdout.extend_from_slice(&message),
                LogOutput::StdIn { .. } => {}
            }
            while let Some(end) = stdout[reported..].iter().position(|b| *b == b'\n') {
                line(String::from_utf8_lossy(&stdout[reported..reported + end]).trim_end());
                reported += end + 1;
            }
        }
        let code = self.exit_code(&id).await?;
        Ok(ExecOutput {
            code,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    /// Runs a command for a user at a terminal: our standard input goes in, and what comes out goes to `output`
    /// (true: its standard error), until that says stop. Returns the exit code, or what `output` stopped with: the
    /// command may run on then, and has none yet.
    ///
    /// # Errors
    /// The engine's.
    pub async fn exec_attached<B>(
        &self,
        request: &ExecRequest,
        terminal: Terminal,
        output: &mut (dyn FnMut(bool, &[u8]) -> ControlFlow<B> + Send),
    ) -> Result<ControlFlow<B, i64>, EngineError> {
        let options = CreateExecOptions {
            attach_stdin: Some(terminal.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(terminal.tty),
            cmd: Some(request.command.clone()),
            user: request.user.clone(),
            ..Default::default()
        };
        let id = self.fast.create_exec(&request.container, options).await?.id;
        let options = StartExecOptions { detach: false, tty: terminal.tty, output_capacity: None };
        let started = self.slow.start_exec(&id, Some(options)).await?;
        let StartExecResults::Attached { output: mut frames, mut input } = started else {
            return Err(EngineError::new(Cause::Other, "the engine detached from a command that we wanted to follow"));
        };
        let follow = terminal.tty.then(|| tokio::spawn(follow_size(self.clone(), id.clone(), terminal.size)));
        let forward = terminal.stdin.then(|| {
            tokio::spawn(async move {
                let mut stdin = tokio::io::stdin();
                // The end of either side ends the copy; there is nobody to tell.
                let _ = tokio::io::copy(&mut stdin, &mut input).await;
                let _ = input.shutdown().await;
            })
        });
        let mut flow = ControlFlow::Continue(());
        while let Some(frame) = frames.next().await {
            flow = match frame? {
                LogOutput::StdErr { message } => output(true, &message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => output(false, &message),
                LogOutput::StdIn { .. } => ControlFlow::Continue(()),
            };
            if flow.is_break() {
                break;
            }
        }
        for task in [forward, follow].into_iter().flatten() {
            task.abort();
        }
        Ok(match flow {
            ControlFlow::Continue(()) => ControlFlow::Continue(self.exit_code(&id).await?),
            ControlFlow::Break(reason) => ControlFlow::Break(reason),
        })
    }

    /// The exit code of a command whose output has ended. The engine may take a moment longer to notice its end.
    pub(super) async fn exit_code(&self, exec: &str) -> Result<i64, EngineError> {
        let (times, pause) = ASKING;
        for _ in 0..times {
            let state = self.fast.inspect_exec(exec).await?;
            match (state.exit_code, state.running) {
                (Some(code), Some(false) | None) => return Ok(code),
                (None, Some(false)) => break,
                _ => tokio::time::sleep(pause).await,
            }
        }
        // Never taken for success: what was asked for may not have happened.
        Err(EngineError::new(Cause::Other, "the engine does not tell how a command in a container ended"))
    }
}

/// Gives a command's terminal the size of ours, for as long as that changes.
async fn follow_size(engine: Engine, exec: String, mut sizes: watch::Receiver<(i32, i32)>) {
    loop {
        let (height, width) = *sizes.borrow_and_update();
        let size = ResizeExecOptionsBuilder::default().h(height).w(width).build();
        // A command that ended already has no terminal to size.
        let _ = engine.fast.resize_exec(&exec, size).await;
        if sizes.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use crate::engine::fake::Fake;

    /// The exit code of a command of which the engine says this, one answer after the other, the last one for good; and
    /// how often it was asked.
    async fn asked(answers: &'static [&'static str]) -> (Result<i64, String>, usize) {
        let count = AtomicU32::new(0);
        let fake = Fake::new(move |_, _| {
            let at = count.fetch_add(1, Ordering::Relaxed) as usize;
            (200, answers[at.min(answers.len() - 1)].into())
        });
        (fake.engine.exit_code("x").await.map_err(|e| e.message), fake.asked().len())
    }

    #[tokio::test]
    async fn an_exit_code_is_waited_for() {
        let late = &[r#"{"Running":true,"ExitCode":null}"#, r#"{"Running":true}"#, r#"{"Running":false,"ExitCode":3}"#];
        assert_eq!(asked(late).await, (Ok(3), 3));
        assert_eq!(asked(&[r#"{"Running":false,"ExitCode":0}"#]).await, (Ok(0), 1));
    }

    #[tokio::test]
    async fn an_unknown_exit_code_is_no_success() {
        let (code, times) = asked(&[r#"{"Running":false,"ExitCode":null}"#]).await;
        assert_eq!(code.unwrap_err(), "the engine does not tell how a command in a container ended");
        assert_eq!(times, 1);
    }
}
