//! `pupperware ca list`, and the list that the other commands plan from.

use jiff::Timestamp;
use serde::Serialize;

use crate::commands::context::Platform;
use crate::engine::{Engine, ExecRequest};
use crate::error::{Error, Result};
use crate::plan::ca::primary;
use crate::puppet::api;
use crate::puppet::ca::{self, Certificate, State};
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};

/// Days before its end in which a certificate is marked.
const SOON_DAYS: i64 = 30;

#[derive(Debug, Clone, Serialize)]
struct Certificates {
    certificates: Vec<Certificate>,
    #[serde(skip)]
    now: Timestamp,
}

impl Tabular for Certificates {
    fn table(&self) -> Table {
        let mut table = Table::new(["NAME", "STATE", "UNTIL", "SERIAL", "FINGERPRINT (SHA-256)"]);
        for c in &self.certificates {
            let (state, tone) = state(c, self.now);
            let until = c.not_after.as_deref().map_or("-", |at| at.split('T').next().unwrap_or(at));
            table.row([
                c.certname.as_str().into(),
                Cell::toned(state, tone),
                until.into(),
                c.serial.as_deref().unwrap_or("-").into(),
                c.fingerprint.as_str().into(),
            ]);
        }
        table
    }
}

/// For people: one that is signed and has ended is no use either.
fn state(certificate: &Certificate, now: Timestamp) -> (&'static str, Tone) {
    let end: Option<Timestamp> = certificate.not_after.as_deref().and_then(|at| at.parse().ok());
    let days = end.map(|end| end.duration_since(now).as_hours() / 24);
    match certificate.state {
        State::Pending => ("pending", Tone::Warn),
        State::Revoked => ("revoked", Tone::Bad),
        State::Signed if end.is_some_and(|end| end <= now) => ("expired", Tone::Bad),
        State::Signed if days.is_some_and(|days| days < SOON_DAYS) => ("signed, ends soon", Tone::Warn),
        State::Signed => ("signed", Tone::Good),
    }
}

/// Shows them.
pub(super) async fn run(platform: &Platform, output: Output) -> Result<u8> {
    let primary = primary(&platform.desired, &platform.observed)?;
    let certificates = read(&platform.engine, &primary.spec.name).await?;
    print_data(output, &Document::new(Certificates { certificates, now: Timestamp::now() }))?;
    Ok(0)
}

/// Asks the CA.
pub(super) async fn read(engine: &Engine, primary: &str) -> Result<Vec<Certificate>> {
    let command = api::command("GET", ca::LIST, None);
    let request = ExecRequest { container: primary.into(), command, ..ExecRequest::default() };
    let answer = api::answer(&engine.exec(&request, &mut |_| {}).await?)?;
    if !answer.ok() {
        return Err(Error::failed(format!("the CA does not tell its certificates (status {})", answer.status))
            .details(answer.body.lines().take(10).map(ToOwned::to_owned)));
    }
    ca::read_list(&answer.body)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::report::output::render;

    fn listed() -> Certificates {
        // As Puppet Server 8.7 answers.
        let body = r#"[
          {"name":"web01","dns_alt_names":[],"state":"requested","fingerprint":"AA:01"},
          {"name":"puppetdb","dns_alt_names":["DNS:localhost","DNS:puppetdb"],"state":"signed",
           "not_before":"2026-11-20T15:02:02UTC","not_after":"2026-12-01T15:02:06UTC","serial_number":3,"fingerprint":"96:99"},
          {"name":"old","dns_alt_names":[],"state":"signed","not_after":"2026-11-01T00:00:00UTC","serial_number":2,"fingerprint":"01:02"},
          {"name":"lost","dns_alt_names":["DNS:lost"],"state":"revoked","not_after":"2031-11-21T15:02:06UTC","serial_number":48879,"fingerprint":"DE:BB"}
        ]"#;
        let certificates = ca::read_list(body).unwrap();
        Certificates { certificates, now: "2026-11-21T00:00:00Z".parse().unwrap() }
    }

    #[test]
    fn people_see_who_waits_and_what_ends() {
        let text = render(Output::Table, &Document::new(listed()), None).unwrap();
        assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @"
        NAME      STATE              UNTIL       SERIAL  FINGERPRINT (SHA-256)
        lost      revoked            2031-11-21  BEEF    DE:BB
        old       expired            2026-11-01  0002    01:02
        puppetdb  signed, ends soon  2026-12-01  0003    96:99
        web01     pending            -           -       AA:01
        ");
    }

    #[test]
    fn programs_get_every_field() {
        let text = render(Output::Json, &Document::new(listed()), None).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], 1);
        let lost = &value["certificates"][0];
        let wanted = serde_json::json!({
            "certname": "lost", "state": "revoked", "serial": "BEEF", "not_after": "2031-11-21T15:02:06Z",
            "fingerprint": "DE:BB", "dns_alt_names": ["lost"]
        });
        assert_eq!(*lost, wanted);
        let waits = &value["certificates"][3];
        assert_eq!((&waits["state"], &waits["serial"]), (&"pending".into(), &serde_json::Value::Null));
    }
}
