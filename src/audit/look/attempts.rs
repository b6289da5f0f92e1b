//! What a stranger, or a node with an ordinary certificate, would try: old TLS, other people's data, the CA.
//!
//! Each attempt has a counterpart that must work, so that a service that answers nobody is not taken for a safe one.

use super::volumes::TLS;
use super::{Ground, read};
use crate::audit::model::{Attempt, Evidence, Probe, Verdict};
use crate::desired::PRIMARY;
use crate::observed::Container;

const AUTOSIGN: &str = include_str!("autosign.sh");
/// Where PuppetDB and PostgreSQL have their certificate.
const SSL: &str = "/etc/pupperware/ssl";
/// What PuppetDB is asked for; a short answer on every platform.
const QUERY: &str = "https://puppetdb:8081/pdb/query/v4/environments";

/// All attempts.
pub(super) async fn all(ground: &Ground<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    old_tls(ground, &mut evidence).await;
    puppetdb(ground, &mut evidence).await;
    server(ground, &mut evidence).await;
    stranger(ground, &mut evidence).await;
    evidence
}

async fn old_tls(ground: &Ground<'_>, evidence: &mut Evidence) {
    let (certificate, key) = (format!("{SSL}/cert.pem"), format!("{SSL}/key.pem"));
    let services: [(&str, [&str; 4]); 3] = [
        ("puppetserver", ["8140", "-", "-", "-"]),
        ("puppetdb", ["8081", "-", &certificate, &key]),
        ("postgres", ["5432", "postgres", "-", "-"]),
    ];
    for (service, arguments) in services {
        let Some(container) = ground.service(service) else { continue };
        let place = container.found.name.clone();
        let seen = match ground.script(&container.found.id, TLS, &arguments, None).await {
            Ok(output) => read::versions(&output.stdout),
            Err(why) => {
                evidence.unseen(format!("the TLS versions of {place}"), why);
                continue;
            }
        };
        if !seen.iter().any(|(version, verdict)| version == "TLS 1.2" && *verdict == Verdict::Allowed) {
            evidence.unseen(format!("the TLS versions of {place}"), "it does not speak TLS 1.2 either");
            continue;
        }
        for (version, verdict) in seen.into_iter().filter(|(version, _)| version != "TLS 1.2") {
            let how = format!("a handshake with {version}");
            evidence.probes.push(Probe { attempt: Attempt::OldTls, place: place.clone(), how, verdict });
        }
    }
}

async fn puppetdb(ground: &Ground<'_>, evidence: &mut Evidence) {
    let (Some(puppetdb), Some(postgres)) = (ground.service("puppetdb"), ground.service("postgres")) else {
        if ground.service("puppetdb").is_some() {
            evidence.unseen("who may query PuppetDB", "postgres, whose certificate would be tried, does not run");
        }
        return;
    };
    let (id, place) = (&puppetdb.found.id, &puppetdb.found.name);
    let (certificate, key) = (format!("{SSL}/cert.pem"), format!("{SSL}/key.pem"));
    let with = ["--cert", &certificate, "--key", &key];
    let target = format!("puppetdb:8081:{place}:8081");
    let own = ask(ground, id, &target, SSL, &with, &[QUERY]).await;
    if own != Verdict::Allowed {
        return evidence.unseen(format!("who may query {place}"), "it does not answer its own certificate either");
    }
    let mut probe = |attempt, how: &str, verdict| {
        evidence.probes.push(Probe { attempt, place: place.clone(), how: how.into(), verdict });
    };
    let anonymous = ask(ground, id, &target, SSL, &[], &[QUERY]).await;
    probe(Attempt::PuppetdbAnonymous, "a query without a certificate", anonymous);
    // As ordinary as an agent's, and its container is on the same network.
    let ordinary = ask(ground, &postgres.found.id, &target, SSL, &with, &[QUERY]).await;
    probe(Attempt::PuppetdbOrdinary, "a query with the certificate of postgres", ordinary);
}

/// Somebody with a certificate of the CA that gives no special rights.
struct Caller<'a> {
    container: &'a Container,
    name: &'a str,
    ca_folder: String,
    certificate: [String; 4],
}

/// An agent of the platform, or PuppetDB where there is none.
fn caller<'a>(ground: &'a Ground<'_>) -> Option<Caller<'a>> {
    let agents = ground.desired.replicas.iter().filter(|r| r.service == "agent");
    let agent = agents.filter_map(|r| Some((r.certname.as_str(), ground.running(r)?))).next();
    let flags = |certificate: String, key: String| ["--cert".into(), certificate, "--key".into(), key];
    if let Some((name, container)) = agent {
        let ssl = "/var/lib/puppet/ssl";
        let certificate = flags(format!("{ssl}/certs/{name}.pem"), format!("{ssl}/private_keys/{name}.pem"));
        return Some(Caller { container, name, ca_folder: format!("{ssl}/certs"), certificate });
    }
    let certificate = flags(format!("{SSL}/cert.pem"), format!("{SSL}/key.pem"));
    let container = ground.service("puppetdb")?;
    Some(Caller { container, name: "puppetdb", ca_folder: SSL.into(), certificate })
}

async fn server(ground: &Ground<'_>, evidence: &mut Evidence) {
    let Some(server) = ground.service(PRIMARY) else { return };
    let place = &server.found.name;
    let Some(caller) = caller(ground) else {
        return evidence
            .unseen(format!("what {place} allows"), "there is nobody with an ordinary certificate to ask it");
    };
    let target = format!("puppet:8140:{place}:8140");
    let certificate: Vec<&str> = caller.certificate.iter().map(String::as_str).collect();
    let ask = |with: Vec<&'static str>, own: bool| {
        let identity = if own { certificate.clone() } else { vec![] };
        let (target, caller) = (&target, &caller);
        async move { ask(ground, &caller.container.found.id, target, &caller.ca_folder, &identity, &with).await }
    };
    // What an ordinary certificate is for.
    if ask(vec!["https://puppet:8140/status/v1/simple"], true).await != Verdict::Allowed {
        return evidence.unseen(format!("what {place} allows"), format!("it does not answer {} at all", caller.name));
    }
    let ca = vec!["https://puppet:8140/puppet-ca/v1/certificate_status/puppet"];
    // Were it allowed, it would drop nothing: there is no such environment.
    let flush =
        vec!["-X", "DELETE", "https://puppet:8140/puppet-admin-api/v1/environment-cache?environment=pupperware_audit"];
    let node = vec!["https://puppet:8140/puppet/v3/node/puppet?environment=production"];
    let claimed = [vec!["-H", "X-Client-Verify: SUCCESS", "-H", "X-Client-DN: CN=puppet"], node.clone()].concat();
    for (attempt, what, own, request) in [
        (Attempt::CaApi, "the CA asked about a certificate", true, ca.clone()),
        (Attempt::CaApi, "the CA asked about a certificate", false, ca),
        (Attempt::AdminApi, "a flush of the environment cache", true, flush.clone()),
        (Attempt::AdminApi, "a flush of the environment cache", false, flush),
        (Attempt::OtherNode, "another node's data asked for", true, node.clone()),
        (Attempt::OtherNode, "a node's data asked for", false, node),
        (Attempt::IdentityByHeader, "a node's data asked for, with headers that claim to be it", false, claimed),
    ] {
        let who = if own { format!("with the certificate of {}", caller.name) } else { "without a certificate".into() };
        let verdict = ask(request, own).await;
        evidence.probes.push(Probe { attempt, place: place.clone(), how: format!("{what} {who}"), verdict });
    }
}

/// One request, as curl makes it; `target` is where the name really is.
async fn ask(
    ground: &Ground<'_>,
    container: &str,
    target: &str,
    ca_folder: &str,
    identity: &[&str],
    request: &[&str],
) -> Verdict {
    let ca = format!("{ca_folder}/ca.pem");
    let fixed = ["curl", "-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", &ca];
    let to = ["--connect-to", target];
    let command = [&fixed[..], &to, identity, request].concat().into_iter().map(ToOwned::to_owned).collect();
    match ground.command(container, command, None).await {
        Ok(output) => read::http(output.code, output.stdout.trim(), &output.stderr),
        Err(why) => Verdict::Unknown(why),
    }
}

/// A stranger's request for a certificate: made, looked at, taken away again.
async fn stranger(ground: &Ground<'_>, evidence: &mut Evidence) {
    let Some(server) = ground.service(PRIMARY) else { return };
    let mut random = [0_u8; 6];
    let how = "a request for a certificate without a token".to_owned();
    let verdict = if let Err(error) = getrandom::fill(&mut random) {
        Verdict::Unknown(error.to_string())
    } else {
        let hex: String = random.iter().map(|b| format!("{b:02x}")).collect();
        let certname = format!("pupperware-audit-{hex}");
        match ground.script(&server.found.id, AUTOSIGN, &[&certname], None).await {
            Ok(output) => read::signing(&output.stdout, &output.stderr),
            Err(why) => Verdict::Unknown(why),
        }
    };
    let place = server.found.name.clone();
    evidence.probes.push(Probe { attempt: Attempt::StrangerSigned, place, how, verdict });
}
