//! The user's own signing policy: a script beside the configuration, taken into the platform as it is.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use super::{Refusal, Setting};
use crate::config::problem::quote;

/// A policy is a page of script; more is a mistake.
const LONGEST: u64 = 64 << 10;

/// The path of a script, and after [`AutosignPolicy::load`] the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutosignPolicy {
    path: String,
    program: Option<String>,
}

impl AutosignPolicy {
    /// Reads the script; its path is relative to `folder`.
    ///
    /// # Errors
    /// It cannot be read, or is no script.
    pub fn load(&mut self, folder: &Path) -> Result<(), Refusal> {
        let full = folder.join(&self.path);
        let shown = quote(&full.display().to_string());
        let why = |e: std::io::Error| {
            Refusal::new(format!("cannot read {shown}: {e}"))
                .suggest("the path is relative to the folder of the configuration file")
        };
        if !std::fs::metadata(&full).map_err(why)?.is_file() {
            return Err(Refusal::new(format!("{shown} is not a file")));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&full).and_then(|f| f.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(why)?;
        if bytes.len() as u64 > LONGEST {
            return Err(Refusal::new(format!("{shown} is larger than {} KiB", LONGEST >> 10)));
        }
        match String::from_utf8(bytes) {
            Ok(text) if text.starts_with("#!/") && !text.contains('\0') => {
                self.program = Some(text);
                Ok(())
            }
            _ => Err(Refusal::new(format!("{shown} is no script that begins with `#!/`"))
                .suggest("its first line names the interpreter: `#!/bin/sh`, or `#!/usr/bin/perl`")),
        }
    }

    /// The script, once it is loaded.
    pub fn program(&self) -> Option<&str> {
        self.program.as_deref()
    }
}

impl fmt::Display for AutosignPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl Setting for AutosignPolicy {
    fn expected() -> String {
        "the path of a script".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() || text.contains('\0') {
            return Err(Refusal::new("not a path"));
        }
        Ok(AutosignPolicy { path: text.to_owned(), program: None })
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_script_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let load = |name: &str, content: Option<&[u8]>| {
            if let Some(content) = content {
                std::fs::write(folder.path().join(name), content).unwrap();
            }
            let mut policy = AutosignPolicy::parse(name).unwrap();
            let loaded = policy.load(folder.path()).map_err(|refusal| refusal.reason);
            loaded.map(|()| policy.program().unwrap().to_owned())
        };
        assert_eq!(load("good", Some(b"#!/bin/sh\nexit 1\n")).unwrap(), "#!/bin/sh\nexit 1\n");
        assert!(load("elf", Some(b"\x7fELF\xff")).unwrap_err().contains("is no script"));
        assert!(load("plain", Some(b"exit 0\n")).unwrap_err().contains("is no script"));
        assert!(load("big", Some(&[b'#'; 70_000])).unwrap_err().contains("64 KiB"));
        assert!(load("missing", None).unwrap_err().contains("cannot read"));
        assert!(load(".", None).unwrap_err().contains("is not a file"));
    }
}
