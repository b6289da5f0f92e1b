//! An engine for unit tests: it says what it is told to say, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::Engine;
use super::connect::{self, Endpoint};

/// The engine, and what it was asked: `POST /containers/create?name=x`, in order.
pub(crate) struct Fake {
    /// A connection to it.
    pub(crate) engine: Engine,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// `answer` gets what is asked and its body, and says the status and the body of the answer.
    pub(crate) fn new(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let url = format!("tcp://{}", listener.local_addr().expect("it listens"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (memory, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (memory, answer) = (memory.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &memory, &*answer));
            }
        });
        let engine = connect::connect(Endpoint { url, origin: "a test".into() }).expect("an address that can be used");
        Fake { engine, asked }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not held over a panic").clone()
    }
}

/// One question and its answer; the connection is not used again.
fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>, answer: &dyn Fn(&str, &str) -> (u16, String)) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
    let (mut first, mut length) = (String::new(), 0);
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).expect("headers end with an empty line");
        let header = header.trim().to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length is a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body is as long as was said");
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // The version of the API says nothing here: `/v1.41/info` -> `/info`.
    let path = path.strip_prefix("/v1.").and_then(|p| p.find('/').map(|at| &p[at..])).unwrap_or(path);
    let question = format!("{method} {path}");
    asked.lock().expect("not held over a panic").push(question.clone());
    let (status, text) = answer(&question, &String::from_utf8_lossy(&body));
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n");
    // Who asked may have gone away.
    let _ = write!(stream, "{head}content-length: {}\r\n\r\n{text}", text.len());
}
