//! `code.control_repo`: the URL, and the files that open it, which are looked at where the file's folder is known.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::WrittenPath;
use super::reader::{Context, Section};
use crate::config::model::ControlRepo;
use crate::config::problem::{Problem, quote};
use crate::config::tree::Node;
use crate::config::types::{PASSWORD, Refusal, RepositoryUrl, Transport, Ttl};

const PATH: &str = "code.control_repo";

/// Reads the section; nothing when it is absent or has no usable URL.
pub(super) fn read(context: &mut Context, node: Option<Node>, folder: Option<&Path>) -> Option<ControlRepo> {
    let place = node.as_ref().map(|n| n.span);
    let mut s = Section::new(context, PATH, node);
    let url = s.read::<RepositoryUrl>("url");
    // The line of the file is not shown where a password stands in it.
    for problem in s.context().problems.iter_mut().filter(|p| p.message == PASSWORD) {
        if let Some(span) = problem.span.take() {
            problem.message = format!("line {}: {PASSWORD}", span.line);
        }
    }
    let [ssh_key, token, ca, known_hosts] =
        ["ssh_key", "token", "ca", "known_hosts"].map(|name| s.read::<WrittenPath>(name));
    let timeout = s.read::<Ttl>("timeout");
    s.finish();

    let given = |context: &Context, name: &str| context.given.get(&format!("{PATH}.{name}")).copied();
    let refuse = |context: &mut Context, name: &str, refusal: Refusal| {
        if let Some(span) = given(context, name) {
            let problem = Problem::error(span, format!("{PATH}.{name}"), refusal.reason);
            context.problems.push(problem.maybe_suggest(refusal.suggestion));
        }
    };
    if timeout.is_some_and(|t| t.seconds() == 0) {
        refuse(context, "timeout", Refusal::new("no deployment is done in no time").suggest("write a time like 10m"));
    }
    let Some(url) = url else {
        if let Some(span) = place.filter(|_| given(context, "url").is_none() && has_any(context)) {
            let message = "a control repository needs its `url`";
            context.problems.push(Problem::error(span, PATH, message).suggest("add `url: https://HOST/PATH.git`"));
        }
        return None;
    };
    let ssh = url.transport() == Transport::Ssh;
    if ssh_key.is_some() && !ssh {
        let refusal = Refusal::new(format!("an SSH key is of no use for {}", quote(url.as_str())));
        refuse(context, "ssh_key", refusal.suggest("write the URL as `git@HOST:PATH`, or use a `token`"));
    }
    if token.is_some() && url.transport() != Transport::Https {
        let refusal = Refusal::new("a token is sent to `https://` repositories only");
        refuse(context, "token", refusal.suggest("write the URL as `https://HOST/PATH.git`"));
    }
    if ca.is_some() && url.transport() != Transport::Https {
        let refusal = Refusal::new("only `https://` repositories show a certificate that a CA could vouch for");
        refuse(context, "ca", refusal.suggest("remove the key, or write the URL as `https://HOST/PATH.git`"));
    }
    if ssh && known_hosts.is_none() {
        let refusal = Refusal::new("SSH needs to know the host's key: without it, anybody could pass for the host");
        let host = url.host();
        refuse(context, "url", refusal.suggest(format!("add `known_hosts: FILE`, made with `ssh-keyscan {host}`")));
    }
    let mut file = |name: &str, written: Option<WrittenPath>, secret: bool| {
        let (WrittenPath(written), folder) = (written?, folder?);
        look(folder, Path::new(&written), secret).map_err(|refusal| refuse(context, name, refusal)).ok()
    };
    Some(ControlRepo {
        ssh_key: file("ssh_key", ssh_key, true),
        token: file("token", token, true),
        ca: file("ca", ca, false),
        known_hosts: file("known_hosts", known_hosts, false),
        url,
        timeout,
    })
}

/// Whether anything in the section was given.
fn has_any(context: &Context) -> bool {
    context.given.keys().any(|path| path.starts_with(PATH))
}

/// The file's absolute path, after a look at who may read it.
fn look(folder: &Path, written: &Path, secret: bool) -> Result<PathBuf, Refusal> {
    let full = folder.join(written);
    let shown = quote(&full.display().to_string());
    let metadata = std::fs::metadata(&full).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Refusal::new(format!("{shown} does not exist")),
        _ => Refusal::new(format!("cannot look at {shown}: {error}")),
    })?;
    if !metadata.is_file() {
        return Err(Refusal::new(format!("{shown} is not a file")));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if secret && mode & 0o077 != 0 {
        return Err(Refusal::new(format!("{shown} can be read by others: its mode is {mode:04o}"))
            .suggest(format!("`chmod 600 {}`", full.display())));
    }
    if metadata.len() == 0 {
        return Err(Refusal::new(format!("{shown} is empty")));
    }
    std::fs::File::open(&full).map_err(|error| Refusal::new(format!("cannot read {shown}: {error}")))?;
    full.canonicalize().map_err(|error| Refusal::new(format!("cannot resolve {shown}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;
    use crate::config::validate::validate;

    fn problems(folder: &Path, lines: &str) -> Vec<String> {
        let text: String = lines.lines().map(|line| format!("    {line}\n")).collect();
        let validated = validate(tree::parse(&format!("code:\n  control_repo:\n{text}")), Some(folder));
        validated.problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect()
    }

    #[test]
    fn files_that_others_can_read_or_that_are_missing_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        for (name, mode) in [("key", 0o600), ("open", 0o644), ("known", 0o644)] {
            let path = folder.path().join(name);
            std::fs::write(&path, "x").expect("a file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        }
        let ssh = |key: &str| format!("url: git@host.example:a.git\nknown_hosts: known\nssh_key: {key}\n");
        assert_eq!(problems(folder.path(), &ssh("key")), [""; 0]);
        assert!(problems(folder.path(), &ssh("open"))[0].ends_with("can be read by others: its mode is 0644"));
        assert!(problems(folder.path(), &ssh("gone"))[0].ends_with("does not exist"));
        assert!(problems(folder.path(), &ssh("."))[0].ends_with("is not a file"));
    }

    #[test]
    fn a_line_with_a_password_is_named_and_not_shown() {
        let text = "code:\n  control_repo:\n    url: https://me:s3cret@host.example/a.git\n";
        let problems = validate(tree::parse(text), Some(Path::new("/nonexistent"))).problems;
        let refused = problems.iter().find(|p| p.path == "code.control_repo.url").expect("it is refused");
        assert_eq!((refused.span, refused.message.as_str()), (None, format!("line 3: {PASSWORD}").as_str()));
        assert!(!format!("{problems:?}").contains("s3cret"));
    }

    #[test]
    fn code_comes_from_one_place() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(folder.path().join("code/environments/production")).expect("a directory");
        let text = "code:\n  dir: code\n  control_repo:\n    url: https://host.example/a.git\n";
        let problems = validate(tree::parse(text), Some(folder.path())).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains("exclude each other"));
    }

    #[test]
    fn what_does_not_fit_the_url_is_refused() {
        let folder = Path::new("/nonexistent");
        assert!(problems(folder, "url: git@host.example:a.git")[0].contains("needs to know the host's key"));
        assert!(problems(folder, "url: http://host.example/a\ntoken: t")[0].contains("`https://` repositories only"));
        assert!(problems(folder, "url: https://host.example/a\nssh_key: k")[0].contains("of no use"));
        let ca = "url: git@host.example:a.git\nknown_hosts: k\nca: c";
        assert!(problems(folder, ca)[0].contains("only `https://` repositories show a certificate"));
        assert!(problems(folder, "timeout: 5m")[0].contains("needs its `url`"));
        assert!(problems(folder, "url: https://host.example/a\ntimeout: 0s")[0].contains("in no time"));
    }
}
