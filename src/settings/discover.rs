//! Which file is the configuration.

use std::path::{Path, PathBuf};

use super::{Given, Sourced};
use crate::error::{Error, Result};

/// The names that are looked for.
const NAMES: [&str; 2] = ["pupperware.yaml", "pupperware.yml"];

/// The file that was named, or the nearest one from `cwd` upwards; the search ends at the root of a git
/// repository.
///
/// # Errors
///
/// The named file does not exist, or one folder holds both names.
pub fn find(named: Option<&Sourced<PathBuf>>, cwd: &Path) -> Result<Option<PathBuf>> {
    if let Some(Sourced { value, given }) = named {
        let path = cwd.join(value);
        if !path.exists() {
            let by = match given {
                Given::Flag(flag) => *flag,
                Given::Env(name) => *name,
            };
            let what = format!("{by} names {}, which does not exist", value.display());
            return Err(Error::usage(what).hint("check the path, or leave it out to use the defaults"));
        }
        return Ok(Some(path));
    }
    for folder in cwd.ancestors() {
        let here: Vec<PathBuf> = NAMES.iter().map(|name| folder.join(name)).filter(|path| path.exists()).collect();
        match here.as_slice() {
            [] => {}
            [one] => return Ok(Some(one.clone())),
            _ => {
                let what = format!("{} holds both {} and {}", folder.display(), NAMES[0], NAMES[1]);
                return Err(Error::usage(what).hint("remove one of them, or name one with `--config`"));
            }
        }
        if folder.join(".git").exists() {
            break;
        }
    }
    Ok(None)
}

/// The path as the user would write it: relative to `cwd` when it is below.
pub fn shown(path: &Path, cwd: &Path) -> String {
    path.strip_prefix(cwd).unwrap_or(path).display().to_string()
}
