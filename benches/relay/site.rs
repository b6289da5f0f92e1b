//! A server and a bridge as processes, in a folder of their own, and a client that adds nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A process that ends with what it was started for.
pub struct Living(pub Child);

impl Drop for Living {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Living {
    /// The most memory that it ever had, in MiB.
    pub fn most_memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0) / 1_024.0
    }
}

/// The folder, with a server that runs.
pub struct Site {
    folder: tempfile::TempDir,
    address: String,
    /// The server.
    pub server: Living,
}

impl Site {
    /// Starts a server.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("relay");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pupperware"));
        command.args(["relay", "serve", "--listen", "127.0.0.1:0", "--state-dir"]).arg(&state);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("http://")).expect("a server that says where it is");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(';').next()).expect("an address");
        let address = address.to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Site { folder, address, server: Living(child) }
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A token, also in a file of that name.
    pub fn token(&self, name: &str, scope: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pupperware"));
        command.args(["relay", "token", "create", name, "--scope", scope, "--state-dir"]).arg(self.path("relay"));
        let made = command.output().expect("the program");
        private(&self.path(name), &made.stdout, 0o600);
        String::from_utf8(made.stdout).expect("a token").trim().to_owned()
    }

    /// A bridge. Its `ssh` sleeps so many seconds and says that Puppet changed something.
    pub fn bridge(&self, seconds: &str, more: &str) -> Living {
        // Nothing but what the shell can do itself: ten thousand of these are started.
        let ssh = format!(
            "#!/bin/sh\nfor word; do remote=$word; done\nnonce=${{remote##*pupperware-}}\nnonce=pupperware-${{nonce%%[!0-9a-f]*}}\n\
             [ {seconds} = 0 ] || sleep {seconds}\nprintf '\\n%s 2\\n' \"$nonce\"\n"
        );
        private(&self.path("ssh"), ssh.as_bytes(), 0o755);
        let file = format!(
            "relay: {{ url: 'http://{}', token_file: '{}', {more} }}\nstate_dir: '{}'\nopenssh_client_path: '{}'\n\
             parallelism: 100\nruns: 1000\n",
            self.address,
            self.path("bridge").display(),
            self.path("journal").display(),
            self.path("ssh").display()
        );
        private(&self.path("bridge.yaml"), file.as_bytes(), 0o600);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pupperware"));
        command.args(["relay", "bridge", "--settings"]).arg(self.path("bridge.yaml"));
        Living(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program"))
    }

    /// A client with this token.
    pub async fn client(&self, token: &str) -> Client {
        let address = self.address.clone();
        Client { sender: connected(&address).await, address, token: format!("Bearer {token}") }
    }
}

async fn connected(address: &str) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("the server");
    let _ = stream.set_nodelay(true);
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    sender
}

fn private(path: &PathBuf, text: &[u8], mode: u32) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a file");
}

/// One connection to the server.
pub struct Client {
    address: String,
    sender: SendRequest<Full<Bytes>>,
    token: String,
}

impl Client {
    /// A request; its status and its answer.
    pub async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header("host", "relay");
        let request = request.header("authorization", &self.token).body(Full::new(Bytes::from(text)));
        // The server lets go of who is silent for long.
        if self.sender.ready().await.is_err() {
            self.sender = connected(&self.address).await;
        }
        let answer = self.sender.send_request(request.expect("a request")).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("an answer").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// The value that so many of a hundred are not above.
pub fn percentile(values: &mut [f64], hundredths: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * hundredths).div_ceil(100).max(1) - 1;
    values.get(at).copied().unwrap_or(0.0)
}
