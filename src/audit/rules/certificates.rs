//! Certificates, the CRL, and who gets signed.

use super::Theme;
use crate::audit::model::{Certificate, Evidence, Finding, Rule, Severity, Volumes};
use crate::audit::policy;

/// The theme.
pub const THEME: Theme = Theme {
    title: "Certificates and signing",
    rules: &[
        &EXPIRED,
        &EXPIRES_SOON,
        &WEAK,
        &TRUST_DIFFERS,
        &CRL_STALE,
        &CRL_EXPIRES,
        &AUTOSIGN_EVERYBODY,
        &AUTOSIGN_WIDE,
    ],
    check,
};

static EXPIRED: Rule = Rule {
    id: "certificate-expired",
    severity: Severity::High,
    title: "a certificate is past its end",
    remedy: "have it issued anew: docs/concepts/certificates.md tells how",
};
static EXPIRES_SOON: Rule = Rule {
    id: "certificate-expires-soon",
    severity: Severity::Medium,
    title: "a certificate is near its end",
    remedy: "plan its renewal: docs/concepts/certificates.md tells how",
};
static WEAK: Rule = Rule {
    id: "certificate-weak",
    severity: Severity::High,
    title: "a certificate has a short key or a broken signature",
    remedy: "have it issued anew with a better one: docs/concepts/certificates.md tells which are made",
};
static TRUST_DIFFERS: Rule = Rule {
    id: "trust-differs",
    severity: Severity::High,
    title: "a service trusts another CA than the platform's",
    remedy: "find out who changed the file; `docker rm --force CONTAINER` and `pupperware up` put the CA's certificate back",
};
static CRL_STALE: Rule = Rule {
    id: "crl-stale",
    severity: Severity::High,
    title: "a service has another list of revoked certificates than the CA: it may still take one",
    remedy: "bring the CA's list to the services with `pupperware ca crl`",
};
static CRL_EXPIRES: Rule = Rule {
    id: "crl-expires-soon",
    severity: Severity::High,
    title: "a list of revoked certificates is near its end or past it: then every connection is refused",
    remedy: "`pupperware ca crl` has the CA make a new one, and brings it to the services",
};
static AUTOSIGN_EVERYBODY: Rule = Rule {
    id: "autosign-everybody",
    severity: Severity::High,
    title: "everybody who reaches the server gets a certificate",
    remedy: "set `puppetserver.autosign` to false or to a list of names, and run `pupperware up`",
};
static AUTOSIGN_WIDE: Rule = Rule {
    id: "autosign-wide",
    severity: Severity::Medium,
    title: "a pattern for signing takes in names that nobody controls as a whole",
    remedy: "name a domain of your own (`*.example.com`) in `puppetserver.autosign`, and run `pupperware up`",
};

/// Seconds.
const DAY: i64 = 86_400;

fn check(evidence: &Evidence) -> Vec<Finding> {
    let Some(volumes) = &evidence.volumes else { return vec![] };
    let mut findings = Vec::new();
    for certificate in &volumes.certificates {
        validity(certificate, evidence.now, &mut findings);
        strength(certificate, &mut findings);
    }
    copies(volumes, "ca/ca_crt.pem", "/ca.pem", &TRUST_DIFFERS, &mut findings);
    copies(volumes, "ca/ca_crl.pem", "/crl.pem", &CRL_STALE, &mut findings);
    for (path, end) in &volumes.crl_ends {
        let days = (end - evidence.now).div_euclid(DAY);
        if days < policy::EXPIRES_SOON_DAYS {
            findings.push(CRL_EXPIRES.broken(path, format!("days left: {days}")));
        }
    }
    for glob in &volumes.autosign {
        autosign(glob, &mut findings);
    }
    findings
}

fn validity(certificate: &Certificate, now: i64, findings: &mut Vec<Finding>) {
    let days = (certificate.not_after - now).div_euclid(DAY);
    if days < 0 {
        let evidence = format!("{} ended {} days ago", certificate.subject, -days);
        findings.push(EXPIRED.broken(&certificate.path, evidence));
    } else if days < policy::EXPIRES_SOON_DAYS {
        findings.push(EXPIRES_SOON.broken(&certificate.path, format!("{} ends in {days} days", certificate.subject)));
    }
}

fn strength(certificate: &Certificate, findings: &mut Vec<Finding>) {
    let (kind, bits) = (certificate.key.0.as_str(), certificate.key.1);
    let least = if kind == "RSA" { policy::RSA_BITS } else { policy::EC_BITS };
    if bits < least {
        let evidence = format!("{}: {kind} key of {bits} bits, and {least} are the least", certificate.subject);
        findings.push(WEAK.broken(&certificate.path, evidence));
    }
    let signature = certificate.signature.to_lowercase();
    if ["md5", "sha1"].iter().any(|broken| signature.contains(broken)) {
        findings.push(WEAK.broken(&certificate.path, format!("{}: signed with {signature}", certificate.subject)));
    }
}

/// Every copy that ends like this must be what the CA has.
fn copies(volumes: &Volumes, original: &str, end: &str, rule: &'static Rule, findings: &mut Vec<Finding>) {
    let Some((_, wanted)) = volumes.trust.iter().find(|(path, _)| path == original) else { return };
    for (path, found) in volumes.trust.iter().filter(|(path, _)| path.ends_with(end) && !path.starts_with("ca/")) {
        if found != wanted {
            findings.push(rule.broken(path, format!("it is not the content of {original}")));
        }
    }
}

fn autosign(glob: &str, findings: &mut Vec<Finding>) {
    let place = "puppetserver-config/autosign.globs";
    if glob.chars().all(|c| matches!(c, '*' | '.')) {
        findings.push(AUTOSIGN_EVERYBODY.broken(place, format!("the pattern {glob}")));
        return;
    }
    // What stands behind the last star is what its owner controls: a domain has at least two labels.
    if let Some((_, fixed)) = glob.rsplit_once('*')
        && fixed.split('.').filter(|label| !label.is_empty()).count() < 2
    {
        findings.push(AUTOSIGN_WIDE.broken(place, format!("the pattern {glob}")));
    }
}
