//! The audit sees what is broken on a real platform: that, and nothing else; and its remedies mend it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::platform::{Platform, docker, turn};

/// What is found on the platform that `break_it` leaves.
const BROKEN: [&str; 31] = [
    "autosign-everybody",
    "autosign-stranger",
    "ca-key-copy",
    "configuration-differs",
    "container-device",
    "container-namespace",
    "container-no-pids-limit",
    "container-unknown",
    "crl-stale",
    "file-world-writable",
    "listener-unexpected",
    "mount-engine-socket",
    "mount-host-path",
    "network-membership",
    "network-stranger",
    "port-unexpected",
    "postgres-hba",
    "postgres-hba-superuser",
    "postgres-no-password",
    "postgres-plain",
    "postgres-superuser",
    "private-file-mode",
    "puppetdb-anonymous",
    "puppetdb-any-certificate",
    "secret-in-arguments",
    "secret-in-environment",
    "secret-in-labels",
    "secret-in-logs",
    "store-published",
    "tls-old-protocol",
    "volume-stranger",
];

/// Intent: a new platform is clean; each thing that somebody could break is found, and nothing that nobody broke; what
/// the findings advise makes it clean again; a platform that is not whole is never called clean.
#[test]
#[ignore = "takes 6 minutes: `make engine-all` runs it"]
fn what_is_broken_is_found_and_nothing_else() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();
    platform.ok(&["audit"]).says("clean, nothing was found");
    let pending = platform.inside("puppetserver", &["puppetserver", "ca", "list"]);
    assert!(!pending.contains("pupperware-audit"), "the stranger's request is taken away: {pending}");
    assert_eq!(platform.status()["drift"]["state"], "none", "the helper is gone");
    an_agents_certificate_is_refused_by_puppetdb(&platform);

    let strangers = break_it(&platform);
    let broken = audit(&platform, 3);
    let mut found: Vec<&str> = list(&broken, "findings").iter().map(|f| f["id"].as_str().unwrap()).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, BROKEN, "{broken:#}");
    assert_eq!(list(&broken, "unseen").len(), 0, "{broken:#}");
    let password = password(&platform);
    let shown = broken.to_string() + &platform.run(&["audit", "-o", "sarif"]).expect(3).stdout;
    assert!(!shown.contains(&password), "a finding must not show the secret");

    drop(strangers);
    mend(&platform);
    let mended = audit(&platform, 0);
    assert_eq!(mended["clean"], true, "{mended:#}");

    // Half of it: nothing is wrong with what can be seen, and that is not enough.
    platform.ok(&["stop", "puppetdb"]);
    let half = audit(&platform, 3);
    assert_eq!((&half["clean"], list(&half, "findings").len()), (&Value::Bool(false), 0), "{half:#}");
    let unseen = list(&half, "unseen");
    assert!(unseen.iter().any(|u| u["what"] == platform.container("puppetdb").as_str()), "{half:#}");
}

fn audit(platform: &Platform, code: i32) -> Value {
    serde_json::from_str(&platform.run(&["audit", "-o", "json"]).expect(code).stdout).unwrap()
}

fn list<'a>(document: &'a Value, key: &str) -> &'a Vec<Value> {
    document[key].as_array().unwrap()
}

fn password(platform: &Platform) -> String {
    platform.inside("puppetdb", &["cat", "/etc/pupperware/secrets/puppetdb-password"]).trim().to_owned()
}

/// The audit tries a certificate that is as ordinary as an agent's; here it is an agent's own.
pub fn an_agents_certificate_is_refused_by_puppetdb(platform: &Platform) {
    let name = format!("{}-agent-1", platform.project);
    let pem = |service: &str, path: &str| platform.inside(service, &["cat", path]);
    let own = ["cert", "key"].map(|f| pem("puppetdb", &format!("/etc/pupperware/ssl/{f}.pem")));
    assert_eq!(answer_to(platform, &own[0], &own[1]), "200");
    let agents = ["certs", "private_keys"].map(|f| pem("agent", &format!("/var/lib/puppet/ssl/{f}/{name}.pem")));
    assert_eq!(answer_to(platform, &agents[0], &agents[1]), "403");
}

/// The status with which PuppetDB answers a query that is made with this certificate.
pub fn answer_to(platform: &Platform, certificate: &str, key: &str) -> String {
    let puppetdb = platform.container("puppetdb");
    pour(&puppetdb, "/tmp/cert.pem", certificate);
    pour(&puppetdb, "/tmp/key.pem", key);
    let fixed = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--resolve", "puppetdb:8081:127.0.0.1"];
    let identity = ["--cacert", "/etc/pupperware/ssl/ca.pem", "--cert", "/tmp/cert.pem", "--key", "/tmp/key.pem"];
    let query = ["https://puppetdb:8081/pdb/query/v4/nodes"];
    platform.inside("puppetdb", &[&fixed[..], &identity, &query].concat())
}

/// Containers that are not the platform's own.
struct Strangers(Vec<String>);

impl Drop for Strangers {
    fn drop(&mut self) {
        for name in &self.0 {
            docker(&["rm", "--force", name]);
        }
    }
}

/// Breaks as much as one platform takes.
fn break_it(platform: &Platform) -> Strangers {
    let [server, puppetdb, postgres, agent] =
        ["puppetserver", "puppetdb", "postgres", "agent"].map(|s| platform.container(s));
    let sh = |container: &str, script: &str| docker(&["exec", container, "sh", "-c", script]);
    let password = password(platform);

    // PuppetDB takes everybody, and listens in clear text, too.
    sh(
        &puppetdb,
        "cd /etc/pupperware/conf.d && sed -i /certificate-allowlist/d config.ini && \
        sed -i -e 's/client-auth = need/client-auth = none/' -e '$ahost = 0.0.0.0' -e '$aport = 8080' jetty.ini && \
        chmod 666 jetty.ini",
    );
    docker(&["restart", &puppetdb]);

    // PostgreSQL takes everybody without TLS or with an old one, and PuppetDB's user is its master.
    sh(
        &postgres,
        "cd /etc/pupperware && sed -i '1i host all all all trust' pg_hba.conf && \
        sed -i s/TLSv1.2/TLSv1/ postgresql.conf && echo \"ssl_ciphers = 'ALL:@SECLEVEL=0'\" >> postgresql.conf && \
        cat ssl/crl.pem ssl/crl.pem > /tmp/crl.pem && cat /tmp/crl.pem > ssl/crl.pem && \
        psql -U postgres -c 'ALTER ROLE puppetdb SUPERUSER' -c 'SELECT pg_reload_conf()'",
    );
    docker(&["network", "connect", &format!("{}_front", platform.project), &postgres]);

    // The server signs everybody, and its CA's key lies about.
    sh(
        &server,
        "echo '*' >> /etc/pupperware/autosign.globs && cd /etc/puppet/puppetserver/ca && chmod 644 ca_key.pem && \
        cp ca_key.pem /var/lib/puppet/ssl/private/copy.pem",
    );
    docker(&["update", "--pids-limit", "-1", &agent]);
    docker(&["exec", "--detach", &agent, "sh", "-c", &format!("sleep 600; : {password}")]);

    // Somebody on a private network with the CA's volume, and two who say that they belong to us.
    let image = docker(&["inspect", "--format", "{{.Config.Image}}", &agent]);
    let strangers = ["stranger", "cuckoo", "store"].map(|name| format!("{}-{name}", platform.project));
    let [stranger, cuckoo, store] = strangers.each_ref().map(String::as_str);
    let network = format!("{}_back", platform.project);
    let volume = format!("{}:/stolen:ro", platform.volume("ca"));
    let test = format!("dev.pupperware.test={}", platform.project);
    docker(&["create", "--name", stranger, "--label", &test, "--network", &network, "--volume", &volume, &image]);
    let ours = format!("dev.pupperware.project={}", platform.project);
    let confined = [
        "--label",
        &ours,
        "--user",
        "1:1",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--read-only",
        "--pids-limit",
        "9",
        "--memory",
        "64m",
        "--label",
        "dev.pupperware.role=service",
        &image,
    ];
    let (secret, label) = (format!("PASSWORD={password}"), format!("note={password}"));
    let cuckoo = [
        "create",
        "--name",
        cuckoo,
        "--env",
        &secret,
        "--label",
        &label,
        "--device",
        "/dev/null",
        "--pid",
        "host",
        "--volume",
        "/var/run/docker.sock:/s",
        "--volume",
        "/srv:/srv:ro",
        "--publish",
        "127.0.0.1:1:1",
    ];
    docker(&[&cuckoo[..], &confined].concat());
    let service = "dev.pupperware.service=postgres";
    docker(
        &[&["create", "--name", store, "--label", service, "--publish", "127.0.0.1:2:5432"][..], &confined].concat(),
    );

    docker(&["exec", &puppetdb, "pupperware-ready", "--wait", "120"]);
    docker(&["exec", &puppetdb, "sh", "-c", "cat /etc/pupperware/secrets/puppetdb-password > /proc/1/fd/1"]);
    Strangers(strangers.to_vec())
}

/// What the findings advise.
fn mend(platform: &Platform) {
    let [server, puppetdb, postgres, agent] =
        ["puppetserver", "puppetdb", "postgres", "agent"].map(|s| platform.container(s));
    docker(&["exec", &server, "chmod", "640", "/etc/puppet/puppetserver/ca/ca_key.pem"]);
    docker(&["exec", &server, "rm", "/var/lib/puppet/ssl/private/copy.pem"]);
    docker(&["exec", &postgres, "psql", "-U", "postgres", "-c", "ALTER ROLE puppetdb NOSUPERUSER"]);
    let crl = docker(&["exec", &server, "cat", "/etc/puppet/puppetserver/ca/ca_crl.pem"]);
    pour(&postgres, "/etc/pupperware/ssl/crl.pem", &crl);
    docker(&["rm", "--force", &server, &puppetdb, &postgres, &agent]);
    platform.up();
    // The mode of a file that is written anew is the one that it should have.
    let jetty = platform.inside("puppetdb", &["stat", "-c", "%a", "/etc/pupperware/conf.d/jetty.ini"]);
    assert_eq!(jetty.trim(), "640");
}

/// Writes a file in a container.
fn pour(container: &str, path: &str, content: &str) {
    let mut child = Command::new("docker")
        .args(["exec", "--interactive", container, "sh", "-c", &format!("cat > {path}")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{content}").unwrap();
    assert!(child.wait().unwrap().success(), "{path} in {container}");
}
