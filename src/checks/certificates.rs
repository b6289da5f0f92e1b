//! Checks of the platform's certificates: read from the running containers, expiry and names.

use x509_parser::pem::parse_x509_pem;

use super::{Check, Severity};
use crate::desired::labels;
use crate::engine::Engine;
use crate::observed::Observed;

/// Days before its end in which a certificate is worth a warning.
const SOON_DAYS: i64 = 60;

/// Where each service keeps its certificate.
const PLACES: [(&str, &str, &str); 8] = [
    ("certificate-ca", "puppetserver", "/etc/puppet/puppetserver/ca/ca_crt.pem"),
    ("certificate-puppetserver", "puppetserver", "/var/lib/puppet/ssl/certs/puppet.pem"),
    ("certificate-puppetdb", "puppetdb", "/etc/pupperware/ssl/cert.pem"),
    ("certificate-postgres", "postgres", "/etc/pupperware/ssl/cert.pem"),
    ("certificate-puppetboard", "puppetboard", "/etc/pupperware/ssl/cert.pem"),
    ("certificate-relay", "relay", "/etc/pupperware/ssl/cert.pem"),
    ("certificate-bridge", "bridge", "/etc/pupperware/ssl/cert.pem"),
    ("certificate-balancer", "balancer", "/etc/pupperware/ssl/cert.pem"),
];

/// One check a certificate.
pub(super) async fn all(engine: &Engine, observed: &Observed) -> Vec<Check> {
    let mut checks = Vec::new();
    for (id, service, path) in PLACES {
        let Some((name, container)) = observed.services().find(|(_, c)| c.label(labels::SERVICE) == service) else {
            checks.push(Check::ok("certificates", id, format!("not known: there is no container of {service}")));
            continue;
        };
        checks.push(look(engine, id, name, &container.found.id, path, &renewal(id, service)).await);
    }
    checks.push(compilers(engine, observed).await);
    checks
}

/// All compilers' at once: the first that is not well, or how many are.
async fn compilers(engine: &Engine, observed: &Observed) -> Check {
    let id = "certificate-compilers";
    let mut well = 0;
    for (name, container) in observed.services().filter(|(_, c)| c.label(labels::SERVICE) == "compiler") {
        let path = format!("/var/lib/puppet/ssl/certs/{}.pem", container.label(labels::CERTNAME));
        let renew = "make them anew with `pupperware scale compilers=0` and then as many as there were".to_owned();
        let check = look(engine, id, name, &container.found.id, &path, &renew).await;
        if check.severity != Severity::Ok {
            return check;
        }
        well += 1;
    }
    match well {
        0 => Check::ok("certificates", id, "not known: there is no container of compiler"),
        _ => Check::ok("certificates", id, format!("{well} of {well} are well")),
    }
}

/// What is at this path of this container.
async fn look(engine: &Engine, id: &'static str, name: &str, container: &str, path: &str, renew: &str) -> Check {
    let file = engine.get_files(container, path).await;
    match file.map(|found| found.and_then(|files| files.into_iter().next())) {
        Ok(Some((_, pem))) => certificate(id, &pem, renew),
        Ok(None) => Check::error("certificates", id, format!("{path} is missing in {name}"), "run `pupperware up`"),
        Err(e) => Check::error(
            "certificates",
            id,
            format!("{path} cannot be read in {name}: {e}"),
            "see whether the engine is well, and run `pupperware up`",
        ),
    }
}

fn renewal(id: &str, service: &str) -> String {
    match id {
        "certificate-ca" => "a CA is not renewed: plan for a new platform, or a CA from elsewhere".to_owned(),
        _ => format!("renew it with `pupperware ca reissue {service}`"),
    }
}

fn certificate(id: &'static str, pem: &[u8], renew: &str) -> Check {
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
        return Check::error("certificates", id, format!("{subject} ended on {until}"), renew);
    }
    if days < SOON_DAYS {
        return Check::warning("certificates", id, format!("{subject} ends in {days} days, on {until}"), renew);
    }
    Check::ok("certificates", id, format!("{subject} until {until}"))
}
