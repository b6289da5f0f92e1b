//! `pupperware ca`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::change::ChangeArgs;
use crate::puppet::ca::CertName;
use crate::report::output::Output;

/// List, sign, revoke and renew certificates.
///
/// The certificate authority is in the puppetserver that runs; it is asked there. A revocation reaches every service
/// that lets certificates in, and is seen to hold before the command ends.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware ca list                        who waits, who is signed, until when\n  \
    pupperware ca sign web01.example.com      sign one that waits\n  \
    pupperware ca revoke web01.example.com    shut one out at once\n  \
    pupperware ca reissue puppetdb            a new certificate for a service\n  \
    pupperware ca import ./ca                 a CA from elsewhere, before `up`")]
pub struct CaArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CaCommand,
}

/// What to do with certificates.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum CaCommand {
    List(ListArgs),
    Sign(SignArgs),
    Revoke(RevokeArgs),
    Clean(CleanArgs),
    Reissue(ReissueArgs),
    Crl(CrlArgs),
    Token(TokenArgs),
    Import(ImportArgs),
}

/// List requests and certificates, with their ends.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware ca list           a table\n  \
    pupperware ca list -o json   for programs")]
pub struct ListArgs {
    /// How to print them.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Sign requests that wait.
///
/// Compare the fingerprint with what the agent's `puppet agent --fingerprint` says: whoever is signed gets catalogs.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware ca sign web01.example.com   one, or several\n  \
    pupperware ca sign --all               all that wait, after a question")]
pub struct SignArgs {
    /// Whose.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<CertName>,
    /// All that wait; asks, and signs exactly what it showed.
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Revoke certificates: they are refused everywhere from now on.
///
/// It cannot be undone. PuppetDB pauses for some seconds to read the new list; the server and PostgreSQL do not. The
/// name stays taken until `ca clean`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware ca revoke web01.example.com         after a question\n  \
    pupperware --yes ca revoke web01.example.com   for scripts")]
pub struct RevokeArgs {
    /// Whose.
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<CertName>,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Revoke certificates, and free their names; or reject requests.
///
/// Afterwards the agent, or a new machine of that name, may ask for a certificate again. It cannot be undone.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware ca clean web01.example.com   its machine is made anew, or gone")]
pub struct CleanArgs {
    /// Whose.
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<CertName>,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Issue the certificates of services anew.
///
/// From the same CA, so that nobody needs new trust. The old ones are revoked. The services restart, and puppetserver
/// does in any case, because it must not sign in the meantime; then the platform is proved. Like `up`, it also brings
/// about what else the configuration asks for.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware ca reissue puppetdb   one service\n  \
    pupperware ca reissue all        every service, agents of the platform too")]
pub struct ReissueArgs {
    /// The services, or `all`.
    #[arg(value_name = "SERVICE", required = true)]
    pub services: Vec<String>,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Give every service the revocation list again.
///
/// After certificates were revoked by other means, such as `puppetserver ca revoke`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware ca crl   and see that a revoked certificate is refused")]
pub struct CrlArgs {
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Make a one-time token that signs an agent at once.
///
/// The token is printed, and kept nowhere. It goes into the agent's csr_attributes.yaml, as custom_attributes:
/// 1.2.840.113549.1.9.7, before its first run. It is good for one request of that name.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware ca token web01.example.com")]
pub struct TokenArgs {
    /// For whom.
    #[arg(value_name = "NAME")]
    pub name: CertName,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Bring a CA that was made elsewhere, before the first `up`.
///
/// The directory is as Puppet keeps a CA: ca_crt.pem (the certificate, and those above it up to the root), ca_key.pem (RSA,
/// no passphrase, mode 0600), ca_crl.pem (a revocation list of each), and serial or inventory.txt, which tell what serial
/// number comes next. With signed/NAME.pem, certificates of agents can be listed and revoked here. Agents that trust this
/// CA trust the platform. A platform that has a CA keeps it.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware ca import ./ca             then `pupperware up`\n  \
    pupperware ca import ./ca --dry-run   look at the files, and change nothing")]
pub struct ImportArgs {
    /// The directory with the CA's files.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}
