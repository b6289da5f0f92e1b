//! Checks of the platform's certificates: read from the running containers, expiry and names.

use x509_parser::pem::parse_x509_pem;

use super::Check;
use crate::desired::Desired;
use crate::engine::Engine;
use crate::error::Result;
use crate::observed::{Container, Observed};

/// Days before its end in which a certificate is worth a warning.
const SOON_DAYS: i64 = 60;

/// Where each service keeps its certificate.
const PLACES: [(&str, &str, &str); 4] = [
    ("certificate-ca", "puppetserver", "/etc/puppet/puppetserver/ca/ca_crt.pem"),
    ("certificate-puppetserver", "puppetserver", "/var/lib/puppet/ssl/certs/puppet.pem"),
    ("certificate-puppetdb", "puppetdb", "/etc/pupperware/ssl/cert.pem"),
    ("certificate-postgres", "postgres", "/etc/pupperware/ssl/cert.pem"),
];

/// One check a certificate; those of containers that do not exist are left out.
pub(super) async fn all(engine: &Engine, desired: &Desired, observed: &Observed) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (id, service, path) in PLACES {
        let replica = desired.replicas.iter().find(|r| r.service == service);
        let container = replica.and_then(|r| observed.containers.get(&r.spec.name));
        let Some(container): Option<&Container> = container else { continue };
        let file = engine.get_files(&container.found.id, path).await?.and_then(|f| f.into_iter().next());
        checks.push(match file {
            Some((_, pem)) => certificate(id, &pem),
            None => Check::error(
                "certificates",
                id,
                format!("{path} is missing in {}", container.found.name),
                "run `pupperware up`",
            ),
        });
    }
    Ok(checks)
}

fn certificate(id: &'static str, pem: &[u8]) -> Check {
    let parsed = parse_x509_pem(pem).ok().and_then(|(_, p)| {
        let certificate = p.parse_x509().ok()?;
        let end = certificate.validity().not_after.timestamp();
        Some((certificate.subject().to_string(), end))
    });
    let Some((subject, end)) = parsed else {
        return Check::error("certificates", id, "not a certificate", "restore it, or run `pupperware up`");
    };
    let now = jiff::Timestamp::now();
    let Ok(end) = jiff::Timestamp::from_second(end) else {
        return Check::error(
            "certificates",
            id,
            format!("{subject} has an end that makes no sense"),
            "run `pupperware up`",
        );
    };
    let days = end.duration_since(now).as_hours() / 24;
    let until = end.strftime("%Y-%m-%d");
    if days < 0 {
        return Check::error(
            "certificates",
            id,
            format!("{subject} ended on {until}"),
            "docs/concepts/certificates.md tells how to have it issued anew",
        );
    }
    if days < SOON_DAYS {
        return Check::warning(
            "certificates",
            id,
            format!("{subject} ends in {days} days, on {until}"),
            "plan its renewal",
        );
    }
    Check::ok("certificates", id, format!("{subject} until {until}"))
}
