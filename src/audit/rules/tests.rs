//! Every rule is broken once, on a platform that is otherwise well, and found: that rule, and no other.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::audit::judge;
use crate::audit::model::{
    Attempt, Certificate, Container, Database, Evidence, File, HbaRule, Image, Leak, Listener, Neighbour, Network,
    Probe, Surface, Update, Verdict, Volumes, Wanted,
};
use crate::engine::found::{ContainerSettings, FoundMount, FoundPort};
use crate::engine::spec::{Attachment, ContainerSpec, Labels, Mount, MountSource, PublishedPort};

const NOW: i64 = 1_800_000_000;
const YEAR: i64 = 365 * 86_400;

/// A platform as it should be: a server, PostgreSQL, their networks and volumes.
fn clean() -> Evidence {
    let file = |path: &str, uid, mode| File { path: path.into(), uid, gid: uid, mode, directory: false };
    let trust = |path: &str, hash: &str| (path.to_owned(), hash.to_owned());
    let refused = |attempt, how: &str| Probe {
        attempt,
        place: "demo-puppetserver-1".into(),
        how: how.into(),
        verdict: Verdict::Refused,
    };
    let certificate = |path: &str| Certificate {
        path: path.into(),
        subject: "CN=puppet".into(),
        not_after: NOW + YEAR,
        key: ("EC".into(), 256),
        signature: "ecdsa-with-SHA256".into(),
    };
    Evidence {
        containers: vec![server(), store()],
        networks: vec![
            Network { name: "demo_front".into(), internal: false, wanted_internal: Some(false) },
            Network { name: "demo_data".into(), internal: true, wanted_internal: Some(true) },
        ],
        volumes: Some(Volumes {
            owners: BTreeMap::from([("ca".into(), vec![920]), ("postgres-config".into(), vec![922])]),
            files: vec![
                file("ca/ca_key.pem", 920, 0o640),
                file("postgres-config/ssl/key.pem", 922, 0o600),
                file("postgres-config/pg_hba.conf", 922, 0o640),
            ],
            keys: vec![trust("ca/ca_key.pem", "k1"), trust("postgres-config/ssl/key.pem", "k2")],
            configuration: vec![("postgres-config/pg_hba.conf".into(), "h".into(), "h".into())],
            trust: vec![
                trust("ca/ca_crt.pem", "c"),
                trust("ca/ca_crl.pem", "r"),
                trust("postgres-config/ssl/ca.pem", "c"),
                trust("postgres-config/ssl/crl.pem", "r"),
            ],
            certificates: vec![certificate("puppetserver-ssl/certs/puppet.pem")],
            crl_ends: vec![("ca/ca_crl.pem".into(), NOW + YEAR)],
            autosign: vec!["*.example.com".into(), "node1.example.com".into()],
        }),
        listeners: vec![listener("puppetserver", 8140), listener("postgres", 5432)],
        probes: vec![refused(Attempt::OldTls, "a handshake with TLS 1.0")],
        database: Some(Database {
            rules: vec![hba("local", "postgres", "peer"), hba("hostssl", "puppetdb", "scram-sha-256")],
            superusers: vec!["postgres".into()],
            weak_passwords: vec![],
        }),
        now: NOW,
        ..Evidence::default()
    }
}

fn server() -> Container {
    let address: IpAddr = "127.0.0.1".parse().unwrap();
    let mut server = container("puppetserver", "920:920", "demo_front");
    server.settings.ports = vec![(FoundPort { address, port: 8140, tcp: true }, 8140)];
    let code = MountSource::Directory("/srv/code".into());
    let target = "/etc/puppet/code".to_owned();
    server.settings.mounts.push(FoundMount { source: code.clone(), target: target.clone(), writable: false });
    let spec = &mut server.wanted.as_mut().unwrap().spec;
    spec.ports = vec![PublishedPort { address, port: 8140, target: 8140 }];
    spec.mounts.push(Mount { source: code, target, read_only: true, labels: Labels::new() });
    server
}

fn store() -> Container {
    container("postgres", "922:922", "demo_data")
}

fn container(service: &str, user: &str, network: &str) -> Container {
    let source = MountSource::Volume(format!("demo_{service}-config"));
    let target = "/etc/pupperware".to_owned();
    Container {
        name: format!("demo-{service}-1"),
        service: service.into(),
        role: "service".into(),
        hash: "h1".into(),
        settings: ContainerSettings {
            user: user.into(),
            cap_drop: vec!["ALL".into()],
            security_opt: vec!["no-new-privileges:true".into()],
            read_only: true,
            pids: Some(512),
            memory_bytes: Some(1 << 30),
            mounts: vec![FoundMount { source: source.clone(), target: target.clone(), writable: true }],
            networks: vec![network.into()],
            image_id: "sha256:1".into(),
            ..ContainerSettings::default()
        },
        wanted: Some(Wanted {
            spec: ContainerSpec {
                image: format!("pupperware/{service}:8-abc"),
                mounts: vec![Mount { source, target, read_only: false, labels: Labels::new() }],
                networks: vec![Attachment { network: network.into(), aliases: vec![] }],
                ..ContainerSpec::default()
            },
            hash: "h1".into(),
            image_key: Some("abc".into()),
        }),
        image: Some(Image {
            reference: format!("pupperware/{service}:8-abc"),
            named: Some("sha256:1".into()),
            key: Some("abc".into()),
        }),
    }
}

fn listener(service: &str, port: u16) -> Listener {
    Listener { container: format!("demo-{service}-1"), service: service.into(), port }
}

fn hba(kind: &str, users: &str, method: &str) -> HbaRule {
    HbaRule { kind: kind.into(), users: users.into(), method: method.into(), text: format!("{kind} {users} {method}") }
}

fn neighbour(network: Option<&str>, volume: Option<&str>) -> Neighbour {
    let list = |key: Option<&str>| key.into_iter().map(ToOwned::to_owned).collect();
    Neighbour { name: "stranger".into(), networks: list(network), volumes: list(volume) }
}

fn settings(evidence: &mut Evidence) -> &mut ContainerSettings {
    &mut evidence.containers[0].settings
}

fn volumes(evidence: &mut Evidence) -> &mut Volumes {
    evidence.volumes.as_mut().unwrap()
}

fn leak(evidence: &mut Evidence, surface: Surface) {
    evidence.leaks.push(Leak { surface, place: "demo-puppetserver-1".into() });
}

fn worked(evidence: &mut Evidence, attempt: Attempt) {
    evidence.probes.push(Probe { attempt, place: "demo".into(), how: "tried".into(), verdict: Verdict::Allowed });
}

fn mounted(evidence: &mut Evidence, source: MountSource) {
    settings(evidence).mounts.push(FoundMount { source, target: "/x".into(), writable: true });
}

fn update(evidence: &mut Evidence, security: bool) {
    let [package, installed, available] = ["curl", "1", "2"].map(String::from);
    evidence.updates.push(Update { container: "demo-postgres-1".into(), package, installed, available, security });
}

type Break = fn(&mut Evidence);

/// How each rule is broken.
const BREAKS: &[(&str, Break)] = &[
    ("store-published", |e| {
        let address = "0.0.0.0".parse().unwrap();
        e.containers[1].settings.ports = vec![(FoundPort { address, port: 15432, tcp: true }, 5432)];
    }),
    ("port-unexpected", |e| settings(e).ports[0].0.address = "0.0.0.0".parse().unwrap()),
    ("puppetboard-published", |e| {
        let address = "0.0.0.0".parse().unwrap();
        let mut board = container("puppetboard", "923:923", "demo_board");
        board.settings.ports = vec![(FoundPort { address, port: 8088, tcp: true }, 8088)];
        board.wanted.as_mut().unwrap().spec.ports = vec![PublishedPort { address, port: 8088, target: 8088 }];
        e.containers.push(board);
    }),
    ("network-not-internal", |e| e.networks[1].internal = false),
    ("network-membership", |e| settings(e).networks.push("bridge".into())),
    ("network-stranger", |e| e.neighbours.push(neighbour(Some("back"), None))),
    ("front-stranger", |e| e.neighbours.push(neighbour(Some("front"), None))),
    ("listener-unexpected", |e| e.listeners.push(listener("puppetdb", 8080))),
    ("container-privileged", |e| settings(e).privileged = true),
    ("container-namespace", |e| settings(e).shared_namespaces.push("network host".into())),
    ("container-device", |e| settings(e).devices.push("/dev/mem".into())),
    ("container-root", |e| settings(e).user = String::new()),
    ("container-capabilities", |e| settings(e).cap_add.push("NET_RAW".into())),
    ("container-new-privileges", |e| settings(e).security_opt.clear()),
    ("container-unconfined", |e| settings(e).security_opt.push("seccomp=unconfined".into())),
    ("container-writable-root", |e| settings(e).read_only = false),
    ("container-no-pids-limit", |e| settings(e).pids = None),
    ("container-no-memory-limit", |e| settings(e).memory_bytes = None),
    ("container-drift", |e| e.containers[1].hash = "h0".into()),
    ("container-unknown", |e| e.containers[1].wanted = None),
    ("mount-engine-socket", |e| mounted(e, MountSource::Directory("/var/run/docker.sock".into()))),
    ("mount-host-path", |e| mounted(e, MountSource::Directory("/etc".into()))),
    ("mount-code-writable", |e| settings(e).mounts[1].writable = true),
    ("mount-volume-unexpected", |e| mounted(e, MountSource::Volume("demo_ca".into()))),
    ("volume-stranger", |e| e.neighbours.push(neighbour(None, Some("ca")))),
    ("secret-in-environment", |e| leak(e, Surface::Environment)),
    ("secret-in-labels", |e| leak(e, Surface::Labels)),
    ("secret-in-arguments", |e| leak(e, Surface::Arguments)),
    ("secret-in-logs", |e| leak(e, Surface::Logs)),
    ("private-file-mode", |e| volumes(e).files[0].mode = 0o644),
    ("private-file-owner", |e| volumes(e).files[1].uid = 1000),
    ("file-world-writable", |e| volumes(e).files[2].mode = 0o646),
    ("ca-key-copy", |e| volumes(e).keys.push(("code/backup.pem".into(), "k1".into()))),
    ("configuration-differs", |e| volumes(e).configuration[0].1 = "other".into()),
    ("certificate-expired", |e| volumes(e).certificates[0].not_after = NOW - 1),
    ("certificate-expires-soon", |e| volumes(e).certificates[0].not_after = NOW + 59 * 86_400),
    ("certificate-weak", |e| volumes(e).certificates[0].key = ("RSA".into(), 1024)),
    ("trust-differs", |e| volumes(e).trust[2].1 = "other".into()),
    ("crl-stale", |e| volumes(e).trust[3].1 = "older".into()),
    ("crl-expires-soon", |e| volumes(e).crl_ends[0].1 = NOW + 86_400),
    ("autosign-everybody", |e| volumes(e).autosign.push("*".into())),
    ("autosign-wide", |e| volumes(e).autosign.push("web*.com".into())),
    ("tls-old-protocol", |e| e.probes[0].verdict = Verdict::Allowed),
    ("puppetdb-anonymous", |e| worked(e, Attempt::PuppetdbAnonymous)),
    ("puppetdb-any-certificate", |e| worked(e, Attempt::PuppetdbOrdinary)),
    ("postgres-plain", |e| worked(e, Attempt::PostgresPlain)),
    ("postgres-no-password", |e| worked(e, Attempt::PostgresNoPassword)),
    ("ca-api-open", |e| worked(e, Attempt::CaApi)),
    ("admin-api-open", |e| worked(e, Attempt::AdminApi)),
    ("other-node-readable", |e| worked(e, Attempt::OtherNode)),
    ("identity-by-header", |e| worked(e, Attempt::IdentityByHeader)),
    ("autosign-stranger", |e| worked(e, Attempt::StrangerSigned)),
    ("postgres-hba", |e| e.database.as_mut().unwrap().rules.push(hba("hostssl", "puppetdb", "trust"))),
    ("postgres-hba-superuser", |e| e.database.as_mut().unwrap().rules.push(hba("hostssl", "all", "scram-sha-256"))),
    ("postgres-superuser", |e| e.database.as_mut().unwrap().superusers.push("puppetdb".into())),
    ("postgres-weak-password", |e| e.database.as_mut().unwrap().weak_passwords.push("puppetdb".into())),
    ("image-moved", |e| e.containers[1].image.as_mut().unwrap().named = Some("sha256:2".into())),
    ("image-content", |e| e.containers[1].image.as_mut().unwrap().key = None),
    ("image-floating", |e| e.containers[1].wanted.as_mut().unwrap().image_key = None),
    ("updates-security", |e| update(e, true)),
    ("updates-other", |e| update(e, false)),
];

fn found(evidence: &Evidence) -> Vec<&'static str> {
    judge("demo", evidence).findings.iter().map(|f| f.id).collect()
}

#[test]
fn a_platform_that_is_well_has_no_finding() {
    let audit = judge("demo", &clean());
    assert!(audit.clean, "{:#?}", audit.findings);
}

#[test]
fn each_rule_is_found_where_it_is_broken_and_no_other() {
    for (id, broken) in BREAKS {
        let mut evidence = clean();
        broken(&mut evidence);
        assert_eq!(found(&evidence), [*id], "{id}");
    }
}

#[test]
fn no_rule_is_without_its_break() {
    let broken: Vec<&str> = BREAKS.iter().map(|(id, _)| *id).collect();
    let rules: Vec<&str> = super::all().map(|r| r.id).collect();
    assert_eq!(broken, rules, "in the same order, each once");
}

#[test]
fn what_was_not_seen_is_never_clean() {
    let mut evidence = clean();
    evidence.probes[0].verdict = Verdict::Unknown("no connection".into());
    let audit = judge("demo", &evidence);
    assert!(audit.findings.is_empty() && !audit.clean);
    assert_eq!(audit.unseen[0].what, "demo-puppetserver-1: a handshake with TLS 1.0");
}

#[test]
fn the_worst_comes_first() {
    let mut evidence = clean();
    update(&mut evidence, false);
    settings(&mut evidence).pids = None;
    mounted(&mut evidence, MountSource::Directory("/".into()));
    assert_eq!(found(&evidence), ["mount-engine-socket", "container-no-pids-limit", "updates-other"]);
}

#[test]
fn helpers_may_be_root_and_nothing_more() {
    let mut evidence = clean();
    let helper = &mut evidence.containers[1];
    (helper.role, helper.wanted, helper.service) = ("task".into(), None, String::new());
    helper.settings.user = "0:0".into();
    assert_eq!(found(&evidence), [""; 0]);
    evidence.containers[1].settings.privileged = true;
    assert_eq!(found(&evidence), ["container-privileged"]);
}

#[test]
fn a_key_by_its_content_is_a_key_wherever_it_is() {
    let mut evidence = clean();
    let path = "puppetserver-data/notes.txt";
    volumes(&mut evidence).files.push(File { path: path.into(), uid: 920, gid: 920, mode: 0o644, directory: false });
    assert_eq!(found(&evidence), [""; 0]);
    volumes(&mut evidence).keys.push((path.into(), "k9".into()));
    assert_eq!(found(&evidence), ["private-file-mode"]);
}

#[test]
fn patterns_end_in_a_domain_of_somebody() {
    for (glob, ids) in [
        ("*", &["autosign-everybody"][..]),
        ("*.*", &["autosign-everybody"]),
        ("*.com", &["autosign-wide"]),
        ("web*", &["autosign-wide"]),
        ("*.example.com", &[]),
        ("web*.example.com", &[]),
    ] {
        let mut evidence = clean();
        volumes(&mut evidence).autosign = vec![glob.into()];
        assert_eq!(found(&evidence), ids, "{glob}");
    }
}
