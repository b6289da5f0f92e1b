//! Tests of the validator: a nasty file with everything wrong at once, cross-checks, and that nothing panics.

use proptest::prelude::*;

use super::*;
use crate::config::problem::{Invalid, Source};
use crate::config::tree;

fn read(text: &str) -> Validated {
    validate(tree::parse(text), Some(Path::new("/nonexistent")))
}

fn shown(text: &str) -> String {
    let source = Source { name: "pupperware.yaml".into(), text: text.into() };
    let error = Invalid::new(Some(source), read(text).problems).into_error(false);
    format!("{}\n{}", error.what, error.details.join("\n"))
}

const GOOD: &str = "\
# A full file.
project: team-a
release: 8.1.0
puppetserver:
  publish: \"[::1]:8140\"
  dns_alt_names: [puppet.example.com, ca.example.com]
  autosign: [\"*.example.com\"]
  jruby_instances: 2
  heap: 2g
  memory: 3g
  cpus: 1.5
  pids: 1024
  environment_timeout: unlimited
puppetdb: {node_ttl: 30d, node_purge_ttl: 60d, report_ttl: 12h, heap: 1g, memory: auto, cpus: 1}
postgres:
  memory: 1g
  shared_buffers: 256m
agents:
  replicas: 3
images:
  postgres: docker.io/library/postgres:17
";

#[test]
fn a_full_file_is_read() {
    let validated = read(GOOD);
    assert_eq!(validated.problems, []);
    let config = validated.config;
    assert_eq!(config.project.as_str(), "team-a");
    assert_eq!(config.release(), Some(&semver::Version::new(8, 1, 0)));
    assert_eq!(config.puppetserver.publish.to_string(), "[::1]:8140");
    assert_eq!(config.puppetserver.cpus.map(|c| c.milli()), Some(1500));
    assert_eq!(config.puppetdb.report_ttl.seconds(), 43_200);
    assert_eq!(config.agents.replicas.get(), 3);
    assert_eq!(validated.given["puppetserver.heap"], Span { line: 9, column: 9, len: 2 });
}

#[test]
fn an_empty_file_means_all_defaults() {
    for text in ["", "# nothing\n", "puppetserver:\npuppetdb: {}\n"] {
        let validated = read(text);
        assert_eq!((validated.problems, validated.config), (vec![], Config::default()));
    }
}

#[test]
fn services_are_added_by_name() {
    assert_eq!(read("with: [puppetboard]").config.with, [Addon::Puppetboard]);
    insta::assert_snapshot!(shown("with: [puppetboard, pupetboard, puppetboard]"), @"
    pupperware.yaml has 1 error
    pupperware.yaml:1:21: error: with[1]: `pupetboard` is no service that can be added
      1 | with: [puppetboard, pupetboard, puppetboard]
        |                     ^^^^^^^^^^
      help: write `puppetboard` or `relay`; every other service is always there
    pupperware.yaml:1:33: warning: with: `puppetboard` is listed twice
      1 | with: [puppetboard, pupetboard, puppetboard]
        |                                 ^^^^^^^^^^^
    pupperware.yaml:1:8: note: first listed here
      1 | with: [puppetboard, pupetboard, puppetboard]
        |        -----------
    ");
    insta::assert_snapshot!(shown("with: puppetboard"), @"
    pupperware.yaml has 1 error
    pupperware.yaml:1:7: error: with: expected a list, found the text `puppetboard`
      1 | with: puppetboard
        |       ^^^^^^^^^^^
      help: write `[puppetboard]`
    ");
}

#[test]
fn puppetboard_has_a_port_of_its_own_and_no_login() {
    insta::assert_snapshot!(
        shown("with: [puppetboard]\npuppetserver: { publish: 9000 }\npuppetboard: { publish: \"10.0.0.1:9000\" }"), @r#"
        pupperware.yaml has 1 error
        pupperware.yaml:3:25: error: puppetboard.publish: puppetserver and puppetboard would both be published on port 9000
          3 | puppetboard: { publish: "10.0.0.1:9000" }
            |                         ^^^^^^^^^^^^^^^
        pupperware.yaml:2:26: note: the server's is given here
          2 | puppetserver: { publish: 9000 }
            |                          ----
          help: choose another port for one of them
        pupperware.yaml:3:25: warning: puppetboard.publish: Puppetboard has no login: whoever reaches this address reads the facts and reports of all nodes
          3 | puppetboard: { publish: "10.0.0.1:9000" }
            |                         ^^^^^^^^^^^^^^^
          help: write `9000`, and put a proxy that asks who is there before it
        "#);
    let problems = |text: &str| read(text).problems.iter().map(|p| p.severity).collect::<Vec<_>>();
    assert_eq!(problems("with: [puppetboard]\npuppetserver: { publish: 8088 }"), [Severity::Error]);
    assert_eq!(problems("with: [puppetboard]\npuppetserver: { publish: \"10.0.0.1:8088\" }"), []);
    assert_eq!(problems("with: [puppetboard]\npuppetboard: { publish: 9000 }"), []);
    // Not asked for, it is in nobody's way.
    assert_eq!(problems("puppetserver: { publish: 8088 }"), []);
}

#[test]
fn every_error_is_shown_at_once() {
    let nasty = "\
projct: demo
project: My Project
channel: lts
release: 8.1
puppetserver:
  publish: 8140:8140
  dns-alt-names: [a]
  dns_alt_names: [\"*.example.com\", 10.0.0.1, ok.example.com, 7]
  autosign: \"*.example.com\"
  heap: 2GB
  jruby_instances: lots
  publish: 8141
puppetdb:
  node_ttl: 7
  autosign: true
agents: 3
code:
  dir: code
images:
  postgres: https://docker.io/postgres
postgres:
  memory: *big
";
    insta::assert_snapshot!(shown(nasty), @r#"
    pupperware.yaml has 19 errors
    pupperware.yaml:1:1: error: unknown key `projct`
      1 | projct: demo
        | ^^^^^^
      help: did you mean `project`?
    pupperware.yaml:2:10: error: project: `My Project` does not start with a lower-case letter or a digit
      2 | project: My Project
        |          ^^^^^^^^^^
      help: write `my-project`
    pupperware.yaml:4:10: error: release: not a version: unexpected end of input while parsing minor version number
      4 | release: 8.1
        |          ^^^
      help: write `8.1.0`
    pupperware.yaml:4:10: error: release: `channel` and `release` exclude each other
      4 | release: 8.1
        |          ^^^
    pupperware.yaml:3:10: note: the channel is given here
      3 | channel: lts
        |          ---
      help: keep `channel` to follow new releases, or `release` to stay on one
    pupperware.yaml:6:12: error: puppetserver.publish: `8140` is not an IP address
      6 |   publish: 8140:8140
        |            ^^^^^^^^^
      help: the port inside is always 8140: write `8140`
    pupperware.yaml:7:3: error: puppetserver: unknown key `dns-alt-names`
      7 |   dns-alt-names: [a]
        |   ^^^^^^^^^^^^^
      help: did you mean `dns_alt_names`?
    pupperware.yaml:8:19: error: puppetserver.dns_alt_names[0]: a wildcard is not allowed in a server's certificate
      8 |   dns_alt_names: ["*.example.com", 10.0.0.1, ok.example.com, 7]
        |                   ^^^^^^^^^^^^^^^
      help: write each name out
    pupperware.yaml:8:36: error: puppetserver.dns_alt_names[1]: `10.0.0.1` is an address, not a DNS name
      8 |   dns_alt_names: ["*.example.com", 10.0.0.1, ok.example.com, 7]
        |                                    ^^^^^^^^
      help: give the server a name; agents verify names only
    pupperware.yaml:8:62: error: puppetserver.dns_alt_names[3]: expected a DNS name like puppet.example.com, found the number `7`
      8 |   dns_alt_names: ["*.example.com", 10.0.0.1, ok.example.com, 7]
        |                                                              ^
      help: quote it to make it text: `"7"`
    pupperware.yaml:9:13: error: puppetserver.autosign: expected `false`, `true` or a list of names, found the text `*.example.com`
      9 |   autosign: "*.example.com"
        |             ^^^^^^^^^^^^^^^
      help: write `["*.example.com"]`
    pupperware.yaml:10:9: error: puppetserver.heap: the units are `m` and `g`, not `GB`
      10 |   heap: 2GB
         |         ^^^
      help: write `2g`, or `auto`
    pupperware.yaml:11:20: error: puppetserver.jruby_instances: `lots` is not a whole number
      11 |   jruby_instances: lots
         |                    ^^^^
      help: write a whole number from 1 to 64, or `auto`
    pupperware.yaml:12:3: error: puppetserver.publish: `publish` is given twice
      12 |   publish: 8141
         |   ^^^^^^^
    pupperware.yaml:6:3: note: first given here
      6 |   publish: 8140:8140
        |   -------
      help: remove one of the two
    pupperware.yaml:14:13: error: puppetdb.node_ttl: `7` has no unit
      14 |   node_ttl: 7
         |             ^
      help: write `7s`, `7m`, `7h` or `7d`
    pupperware.yaml:15:3: error: puppetdb: unknown key `autosign`
      15 |   autosign: true
         |   ^^^^^^^^
      help: did you mean `puppetserver.autosign`?
    pupperware.yaml:16:9: error: agents: expected a section with keys of its own, found the number `3`
      16 | agents: 3
         |         ^
    pupperware.yaml:18:8: error: code.dir: `/nonexistent/code` does not exist
      18 |   dir: code
         |        ^^^^
      help: the path is relative to the folder of the configuration file
    pupperware.yaml:20:13: error: images.postgres: an image has no `https://`
      20 |   postgres: https://docker.io/postgres
         |             ^^^^^^^^^^^^^^^^^^^^^^^^^^
      help: write `docker.io/postgres`
    pupperware.yaml:22:11: error: postgres.memory: aliases are not supported
      22 |   memory: *big
         |           ^^^^
      help: write the value again in its place; quote it if a leading `*` is meant
    "#);
}

#[test]
fn autosign_for_everybody_is_a_loud_warning() {
    let validated = read("puppetserver:\n  autosign: true\n");
    assert!(!validated.is_bad());
    assert_eq!(validated.config.puppetserver.autosign, Autosign::Everybody);
    assert!(validated.problems[0].message.starts_with("every certificate request is signed"));
    assert_eq!(read("puppetserver:\n  autosign: []\n").config.puppetserver.autosign, Autosign::Off);
}

#[test]
fn settings_must_fit_each_other() {
    insta::assert_snapshot!(shown("\
puppetserver:
  heap: 1g
  memory: 1g
  jruby_instances: 4
  environment_timeout: 5m
puppetdb:
  memory: 300m
postgres:
  memory: 512m
  shared_buffers: 450m
"), @"
    pupperware.yaml has 2 errors
    pupperware.yaml:2:9: warning: puppetserver.heap: 1g is little for 4 JRuby instances
      2 |   heap: 1g
        |         ^^
      help: `2560m` is what we would choose; or write `heap: auto`
    pupperware.yaml:3:11: error: puppetserver.memory: 1g leaves no room for the heap and what the service needs beside it
      3 |   memory: 1g
        |           ^^
    pupperware.yaml:2:9: note: the heap is given here
      2 |   heap: 1g
        |         --
      help: write `1624m` or more, or a smaller `heap`
    pupperware.yaml:5:24: warning: puppetserver.environment_timeout: between 0 and `unlimited`, JRuby instances can serve different versions of the code
      5 |   environment_timeout: 5m
        |                        ^^
      help: write `0` or `unlimited`
    pupperware.yaml:7:11: error: puppetdb.memory: 300m leaves no room for the heap and what the service needs beside it
      7 |   memory: 300m
        |           ^^^^
      help: write `606m` or more
    pupperware.yaml:9:11: warning: postgres.memory: 512m is tight: the shared_buffers and what the service needs beside it come to 562m
      9 |   memory: 512m
        |           ^^^^
    pupperware.yaml:10:19: note: the shared_buffers is given here
      10 |   shared_buffers: 450m
         |                   ----
      help: write `562m` or more, or a smaller `shared_buffers`
    ");
}

#[test]
fn names_are_deduplicated_with_a_warning() {
    let validated = read("puppetserver:\n  dns_alt_names: [a, b, a]\n");
    let names: Vec<&str> = validated.config.puppetserver.dns_alt_names.iter().map(DnsName::as_str).collect();
    assert_eq!((names, validated.problems.len(), validated.is_bad()), (vec!["a", "b"], 1, false));
}

/// Large files, each of one sort of trouble. Work that grew with the square of the text would take minutes here, not be
/// wrong: this is no more than a place where it would be felt.
#[test]
fn large_files_are_read_to_their_end() {
    let many = |line: &dyn Fn(usize) -> String| {
        (0..)
            .map(line)
            .scan(0, |size, line| {
                *size += line.len();
                (*size < 1 << 18).then_some(line)
            })
            .collect::<String>()
    };
    shown(&format!("puppetserver:\n  dns_alt_names: [{}]\n", many(&|n| format!("n{n},"))));
    shown(&many(&|n| format!("key{n}: 1\n")));
    shown(&format!("puppetserver:\n  autosign:\n{}", many(&|_| "  - *x\n".to_owned())));
    assert!(!shown(&format!("project: \"{}\"\n", many(&|_| "é".to_owned()))).is_empty());
}

#[test]
fn wrong_shapes_say_what_was_expected_and_found() {
    let message = |text: &str| read(text).problems.first().map(|p| p.message.clone()).unwrap_or_default();
    assert_eq!(message("- a\n"), "expected a section with keys of its own, found a list");
    assert_eq!(message("project: [a]\n"), "expected a name like `pupperware` or `team-a`, found a list");
    assert_eq!(message("project: 123\n"), "expected a name like `pupperware` or `team-a`, found the number `123`");
    assert_eq!(message("project:\n"), "expected a name like `pupperware` or `team-a`, found nothing");
    assert_eq!(message("agents: {replicas: true}\n"), "expected a whole number from 1 to 50, found the boolean `true`");
    assert_eq!(
        message("puppetserver: {autosign: yes}\n"),
        "expected `false`, `true` or a list of names, found the text `yes`"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        shown(&text);
    }

    #[test]
    fn no_mutation_of_a_good_file_panics(
        edits in prop::collection::vec((0..GOOD.len(), 0usize..12, "[ -~\\n\\t]{0,6}|\\PC{0,3}"), 1..6),
    ) {
        let mut text = GOOD.to_owned();
        for (at, drop, insert) in edits {
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.min(chars.len());
            let end = (at + drop).min(chars.len());
            chars.splice(at..end, insert.chars());
            text = chars.into_iter().collect();
        }
        shown(&text);
    }
}
