//! Streams in and out of commands in containers: any amount of data, in bounded memory.

use std::io::{self, Read};
use std::pin::{Pin, pin};

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{Cause, Engine, EngineError, ExecOutput, ExecRequest};

/// Bytes that are sent at once.
const CHUNK: usize = 256 << 10;
/// Most bytes of standard error that are kept.
const KEPT: usize = 64 << 10;

/// A command under way.
pub(super) struct Attached {
    /// Id of the exec.
    pub(super) id: String,
    /// What it writes.
    pub(super) output: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
    /// Its standard input.
    pub(super) input: Pin<Box<dyn AsyncWrite + Send>>,
}

/// Why a stream broke.
#[derive(Debug)]
pub enum TransferError {
    /// The engine's side.
    Engine(EngineError),
    /// Our side: the file that is written or read.
    Local(io::Error),
}

impl From<EngineError> for TransferError {
    fn from(error: EngineError) -> Self {
        TransferError::Engine(error)
    }
}

impl From<bollard::errors::Error> for TransferError {
    fn from(error: bollard::errors::Error) -> Self {
        TransferError::Engine(error.into())
    }
}

impl Engine {
    /// Starts a command, with its standard input open or closed.
    pub(super) async fn attach(&self, request: &ExecRequest, stdin: bool) -> Result<Attached, EngineError> {
        let options = CreateExecOptions {
            attach_stdin: Some(stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(request.command.clone()),
            user: request.user.clone(),
            ..Default::default()
        };
        let id = self.fast.create_exec(&request.container, options).await?.id;
        match self.slow.start_exec(&id, None::<StartExecOptions>).await? {
            StartExecResults::Attached { output, input } => Ok(Attached { id, output, input }),
            StartExecResults::Detached => {
                Err(EngineError::new(Cause::Other, "the engine detached from a command that we wanted to follow"))
            }
        }
    }

    /// Runs a command, and gives its standard output to `sink` as it comes.
    ///
    /// # Errors
    /// The engine's, or the sink's; a command that exits non-zero is not an error.
    pub async fn exec_output(
        &self,
        request: &ExecRequest,
        sink: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
    ) -> Result<ExecOutput, TransferError> {
        let Attached { id, mut output, input: _input } = self.attach(request, false).await?;
        let mut stderr = Vec::new();
        while let Some(chunk) = output.next().await {
            match chunk? {
                LogOutput::StdErr { message } => keep(&mut stderr, &message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    sink(&message).map_err(TransferError::Local)?;
                }
                LogOutput::StdIn { .. } => {}
            }
        }
        Ok(ended(self.exit_code(&id).await?, Vec::new(), &stderr))
    }

    /// Runs a command with everything of `source` as its standard input; `sent` hears how many bytes are through.
    ///
    /// # Errors
    /// The engine's, or the source's; a command that exits non-zero is not an error, also when it did so before it had
    /// read everything.
    pub async fn exec_input(
        &self,
        request: &ExecRequest,
        source: &mut (dyn Read + Send),
        sent: &mut (dyn FnMut(u64) + Send),
    ) -> Result<ExecOutput, TransferError> {
        let Attached { id, mut output, mut input } = self.attach(request, true).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let feed = async {
            let mut buffer = vec![0; CHUNK];
            let mut bytes = 0;
            loop {
                let read = source.read(&mut buffer).map_err(TransferError::Local)?;
                // Nothing that breaks here is of our side: the command's own end tells more.
                if read == 0 {
                    return Ok::<bool, TransferError>(input.shutdown().await.is_ok());
                }
                if input.write_all(&buffer[..read]).await.is_err() {
                    return Ok(false);
                }
                bytes += read as u64;
                sent(bytes);
            }
        };
        let drain = async {
            while let Some(chunk) = output.next().await {
                match chunk? {
                    LogOutput::StdErr { message } => keep(&mut stderr, &message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => keep(&mut stdout, &message),
                    LogOutput::StdIn { .. } => {}
                }
            }
            Ok::<(), TransferError>(())
        };
        let all = {
            let (mut feed, mut drain) = (pin!(feed), pin!(drain));
            tokio::select! {
                fed = &mut feed => {
                    let all = fed?;
                    drain.await?;
                    all
                }
                drained = &mut drain => {
                    drained?;
                    false
                }
            }
        };
        let code = self.exit_code(&id).await?;
        if code == 0 && !all {
            // Never taken for success: the command ended well without having read everything.
            return Err(EngineError::new(Cause::Other, "a command ended before it had read its input").into());
        }
        Ok(ended(code, stdout, &stderr))
    }

    /// Runs two commands, and gives the standard output of the first to the second as its standard input; `passed` hears
    /// how many bytes are through. Returns how each of them ended.
    ///
    /// # Errors
    /// The engine's; a command that exits non-zero is not an error.
    pub async fn exec_pipe(
        &self,
        from: &ExecRequest,
        into: &ExecRequest,
        passed: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(ExecOutput, ExecOutput), EngineError> {
        let Attached { id: source, output: mut data, input: _input } = self.attach(from, false).await?;
        let Attached { id: sink, mut output, mut input } = self.attach(into, true).await?;
        let (mut complaints, mut stdout, mut stderr) = (Vec::new(), Vec::new(), Vec::new());
        let feed = async {
            let mut bytes = 0;
            while let Some(chunk) = data.next().await {
                match chunk? {
                    LogOutput::StdErr { message } => keep(&mut complaints, &message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        // Nothing that breaks here is of our side: the second command's own end tells more.
                        if input.write_all(&message).await.is_err() {
                            return Ok::<bool, EngineError>(false);
                        }
                        bytes += message.len() as u64;
                        passed(bytes);
                    }
                    LogOutput::StdIn { .. } => {}
                }
            }
            Ok(input.shutdown().await.is_ok())
        };
        let drain = async {
            while let Some(chunk) = output.next().await {
                match chunk? {
                    LogOutput::StdErr { message } => keep(&mut stderr, &message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => keep(&mut stdout, &message),
                    LogOutput::StdIn { .. } => {}
                }
            }
            Ok::<(), EngineError>(())
        };
        let all = {
            let (mut feed, mut drain) = (pin!(feed), pin!(drain));
            tokio::select! {
                biased;
                fed = &mut feed => {
                    let all = fed?;
                    drain.await?;
                    all
                }
                drained = &mut drain => {
                    drained?;
                    false
                }
            }
        };
        let sunk = ended(self.exit_code(&sink).await?, stdout, &stderr);
        if !all {
            if sunk.code == 0 {
                // Never taken for success: the command ended well without having read everything.
                return Err(EngineError::new(Cause::Other, "a command ended before it had read its input"));
            }
            // The first one has nobody to write to any more, and what becomes of it tells nothing.
            return Ok((ExecOutput::default(), sunk));
        }
        Ok((ended(self.exit_code(&source).await?, Vec::new(), &complaints), sunk))
    }
}

fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    let room = KEPT.saturating_sub(kept.len());
    kept.extend_from_slice(&more[..more.len().min(room)]);
}

fn ended(code: i64, stdout: Vec<u8>, stderr: &[u8]) -> ExecOutput {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ExecOutput { code, stdout: text(&stdout), stderr: text(stderr) }
}
