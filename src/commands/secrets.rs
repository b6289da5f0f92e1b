//! `pupperware secrets`: which there are and who has them; a new value for one. Their values never come here.

use serde::Serialize;

use super::change::{self, Change, Outcome};
use super::context::{Context, Extra, Platform};
use super::lifecycle::recorded;
use crate::cli::global::GlobalArgs;
use crate::cli::secrets::{SecretsArgs, SecretsCommand, SecretsListArgs, SecretsRotateArgs};
use crate::desired::credentials::{DATABASE_PASSWORD, EYAML};
use crate::desired::labels;
use crate::engine::EngineError;
use crate::engine::spec::MountSource;
use crate::error::Result;
use crate::plan::{self, TOKENS};
use crate::puppet::eyaml;
use crate::report::output::{Document, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};
use crate::report::{Report, terminal};

/// The answer. Its JSON shape is relied upon: fields may be added, none is renamed.
#[derive(Debug, Serialize)]
struct Secrets {
    project: String,
    secrets: Vec<Secret>,
}

#[derive(Debug, Serialize)]
struct Secret {
    name: String,
    /// When its present value was made, RFC 3339; nothing when it was not made yet.
    made_at: Option<String>,
    /// Whether it was ever rotated.
    rotated: bool,
    /// True while a rotation is under way, or was interrupted.
    rotating: bool,
    copies: Vec<Copy>,
}

/// A copy in a service's reach.
#[derive(Debug, Serialize)]
struct Copy {
    service: String,
    container: String,
    path: String,
    /// When it was put there, RFC 3339; nothing when it is not there.
    delivered_at: Option<String>,
}

impl Tabular for Secrets {
    fn table(&self) -> Table {
        let short = |time: &Option<String>| {
            let time = time.as_deref().and_then(|t| t.parse::<jiff::Timestamp>().ok());
            time.map_or("-".to_owned(), |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        };
        let mut table = Table::new(["SECRET", "MADE", "SERVICE", "DELIVERED", "PATH"]);
        for secret in &self.secrets {
            let made =
                if secret.rotating { Cell::toned("being rotated", Tone::Warn) } else { short(&secret.made_at).into() };
            for copy in &secret.copies {
                table.row([
                    secret.name.as_str().into(),
                    made.clone(),
                    copy.service.as_str().into(),
                    short(&copy.delivered_at).into(),
                    copy.path.as_str().into(),
                ]);
            }
        }
        table
    }
}

/// Does what the sub-command says.
pub(super) async fn run(global: &GlobalArgs, args: &SecretsArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    match &args.command {
        SecretsCommand::List(args) => list(&context, args).await,
        SecretsCommand::Rotate(args) => rotate(&context, args).await,
    }
}

async fn list(context: &Context, args: &SecretsListArgs) -> Result<u8> {
    let platform = context.platform().await?;
    let record = platform.observed.record.as_ref();
    // The first value is made with the volume that it is kept in.
    let state = platform.observed.volumes.get(&labels::scoped(context.project(), "state"));
    let first = record.and_then(|r| r.issued.as_ref()).and(state).and_then(|v| labels::made(&v.labels));
    let secret = |name: &str, copies| {
        let rotated = record.and_then(|r| r.rotated.get(name));
        Secret {
            name: name.to_owned(),
            made_at: rotated.cloned().or_else(|| first.map(ToOwned::to_owned)),
            rotated: rotated.is_some(),
            rotating: record.and_then(|r| r.rotating.as_deref()) == Some(name),
            copies,
        }
    };
    let mut secrets = Vec::new();
    for (name, _) in &platform.desired.credentials.secrets {
        secrets.push(secret(name, copies(&platform, name).await?));
    }
    secrets.push(secret(EYAML, pairs(&platform).await?));
    print_data(args.output, &Document::new(Secrets { project: context.project().to_owned(), secrets }))?;
    Ok(0)
}

/// The copies of a secret, by the containers that have the volumes.
async fn copies(platform: &Platform, secret: &str) -> Result<Vec<Copy>, EngineError> {
    let desired = &platform.desired;
    let mut copies = Vec::new();
    for (key, path, _) in desired.credentials.copies_of(secret) {
        let volume = MountSource::Volume(labels::scoped(&desired.project, key));
        for replica in &desired.replicas {
            let Some(mount) = replica.spec.mounts.iter().find(|m| m.source == volume) else { continue };
            let path = format!("{}/{path}", mount.target);
            copies.push(Copy {
                service: replica.service.clone(),
                container: replica.spec.name.clone(),
                delivered_at: platform.engine.written_at(&replica.spec.name, &path).await?,
                path,
            });
        }
    }
    Ok(copies)
}

/// The key pairs of hiera-eyaml, the newest last. Where there is none yet, the first one's place.
async fn pairs(platform: &Platform) -> Result<Vec<Copy>, EngineError> {
    let Some(primary) = platform.desired.primary() else { return Ok(vec![]) };
    let (service, container) = (&primary.service, &primary.spec.name);
    let mut pairs = Vec::new();
    for number in 1.. {
        let path = format!("{}/{number}/{}", eyaml::KEYS, eyaml::PRIVATE_KEY);
        let delivered_at = platform.engine.written_at(container, &path).await?;
        let there = delivered_at.is_some();
        if there || number == 1 {
            pairs.push(Copy { service: service.clone(), container: container.clone(), path, delivered_at });
        }
        if !there {
            break;
        }
    }
    Ok(pairs)
}

async fn rotate(context: &Context, args: &SecretsRotateArgs) -> Result<u8> {
    let platform = context.platform().await?;
    let secret = args.name.as_deref().unwrap_or(DATABASE_PASSWORD);
    let change = Change {
        command: "secrets rotate",
        engine: &platform.engine,
        release: recorded(&platform.observed),
        channel: None,
    };
    let plan = async |observed: &crate::observed::Observed| plan::rotate(&platform.desired, observed, secret);
    match change::run(context, &change, &args.change, &platform.observed, plan).await? {
        Outcome::Shown(_) | Outcome::Nothing => {}
        Outcome::Done(_) => terminal::out(match secret {
            EYAML => {
                "eyaml has a new key pair, which `pupperware code eyaml encrypt` uses from now on; the old ones still open \
                 what they did\nnext: `pupperware code eyaml reencrypt DIR` in the control repository, and a new backup\n"
            }
            TOKENS => "tokens that were not used are worth nothing now; `pupperware ca token NAME` makes new ones\n",
            DATABASE_PASSWORD => "puppetdb-password is rotated, and the platform is proved with it\n",
            _ => "the token is rotated; the old one opens nothing any more\n",
        })?,
    }
    Ok(0)
}
