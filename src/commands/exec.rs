//! `pupperware exec`: a command in a service's container.

use std::io::IsTerminal;
use std::ops::ControlFlow;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::context::{Context, Extra};
use crate::cli::exec::ExecArgs;
use crate::cli::global::GlobalArgs;
use crate::engine::{ExecRequest, Terminal};
use crate::error::{Error, Kind, Result};
use crate::plan;
use crate::report::{Report, terminal};

/// Runs the command with our input and output; its exit code becomes ours.
pub(super) async fn run(global: &GlobalArgs, args: &ExecArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let (engine, observed) = context.observe().await?;
    let chosen = plan::chosen(&observed, std::slice::from_ref(&args.service))?;
    let Some((name, _)) = chosen.into_iter().find(|(_, c)| c.running()) else {
        return Err(Error::failed(format!("{} does not run", args.service)).hint("start it with `pupperware up`"));
    };
    let at_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let how =
        Terminal { tty: args.tty || at_terminal, stdin: args.interactive || at_terminal, size: terminal_sizes()? };
    let request =
        ExecRequest { container: name.clone(), command: args.command.clone(), user: args.user.clone(), stdin: None };
    let raw = if how.tty { terminal::RawMode::enter() } else { None };
    let ended = engine
        .exec_attached(&request, how, &mut |is_stderr, bytes| {
            if is_stderr {
                terminal::err_bytes(bytes);
            } else if let Err(error) = terminal::out_bytes(bytes) {
                return ControlFlow::Break(error);
            }
            ControlFlow::Continue(())
        })
        .await?;
    drop(raw);
    match ended {
        ControlFlow::Continue(code) => u8::try_from(code)
            .map_err(|_| Error::new(Kind::Failed, format!("the command ended with the exit code {code}"))),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The size of our terminal: now, and again whenever it changes while somebody looks.
fn terminal_sizes() -> Result<watch::Receiver<(i32, i32)>> {
    let now = || {
        let (rows, columns) = terminal::stderr_size();
        (i32::try_from(rows).unwrap_or(24), i32::try_from(columns).unwrap_or(80))
    };
    let mut changes = signal(SignalKind::window_change())
        .map_err(|e| Error::failed("cannot follow the size of the terminal").because(e))?;
    let (sender, sizes) = watch::channel(now());
    tokio::spawn(async move { while changes.recv().await.is_some() && sender.send(now()).is_ok() {} });
    Ok(sizes)
}
