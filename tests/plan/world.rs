//! Platforms as they should be, made from YAML by the real parser, and plans as readable text.

use std::path::Path;

use pupperware::config::sizing::{self, Machine};
use pupperware::config::{Config, Severity, tree, validate};
use pupperware::desired::{self, DATABASE, Desired, Origin};
use pupperware::error::Error;
use pupperware::images::Source;
use pupperware::plan::{Plan, reconcile, render};
use pupperware::release::{Lineage, Manifest, Release, choose};

use crate::engine::Engine;

/// The platform of this configuration, named `demo`, on a machine with room.
pub fn platform(yaml: &str) -> Desired {
    platform_in(None, yaml)
}

/// The same, with paths relative to a folder.
pub fn platform_in(folder: Option<&Path>, yaml: &str) -> Desired {
    let mut validated = validate::validate(tree::parse(&demo(yaml)), folder);
    let errors: Vec<_> = validated.problems.iter().filter(|p| p.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    if let (Some(rules), Some(folder)) = (&mut validated.config.relay.rules, folder) {
        rules.load(folder).expect("the rules can be used");
    }
    let manifest = Manifest::embedded().expect("the manifest is whole");
    let channel = validated.config.channel().map(ToString::to_string);
    let release = choose(&manifest, channel.as_deref(), None, &Lineage::New).expect("there is such a release");
    build(&validated.config, release, DATABASE)
}

/// The platform of this configuration and release, with its database in the volume of this key.
pub fn platform_of(yaml: &str, release: &Release, database: &str) -> Desired {
    let validated = validate::validate(tree::parse(&demo(yaml)), None);
    build(&validated.config, release, database)
}

/// A whole configuration. Relay and the bridge are out of it unless it is about them: see `relay`.
fn demo(yaml: &str) -> String {
    let without = if yaml.contains("relay") { "" } else { "relay: { enabled: false }\n" };
    format!("project: demo\n{without}{yaml}")
}

fn build(config: &Config, release: &Release, database: &str) -> Desired {
    let machine = Machine { cpus: 4, memory_bytes: 16 << 30 };
    let sizing = sizing::size(config, machine).expect("the machine has room");
    let origin = Origin { working_dir: "/srv/demo".into(), config_file: "/srv/demo/pupperware.yaml".into() };
    desired::build(config, release, &sizing, &origin, database).expect("the Compose files are whole")
}

/// The platform of this configuration, and an engine that runs it, proved.
pub fn running(yaml: &str) -> (Desired, Engine) {
    let desired = platform(yaml);
    let mut engine = Engine::with_images(&desired);
    engine.up(&desired);
    (desired, engine)
}

/// The plan of `up`, as people read it. Content keys of images are left out: they follow every edit in `images/`.
pub fn up(desired: &Desired, engine: &Engine) -> String {
    text(desired, &reconcile(desired, &engine.observed).expect("nothing is refused"))
}

/// A plan as people read it.
pub fn text(desired: &Desired, plan: &Plan) -> String {
    if plan.is_empty() {
        return "nothing to do\n".into();
    }
    without_keys(desired, render::text(plan))
}

/// Content keys of the platform's images replaced.
pub fn without_keys(desired: &Desired, mut text: String) -> String {
    for image in &desired.images {
        if let Source::Build(build) = &image.source {
            text = text.replace(&build.key, "KEY");
        }
    }
    text
}

/// A failure with everything that the user sees.
pub fn failure(error: &Error) -> String {
    let mut lines = vec![format!("exit {}: {}", error.kind.exit_code(), error.what)];
    lines.extend(error.details.iter().map(|d| format!("  {d}")));
    lines.extend(error.hint.iter().map(|h| format!("hint: {h}")));
    lines.join("\n")
}
