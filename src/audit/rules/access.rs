//! What was tried, and should have been refused.

use super::Theme;
use crate::audit::model::{Attempt, Evidence, Finding, Rule, Severity, Unseen, Verdict};

/// The theme.
pub const THEME: Theme = Theme {
    title: "Attempts that must be refused",
    rules: &[
        &OLD_TLS,
        &PUPPETDB_ANONYMOUS,
        &PUPPETDB_ORDINARY,
        &POSTGRES_PLAIN,
        &POSTGRES_NO_PASSWORD,
        &CA_API,
        &ADMIN_API,
        &OTHER_NODE,
        &IDENTITY_BY_HEADER,
        &STRANGER_SIGNED,
    ],
    check,
};

/// What puts a service's configuration back.
const ANEW: &str =
    "have the service made anew with its own configuration: `docker rm --force CONTAINER`, then `pupperware up`";

static OLD_TLS: Rule = Rule {
    id: "tls-old-protocol",
    severity: Severity::High,
    title: "a service still speaks TLS 1.0 or 1.1",
    remedy: ANEW,
};
static PUPPETDB_ANONYMOUS: Rule = Rule {
    id: "puppetdb-anonymous",
    severity: Severity::High,
    title: "PuppetDB answers clients without a certificate",
    remedy: ANEW,
};
static PUPPETDB_ORDINARY: Rule = Rule {
    id: "puppetdb-any-certificate",
    severity: Severity::High,
    title: "PuppetDB answers any certificate of the CA, that is every agent",
    remedy: ANEW,
};
static POSTGRES_PLAIN: Rule = Rule {
    id: "postgres-plain",
    severity: Severity::High,
    title: "PostgreSQL takes connections without TLS",
    remedy: ANEW,
};
static POSTGRES_NO_PASSWORD: Rule = Rule {
    id: "postgres-no-password",
    severity: Severity::High,
    title: "PostgreSQL lets PuppetDB's user in without a password",
    remedy: ANEW,
};
static CA_API: Rule = Rule {
    id: "ca-api-open",
    severity: Severity::High,
    title: "the CA's API obeys an ordinary certificate, or none: agents could sign and revoke",
    remedy: ANEW,
};
static ADMIN_API: Rule = Rule {
    id: "admin-api-open",
    severity: Severity::Medium,
    title: "the server's caches can be flushed with an ordinary certificate, or none",
    remedy: ANEW,
};
static OTHER_NODE: Rule = Rule {
    id: "other-node-readable",
    severity: Severity::High,
    title: "a node can read what is meant for another one",
    remedy: ANEW,
};
static IDENTITY_BY_HEADER: Rule = Rule {
    id: "identity-by-header",
    severity: Severity::High,
    title: "the server believes a header that says who the client is",
    remedy: ANEW,
};
static STRANGER_SIGNED: Rule = Rule {
    id: "autosign-stranger",
    severity: Severity::High,
    title: "a stranger's request, without a token, was signed",
    remedy: "set `puppetserver.autosign` to false or to a list of names, and run `pupperware up`; then look for strangers with `puppetserver ca list --all`",
};

fn check(evidence: &Evidence) -> Vec<Finding> {
    let allowed = evidence.probes.iter().filter(|p| p.verdict == Verdict::Allowed);
    allowed.map(|p| rule(p.attempt).broken(&p.place, p.how.clone())).collect()
}

/// Attempts of which nothing can be told.
pub fn unknown(evidence: &Evidence) -> Vec<Unseen> {
    let told = evidence.probes.iter().filter_map(|p| match &p.verdict {
        Verdict::Unknown(why) => Some(Unseen { what: format!("{}: {}", p.place, p.how), why: why.clone() }),
        Verdict::Refused | Verdict::Allowed => None,
    });
    told.collect()
}

fn rule(attempt: Attempt) -> &'static Rule {
    match attempt {
        Attempt::OldTls => &OLD_TLS,
        Attempt::PuppetdbAnonymous => &PUPPETDB_ANONYMOUS,
        Attempt::PuppetdbOrdinary => &PUPPETDB_ORDINARY,
        Attempt::PostgresPlain => &POSTGRES_PLAIN,
        Attempt::PostgresNoPassword => &POSTGRES_NO_PASSWORD,
        Attempt::CaApi => &CA_API,
        Attempt::AdminApi => &ADMIN_API,
        Attempt::OtherNode => &OTHER_NODE,
        Attempt::IdentityByHeader => &IDENTITY_BY_HEADER,
        Attempt::StrangerSigned => &STRANGER_SIGNED,
    }
}
