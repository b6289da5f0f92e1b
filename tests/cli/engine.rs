//! An engine that answers the calls of commands that only look, with what a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

/// What it says of itself.
pub struct Fake {
    /// API version.
    pub api: &'static str,
    /// The machine's memory in bytes.
    pub memory: u64,
    /// Where it keeps its data.
    pub root_dir: &'static str,
    /// Rows of its list of containers. Each runs.
    pub containers: Vec<Value>,
    /// Rows of its list of volumes.
    pub volumes: Vec<Value>,
}

impl Fake {
    /// A good engine with nothing on it.
    pub fn empty() -> Self {
        Fake { api: "1.44", memory: 8 << 30, root_dir: "/", containers: vec![], volumes: vec![] }
    }

    /// Starts to answer, until the test ends; returns the engine's address.
    pub fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = format!("tcp://{}", listener.local_addr().expect("it is bound"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A program that went away in between is no failure of the test.
                let _ = self.answer(stream);
            }
        });
        address
    }

    /// The same as an engine of this machine, at this socket.
    pub fn serve_at(self, socket: &Path) -> String {
        let listener = UnixListener::bind(socket).expect("the socket can be made");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = self.answer(stream);
            }
        });
        format!("unix://{}", socket.display())
    }

    /// One request a connection: the program opens another.
    fn answer(&self, mut stream: impl Read + Write) -> std::io::Result<()> {
        let mut reader = BufReader::new(&mut stream);
        let mut request = String::new();
        reader.read_line(&mut request)?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        if request.contains("/images/load") {
            // Who still sends has no ear for the answer.
            let mut last = Vec::new();
            while !last.ends_with(b"\r\n0\r\n\r\n") && reader.read_until(b'\n', &mut last)? > 0 {}
        }
        let path = request.split(' ').nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let (status, body) = match self.body(path) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", json!({ "message": format!("no such thing: {path}") })),
        };
        let body = format!("{body}\n");
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }

    fn body(&self, path: &str) -> Option<Value> {
        let inspected = self.containers.iter().find(|c| {
            let id = c["Id"].as_str().unwrap_or_default();
            path.ends_with(&format!("/containers/{id}/json"))
        });
        if inspected.is_some() {
            return Some(json!({ "State": { "Running": true, "StartedAt": "2026-01-01T00:00:00Z" } }));
        }
        // `/v1.41/info` and `/info` are one.
        let path = path.trim_start_matches('/');
        let path = match path.split_once('/') {
            Some((version, rest)) if version.contains('.') => rest,
            _ => path,
        };
        Some(match path {
            "version" => json!({ "ApiVersion": self.api, "Version": "1.2.3" }),
            "info" => json!({ "NCPU": 2, "MemTotal": self.memory, "DockerRootDir": self.root_dir, "OSType": "linux" }),
            "containers/json" => json!(self.containers),
            "volumes" => json!({ "Volumes": self.volumes }),
            "networks" => json!([]),
            "images/load" => json!({ "stream": "Loaded image: pupperware/agent:8-0\n" }),
            _ => return None,
        })
    }
}

/// The program in an empty folder, which it must not find a configuration in by accident.
pub fn in_folder(folder: &tempfile::TempDir, engine: &str) -> Command {
    let mut command = crate::pupperware();
    command.current_dir(folder.path()).args(["--host", engine]);
    command
}
