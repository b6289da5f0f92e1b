//! Steps about code: one-shot containers over the code volume, and what the servers are told and asked.

use std::path::PathBuf;
use std::time::Duration;

use super::Context;
use crate::desired::credentials::PUPPET;
use crate::engine::spec::ContainerSpec;
use crate::engine::{ExecRequest, FileEntry};
use crate::engine::{LogLine, LogQuery};
use crate::error::{Error, Kind, Result};
use crate::plan::UndoCode;
use crate::puppet::{api, catalog};

/// Where the image wants the repository's secrets.
const SECRETS: &str = "/var/lib/pupperware-code";
/// Seconds that the rename, and the removal of older deployments, may take.
const SWITCH_SECONDS: u64 = 600;
/// Most lines that a failure is told with.
const DETAILS: usize = 30;

/// Fetches and checks what is to be served, beside what is.
pub(super) async fn stage(
    context: &Context,
    id: usize,
    task: &ContainerSpec,
    files: &[(String, PathBuf)],
    seconds: u64,
) -> Result<Option<String>> {
    let secrets: Vec<FileEntry> = files
        .iter()
        .map(|(name, path)| {
            let content = std::fs::read_to_string(path)
                .map_err(|e| Error::failed(format!("cannot read {}", path.display())).because(e))?;
            Ok(FileEntry { path: name.clone(), content, owner: (PUPPET.into(), PUPPET.into()), mode: 0o400 })
        })
        .collect::<Result<_>>()?;
    let late = "raise `code.control_repo.timeout` if the repository and its modules need longer";
    one_shot(context, id, task, &secrets, seconds, late).await
}

/// Serves what was staged, or what was served before.
pub(super) async fn switch(context: &Context, id: usize, task: &ContainerSpec) -> Result<Option<String>> {
    one_shot(context, id, task, &[], SWITCH_SECONDS, "see how the engine's disk is with `pupperware doctor`").await
}

/// Looks at what is served.
pub(super) async fn check(context: &Context, id: usize, task: &ContainerSpec, seconds: u64) -> Result<Option<String>> {
    one_shot(context, id, task, &[], seconds, "name the environments that matter: `pupperware code check NAME`").await
}

/// Runs a one-shot container, which is gone afterwards whatever comes of it, and with it the secrets.
async fn one_shot(
    context: &Context,
    id: usize,
    task: &ContainerSpec,
    secrets: &[FileEntry],
    seconds: u64,
    late: &str,
) -> Result<Option<String>> {
    let engine = &context.engine;
    let name = &task.name;
    engine.remove_container(name).await?;
    engine.create_container(task).await?;
    let mut lines: Vec<String> = Vec::new();
    let run = async {
        if !secrets.is_empty() {
            engine.put_files(name, SECRETS, secrets).await?;
        }
        engine.start_container(name).await?;
        let query = LogQuery { container: name.clone(), follow: true, tail: None, since: None, timestamps: false };
        let follow = &mut |line: LogLine| match line.text.split_once(": ") {
            Some(("progress", text)) => context.progress(id, text),
            Some(("warning", text)) => context.report.warn(text.to_owned()),
            _ => lines.push(line.text.to_owned()),
        };
        engine.logs(&query, follow).await?;
        Ok::<i64, Error>(engine.wait_exit(name).await?)
    };
    let ended = tokio::time::timeout(Duration::from_secs(seconds), run).await;
    engine.remove_container(name).await?;
    let Ok(code) = ended else {
        let error = Error::new(Kind::TimedOut, format!("the {} took longer than {seconds} s", about(task)));
        return Err(error.details(told(&lines, "detail")).hint(late));
    };
    if code? == 0 {
        return Ok(told(&lines, "done").pop());
    }
    // A container that died without a word of ours: killed for its memory, or a bug.
    let what = told(&lines, "error").pop().unwrap_or_else(|| format!("the {} broke down", about(task)));
    let mut details = told(&lines, "detail");
    if details.is_empty() && told(&lines, "error").is_empty() {
        details = lines;
    }
    details.truncate(DETAILS);
    Err(Error::failed(what).details(details))
}

/// What a container was for.
fn about(task: &ContainerSpec) -> &'static str {
    match task.command.as_ref().and_then(|c| c.first()).map(String::as_str) {
        Some("stage") => "deployment",
        Some("check") => "check of the code",
        _ => "switch of the code",
    }
}

/// What was said of this kind.
fn told(lines: &[String], kind: &str) -> Vec<String> {
    let of_kind = |line: &String| line.strip_prefix(kind)?.strip_prefix(": ").map(ToOwned::to_owned);
    lines.iter().filter_map(of_kind).collect()
}

/// Makes a server read its environments anew.
pub(super) async fn flush(context: &Context, server: &str, compiler: Option<&str>) -> Result<()> {
    const CACHE: &str = "/puppet-admin-api/v1/environment-cache";
    let command = compiler.map_or_else(
        || api::command("DELETE", CACHE, None),
        |certname| api::command_on_compiler(certname, "DELETE", CACHE),
    );
    let answer = ask(context, server, command, None).await?;
    if answer.ok() {
        return Ok(());
    }
    Err(Error::failed(format!("{server} did not flush its environments: HTTP status {}", answer.status))
        .details(answer.body.lines().map(ToOwned::to_owned))
        .hint("the new code is in place; `pupperware restart puppetserver` makes the server read it"))
}

/// Has a node's catalog compiled, and neither applied nor kept.
pub(super) async fn compile(
    context: &Context,
    server: &str,
    certname: &str,
    environment: &str,
) -> Result<Option<String>> {
    let command = api::command("POST", catalog::PATH, Some("application/json"));
    let answer = ask(context, server, command, Some(catalog::request(certname, environment))).await?;
    match catalog::resources(&answer) {
        Ok(count) => Ok(Some(format!("the catalog of {certname} in {environment} compiles: {count} resources"))),
        Err(why) => Err(Error::failed(format!("the catalog of {certname} in {environment} does not compile"))
            .details(why.lines().map(ToOwned::to_owned))),
    }
}

/// Serves what was served before, because what is served now does not compile; the error that the step ends with.
pub(super) async fn undo(context: &Context, id: usize, undo: &UndoCode, error: Error) -> Error {
    context.report.warn(format!("{}; going back to what was served before", error.what));
    let undone = async {
        switch(context, id, &undo.task).await?;
        for (server, compiler) in &undo.servers {
            flush(context, server, compiler.as_deref()).await?;
        }
        Ok::<(), Error>(())
    };
    match undone.await {
        Ok(()) => {
            let what = format!("{}; what was served before is served again", error.what);
            Error { kind: Kind::RolledBack, what, ..error }
                .hint("mend the code, and deploy again; without `--node` no catalog is asked for")
        }
        Err(second) => {
            let what = format!("{}, and it is served all the same: {}", error.what, second.what);
            Error { what, ..error }.details(second.details).hint("mend the code, and deploy again")
        }
    }
}

async fn ask(context: &Context, server: &str, command: Vec<String>, body: Option<String>) -> Result<api::Answer> {
    let stdin = body.map(String::into_bytes);
    let request = ExecRequest { container: server.to_owned(), command, stdin, ..ExecRequest::default() };
    api::answer(&context.engine.exec(&request, &mut |_| {}).await?)
}
