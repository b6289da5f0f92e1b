//! `pupperware code`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::change::ChangeArgs;
use crate::report::output::Output;

/// Deploy and check Puppet code.
///
/// With `code.control_repo` in pupperware.yaml, each branch of that git repository is an environment, and r10k
/// installs what its Puppetfile asks for. `up` deploys once; afterwards code changes when it is deployed.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code deploy              every branch\n  \
    pupperware code status              which commit is served where\n  \
    pupperware code check --node web01  whether that node's catalog compiles\n  \
    pupperware code eyaml encrypt       a value that only Puppet Server can read")]
pub struct CodeArgs {
    /// What to do with code.
    #[command(subcommand)]
    pub command: CodeCommand,
}

/// What to do with code.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum CodeCommand {
    Deploy(CodeDeployArgs),
    Status(CodeStatusArgs),
    Check(CodeCheckArgs),
    Undo(CodeUndoArgs),
    Eyaml(EyamlArgs),
}

/// Deploy environments from the control repository.
///
/// The code is fetched and checked beside what is served, and then served at once; agents never see a part of it.
/// When anything fails, what was served before still is. With --node, that node's catalog must compile, too: else what
/// was served before is served again.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code deploy                 every branch\n  \
    pupperware code deploy production      this one, and no other\n  \
    pupperware code deploy --node web01    undone if its catalog does not compile\n  \
    pupperware code deploy --dry-run       say what would be done")]
pub struct CodeDeployArgs {
    /// The environments, that is branches [default: all].
    #[arg(value_name = "ENVIRONMENT")]
    pub environments: Vec<String>,
    /// Undo it when this node's catalog does not compile (in these environments, or in production).
    #[arg(long, value_name = "CERTNAME")]
    pub node: Option<String>,
    /// How to do it.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Show which commit is served in which environment.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code status\n  \
    pupperware code status -o json   for programs")]
pub struct CodeStatusArgs {
    /// How to print it.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Check the code that is served: manifests, YAML, a node's catalog.
///
/// Every manifest must parse, and every Hiera file must be YAML that gives no key twice. With --node, the server
/// compiles that node's catalog with the facts that PuppetDB has; nothing is applied or kept.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code check              everything that is served\n  \
    pupperware code check production   one environment\n  \
    pupperware code check dev --node web01.example.com")]
pub struct CodeCheckArgs {
    /// The environments [default: all; with --node, that node's catalog in production].
    #[arg(value_name = "ENVIRONMENT")]
    pub environments: Vec<String>,
    /// Compile this node's catalog, too.
    #[arg(long, value_name = "CERTNAME")]
    pub node: Option<String>,
    /// How to do it.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Serve the deployment before the one that is served.
///
/// Done twice, it serves the newer one again.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware code undo")]
pub struct CodeUndoArgs {
    /// How to do it.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Encrypt values in Hiera data, with the platform's own keys.
///
/// The private key never leaves the engine: Puppet Server reads it, and nobody else.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code eyaml encrypt < password.txt   print ENC[PKCS7,...]\n  \
    pupperware code eyaml public-key               for whoever encrypts elsewhere\n  \
    pupperware code eyaml reencrypt ./control      for the newest key pair")]
pub struct EyamlArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: EyamlCommand,
}

/// What to do with encrypted values.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum EyamlCommand {
    Encrypt(EyamlEncryptArgs),
    PublicKey(EyamlPublicKeyArgs),
    Reencrypt(EyamlReencryptArgs),
}

/// Encrypt a value, and print it as Hiera wants it.
///
/// The value comes from standard input or a file, never as an argument, which others could see. A line end at its end is
/// left out, as Hiera does when it reads.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code eyaml encrypt < password.txt\n  \
    pupperware code eyaml encrypt --label db::password password.txt >> a.yaml\n  \
    openssl rand -hex 16 | pupperware code eyaml encrypt")]
pub struct EyamlEncryptArgs {
    /// The file with the value [default: standard input].
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print a line of YAML that gives it to this key.
    #[arg(long, value_name = "KEY")]
    pub label: Option<String>,
    /// Number of the key pair [default: the newest].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub pair: Option<u32>,
}

/// Print the certificate that values are encrypted for.
///
/// It is no secret: the `eyaml` command encrypts with it, wherever that is.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code eyaml public-key > public_key.pkcs7.pem\n  \
    eyaml encrypt --pkcs7-public-key=public_key.pkcs7.pem --password")]
pub struct EyamlPublicKeyArgs {
    /// Number of the key pair [default: the newest].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub pair: Option<u32>,
}

/// Encrypt the values in files anew, for the newest key pair.
///
/// After `secrets rotate eyaml`, in a work tree of the control repository. Each value is opened and closed again inside
/// the engine. Paths to older pairs, as in hiera.yaml, are led to the newest. When a single value cannot be opened, no
/// file is changed.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code eyaml reencrypt ./control              all YAML below it\n  \
    pupperware code eyaml reencrypt data/secrets.eyaml     one file")]
pub struct EyamlReencryptArgs {
    /// Files, or directories whose .yaml, .yml and .eyaml files are meant.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}
