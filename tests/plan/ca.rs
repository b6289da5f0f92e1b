//! `ca`: which certificate is signed, revoked, removed or issued anew, in which order, and what is refused.

use insta::assert_snapshot;
use pupperware::engine::found::ContainerState;
use pupperware::plan::ca::{clean, crl, revoke, sign, token};
use pupperware::plan::{Import, import, reconcile, reissue};
use pupperware::puppet::ca::{CertName, Certificate, State};

use crate::world::{failure, platform, running, text};

const CANARY: &str = "pupperware-canary-new";

fn name(text: &str) -> CertName {
    text.parse().expect("a good name")
}

fn names(text: &str) -> Vec<CertName> {
    text.split(' ').map(name).collect()
}

fn certificate(certname: &str, state: State) -> Certificate {
    Certificate {
        certname: certname.into(),
        state,
        serial: None,
        not_after: None,
        fingerprint: format!("FP:{certname}"),
        dns_alt_names: vec![certname.into()],
    }
}

/// What the CA lists in every case below.
fn listed() -> Vec<Certificate> {
    let mut tricky = certificate("tricky", State::Pending);
    tricky.dns_alt_names.push("puppet".into());
    let mut all = vec![tricky];
    let states = [("new", State::Pending), ("web01", State::Signed), ("gone", State::Revoked)];
    all.extend(states.map(|(name, state)| certificate(name, state)));
    all.extend(["puppet", "puppetdb", "postgres", "demo-agent-1"].map(|name| certificate(name, State::Signed)));
    all
}

#[test]
fn a_revocation_goes_to_everybody_and_is_seen_to_hold() {
    let (desired, mut engine) = running("");
    let plan = revoke(&desired, &engine.observed, &listed(), &names("web01"), CANARY).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  make the canary certificate pupperware-canary-new  (what is revoked with it is seen to be refused)
    1  revoke certificate pupperware-canary-new  (made for it)  after 0
    2  revoke certificate web01  (asked to revoke)  after 0
    3  give the revocation list to container demo-postgres-1  (revocations are worth what is known of them)  after 1,2
    4  give the revocation list to container demo-puppetdb-1  (revocations are worth what is known of them)  after 1,2
    5  give the revocation list to container demo-puppetserver-1  (revocations are worth what is known of them)  after 1,2
    6  see the canary refused by container demo-puppetdb-1  (it has the new list)  after 3,4,5
    7  see the canary refused by container demo-puppetserver-1  (it has the new list)  after 3,4,5
    8  remove certificate pupperware-canary-new  (it has served)  after 6,7
    ");
    engine.carry_out(&plan);
}

#[test]
fn one_that_was_revoked_before_an_interruption_is_still_pushed() {
    let (desired, engine) = running("");
    let plan = revoke(&desired, &engine.observed, &listed(), &names("gone"), CANARY).unwrap();
    let kinds: Vec<&str> = plan.steps.iter().map(|s| s.action.kind()).collect();
    assert_eq!(kinds.iter().filter(|k| **k == "push_crl").count(), 3, "{kinds:?}");
    assert!(!text(&desired, &plan).contains("revoke certificate gone"));
}

#[test]
fn a_canary_that_was_left_over_goes_too() {
    let (desired, engine) = running("");
    let mut listed = listed();
    listed.push(certificate("pupperware-canary-old", State::Signed));
    let plan = crl(&desired, &engine.observed, &listed, CANARY).unwrap();
    let text = text(&desired, &plan);
    assert!(text.contains("revoke certificate pupperware-canary-old"), "{text}");
    assert!(text.contains("remove certificate pupperware-canary-old"), "{text}");
}

#[test]
fn cleaning_forgets_last() {
    let (desired, mut engine) = running("");
    let plan = clean(&desired, &engine.observed, &listed(), &names("web01 new"), CANARY).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
     0  make the canary certificate pupperware-canary-new  (what is revoked with it is seen to be refused)
     1  revoke certificate pupperware-canary-new  (made for it)  after 0
     2  revoke certificate web01  (asked to revoke)  after 0
     3  give the revocation list to container demo-postgres-1  (revocations are worth what is known of them)  after 1,2
     4  give the revocation list to container demo-puppetdb-1  (revocations are worth what is known of them)  after 1,2
     5  give the revocation list to container demo-puppetserver-1  (revocations are worth what is known of them)  after 1,2
     6  see the canary refused by container demo-puppetdb-1  (it has the new list)  after 3,4,5
     7  see the canary refused by container demo-puppetserver-1  (it has the new list)  after 3,4,5
     8  remove certificate pupperware-canary-new  (it has served)  after 6,7
     9  remove certificate web01  (asked to clean)  after 6,7
    10  remove certificate new  (asked to clean)
    ");
    engine.carry_out(&plan);
}

#[test]
fn a_mere_request_is_forgotten_without_ado() {
    let (desired, engine) = running("");
    let plan = clean(&desired, &engine.observed, &listed(), &names("new"), CANARY).unwrap();
    assert_snapshot!(text(&desired, &plan), @"  0  remove certificate new  (asked to clean)");
}

#[test]
fn only_what_was_approved_is_signed() {
    let (desired, engine) = running("");
    let approve = |name: &str, fingerprint: &str| vec![(self::name(name), Some(fingerprint.to_owned()))];
    let plan = sign(&desired, &engine.observed, &listed(), &approve("new", "FP:new")).unwrap();
    assert_snapshot!(text(&desired, &plan), @"  0  sign certificate new  (asked to sign)");
    let signed = [(name("web01"), None)];
    assert!(sign(&desired, &engine.observed, &listed(), &signed).unwrap().is_empty());
    let refused = |approved: Vec<_>| failure(&sign(&desired, &engine.observed, &listed(), &approved).unwrap_err());
    assert_snapshot!(refused(approve("new", "FP:other")), @"
    exit 6: new has made another request since it was looked at
    hint: look again with `pupperware ca list`
    ");
    assert_snapshot!(refused(vec![(name("tricky"), None)]), @"
    exit 6: tricky asks for other names, too: puppet
      with such a certificate it could pass for another machine, so the CA signs none
    hint: take `dns_alt_names` out of its puppet.conf, then `pupperware ca clean tricky`
    ");
    assert_snapshot!(refused(vec![(name("gone"), None)]), @"
    exit 6: the certificate of gone is revoked
    hint: remove it with `pupperware ca clean gone`, and let the agent ask again
    ");
}

#[test]
fn the_platforms_own_and_the_unknown_are_refused() {
    let (desired, engine) = running("");
    let refused = |n: &str| failure(&revoke(&desired, &engine.observed, &listed(), &names(n), CANARY).unwrap_err());
    assert_snapshot!(refused("web01 puppet"), @"
    exit 6: puppet is the certificate of the platform's own puppetserver
    hint: issue it anew, which revokes the old one: `pupperware ca reissue puppetserver`
    ");
    assert_snapshot!(refused("puppetdb"), @"
    exit 6: puppetdb is the certificate of the platform's own puppetdb
    hint: issue it anew, which revokes the old one: `pupperware ca reissue puppetdb`
    ");
    assert_snapshot!(refused("demo-agent-1"), @"
    exit 6: demo-agent-1 is the certificate of the platform's own agent
    hint: issue it anew, which revokes the old one: `pupperware ca reissue agent`
    ");
    assert_snapshot!(refused("nobody"), @"
    exit 2: the CA knows no \"nobody\"
    hint: see whom it knows with `pupperware ca list`
    ");
    assert_snapshot!(refused("new"), @"
    exit 2: new has no certificate yet, only a request
    hint: remove the request with `pupperware ca clean new`
    ");
}

#[test]
fn a_service_that_is_down_takes_no_list_so_nothing_is_revoked() {
    let (desired, mut engine) = running("");
    let refused = |engine: &crate::engine::Engine| {
        failure(&revoke(&desired, &engine.observed, &listed(), &names("web01"), CANARY).unwrap_err())
    };
    engine.set("demo-puppetdb-1", ContainerState::Exited, "Exited (0) 1 minute ago");
    assert_snapshot!(refused(&engine), @"
    exit 1: puppetdb does not run, and could not take the revocation list
    hint: start it with `pupperware --project demo start`
    ");
    engine.set("demo-puppetserver-1", ContainerState::Exited, "Exited (0) 1 minute ago");
    assert_snapshot!(refused(&engine), @"
    exit 1: puppetserver does not run, and the certificate authority is in it
    hint: start it with `pupperware --project demo start`
    ");
}

#[test]
fn a_token_is_for_names_that_are_free() {
    let (desired, engine) = running("");
    let plan = token(&desired, &engine.observed, &listed(), &name("web02"), "abc").unwrap();
    assert_snapshot!(text(&desired, &plan), @"  0  place token for web02  (asked for a token)");
    let refused = |n: &str| failure(&token(&desired, &engine.observed, &listed(), &name(n), "abc").unwrap_err());
    assert_snapshot!(refused("new"), @"
    exit 6: new has asked already, and waits to be signed
    hint: sign it with `pupperware ca sign new`
    ");
    assert_snapshot!(refused("web01"), @"
    exit 6: web01 has a certificate already
    hint: when its machine is made anew, remove it with `pupperware ca clean web01` first
    ");
}

#[test]
fn a_service_gets_a_new_certificate_from_the_same_ca() {
    let (desired, mut engine) = running("");
    let plan = reissue(&desired, &engine.observed, &["puppetdb".into()]).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
     0  stop container demo-puppetdb-1  (its certificate is issued anew)
     1  stop container demo-puppetserver-1  (its CA issues certificates while it is down)
     2  remember credentials  (until they are issued, nothing is)
     3  issue credentials  (asked to issue anew)  after 0,1,2
     4  start container demo-puppetdb-1  (it was stopped for its certificate)  after 3
     5  wait for container demo-puppetdb-1  (it starts)  after 4
     6  start container demo-puppetserver-1  (it was stopped for its CA)  after 3
     7  wait for container demo-puppetserver-1  (it starts)  after 6
     8  give the revocation list to container demo-postgres-1  (what was issued anew is revoked there)  after 3,5,7
     9  remember credentials  (so that it is issued once)  after 2,3,8
    10  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 2,5,7,8,9
    11  remember record  (so that it is proved once)  after 9,10
    ");
    engine.carry_out(&plan);
    assert!(reconcile(&desired, &engine.observed).unwrap().is_empty());
}

#[test]
fn an_interrupted_reissue_is_taken_up_by_up() {
    let (desired, engine) = running("");
    let plan = reissue(&desired, &engine.observed, &["puppetdb".into()]).unwrap();
    let issued = plan.steps.iter().position(|s| s.action.kind() == "issue_credentials").unwrap();
    let recorded = plan.steps.iter().rposition(|s| s.action.kind() == "record_issued").unwrap();
    for done in issued..=recorded {
        let mut engine = engine.clone();
        plan.steps[..done].iter().for_each(|s| engine.apply(&s.action));
        let again = reconcile(&desired, &engine.observed).unwrap();
        // Until everybody has been told that the old one is revoked, it is not over.
        for kind in ["issue_credentials", "push_crl"] {
            assert!(again.steps.iter().any(|s| s.action.kind() == kind), "{done}: {}", text(&desired, &again));
        }
        engine.carry_out(&again);
        assert!(reconcile(&desired, &engine.observed).unwrap().is_empty());
    }
}

fn elsewhere() -> Import {
    Import { files: vec![], key: "/srv/ca/ca_key.pem".into(), serial: "0010".into() }
}

#[test]
fn a_ca_from_elsewhere_is_there_before_the_first_up() {
    let desired = platform("");
    let mut engine = crate::engine::Engine::with_images(&desired);
    let plan = import(&desired, &engine.observed, &elsewhere()).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  create volume ca  (no such volume)
    1  create volume state  (no such volume)  after 0
    2  import certificate authority  (asked to import)  after 0,1
    ");
    engine.carry_out(&plan);
    let ca = engine.ca();
    assert!(ca.is_some());
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(engine.ca(), ca);
    assert!(reconcile(&desired, &engine.observed).unwrap().is_empty());
}

/// What an interrupted one left is no platform yet.
#[test]
fn an_import_that_was_interrupted_is_done_again() {
    let desired = platform("");
    let mut engine = crate::engine::Engine::with_images(&desired);
    let plan = import(&desired, &engine.observed, &elsewhere()).unwrap();
    plan.steps[..2].iter().for_each(|s| engine.apply(&s.action));
    let again = import(&desired, &engine.observed, &elsewhere()).unwrap();
    assert_snapshot!(text(&desired, &again), @"  0  import certificate authority  (asked to import)");
    engine.carry_out(&again);
    engine.up(&desired);
    engine.check(&desired);
}

#[test]
fn a_platform_keeps_the_ca_that_it_has() {
    let (desired, mut engine) = running("");
    let refused =
        |engine: &crate::engine::Engine| failure(&import(&desired, &engine.observed, &elsewhere()).unwrap_err());
    assert_snapshot!(refused(&engine), @"
    exit 6: the platform has a CA already, and a CA is imported before the first `up` only
      certificates of it are in: puppetserver-ssl, puppetdb-config, postgres-config, agent-1
      agents that it signed would trust the platform no longer
    hint: keep a copy with `pupperware --project demo backup create`; then give it up, and everybody's trust in it, with `pupperware --project demo down --destroy-data ca --destroy-data puppetserver-ssl --destroy-data puppetdb-config --destroy-data postgres-config --destroy-data agent-1`; the database and the code stay
    ");
    // Given up by name, and nothing else with it.
    let keys = ["ca", "puppetserver-ssl", "puppetdb-config", "postgres-config", "agent-1"].map(String::from);
    let down = pupperware::plan::down(&engine.observed, &keys).unwrap();
    engine.carry_out(&down);
    let plan = import(&desired, &engine.observed, &elsewhere()).unwrap();
    engine.carry_out(&plan);
    let ca = engine.ca();
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(engine.ca(), ca);
}
