//! The user's hooks: what is called before a change, and told how it ended. They run on this machine; a program hears of the
//! change in its environment, an address in a JSON object.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::types::Place;
use crate::error::{Error, Result};
use crate::web;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(50);
/// Most lines that a failure is told with.
const LINES: usize = 20;

/// What a hook hears. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occasion {
    /// The platform.
    pub project: String,
    /// The change.
    pub command: String,
    /// The release that runs.
    pub from: String,
    /// The release that is gone to.
    pub to: String,
    /// `before`; or how it ended: `done`, `rolled_back`, `failed`.
    pub phase: String,
}

/// Calls it, and waits until it has ended.
///
/// # Errors
/// It cannot be called, takes too long, or says no.
pub fn call(hook: &Place, occasion: &Occasion) -> Result<()> {
    match hook {
        Place::Web(url) => {
            let json = serde_json::to_string(occasion).map_err(|e| Error::failed("nothing to send").because(e))?;
            web::post(url, &json)
        }
        Place::File(path) => {
            let failed = |e: std::io::Error| Error::failed(format!("the hook {hook} cannot be run")).because(e);
            let output = tempfile::NamedTempFile::new().map_err(failed)?;
            let file = || output.reopen().map_err(failed);
            let mut command = Command::new(path);
            command.stdin(Stdio::null()).stdout(file()?).stderr(file()?);
            for (name, value) in [
                ("PROJECT", &occasion.project),
                ("COMMAND", &occasion.command),
                ("FROM", &occasion.from),
                ("TO", &occasion.to),
                ("PHASE", &occasion.phase),
            ] {
                command.env(format!("PUPPERWARE_HOOK_{name}"), value);
            }
            let mut child = command.spawn().map_err(failed)?;
            let began = Instant::now();
            let status = loop {
                match child.try_wait().map_err(failed)? {
                    Some(status) => break status,
                    None if began.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                    None => {
                        // It may have ended in this moment, which is as well.
                        let _ = child.kill();
                        let _ = child.wait();
                        return Err(Error::failed(format!("the hook {hook} took longer than 10 minutes")));
                    }
                }
            };
            if status.success() {
                return Ok(());
            }
            let said = std::fs::read(output.path()).map_err(failed)?;
            let said = String::from_utf8_lossy(&said).lines().take(LINES).map(ToOwned::to_owned).collect::<Vec<_>>();
            Err(Error::failed(format!("the hook {hook} said no ({status})")).details(said))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_hears_what_happens_and_can_say_no() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("hook");
        let text = "#!/bin/sh\necho \"$PUPPERWARE_HOOK_PHASE $PUPPERWARE_HOOK_FROM $PUPPERWARE_HOOK_TO\"\n\
                    test \"$PUPPERWARE_HOOK_TO\" = 8.0.0\n";
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let occasion = |to: &str| Occasion {
            project: "demo".into(),
            command: "upgrade".into(),
            from: "7.0.0".into(),
            to: to.into(),
            phase: "before".into(),
        };
        call(&Place::File(script.clone()), &occasion("8.0.0")).unwrap();
        let refused = call(&Place::File(script), &occasion("9.0.0")).unwrap_err();
        assert!(refused.what.contains("said no"));
        assert_eq!(refused.details, ["before 7.0.0 9.0.0"]);
        assert!(call(&Place::File(folder.path().join("none")), &occasion("8.0.0")).is_err());
    }
}
