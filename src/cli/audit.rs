//! `pupperware audit`.

use clap::{Args, ValueEnum};

/// How the findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AuditOutput {
    /// Aligned columns.
    #[default]
    Table,
    /// A JSON document.
    Json,
    /// A YAML document.
    Yaml,
    /// A SARIF 2.1.0 document, for code hosts and dashboards.
    Sarif,
}

/// Check the security model against what really runs.
///
/// Looks at containers, networks, volumes, certificates and images, and tries what must be refused. Each finding has an
/// id, a severity, its place, what was seen, and what to do. Exits with 3 when something was found, or when something
/// could not be looked at. Nothing of the platform is changed.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware audit                        what is not as it should be\n  \
    pupperware audit --updates              and which packages wait for updates\n  \
    pupperware audit -o json                for programs\n  \
    pupperware audit -o sarif > audit.sarif for a code host or dashboard")]
pub struct AuditArgs {
    /// Ask Debian for newer packages of the images; needs the network.
    #[arg(long)]
    pub updates: bool,
    /// How to print the findings.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: AuditOutput,
    /// What `up` would take from the environment: drift is told against it.
    #[arg(long, env = "PUPPERWARE_CODE", hide = true)]
    pub code: Option<std::path::PathBuf>,
    /// The same.
    #[arg(long, value_delimiter = ',', env = "PUPPERWARE_WITH", hide = true)]
    pub with: Vec<String>,
    /// The same.
    #[arg(long, env = "PUPPERWARE_CHANNEL", hide = true)]
    pub channel: Option<String>,
    /// The same.
    #[arg(long, env = "PUPPERWARE_RELEASE", hide = true)]
    pub release: Option<semver::Version>,
}
