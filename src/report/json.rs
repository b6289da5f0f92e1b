//! Progress as JSON: one object a line on stderr, `{"v":1,"ts":"...","event":"...", ...}`.

use jiff::Timestamp;
use serde::Serialize;

use super::event::Event;
use super::{Reporter, failure, terminal};
use crate::error::Error;

/// The version of the lines' shape. Fields may be added without a new one.
const VERSION: u32 = 1;

/// The renderer.
pub(super) struct Json;

impl Reporter for Json {
    fn event(&self, event: &Event) {
        terminal::err(&line(Timestamp::now(), event));
    }

    fn failure(&self, error: &Error) {
        terminal::err(&line(Timestamp::now(), &failure::Record::of(error)));
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    v: u32,
    ts: Timestamp,
    #[serde(flatten)]
    body: &'a T,
}

fn line(ts: Timestamp, body: &impl Serialize) -> String {
    let line = serde_json::to_string(&Line { v: VERSION, ts, body }).expect("events have string keys");
    line + "\n"
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::report::script;

    #[test]
    fn one_object_a_line() {
        let ts = Timestamp::UNIX_EPOCH;
        let mut lines: String = script::failing().iter().map(|(_, event)| line(ts, event)).collect();
        let error = Error::failed("puppetserver did not become ready").details(["OutOfMemoryError".into()]);
        lines += &line(ts, &failure::Record::of(&error.hint("`pupperware logs puppetserver`")));
        assert_snapshot!(lines, @r#"
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"plan_started","command":"up","steps":5,"stages":{"foundation":1,"services":3,"record":1}}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"step_started","id":0,"stage":"foundation","kind":"create_volume","resource":"volume ca","service":null,"cause":"missing"}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"step_finished","id":0,"elapsed_ms":100,"outcome":null}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"step_started","id":1,"stage":"services","kind":"wait_ready","resource":"container puppetserver-1","service":"puppetserver","cause":"missing"}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"step_started","id":2,"stage":"services","kind":"wait_ready","resource":"container compiler-2","service":"compiler","cause":"missing"}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"warning","text":"little memory: 3 GiB","hint":"give the engine 4 GiB"}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"step_failed","id":1,"elapsed_ms":12100,"error":"exited with code 137"}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"note","text":"waiting for running steps; press Ctrl-C to stop now"}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"step_finished","id":2,"elapsed_ms":13900,"outcome":null}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"plan_finished","ok":false,"done":2,"elapsed_ms":14000}
        {"v":1,"ts":"1970-01-01T00:00:00Z","event":"error","kind":"failed","message":"puppetserver did not become ready","causes":[],"details":["OutOfMemoryError"],"hint":"`pupperware logs puppetserver`","exit_code":1}
        "#);
    }
}
