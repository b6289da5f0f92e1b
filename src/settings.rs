//! Where the configuration comes from: the file, the environment, the flags, in this order of strength.
//!
//! Finds the file, validates every layer in the same way, and remembers where each value came from.
//! Reading the process's environment and arguments is for `cli`; it hands [`Overrides`] over.

mod discover;
mod restored;
mod show;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::model::{Releases, Track};
use crate::config::problem::quote;
use crate::config::types::{Addon, ChannelName, Place, ProjectName, Setting};
use crate::config::validate::{Validated, check_code_dir, validate};
use crate::config::{Config, Invalid, Problem, Severity, Source, render, source, tree};
use crate::error::Error;

pub use restored::{Restored, named};
pub use show::{Row, show};

/// Where an override came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// A flag, by its full name: `--channel`.
    Flag(&'static str),
    /// An environment variable, by its name: `PUPPERWARE_CHANNEL`.
    Env(&'static str),
}

impl Given {
    /// The name by which errors speak of it.
    pub fn name(self) -> &'static str {
        match self {
            Given::Flag(name) | Given::Env(name) => name,
        }
    }
}

/// A value from outside of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value as it was given.
    pub value: T,
    /// By what.
    pub given: Given,
}

/// Everything that flags and environment can say. Values are unchecked.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The file to use instead of looking for one (`--config`, `PUPPERWARE_CONFIG`). Must exist.
    pub config: Option<Sourced<PathBuf>>,
    /// `project`.
    pub project: Option<Sourced<String>>,
    /// `channel`. Replaces a `release` of a weaker layer.
    pub channel: Option<Sourced<String>>,
    /// `release`. Replaces a `channel` of a weaker layer.
    pub release: Option<Sourced<String>>,
    /// `releases.manifest`, relative to the current directory.
    pub manifest: Option<Sourced<String>>,
    /// `releases.sha256`.
    pub manifest_sha256: Option<Sourced<String>>,
    /// `releases.public_key`.
    pub manifest_key: Option<Sourced<String>>,
    /// `with`: names between commas. Replaces a list of a weaker layer.
    pub with: Option<Sourced<String>>,
    /// `code.dir`, relative to the current directory.
    pub code_dir: Option<Sourced<PathBuf>>,
    /// What a file says that is not there yet, instead of looking for one.
    pub restored: Option<Restored>,
    /// The file is of another machine: what it names beside itself (keys, a policy, a directory) is not looked for.
    pub elsewhere: bool,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody named one.
    Default,
    /// A line of the file.
    File {
        /// The file as it is shown.
        name: String,
        /// The line, from 1.
        line: u32,
    },
    /// A flag or a variable.
    Outside(Given),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Outside(Given::Flag(name)) => f.write_str(name),
            Origin::Outside(Given::Env(name)) => write!(f, "env {name}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The origin of each value that is not a default, by dotted path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Where the setting's value came from.
    pub fn of(&self, path: &str) -> &Origin {
        self.0.get(path).unwrap_or(&Origin::Default)
    }
}

/// The configuration of this run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The merged configuration.
    pub config: Config,
    /// The file that was read.
    pub config_file: Option<PathBuf>,
    /// Where each value came from.
    pub origins: Origins,
    /// What the user should know. Show them with [`Settings::warning_lines`].
    pub warnings: Vec<Problem>,
    source: Option<Source>,
}

impl Settings {
    /// The warnings with their snippets, a line each.
    pub fn warning_lines(&self, color: bool) -> Vec<String> {
        let render = |problem: &Problem| render::render(self.source.as_ref(), problem, color);
        self.warnings.iter().flat_map(|w| render(w).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

/// Why there are no settings. Turns into [`Error`] (exit code 2).
#[derive(Debug)]
pub enum Unresolved {
    /// The file is missing, unreadable, or no text.
    Unreadable(Error),
    /// The configuration has errors.
    Invalid(Invalid),
}

impl Unresolved {
    /// The failure to show.
    pub fn into_error(self, color: bool) -> Error {
        match self {
            Unresolved::Unreadable(error) => error,
            Unresolved::Invalid(invalid) => invalid.into_error(color),
        }
    }
}

impl From<Unresolved> for Error {
    fn from(unresolved: Unresolved) -> Self {
        unresolved.into_error(false)
    }
}

/// Finds and reads the file, lays environment and flags over it, and checks all of it.
///
/// `cwd` is where the search begins and what paths of flags are relative to.
///
/// # Errors
///
/// The file cannot be read, or the configuration has errors: then all of them, those of flags too.
pub fn resolve(overrides: &Overrides, cwd: &Path) -> Result<Settings, Unresolved> {
    let found = match &overrides.restored {
        Some(restored) => Some(restored.path.clone()),
        None => discover::find(overrides.config.as_ref(), cwd).map_err(Unresolved::Unreadable)?,
    };
    let source = match (&overrides.restored, &found) {
        (Some(Restored { path, text }), _) => Some(Source { name: discover::shown(path, cwd), text: text.clone() }),
        (None, Some(path)) => {
            let mut source = source::read(path).map_err(Unresolved::Unreadable)?;
            source.name = discover::shown(path, cwd);
            Some(source)
        }
        (None, None) => None,
    };
    let text = source.as_ref().map_or("", |s| s.text.as_str());
    // The file's `code.dir` need not exist when another one is used.
    let folder =
        found.as_deref().and_then(Path::parent).filter(|_| overrides.code_dir.is_none() && !overrides.elsewhere);
    let Validated { mut config, given, mut problems } = validate(tree::parse(text), folder);
    const POLICY: &str = "puppetserver.autosign_policy";
    if let (Some(policy), Some(folder), Some(span)) =
        (&mut config.puppetserver.autosign_policy, found.as_deref().and_then(Path::parent), given.get(POLICY))
        && !overrides.elsewhere
        && let Err(refusal) = policy.load(folder)
    {
        problems.push(Problem::error(*span, POLICY, refusal.reason).maybe_suggest(refusal.suggestion));
    }

    const RULES: &str = "relay.rules";
    if let (Some(rules), Some(folder), Some(span)) =
        (&mut config.relay.rules, found.as_deref().and_then(Path::parent), given.get(RULES))
        && !overrides.elsewhere
        && let Err(refusal) = rules.load(folder)
    {
        problems.push(Problem::error(*span, RULES, refusal.reason).maybe_suggest(refusal.suggestion));
    }

    let mut origins = BTreeMap::new();
    if let Some(source) = &source {
        for (path, span) in given {
            origins.insert(path, Origin::File { name: source.name.clone(), line: span.line });
        }
    }
    let mut layers = Layers { config, origins, problems };
    layers.apply(overrides, cwd);

    if layers.problems.iter().any(|p| p.severity == Severity::Error) {
        return Err(Unresolved::Invalid(Invalid::new(source, layers.problems)));
    }
    Ok(Settings {
        config: layers.config,
        config_file: found,
        origins: Origins(layers.origins),
        warnings: layers.problems,
        source,
    })
}

/// The project's name alone, for commands that go on where the rest of the configuration is wrong. Nothing when that
/// rest leaves a doubt: another platform than the one that was meant must not be looked at.
pub fn project(overrides: &Overrides, cwd: &Path) -> Option<ProjectName> {
    if let Some(Sourced { value, .. }) = &overrides.project {
        return ProjectName::parse(value).ok();
    }
    let Some(path) = discover::find(overrides.config.as_ref(), cwd).ok()? else { return Some(ProjectName::default()) };
    let Validated { config, given, problems } = validate(tree::parse(&source::read(&path).ok()?.text), None);
    let named = given.contains_key("project");
    // The name itself, the whole file, or where none was found, any key that it could have been meant by.
    let doubt = |p: &Problem| match p.path.as_str() {
        "" | "project" => true,
        path => !named && !path.contains('.'),
    };
    let errors = problems.iter().filter(|p| p.severity == Severity::Error);
    (!errors.into_iter().any(doubt)).then_some(config.project)
}

struct Layers {
    config: Config,
    origins: BTreeMap<String, Origin>,
    problems: Vec<Problem>,
}

impl Layers {
    fn apply(&mut self, overrides: &Overrides, cwd: &Path) {
        if let Some(project) = self.parse("project", overrides.project.as_ref()) {
            self.config.project = project;
        }
        self.track(overrides);
        self.manifest(overrides);
        self.with(overrides.with.as_ref());
        if let Some(Sourced { value, given }) = &overrides.code_dir {
            match check_code_dir(cwd, value) {
                Ok(dir) => {
                    // A flag says which of the two it is.
                    self.config.code.control_repo = None;
                    self.config.code.dir = Some(dir);
                    self.origins.insert("code.dir".to_owned(), Origin::Outside(*given));
                }
                Err(refusal) => {
                    self.problems.push(Problem::outside(given.name(), refusal.reason).maybe_suggest(refusal.suggestion))
                }
            }
        }
    }

    /// Each name counts once; an empty variable says nothing.
    fn with(&mut self, given: Option<&Sourced<String>>) {
        let Some(Sourced { value, given }) = given else { return };
        let mut addons = Vec::new();
        for name in value.split(',').filter(|name| !name.is_empty()) {
            let item = Sourced { value: name.to_owned(), given: *given };
            match self.parse::<Addon>("with", Some(&item)) {
                Some(addon) if !addons.contains(&addon) => addons.push(addon),
                _ => {}
            }
        }
        if !addons.is_empty() {
            self.config.with = addons;
        }
    }

    /// Another manifest has another hash; the key that is trusted may sign many.
    fn manifest(&mut self, overrides: &Overrides) {
        if let Some(place) = self.parse::<Place>("releases.manifest", overrides.manifest.as_ref()) {
            self.config.releases.manifest = Some(place);
            self.config.releases.sha256 = None;
            self.origins.remove("releases.sha256");
        }
        if let Some(sum) = self.parse("releases.sha256", overrides.manifest_sha256.as_ref()) {
            self.config.releases.sha256 = Some(sum);
        }
        if let Some(key) = self.parse("releases.public_key", overrides.manifest_key.as_ref()) {
            self.config.releases.public_key = Some(key);
        }
        let Releases { manifest, sha256, public_key } = &self.config.releases;
        if let (Some(Place::Web(_)), None, None, Some(Sourced { given, .. })) =
            (manifest, sha256, public_key, &overrides.manifest)
        {
            let problem = Problem::outside(given.name(), "nothing tells that what comes from there is genuine");
            self.problems.push(problem.suggest("add `--manifest-sha256` or `--manifest-key`"));
        }
    }

    /// Channel and release are one choice: the stronger layer decides, and within one layer both are too many.
    fn track(&mut self, overrides: &Overrides) {
        let is_flag = |given: Given| matches!(given, Given::Flag(_));
        let (mut channel, mut release) = (overrides.channel.as_ref(), overrides.release.as_ref());
        if let (Some(c), Some(r)) = (channel, release) {
            match (is_flag(c.given), is_flag(r.given)) {
                (true, false) => release = None,
                (false, true) => channel = None,
                _ => {
                    let message = format!("excludes {}", quote(c.given.name()));
                    self.problems.push(Problem::outside(r.given.name(), message).suggest("give one of the two"));
                    return;
                }
            }
        }
        if channel.or(release).is_some() {
            self.origins.remove("channel");
            self.origins.remove("release");
        }
        if let Some(channel) = self.parse::<ChannelName>("channel", channel) {
            self.config.track = Track::Channel(channel);
        }
        if let Some(release) = self.parse::<semver::Version>("release", release) {
            self.config.track = Track::Release(release);
        }
    }

    fn parse<T: Setting>(&mut self, path: &str, given: Option<&Sourced<String>>) -> Option<T> {
        let Sourced { value, given } = given?;
        match T::parse(value) {
            Ok(value) => {
                self.origins.insert(path.to_owned(), Origin::Outside(*given));
                Some(value)
            }
            Err(refusal) => {
                let problem = Problem::outside(given.name(), refusal.reason).maybe_suggest(refusal.suggestion);
                self.problems.push(problem);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
