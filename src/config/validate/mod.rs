//! Tree -> `Config`: reads every setting, and collects everything that is wrong at once.
//!
//! Which settings the file has is decided here, and only here: the JSON Schema and the reference are made
//! from what this module asks for. What one value may be stands in `types`.

mod backup;
mod code_dir;
mod control_repo;
mod cross;
mod reader;
mod suggest;
mod upgrade;

use std::collections::BTreeMap;
use std::path::Path;

pub use code_dir::check as check_code_dir;
pub use reader::Shape;
use reader::{Context, Section};

use super::model::{
    AgentPool, Code, CompilerPool, Config, Images, Postgres, PuppetDb, PuppetServer, Puppetboard, Relay, Track,
};
use super::problem::{Problem, Severity, Span};
use super::tree::{Data, Node, Scalar, Tree};
use super::types::{Addon, Autosign, ChannelName, DnsName, Refusal, Setting};

/// What came of a file.
#[derive(Debug, Clone)]
pub struct Validated {
    /// The configuration; where a value was wrong, its default.
    pub config: Config,
    /// Where each given setting's value stands, by dotted path.
    pub given: BTreeMap<String, Span>,
    /// Errors and warnings. Usable if none is an error.
    pub problems: Vec<Problem>,
}

impl Validated {
    /// Whether a problem is an error.
    pub fn is_bad(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }
}

/// Reads the tree. `folder` is what `code.dir` is relative to; with none, the directory is not looked at
/// (it was given elsewhere).
pub fn validate(tree: Tree, folder: Option<&Path>) -> Validated {
    let mut context = Context::default();
    // After a syntax error there is nothing to say about values.
    let config = top(&mut context, tree.root, folder);
    cross::check(&config, &mut context);
    let mut problems = tree.problems;
    problems.append(&mut context.problems);
    Validated { config, given: context.given, problems }
}

/// Every setting that the file can have, in order.
pub fn shapes() -> Vec<Shape> {
    let mut context = Context::default();
    top(&mut context, None, None);
    context.shapes
}

fn top(context: &mut Context, root: Option<Node>, folder: Option<&Path>) -> Config {
    let mut top = Section::new(context, "", root);
    let project = top.read("project").unwrap_or_default();
    let track = track(&mut top);
    let with = each_once::<Addon>(&mut top, "with", "with");
    let sections = [
        "puppetserver",
        "puppetdb",
        "postgres",
        "compilers",
        "agents",
        "puppetboard",
        "relay",
        "code",
        "backup",
        "releases",
        "upgrade",
        "images",
    ];
    let [server, db, pg, compiling, pool, board, runs, source, backups, releases, upgrades, pictures] =
        sections.map(|name| top.take(name));
    top.finish();
    Config {
        project,
        track,
        with,
        puppetserver: puppetserver(context, server),
        puppetdb: puppetdb(context, db),
        postgres: postgres(context, pg),
        compilers: compilers(context, compiling),
        agents: agents(context, pool),
        puppetboard: puppetboard(context, board),
        relay: relay(context, runs),
        code: code(context, source, folder),
        backup: backup::read(context, backups),
        releases: upgrade::releases(context, releases),
        upgrade: upgrade::upgrade(context, upgrades),
        images: images(context, pictures),
    }
}

fn track(top: &mut Section<'_>) -> Track {
    let channel = top.read::<ChannelName>("channel");
    let release = top.read::<semver::Version>("release");
    let context = top.context();
    if let (Some(first), Some(second)) = (context.given.get("channel"), context.given.get("release")) {
        let message = "`channel` and `release` exclude each other";
        let problem = Problem::error(*second, "release", message)
            .relate(*first, "the channel is given here")
            .suggest("keep `channel` to follow new releases, or `release` to stay on one");
        context.problems.push(problem);
    }
    match (channel, release) {
        (_, Some(release)) => Track::Release(release),
        (Some(channel), None) => Track::Channel(channel),
        (None, None) => Track::Unset,
    }
}

fn puppetserver(context: &mut Context, node: Option<Node>) -> PuppetServer {
    let mut s = Section::new(context, "puppetserver", node);
    let server = PuppetServer {
        publish: s.read("publish").unwrap_or_default(),
        dns_alt_names: each_once::<DnsName>(&mut s, "dns_alt_names", "puppetserver.dns_alt_names"),
        autosign: autosign(&mut s),
        autosign_policy: s.read("autosign_policy"),
        jruby_instances: s.read("jruby_instances").unwrap_or_default(),
        heap: s.read("heap").unwrap_or_default(),
        memory: s.read("memory").unwrap_or_default(),
        cpus: s.read("cpus"),
        pids: s.read("pids"),
        environment_timeout: s.read("environment_timeout").unwrap_or_default(),
    };
    s.finish();
    server
}

/// A list whose items count once.
fn each_once<T: Setting + PartialEq>(s: &mut Section<'_>, name: &'static str, path: &'static str) -> Vec<T> {
    let mut kept: Vec<(T, Span)> = Vec::new();
    for (item, span) in s.read_list::<T>(name).unwrap_or_default() {
        if let Some((_, first)) = kept.iter().find(|(seen, _)| *seen == item) {
            let problem = Problem::warning(span, path, format!("`{item}` is listed twice"));
            s.context().problems.push(problem.relate(*first, "first listed here"));
        } else {
            kept.push((item, span));
        }
    }
    kept.into_iter().map(|(item, _)| item).collect()
}

fn autosign(s: &mut Section<'_>) -> Autosign {
    const PATH: &str = "puppetserver.autosign";
    let Some(node) = s.take_setting("autosign", Autosign::EXPECTED.to_owned(), Autosign::schema()) else {
        return Autosign::Off;
    };
    if let Data::Scalar { kind: Scalar::Bool(everybody), .. } = node.data {
        if everybody {
            let message = "every certificate request is signed: whoever reaches the server gets a catalog, \
                           and with it your secrets";
            let problem =
                Problem::warning(node.span, PATH, message).suggest("list the names you expect: `[\"*.example.com\"]`");
            s.context().problems.push(problem);
        }
        return if everybody { Autosign::Everybody } else { Autosign::Off };
    }
    let globs = reader::list(s.context(), node, PATH, Autosign::EXPECTED).unwrap_or_default();
    if globs.is_empty() {
        return Autosign::Off;
    }
    Autosign::Matching(globs.into_iter().map(|(glob, _)| glob).collect())
}

fn puppetdb(context: &mut Context, node: Option<Node>) -> PuppetDb {
    let default = PuppetDb::default();
    let mut s = Section::new(context, "puppetdb", node);
    let db = PuppetDb {
        node_ttl: s.read("node_ttl").unwrap_or(default.node_ttl),
        node_purge_ttl: s.read("node_purge_ttl").unwrap_or(default.node_purge_ttl),
        report_ttl: s.read("report_ttl").unwrap_or(default.report_ttl),
        heap: s.read("heap").unwrap_or(default.heap),
        memory: s.read("memory").unwrap_or(default.memory),
        cpus: s.read("cpus"),
    };
    s.finish();
    db
}

fn postgres(context: &mut Context, node: Option<Node>) -> Postgres {
    let mut s = Section::new(context, "postgres", node);
    let postgres = Postgres {
        memory: s.read("memory").unwrap_or_default(),
        cpus: s.read("cpus"),
        shared_buffers: s.read("shared_buffers").unwrap_or_default(),
    };
    s.finish();
    postgres
}

fn compilers(context: &mut Context, node: Option<Node>) -> CompilerPool {
    let default = CompilerPool::default();
    let mut s = Section::new(context, "compilers", node);
    let compilers = CompilerPool {
        replicas: s.read("replicas").unwrap_or(default.replicas),
        balancer: s.read("balancer").unwrap_or(default.balancer),
        jruby_instances: s.read("jruby_instances").unwrap_or_default(),
        heap: s.read("heap").unwrap_or_default(),
    };
    s.finish();
    compilers
}

fn agents(context: &mut Context, node: Option<Node>) -> AgentPool {
    let mut s = Section::new(context, "agents", node);
    let agents = AgentPool { replicas: s.read("replicas").unwrap_or(AgentPool::default().replicas) };
    s.finish();
    agents
}

fn puppetboard(context: &mut Context, node: Option<Node>) -> Puppetboard {
    let default = Puppetboard::default();
    let mut s = Section::new(context, "puppetboard", node);
    let board = Puppetboard {
        publish: s.read("publish").unwrap_or(default.publish),
        memory: s.read("memory").unwrap_or(default.memory),
    };
    s.finish();
    board
}

fn relay(context: &mut Context, node: Option<Node>) -> Relay {
    let mut s = Section::new(context, "relay", node);
    let relay = Relay {
        enabled: s.read("enabled").unwrap_or(Relay::default().enabled),
        publish: s.read("publish"),
        reports: s.read("reports"),
        rules: s.read("rules"),
    };
    s.finish();
    relay
}

fn code(context: &mut Context, node: Option<Node>, folder: Option<&Path>) -> Code {
    let mut s = Section::new(context, "code", node);
    let written = s.read::<WrittenPath>("dir");
    let repo = s.take("control_repo");
    s.finish();
    let control_repo = control_repo::read(context, repo, folder);
    let (Some(WrittenPath(written)), Some(folder)) = (written, folder) else {
        return Code { dir: None, control_repo };
    };
    if let (Some(_), Some(span)) = (&control_repo, context.given.get("code.dir")) {
        let message = "`code.dir` and `code.control_repo` exclude each other";
        context.problems.push(Problem::error(*span, "code.dir", message).suggest("keep the one that your code is in"));
    }
    match check_code_dir(folder, Path::new(&written)) {
        Ok(dir) => Code { dir: Some(dir), control_repo },
        Err(refusal) => {
            if let Some(span) = context.given.get("code.dir") {
                let hint = || "the path is relative to the folder of the configuration file".to_owned();
                let relative = Path::new(&written).is_relative();
                let suggestion = refusal.suggestion.or_else(|| relative.then(hint));
                context.problems.push(Problem::error(*span, "code.dir", refusal.reason).maybe_suggest(suggestion));
            }
            Code { dir: None, control_repo }
        }
    }
}

/// A path as the user wrote it.
struct WrittenPath(String);

impl std::fmt::Display for WrittenPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for WrittenPath {
    fn expected() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() || text.contains('\0') {
            return Err(Refusal::new("not a path"));
        }
        if text.starts_with("~/") || text == "~" {
            // No shell reads this file.
            return Err(Refusal::new("`~` is not expanded here").suggest("write the path in full"));
        }
        Ok(WrittenPath(text.to_owned()))
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "minLength": 1 })
    }
}

fn images(context: &mut Context, node: Option<Node>) -> Images {
    let mut s = Section::new(context, "images", node);
    let images = Images {
        base: s.read("base"),
        provision: s.read("provision"),
        jre: s.read("jre"),
        postgres: s.read("postgres"),
        puppetdb: s.read("puppetdb"),
        puppetserver: s.read("puppetserver"),
        agent: s.read("agent"),
        code: s.read("code"),
        puppetboard: s.read("puppetboard"),
        balancer: s.read("balancer"),
        relay: s.read("relay"),
    };
    s.finish();
    images
}

#[cfg(test)]
mod tests;
