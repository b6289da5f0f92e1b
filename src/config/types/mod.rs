//! The values a configuration is made of: each type is parsed once and cannot hold a bad value afterwards.
//!
//! Here stands what they share, and what is made of other types. Names and references live in `names`,
//! sizes, times and counts in `amounts`, addresses in `publish`. Where a value came from is not known here.

mod addon;
mod amounts;
mod balancer;
mod names;
mod place;
mod policy;
mod publish;
mod recipient;
mod repository;
mod rules;
mod trust;
mod window;

use std::fmt;

use serde_json::{Value, json};

pub use addon::Addon;
pub(crate) use amounts::MIB;
pub use amounts::{ByteSize, Count, Cpus, EnvironmentTimeout, Ttl};
pub use balancer::Balancer;
pub use names::{AutosignGlob, ChannelName, DnsName, ImageReference, ProjectName};
pub use place::Place;
pub use policy::AutosignPolicy;
pub use publish::{Publish, PublishHere, PublishRelay};
pub use recipient::{AgeRecipient, PRIVATE_KEY};
pub use repository::{PASSWORD, RepositoryUrl, Transport};
pub use rules::{Beside, Loaded, RelayRules};
pub use trust::{Sha256Sum, SigningKey};
pub use window::Window;

/// Why a text is not a value of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong with the text, lower case.
    pub reason: String,
    /// What to write instead.
    pub suggestion: Option<String>,
}

impl Refusal {
    /// A refusal that has no better text to offer.
    pub fn new(reason: impl Into<String>) -> Self {
        Refusal { reason: reason.into(), suggestion: None }
    }

    /// Adds what to write instead.
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

/// A type that one scalar of the file (or the text of a flag) is parsed into.
///
/// `Display` writes the value as it would stand in the file.
pub trait Setting: Sized + fmt::Display {
    /// What a user reads where another type was found, and in the reference: "a size like 512m or 2g".
    fn expected() -> String;
    /// Whether an unquoted whole number is taken.
    const TAKES_INTEGER: bool = false;
    /// Whether an unquoted number with a fraction is taken.
    const TAKES_FLOAT: bool = false;
    /// Whether an unquoted `true` or `false` is taken.
    const TAKES_BOOL: bool = false;

    /// Parses the text.
    ///
    /// # Errors
    ///
    /// The reason why the text is no value of this type.
    fn parse(text: &str) -> Result<Self, Refusal>;

    /// The JSON Schema of what may stand in the file. It allows all that `parse` takes; where a rule has no
    /// short pattern it allows more.
    fn schema() -> Value;

    /// The value as it stands in the file, for defaults and for `config show`.
    fn to_json(&self) -> Value {
        let text = self.to_string();
        match text.parse::<u64>() {
            Ok(number) if Self::TAKES_INTEGER => json!(number),
            _ => json!(text),
        }
    }
}

/// A value that we choose unless the user names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auto<T> {
    /// We choose; see `sizing`.
    #[default]
    Auto,
    /// The user chose.
    Set(T),
}

impl<T: Copy> Auto<T> {
    /// The user's choice.
    pub fn set(self) -> Option<T> {
        match self {
            Auto::Auto => None,
            Auto::Set(value) => Some(value),
        }
    }
}

impl<T: Setting> fmt::Display for Auto<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auto::Auto => f.write_str("auto"),
            Auto::Set(value) => value.fmt(f),
        }
    }
}

impl<T: Setting> Setting for Auto<T> {
    fn expected() -> String {
        format!("`auto`, or {}", T::expected())
    }

    const TAKES_INTEGER: bool = T::TAKES_INTEGER;
    const TAKES_FLOAT: bool = T::TAKES_FLOAT;

    fn parse(text: &str) -> Result<Self, Refusal> {
        if text == "auto" {
            return Ok(Auto::Auto);
        }
        T::parse(text).map(Auto::Set).map_err(|mut refusal| {
            refusal.suggestion = refusal.suggestion.map(|suggestion| format!("{suggestion}, or `auto`"));
            refusal
        })
    }

    fn schema() -> Value {
        json!({ "anyOf": [{ "const": "auto" }, T::schema()] })
    }
}

/// Who gets a certificate without being asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Autosign {
    /// Nobody but the platform's own agents.
    #[default]
    Off,
    /// Everybody who can reach the server. Dangerous.
    Everybody,
    /// Whoever names itself so. At least one.
    Matching(Vec<AutosignGlob>),
}

impl Autosign {
    /// What a user reads where another type was found, and in the reference.
    pub const EXPECTED: &'static str = "`false`, `true` or a list of names";

    /// The JSON Schema of what may stand in the file.
    pub fn schema() -> Value {
        json!({ "anyOf": [{ "type": "boolean" }, { "type": "array", "items": AutosignGlob::schema() }] })
    }

    /// The value as it stands in the file.
    pub fn to_json(&self) -> Value {
        match self {
            Autosign::Off => json!(false),
            Autosign::Everybody => json!(true),
            Autosign::Matching(globs) => globs.iter().map(Setting::to_json).collect(),
        }
    }
}

impl Setting for bool {
    fn expected() -> String {
        "`true` or `false`".to_owned()
    }

    const TAKES_BOOL: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse()
            .map_err(|_| Refusal::new(format!("{} is neither `true` nor `false`", crate::config::problem::quote(text))))
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn to_json(&self) -> Value {
        json!(self)
    }
}

impl Setting for semver::Version {
    fn expected() -> String {
        "a version like 8.1.0".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        if let Some(bare) = text.strip_prefix('v').filter(|t| semver::Version::parse(t).is_ok()) {
            return Err(Refusal::new("a version has no leading `v`").suggest(format!("write `{bare}`")));
        }
        semver::Version::parse(text).map_err(|error| {
            let refusal = Refusal::new(format!("not a version: {error}"));
            let padded = format!("{text}{}", ".0".repeat(2usize.saturating_sub(text.matches('.').count())));
            match semver::Version::parse(&padded) {
                Ok(version) => refusal.suggest(format!("write `{version}`")),
                Err(_) => refusal.suggest("write three numbers, such as `8.1.0`"),
            }
        })
    }

    fn schema() -> Value {
        // Shape only; the full grammar of semver.org is the validator's.
        json!({ "type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$" })
    }
}
