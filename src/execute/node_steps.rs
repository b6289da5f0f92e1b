//! Steps that take a node out of the platform: its certificate, and what PuppetDB knows of it.

use super::Context;
use crate::engine::ExecRequest;
use crate::error::{Error, Result};
use crate::journal;
use crate::puppet::{puppetdb, server};

/// Revokes and removes a certificate; nothing happens when the node has none.
pub(super) async fn clean(context: &Context, primary: &str, certname: &str) -> Result<()> {
    let request =
        ExecRequest { container: primary.into(), command: server::ca_clean(certname), ..ExecRequest::default() };
    let output = context.engine.exec(&request, &mut |_| {}).await?;
    let text = format!("{}{}", output.stdout, output.stderr);
    // A request that was never signed is cleaned, and the command complains that there was nothing to revoke.
    let done = text.contains("Cleaned files related to");
    if output.code == 0
        || done
        || text.contains("Could not find files to clean")
        || text.contains("Could not find certificate")
    {
        return Ok(());
    }
    Err(Error::failed(format!("cannot remove the certificate of {certname}"))
        .details(text.lines().map(ToOwned::to_owned)))
}

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
