//! Steps that take a node out of the platform: what PuppetDB knows of it. Its certificate is for `ca_steps`.

use super::Context;
use crate::engine::ExecRequest;
use crate::error::{Error, Result};
use crate::journal;
use crate::puppet::puppetdb;

/// Tells PuppetDB that the node is gone.
pub(super) async fn deactivate(context: &Context, puppetdb: &str, certname: &str) -> Result<()> {
    let command = puppetdb::deactivate(certname, &journal::now());
    let request = ExecRequest { container: puppetdb.into(), command, ..ExecRequest::default() };
    let output = context.engine.exec(&request, &mut |_| {}).await?;
    if output.code == 0 && !output.stdout.contains("error") {
        return Ok(());
    }
    Err(Error::failed(format!("cannot deactivate {certname} in PuppetDB")).details([output.stdout, output.stderr]))
}
