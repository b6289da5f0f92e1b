//! `pupperware config`.

use clap::{Args, Subcommand, ValueEnum};

/// How the configuration is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ConfigFormat {
    /// Each setting, its value, and where it comes from.
    #[default]
    Table,
    /// A JSON document.
    Json,
    /// A YAML document.
    Yaml,
    /// The whole platform as a Compose file.
    Compose,
}

/// Show, check and describe the configuration.
///
/// Without a command it shows the configuration, as `config show` does.
#[derive(Debug, Clone, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "Examples:\n  \
        pupperware config                        every setting and its origin\n  \
        pupperware config --format compose       the platform as a Compose file\n  \
        pupperware config validate               check it, all errors at once\n  \
        pupperware config schema > schema.json   for editors"
)]
pub struct ConfigArgs {
    /// What to do with it; none means to show it, as `show` says.
    #[command(subcommand)]
    pub command: Option<ConfigCommand>,
    /// How to show it when there is no command.
    #[command(flatten)]
    pub show: ConfigShowArgs,
}

/// What to do with the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration; all errors at once, with their places
    #[command(after_long_help = "Examples:\n  pupperware config validate\n  pupperware -f other.yaml config validate")]
    Validate,
    #[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
    Show(ConfigShowArgs),
    /// Print the JSON Schema of pupperware.yaml
    #[command(after_long_help = "Examples:\n  pupperware config schema > pupperware.schema.json")]
    Schema,
}

/// Show the resolved configuration.
///
/// What flags, environment, file and defaults come to. Secrets are never shown.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware config show                        every setting and its origin\n  \
    pupperware config show -o compose > c.yaml    the platform as a Compose file")]
pub struct ConfigShowArgs {
    /// How to print it.
    #[arg(short = 'o', long, visible_alias = "output", value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ConfigFormat,
}
