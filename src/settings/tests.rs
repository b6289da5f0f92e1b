//! Tests of the layers: who wins, where values are said to come from, which file is found.

use super::*;
use crate::config::sizing::{Machine, size};

fn flag(name: &'static str, value: &str) -> Option<Sourced<String>> {
    Some(Sourced { value: value.to_owned(), given: Given::Flag(name) })
}

fn env(name: &'static str, value: &str) -> Option<Sourced<String>> {
    Some(Sourced { value: value.to_owned(), given: Given::Env(name) })
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // Ends every search, whatever stands above.
    std::fs::create_dir(dir.path().join(".git")).expect("a directory");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    dir
}

fn failure(overrides: &Overrides, cwd: &Path) -> String {
    let error: Error = resolve(overrides, cwd).expect_err("must fail").into();
    format!("{}\n{}", error.what, error.details.join("\n"))
}

#[test]
fn flags_win_over_environment_and_file() {
    let dir = folder(&[("pupperware.yaml", "project: file\nrelease: 8.0.0\nagents:\n  replicas: 2\n")]);
    let overrides = Overrides {
        project: flag("--project", "flag"),
        channel: env("PUPPERWARE_CHANNEL", "lts"),
        ..Overrides::default()
    };
    let settings = resolve(&overrides, dir.path()).expect("settings");
    let origin = |path: &str| settings.origins.of(path).to_string();
    assert_eq!((settings.config.project.as_str(), origin("project")), ("flag", "--project".into()));
    assert_eq!(settings.config.channel().map(ChannelName::as_str), Some("lts"));
    assert_eq!(origin("channel"), "env PUPPERWARE_CHANNEL");
    assert_eq!((settings.config.release(), origin("release")), (None, "default".into()));
    assert_eq!(origin("agents.replicas"), "pupperware.yaml:4");
    assert_eq!(origin("puppetdb.node_ttl"), "default");
}

#[test]
fn channel_and_release_are_one_choice() {
    let dir = folder(&[]);
    let both = |channel, release| Overrides { channel, release, ..Overrides::default() };
    let overrides = both(env("PUPPERWARE_CHANNEL", "lts"), flag("--release", "8.1.0"));
    let settings = resolve(&overrides, dir.path()).expect("settings");
    assert_eq!(settings.config.release().map(ToString::to_string).as_deref(), Some("8.1.0"));

    let overrides = both(flag("--channel", "lts"), flag("--release", "8.1.0"));
    assert!(failure(&overrides, dir.path()).contains("error: --release: excludes `--channel`"));
}

#[test]
fn a_flag_names_all_services_that_are_added() {
    let dir = folder(&[("pupperware.yaml", "with: [puppetboard]\n")]);
    let with = |with| Overrides { with, ..Overrides::default() };
    let settings = |with_| resolve(&with(with_), dir.path()).expect("settings");
    assert_eq!(settings(None).origins.of("with").to_string(), "pupperware.yaml:1");
    let named = settings(flag("--with", "puppetboard,puppetboard"));
    assert_eq!((named.config.with.len(), named.origins.of("with").to_string()), (1, "--with".into()));
    // A variable that is set to nothing.
    assert_eq!(settings(env("PUPPERWARE_WITH", "")).config.with.len(), 1);
    let failure = failure(&with(flag("--with", "puppetboard,grafana")), dir.path());
    assert!(failure.contains("--with: `grafana` is no service that can be added"), "{failure}");
}

#[test]
fn all_layers_are_checked_at_once() {
    let dir = folder(&[("pupperware.yml", "agents:\n  replicas: 99\n")]);
    let overrides = Overrides {
        channel: flag("--channel", "L T S"),
        project: env("PUPPERWARE_PROJECT", ""),
        code_dir: Some(Sourced { value: "nowhere".into(), given: Given::Flag("--code-dir") }),
        ..Overrides::default()
    };
    let shown = failure(&overrides, dir.path()).replace(&dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(shown, @"
    pupperware.yml has 4 errors
    pupperware.yml:2:13: error: agents.replicas: `99` is not from 1 to 50
      2 |   replicas: 99
        |             ^^
      help: write a whole number from 1 to 50
    error: PUPPERWARE_PROJECT: a name cannot be empty
    error: --channel: `L T S` does not start with a lower-case letter or a digit
      help: write `l-t-s`
    error: --code-dir: `DIR/nowhere` does not exist
    ");
}

#[test]
fn the_nearest_file_is_found_up_to_the_git_root() {
    let dir = folder(&[("pupperware.yaml", "project: top\n"), ("a/b/c", ""), ("repo/.git/HEAD", ""), ("repo/x/y", "")]);
    let project = |below: &str| {
        let settings = resolve(&Overrides::default(), &dir.path().join(below)).expect("settings");
        (settings.config.project.to_string(), settings.config_file.is_some())
    };
    assert_eq!(project("a/b"), ("top".into(), true));
    assert_eq!(project("repo/x"), ("pupperware".into(), false));

    std::fs::write(dir.path().join("pupperware.yml"), "").expect("a file");
    assert!(failure(&Overrides::default(), dir.path()).contains("holds both pupperware.yaml and pupperware.yml"));
}

#[test]
fn a_named_file_must_exist() {
    let dir = folder(&[("pupperware.yaml", "project: found\n"), ("other.yaml", "project: named\n")]);
    let named = |path: &str| Overrides {
        config: Some(Sourced { value: path.into(), given: Given::Env("PUPPERWARE_CONFIG") }),
        ..Overrides::default()
    };
    let settings = resolve(&named("other.yaml"), dir.path()).expect("settings");
    assert_eq!(settings.config.project.as_str(), "named");
    assert!(
        failure(&named("none.yaml"), dir.path()).starts_with("PUPPERWARE_CONFIG names none.yaml, which does not exist")
    );
    assert!(failure(&named("."), dir.path()).contains("it is a directory"));
}

#[test]
fn code_directories_are_relative_to_who_names_them() {
    let dir = folder(&[
        ("conf/pupperware.yaml", "code:\n  dir: code\n"),
        ("conf/code/environments/production/manifests/site.pp", ""),
        ("work/mine/environments/production/manifests/site.pp", ""),
    ]);
    let mut overrides = Overrides {
        config: Some(Sourced { value: "../conf/pupperware.yaml".into(), given: Given::Flag("--config") }),
        ..Overrides::default()
    };
    let work = dir.path().join("work");
    let settings = resolve(&overrides, &work).expect("settings");
    assert!(settings.config.code.dir.is_some_and(|dir| dir.ends_with("conf/code")));

    overrides.code_dir = Some(Sourced { value: "mine".into(), given: Given::Flag("--code-dir") });
    std::fs::remove_dir_all(dir.path().join("conf/code")).expect("removed");
    let settings = resolve(&overrides, &work).expect("the file's directory is not needed");
    assert_eq!(settings.config.code.dir, Some(work.join("mine").canonicalize().expect("it is there")));
    assert_eq!(settings.origins.of("code.dir").to_string(), "--code-dir");
}

#[test]
fn every_setting_is_shown() {
    let dir = folder(&[("pupperware.yaml", "puppetserver:\n  heap: 2g\n  autosign: true\n")]);
    let settings = resolve(&Overrides::default(), dir.path()).expect("settings");
    assert_eq!(settings.warning_lines(false).len(), 4);
    let sizing = size(&settings.config, Machine { cpus: 2, memory_bytes: 8 << 30 }).expect("sized");
    let rows: Vec<String> = show(&settings, &sizing)
        .iter()
        .map(|r| {
            format!("{} {} ({}) {}", r.path, r.value_text(), r.origin, r.reason.as_deref().unwrap_or_default())
                .trim_end()
                .to_owned()
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @"
    project pupperware (default)
    channel - (default)
    release - (default)
    with - (default)
    puppetserver.publish 0.0.0.0:8140 (default)
    puppetserver.dns_alt_names - (default)
    puppetserver.autosign true (pupperware.yaml:3)
    puppetserver.autosign_policy - (default)
    puppetserver.jruby_instances 1 (default) 1 of 2 cores; one is left for the other services
    puppetserver.heap 2g (pupperware.yaml:2)
    puppetserver.memory 2648m (default) the heap and 600m beside it
    puppetserver.cpus - (default)
    puppetserver.pids - (default)
    puppetserver.environment_timeout 0 (default)
    puppetdb.node_ttl 7d (default)
    puppetdb.node_purge_ttl 14d (default)
    puppetdb.report_ttl 14d (default)
    puppetdb.heap 512m (default) good for some thousand nodes
    puppetdb.memory 862m (default) the heap and 350m beside it
    puppetdb.cpus - (default)
    postgres.memory 992m (default) a part of what the Puppet services leave
    postgres.cpus - (default)
    postgres.shared_buffers 248m (default) a quarter of the memory limit
    compilers.replicas 0 (default)
    compilers.balancer auto (default)
    compilers.jruby_instances 1 (default) 2 cores
    compilers.heap 768m (default) 256m, and 512m for each of 1 JRuby instance
    agents.replicas 1 (default)
    puppetboard.publish 127.0.0.1:8088 (default)
    puppetboard.memory 256m (default)
    relay.enabled true (default)
    relay.publish - (default)
    relay.reports - (default)
    relay.rules - (default)
    code.dir - (default)
    code.control_repo.url - (default)
    code.control_repo.ssh_key - (default)
    code.control_repo.token - (default)
    code.control_repo.ca - (default)
    code.control_repo.known_hosts - (default)
    code.control_repo.timeout - (default)
    backup.keep - (default)
    backup.max_age - (default)
    backup.recipients - (default)
    releases.manifest - (default)
    releases.sha256 - (default)
    releases.public_key - (default)
    upgrade.window - (default)
    upgrade.before - (default)
    upgrade.after - (default)
    upgrade.keep 14d (default)
    images.base - (default)
    images.provision - (default)
    images.jre - (default)
    images.postgres - (default)
    images.puppetdb - (default)
    images.puppetserver - (default)
    images.agent - (default)
    images.code - (default)
    images.puppetboard - (default)
    images.balancer - (default)
    images.relay - (default)
    ");
}

#[test]
fn the_project_is_told_only_without_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let told = |text: &str| {
        std::fs::write(folder.path().join("pupperware.yaml"), text).unwrap();
        project(&Overrides::default(), folder.path()).map(|name| name.to_string())
    };
    assert_eq!(told("project: demo\nagents:\n  replicas: many\n").as_deref(), Some("demo"));
    assert_eq!(told("agents:\n  replicas: many\n").as_deref(), Some("pupperware"));
    assert_eq!(told("project: Demo!\n"), None, "the name itself is wrong");
    assert_eq!(told("projct: demo\n"), None, "the name may be meant");
    assert_eq!(told("project: demo\nagents: [\n"), None, "nothing can be read");
    assert_eq!(told("project: demo\nproject: other\n"), None, "there are two");
}
