//! Steps that bring the CA's revocation list to a service, and see that it holds there.

use std::time::Duration;

use tokio::time::Instant;

use super::ca_steps::{ask, refused, run, sign};
use super::{Context, timed_out};
use crate::desired::{CrlCopy, Reload};
use crate::engine::ExecRequest;
use crate::error::{Error, Result};
use crate::puppet::{api, ca};

/// The CA's own list, in the primary's container.
const CRL: &str = "/etc/puppet/puppetserver/ca/ca_crl.pem";
/// Where a canary's key and certificate are, in the primary's memory.
const CANARIES: &str = "/tmp/pupperware-canary";
/// How long a service may take to read a new list.
const PATIENCE: Duration = Duration::from_secs(120);

/// Puts the list into the service's volume, by rename, and has it read.
pub(super) async fn push(context: &Context, id: usize, primary: &str, copy: &CrlCopy) -> Result<()> {
    let engine = &context.engine;
    let file = engine.get_files(primary, CRL).await?.and_then(|files| files.into_iter().next());
    let (_, list) = file.ok_or_else(|| {
        Error::failed(format!("the CA has no revocation list at {CRL}")).hint("restore the volume ca from a backup")
    })?;
    let place = "set -eu; umask 022; cat > \"$1.new\"; mv -f \"$1.new\" \"$1\"";
    let request = ExecRequest {
        container: copy.container.clone(),
        command: ["sh", "-c", place, "sh", &copy.path].map(String::from).to_vec(),
        stdin: Some(list),
        ..ExecRequest::default()
    };
    run(engine, &request, &format!("{} does not take the revocation list", copy.service)).await?;
    match copy.reload {
        Reload::Watches | Reload::Later | Reload::Unread => Ok(()),
        Reload::Database => {
            let command = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-w", "-X", "-q", "-A", "-t", "-c"];
            let command = command.into_iter().chain(["SELECT pg_reload_conf()"]).map(String::from).collect();
            let request = ExecRequest { container: copy.container.clone(), command, ..ExecRequest::default() };
            run(engine, &request, "PostgreSQL does not read its configuration again").await.map(|_| ())
        }
        Reload::Told => {
            let command = ["/usr/local/bin/pupperware-balance", "crl"].map(String::from).to_vec();
            let request = ExecRequest { container: copy.container.clone(), command, ..ExecRequest::default() };
            run(engine, &request, "the balancer does not read its revocation list again").await.map(|_| ())
        }
        Reload::Hangup => hangup(context, id, copy).await,
    }
}

/// Has the inner services start anew, and waits until they have: who asks afterwards gets an answer by the new list.
async fn hangup(context: &Context, id: usize, copy: &CrlCopy) -> Result<()> {
    // First it stops listening, which tells that it has begun; the probe then tells when it is done. A second signal
    // while it is at it would be one too many, so it is given once.
    const SCRIPT: &str = "set -eu; kill -HUP 1; n=0; \
                          while /usr/local/bin/pupperware-ready > /dev/null 2>&1; do \
                          n=$((n + 1)); [ \"$n\" -lt 600 ] || exit 3; sleep 0.05; done; \
                          exec /usr/local/bin/pupperware-ready --wait \"$1\"";
    let seconds = PATIENCE.as_secs().to_string();
    let request = ExecRequest {
        container: copy.container.clone(),
        command: ["sh", "-c", SCRIPT, "sh", &seconds].map(String::from).to_vec(),
        ..ExecRequest::default()
    };
    let output = context.engine.exec(&request, &mut |line| context.progress(id, line)).await?;
    match output.code {
        // It went on listening: so quick that nobody saw it pause. Whether the list holds is verified.
        0 | 3 => Ok(()),
        _ => Err(timed_out(format!("{} did not come back with the new revocation list", copy.service), "")
            .details(output.stdout.lines().chain(output.stderr.lines()).map(ToOwned::to_owned))
            .hint(format!(
                "see `pupperware --project {0} logs {1}`, then `pupperware --project {0} restart {1}`",
                context.project, copy.service
            ))),
    }
}

/// Makes a key in the primary's memory, and has the CA sign it.
pub(super) async fn make_canary(context: &Context, primary: &str, certname: &str) -> Result<()> {
    const SCRIPT: &str = "set -eu; umask 077; rm -rf \"$1\"; mkdir \"$1\"; cd \"$1\"; \
                          openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout \"$2.key\" \
                          -subj \"/CN=$2\" 2> /dev/null";
    let engine = &context.engine;
    let command = |script: &str| ["sh", "-c", script, "sh", CANARIES, certname].map(String::from).to_vec();
    let request = ExecRequest { container: primary.into(), command: command(SCRIPT), ..ExecRequest::default() };
    let csr = run(engine, &request, "no key can be made in the primary's container").await?;
    let answer = ask(engine, primary, "PUT", &ca::request_path(certname), Some(("text/plain", csr.into()))).await?;
    if !answer.ok() {
        return Err(refused(format!("the CA does not take the request of {certname}"), &answer));
    }
    sign(context, primary, certname).await?;
    let answer = ask(engine, primary, "GET", &ca::certificate_path(certname), None).await?;
    if !answer.ok() {
        return Err(refused(format!("the CA does not hand out the certificate of {certname}"), &answer));
    }
    let request = ExecRequest {
        stdin: Some(answer.body.into()),
        command: command("set -eu; umask 077; cat > \"$1/$2.pem\""),
        ..request
    };
    run(engine, &request, "the canary's certificate cannot be written").await?;
    Ok(())
}

/// Tries the canary until it is refused.
pub(super) async fn verify(context: &Context, primary: &str, certname: &str, copy: &CrlCopy) -> Result<()> {
    let Some((name, port)) = &copy.asked_at else { return Ok(()) };
    let deadline = Instant::now() + PATIENCE;
    let command = api::as_canary(name, *port, &copy.container, &format!("{CANARIES}/{certname}"));
    let request = ExecRequest { container: primary.into(), command, ..ExecRequest::default() };
    loop {
        let output = context.engine.exec(&request, &mut |_| {}).await?;
        if api::refuses_certificate(&output) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let last = if output.code == 0 { format!("status {}", output.stdout) } else { output.stderr };
            return Err(timed_out(format!("{} still lets revoked certificates in", copy.service), last.trim())
                .hint(format!("restart it with `pupperware --project {} restart {}`", context.project, copy.service)));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
