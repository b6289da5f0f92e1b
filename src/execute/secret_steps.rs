//! Steps that give a secret a new value. The value itself stays in the engine: nothing of it comes here.

use super::{Context, steps};
use crate::engine::ExecRequest;
use crate::engine::spec::ContainerSpec;
use crate::error::{Error, Result};
use crate::puppet::postgres;

/// What to do when it went wrong: everything is done again then.
const AGAIN: &str = "when the cause is gone, `pupperware up` finishes the rotation";

/// Makes a new value, and puts a copy into every volume that has one.
pub(super) async fn renew(context: &Context, task: &ContainerSpec, request: &str) -> Result<()> {
    match steps::provision(context, task, None, request, &[]).await? {
        (0, _) => Ok(()),
        (code, lines) => {
            Err(Error::failed(format!("no new secret could be made (exit code {code})")).details(lines).hint(AGAIN))
        }
    }
}

/// Makes another key pair of hiera-eyaml, and tells its number.
pub(super) async fn key_pair(context: &Context, task: &ContainerSpec, request: &str) -> Result<Option<String>> {
    let (code, lines) = steps::provision(context, task, None, request, &[]).await?;
    if code == 0 {
        return Ok(lines.into_iter().find(|line| line.starts_with("made key pair")));
    }
    Err(Error::failed(format!("no key pair could be made (exit code {code})")).details(lines))
}

/// Lets nobody in over SSH any more.
pub(super) async fn close_ssh(context: &Context, task: &ContainerSpec, request: &str) -> Result<()> {
    match steps::provision(context, task, None, request, &[]).await? {
        (0, _) => Ok(()),
        (code, lines) => {
            Err(Error::failed(format!("SSH to agents could not be closed (exit code {code})")).details(lines))
        }
    }
}

/// Gives PuppetDB's role the password that is in PostgreSQL's copy.
pub(super) async fn set_password(context: &Context, container: &str) -> Result<()> {
    let command = postgres::set_password(context.seconds_left());
    let request = ExecRequest { container: container.into(), command, ..ExecRequest::default() };
    let output = context.engine.exec(&request, &mut |_| {}).await?;
    if output.code == 0 {
        return Ok(());
    }
    let said = output.stdout.lines().chain(output.stderr.lines()).map(ToOwned::to_owned);
    Err(Error::failed("PostgreSQL did not take the new password").details(said).hint(AGAIN))
}
