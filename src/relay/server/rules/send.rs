//! One message to one receiver, and what its answer means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Method;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::config::Receiver;
use super::message::Message;
use super::sign::Secret;
use crate::relay::client::connection::{Connection, Limits};
use crate::relay::client::target::Target;
use crate::relay::client::tls::{TlsFiles, connector};
use crate::relay::client::token::TokenFile;

/// How long a receiver may take.
const TIME: Duration = Duration::from_secs(15);

/// Why a message was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It may be taken another time; after this, if that was said.
    Later {
        /// What happened.
        why: String,
        /// When to try again.
        after: Option<Duration>,
    },
    /// It never will be.
    Refused(String),
}

/// A receiver that can be sent to.
pub struct Sender {
    connection: Connection,
    secret: Option<Secret>,
}

/// What a message is known again by, however often it is sent.
pub fn id(rule: &str, from: u64, to: u64) -> String {
    let hash = Sha256::digest(format!("{rule}\0{from}\0{to}"));
    let hex: String = hash.iter().take(12).map(|b| format!("{b:02x}")).collect();
    format!("msg_{hex}")
}

impl Sender {
    /// Reads the address, and the secret when there is one.
    ///
    /// # Errors
    /// A file cannot be read, others can read it, or it holds something else.
    pub fn new(receiver: &Receiver) -> Result<Self, String> {
        let (target, ca, secret) = read(receiver)?;
        let files = TlsFiles { ca, identity: None };
        let limits = Limits { body: 64 << 10, time: TIME };
        Ok(Sender { connection: Connection::new(target, &files, None, limits)?, secret })
    }

    /// Sends it once.
    ///
    /// # Errors
    /// It was not taken.
    pub async fn send(&self, message: &Message, rule: &str, id: &str, now: Timestamp) -> Result<(), NotSent> {
        let body = match &self.secret {
            None => message.slack(rule),
            Some(_) => message.webhook(rule, now),
        };
        let (body, seconds) = (body.to_string(), now.as_second());
        let time = seconds.to_string();
        let signature = self.secret.as_ref().map(|secret| secret.sign(id, seconds, &body));
        let mut headers = Vec::new();
        if let Some(signature) = &signature {
            headers.extend([
                ("webhook-id", id),
                ("webhook-timestamp", time.as_str()),
                ("webhook-signature", signature.as_str()),
            ]);
        }
        let sent = self.connection.send(Method::POST, "", Some(body.into_bytes()), Duration::ZERO, &headers).await;
        // The address is a secret, so the connection's own words are not repeated.
        let answer = sent.map_err(|_| NotSent::Later { why: "the receiver does not answer".into(), after: None })?;
        let status = answer.status;
        match status.as_u16() {
            200..=299 => Ok(()),
            408 | 425 | 429 | 500..=599 => {
                Err(NotSent::Later { why: format!("the receiver answers with {status}"), after: answer.retry_after })
            }
            _ => Err(NotSent::Refused(format!("the receiver answers with {status}"))),
        }
    }
}

impl Receiver {
    /// Looks at the files that it names.
    ///
    /// # Errors
    /// One cannot be read, others can read it, or it holds something else. Says which, not what is in it.
    pub fn look(&self) -> Result<(), String> {
        let (_, ca, _) = read(self)?;
        ca.map_or(Ok(()), |ca| connector(&TlsFiles { ca: Some(ca), identity: None }).map(drop))
    }
}

/// What is in a receiver's files: its address, whom to trust, the secret where there is one.
fn read(receiver: &Receiver) -> Result<(Target, Option<PathBuf>, Option<Secret>), String> {
    let (url, ca, secret) = match receiver {
        Receiver::Slack { url_file } => (url_file, None, None),
        Receiver::Webhook { url_file, secret_file, ca_file } => {
            let secret = Secret::parse(&text(secret_file)?).map_err(|why| named(secret_file, &why))?;
            (url_file, ca_file.clone(), Some(secret))
        }
    };
    // What is wrong with an address must not show it.
    let target = Target::parse(&text(url)?).map_err(|_| named(url, "is not a URL that can be sent to"))?;
    Ok((target, ca, secret))
}

fn text(path: &PathBuf) -> Result<String, String> {
    TokenFile::new(path).read().map(|token| token.secret().to_owned())
}

fn named(path: &Path, why: &str) -> String {
    format!("{}: {why}", path.display())
}
