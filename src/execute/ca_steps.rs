//! Steps that ask the CA for something: sign, revoke, forget; tokens for its policy; and the import of one.

use std::path::Path;

use super::{Context, steps};
use crate::engine::spec::ContainerSpec;
use crate::engine::{Engine, ExecRequest, FileEntry};
use crate::error::{Error, Result};
use crate::puppet::api::{self, Answer};
use crate::puppet::ca;

const JSON: &str = "application/json";

/// Has a request signed. Done before, it is fine.
pub(super) async fn sign(context: &Context, primary: &str, certname: &str) -> Result<()> {
    let answer = change(context, primary, certname, "signed").await?;
    if answer.ok() || state(context, primary, certname).await? == "signed" {
        return Ok(());
    }
    Err(refused(format!("the CA does not sign {certname}"), &answer))
}

/// Has a certificate revoked. Nothing happens when there is none.
pub(super) async fn revoke(context: &Context, primary: &str, certname: &str) -> Result<()> {
    let answer = change(context, primary, certname, "revoked").await?;
    // 404: an unknown name; 409: a request without a certificate.
    if answer.ok() || matches!(answer.status, 404 | 409) {
        return Ok(());
    }
    Err(refused(format!("the CA does not revoke {certname}"), &answer))
}

/// Has a name forgotten. Nothing happens when it is not known.
pub(super) async fn remove(context: &Context, primary: &str, certname: &str) -> Result<()> {
    let answer = ask(&context.engine, primary, "DELETE", &ca::status_path(certname), None).await?;
    if answer.ok() || answer.status == 404 {
        return Ok(());
    }
    Err(refused(format!("the CA does not remove {certname}"), &answer))
}

/// Puts a token's hash where the policy looks for it.
pub(super) async fn place_token(context: &Context, primary: &str, certname: &str, hash: &str) -> Result<()> {
    // By rename: the policy never reads half a name.
    const SCRIPT: &str = "set -eu; umask 077; d=/var/lib/puppetserver/autosign-tokens; mkdir -p \"$d\"; \
                          cat > \"$d/.$1\"; mv \"$d/.$1\" \"$d/$1\"";
    let request = ExecRequest {
        container: primary.into(),
        command: ["sh", "-c", SCRIPT, "sh", hash].map(String::from).to_vec(),
        stdin: Some(certname.as_bytes().to_vec()),
        ..ExecRequest::default()
    };
    run(&context.engine, &request, "the token's hash cannot be written").await?;
    Ok(())
}

/// Takes away the hashes of all tokens that were not used, and tells how many they were.
pub(super) async fn withdraw_tokens(context: &Context, primary: &str) -> Result<Option<String>> {
    const SCRIPT: &str = "d=/var/lib/puppetserver/autosign-tokens; [ ! -d \"$d\" ] || \
                          find \"$d\" -type f -delete -printf '.\\n'";
    let request = ExecRequest {
        container: primary.into(),
        command: ["sh", "-euc", SCRIPT].map(String::from).to_vec(),
        ..ExecRequest::default()
    };
    let count = run(&context.engine, &request, "the tokens' hashes cannot be removed").await?.lines().count();
    Ok(Some(format!("{count} that were not used")))
}

/// Puts a CA from elsewhere into its volume, after OpenSSL has had a look at it.
pub(super) async fn import(
    context: &Context,
    task: &ContainerSpec,
    serial: &str,
    files: &[FileEntry],
    key: &Path,
) -> Result<()> {
    let content =
        std::fs::read_to_string(key).map_err(|e| Error::failed(format!("cannot read {}", key.display())).because(e))?;
    let mut files = files.to_vec();
    files.push(FileEntry { path: ".import/ca_key.pem".into(), content, owner: (0, 0), mode: 0o600 });
    match steps::provision(context, task, Some(("ca", &files)), &format!("import {serial}\n"), &[]).await? {
        (0, _) => Ok(()),
        (4, lines) => Err(Error::refused("there is another CA already, and it stays as it is")
            .details(lines)
            .hint("`pupperware up` starts a platform with the CA that is there")),
        (5, lines) => Err(Error::usage("this CA cannot be used, and nothing was imported").details(lines)),
        (code, lines) => Err(Error::failed(format!("the CA could not be imported (exit code {code})")).details(lines)),
    }
}

/// Asks Puppet Server's API in the primary's container. `body` comes with its content type.
pub(super) async fn ask(
    engine: &Engine,
    primary: &str,
    method: &str,
    path: &str,
    body: Option<(&str, Vec<u8>)>,
) -> Result<Answer> {
    let (kind, stdin) = body.unzip();
    let request =
        ExecRequest { container: primary.into(), command: api::command(method, path, kind), user: None, stdin };
    api::answer(&engine.exec(&request, &mut |_| {}).await?)
}

/// Runs a command that must succeed; its output.
pub(super) async fn run(engine: &Engine, request: &ExecRequest, what: &str) -> Result<String> {
    let output = engine.exec(request, &mut |_| {}).await?;
    if output.code == 0 {
        return Ok(output.stdout);
    }
    Err(Error::failed(format!("{what} (exit code {})", output.code))
        .details(output.stderr.lines().map(ToOwned::to_owned)))
}

/// The CA's refusal, with its own words.
pub(super) fn refused(what: String, answer: &Answer) -> Error {
    let words = answer.body.lines().take(10).map(ToOwned::to_owned);
    Error::failed(format!("{what} (status {})", answer.status)).details(words)
}

async fn change(context: &Context, primary: &str, certname: &str, state: &str) -> Result<Answer> {
    let body = Some((JSON, ca::desired_state(state)));
    ask(&context.engine, primary, "PUT", &ca::status_path(certname), body).await
}

async fn state(context: &Context, primary: &str, certname: &str) -> Result<String> {
    let answer = ask(&context.engine, primary, "GET", &ca::status_path(certname), None).await?;
    let status: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    Ok(status["state"].as_str().unwrap_or_default().to_owned())
}
