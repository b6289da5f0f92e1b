//! Which engine we talk to, and the connection to it.
//!
//! Order: `--host`, `--context`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context of `~/.docker/config.json`,
//! then the usual sockets. bollard 0.21 reads no contexts and sends no API version; both facts stay in this file.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Engine, FAST, SLOW};
use crate::error::{Error, Kind, Result};

/// An engine's address and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `unix:///var/run/docker.sock`, `tcp://host:2375`.
    pub url: String,
    /// What told us: `--host`, `DOCKER_HOST`, `context "x"`, `default`.
    pub origin: String,
}

/// What may name an engine, besides the files that we read ourselves.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// `--host`.
    pub host: Option<String>,
    /// `--context`.
    pub context: Option<String>,
}

/// Finds the endpoint. Does not talk to it.
///
/// # Errors
/// A context that does not exist, or an address of a kind that we cannot use.
pub fn resolve(choice: &Choice, env: &dyn Fn(&str) -> Option<String>) -> Result<Endpoint> {
    let home = env("HOME").map(PathBuf::from);
    if let Some(host) = &choice.host {
        return Ok(Endpoint { url: host.clone(), origin: "--host".into() });
    }
    if let Some(name) = &choice.context {
        return from_context(name, home.as_deref(), "--context");
    }
    if let Some(host) = env("DOCKER_HOST").filter(|v| !v.is_empty()) {
        return Ok(Endpoint { url: host, origin: "DOCKER_HOST".into() });
    }
    if let Some(name) = env("DOCKER_CONTEXT").filter(|v| !v.is_empty()) {
        return from_context(&name, home.as_deref(), "DOCKER_CONTEXT");
    }
    if let Some(name) = home.as_deref().and_then(current_context) {
        return from_context(&name, home.as_deref(), "~/.docker/config.json");
    }
    let mut candidates = vec![PathBuf::from("/var/run/docker.sock")];
    if let Some(runtime) = env("XDG_RUNTIME_DIR") {
        candidates.push(Path::new(&runtime).join("docker.sock"));
    }
    if let Some(home) = &home {
        candidates.push(home.join(".docker/run/docker.sock"));
        candidates.push(home.join(".colima/default/docker.sock"));
    }
    let found = candidates.iter().find(|p| p.exists()).unwrap_or(&candidates[0]);
    Ok(Endpoint { url: format!("unix://{}", found.display()), origin: "default".into() })
}

/// Opens the (lazy) connection.
///
/// # Errors
/// An address of a kind that we cannot use.
pub fn connect(endpoint: Endpoint) -> Result<Engine> {
    let version = bollard::API_DEFAULT_VERSION;
    let unusable = |why: String| {
        Error::new(
            Kind::Engine,
            format!("cannot use the engine address {} (from {}): {why}", endpoint.url, endpoint.origin),
        )
        .hint("give `unix:///path/to/docker.sock` or `tcp://host:port` with `--host`")
    };
    let fast = if endpoint.url.starts_with("unix://") {
        bollard::Docker::connect_with_unix(&endpoint.url, FAST.as_secs(), version)
    } else if endpoint.url.starts_with("tcp://") || endpoint.url.starts_with("http://") {
        bollard::Docker::connect_with_http(&endpoint.url, FAST.as_secs(), version)
    } else {
        return Err(unusable("this kind of address is not supported".into()));
    };
    let fast = match fast {
        Ok(docker) => docker,
        // bollard looks whether the socket exists before the first call; for us that is "no engine answers".
        Err(e @ bollard::errors::Error::SocketNotFoundError(_)) => {
            return Err(super::EngineError::from_connect(e, &endpoint).into());
        }
        Err(e) => return Err(unusable(e.to_string())),
    };
    Ok(Engine { slow: fast.clone().with_timeout(SLOW), fast, endpoint })
}

fn current_context(home: &Path) -> Option<String> {
    let text = std::fs::read_to_string(home.join(".docker/config.json")).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let name = value.get("currentContext")?.as_str()?;
    (!name.is_empty() && name != "default").then(|| name.to_owned())
}

/// Docker keeps a context's address under the SHA-256 of its name.
fn from_context(name: &str, home: Option<&Path>, origin: &str) -> Result<Endpoint> {
    if name == "default" {
        return Ok(Endpoint {
            url: "unix:///var/run/docker.sock".into(),
            origin: format!("context \"default\" ({origin})"),
        });
    }
    let missing = || {
        Error::usage(format!("docker context \"{name}\" (from {origin}) does not exist or cannot be read"))
            .hint("list them with `docker context ls`")
    };
    let digest = Sha256::digest(name.as_bytes());
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    let path = home.ok_or_else(missing)?.join(".docker/contexts/meta").join(hex).join("meta.json");
    let text = std::fs::read_to_string(path).map_err(|_| missing())?;
    let value: Value = serde_json::from_str(&text).map_err(|_| missing())?;
    let url = value.pointer("/Endpoints/docker/Host").and_then(Value::as_str).ok_or_else(missing)?;
    Ok(Endpoint { url: url.to_owned(), origin: format!("context \"{name}\" ({origin})") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(vars: &'a [(&'a str, String)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| vars.iter().find(|(k, _)| *k == name).map(|(_, v)| v.clone())
    }

    #[test]
    fn flags_win_over_the_environment() {
        let vars = [("DOCKER_HOST", "tcp://a:1".to_owned())];
        let choice = Choice { host: Some("tcp://b:2".into()), context: None };
        assert_eq!(resolve(&choice, &env(&vars)).unwrap().url, "tcp://b:2");
        assert_eq!(resolve(&Choice::default(), &env(&vars)).unwrap().origin, "DOCKER_HOST");
    }

    #[test]
    fn a_context_is_read_from_docker_s_files() {
        let home = tempfile::tempdir().unwrap();
        let digest: String = Sha256::digest(b"lab").iter().map(|b| format!("{b:02x}")).collect();
        let dir = home.path().join(".docker/contexts/meta").join(digest);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("meta.json"), r#"{"Name":"lab","Endpoints":{"docker":{"Host":"tcp://lab:2375"}}}"#)
            .unwrap();
        std::fs::write(home.path().join(".docker/config.json"), r#"{"currentContext":"lab"}"#).unwrap();
        let vars = [("HOME", home.path().display().to_string())];
        assert_eq!(resolve(&Choice::default(), &env(&vars)).unwrap().url, "tcp://lab:2375");
        let gone = Choice { host: None, context: Some("other".into()) };
        assert_eq!(resolve(&gone, &env(&vars)).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn an_unknown_address_kind_is_refused() {
        let e = connect(Endpoint { url: "ftp://x".into(), origin: "--host".into() }).unwrap_err();
        assert_eq!(e.kind, Kind::Engine);
    }
}
