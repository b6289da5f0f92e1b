//! A Debian root file system made on this machine by mmdebstrap, for when no registry answers.
//!
//! Nothing is installed here: a missing program is named, with the command that installs it.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::error::{Error, Result};

/// The program that makes it.
pub const TOOL: &str = "mmdebstrap";

/// True when the tool is on the PATH.
pub fn tool_present() -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(TOOL).is_file()))
}

/// What to say when a base must be made and the tool is missing.
pub fn missing_tool(suite: &str) -> Error {
    Error::failed(format!("no registry answers for debian:{suite}-slim, and {TOOL}, which makes it from Debian's packages, is not installed"))
        .hint(format!("install it with `sudo apt-get install {TOOL}`, or load images with `pupperware images load FILE`"))
}

/// Writes a minimal root file system of `suite` to `tar`. `progress` gets mmdebstrap's lines.
///
/// # Errors
/// The tool is missing or fails; the last lines of its output are in the details.
pub async fn make(suite: &str, tar: &Path, progress: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
    let mut command = Command::new(TOOL);
    command.arg("--variant=minbase").arg("--include=ca-certificates").arg("--aptopt=Acquire::Languages \"none\"");
    // The same trimming as images/base/Dockerfile, so that the trimmed files never get into a layer.
    for rule in [
        "path-exclude=/usr/share/doc/*",
        "path-include=/usr/share/doc/*/copyright",
        "path-exclude=/usr/share/man/*",
        "path-exclude=/usr/share/locale/*",
    ] {
        command.arg(format!("--dpkgopt={rule}"));
    }
    command.arg(suite).arg(tar).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => missing_tool(suite),
        _ => Error::failed(format!("cannot run {TOOL}")).because(e),
    })?;
    let mut last = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with("I: ") {
                progress(line.trim_start_matches("I: "));
            }
            last.push(line);
            if last.len() > 20 {
                last.remove(0);
            }
        }
    }
    let status = child.wait().await.map_err(|e| Error::failed(format!("cannot wait for {TOOL}")).because(e))?;
    if !status.success() {
        return Err(Error::failed(format!("{TOOL} could not make a Debian {suite} root file system ({status})"))
            .details(last)
            .hint("check that Debian's package mirrors can be reached from this machine, and that there is room in the temporary directory"));
    }
    Ok(())
}
