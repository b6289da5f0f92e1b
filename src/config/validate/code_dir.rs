//! Is this a directory of Puppet environments? The only part of validation that looks at the disk.

use std::path::{Path, PathBuf};

use crate::config::problem::quote;
use crate::config::types::Refusal;

/// The most entries of `environments/` that are looked at.
const MOST: usize = 10_000;

/// The directory's path, joined to `folder` if relative, after a look at its shape; without `..` and links, so that one
/// directory has one path: another would be another server.
///
/// # Errors
///
/// It is missing, is no directory, or holds no `environments/` with at least one environment.
pub fn check(folder: &Path, dir: &Path) -> Result<PathBuf, Refusal> {
    let full = folder.join(dir).components().collect::<PathBuf>();
    let shown = quote(&full.display().to_string());
    match std::fs::metadata(&full) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(Refusal::new(format!("{shown} is a file, not a directory"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Refusal::new(format!("{shown} does not exist")));
        }
        Err(error) => return Err(Refusal::new(format!("cannot look at {shown}: {error}"))),
    }

    let environments = full.join("environments");
    if !environments.is_dir() {
        return Err(no_environments(&full, &shown));
    }
    let entries = std::fs::read_dir(&environments)
        .map_err(|error| Refusal::new(format!("cannot list `environments` in {shown}: {error}")))?;
    let mut bad = None;
    for entry in entries.take(MOST).flatten() {
        if !entry.path().is_dir() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_environment_name(&name) {
            return full.canonicalize().map_err(|error| Refusal::new(format!("cannot resolve {shown}: {error}")));
        }
        bad.get_or_insert(name);
    }
    Err(match bad {
        Some(name) => Refusal::new(format!("{} in `environments` is not a name that Puppet takes", quote(&name)))
            .suggest("an environment's name is made of a-z, 0-9 and `_`"),
        None => Refusal::new(format!("`environments` in {shown} holds no environment"))
            .suggest("make one: `environments/production/manifests/site.pp`"),
    })
}

/// Says what the directory looks like instead.
fn no_environments(full: &Path, shown: &str) -> Refusal {
    let refusal = Refusal::new(format!("{shown} holds no `environments` directory"));
    let marks = ["environment.conf", "manifests", "modules"];
    if let Some(mark) = marks.iter().find(|mark| full.join(mark).exists()) {
        return refusal.suggest(format!(
            "it looks like one environment (it has `{mark}`): move it to `environments/production` and name the folder above"
        ));
    }
    let is_itself = full.file_name().is_some_and(|name| name == "environments");
    if is_itself {
        return refusal.suggest("name the directory above it");
    }
    refusal.suggest("it should hold `environments/production/manifests/site.pp`")
}

/// Whether Puppet takes the name: `[a-z0-9_]+`.
fn is_environment_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_directories() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let make = |path: &str| std::fs::create_dir_all(root.path().join(path)).expect("a directory");
        for path in
            ["good/environments/production", "empty/environments", "bad/environments/My-Env", "one/manifests", "none"]
        {
            make(path);
        }
        std::fs::write(root.path().join("file"), "").expect("a file");
        let refused = |dir: &str| {
            let refusal = check(root.path(), Path::new(dir)).expect_err(dir);
            format!("{} / {}", refusal.reason, refusal.suggestion.unwrap_or_default())
        };
        let good = root.path().join("good").canonicalize().expect("it is there");
        std::os::unix::fs::symlink("good", root.path().join("link")).expect("a link");
        for same in ["good", "./good/", "none/../good", "link", "link/../good"] {
            assert_eq!(check(root.path(), Path::new(same)), Ok(good.clone()), "{same}");
        }
        // Errors speak of what the user wrote.
        assert!(refused("good/../none").contains("good/../none"));
        assert!(refused("file").contains("is a file"));
        assert!(refused("missing").ends_with("missing` does not exist / "));
        assert!(refused("empty").contains("holds no environment /"));
        assert!(refused("bad").contains("`My-Env` in `environments` is not a name"));
        assert!(refused("one").contains("looks like one environment (it has `manifests`)"));
        assert!(refused("good/environments").ends_with("name the directory above it"));
        assert!(refused("none").contains("should hold"));
    }
}
