//! The server half of the Relay API.
//!
//! ```text
//! request --> http --> keeper: book decides --> facts --> store keeps --> book applies --> answer
//! ```
//!
//! - [`book`]: the state, as a pure core.
//! - [`store`]: keeps facts.
//! - [`keeper`]: owns both; one decision at a time.
//! - [`http`]: requests and answers.
//! - `web`: pages for people.
//! - [`rules`]: tells others of reports.

pub mod book;
pub mod http;
pub mod keeper;
mod refusal;
pub mod rules;
pub mod store;
pub mod tls;
mod web;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::error::{Error, Result};
use crate::relay::api::{ConnectionName, NewToken, Token, TokenId, TokenName};
use book::Rules;
use http::{Listening, Server, bind_admin};
use keeper::Keeper;
pub use refusal::Refusal;
use rules::Teller;
use store::StoreError;
use store::file::FileStore;

/// How often the server looks for runs that nobody cares for, and for what need not be kept.
const WATCH: Duration = Duration::from_secs(1);

/// The server's own socket, in its folder.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join("admin.sock")
}

/// A server that is about to answer.
pub struct Relay {
    listening: Listening,
    keeper: Arc<Keeper>,
    tellers: Vec<Teller>,
}

impl Relay {
    /// A server with its state in this folder.
    ///
    /// # Errors
    /// The folder is in use, cannot be read or written, or holds what this version cannot read.
    pub fn open(
        folder: &Path,
        rules: Rules,
        port: TcpListener,
        tls: Option<TlsAcceptor>,
        ending: watch::Receiver<bool>,
    ) -> Result<Self> {
        let (store, held) = FileStore::open(folder).map_err(|error| {
            let refused = matches!(error, StoreError::InUse(_));
            let what = format!("cannot use the state in {}", folder.display());
            let failure = if refused { Error::refused(what) } else { Error::failed(what) };
            failure.because(error)
        })?;
        let keeper = Keeper::new(rules, Box::new(store), &held)
            .map_err(|error| Error::failed(format!("cannot use the state in {}", folder.display())).because(error))?;
        let path = socket(folder);
        let own = bind_admin(&path).map_err(|error| {
            Error::failed(format!("cannot listen at {}", path.display()))
                .because(error)
                .hint("a socket's path has at most 107 characters; choose a shorter `--state-dir`")
        })?;
        let keeper = Arc::new(keeper);
        let server = Arc::new(Server::new(keeper.clone(), tls.is_some(), ending.clone()));
        Ok(Relay { listening: Listening { server, port, tls, own, ending }, keeper, tellers: Vec::new() })
    }

    /// With rules by which others are told of reports.
    pub fn telling(mut self, tellers: Vec<Teller>) -> Self {
        self.tellers = tellers;
        self
    }

    /// Makes this the one token of its name.
    ///
    /// # Errors
    /// It cannot be kept.
    pub async fn keep_token(&self, new: NewToken, token: Token) -> Result<()> {
        let name = new.name.clone();
        let unkept = || Error::failed(format!("the token `{name}` cannot be kept"));
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).map_err(|e| unkept().because(e))?;
        let id = TokenId::from_random(bytes);
        let kept = self.keeper.act(move |book, _, now| book.adopt_token(new, id, &token, now)).await;
        kept.map_err(|refusal| unkept().because(refusal))
    }

    /// Lets no token of this name open anything any more.
    ///
    /// # Errors
    /// It cannot be kept.
    pub async fn drop_token(&self, connection: ConnectionName, name: TokenName) -> Result<()> {
        let unkept = format!("the token `{name}` cannot be revoked");
        let dropped = self.keeper.act(move |book, _, now| Ok((book.drop_tokens(&connection, &name, now), ())));
        dropped.await.map_err(|refusal| Error::failed(unkept).because(refusal))
    }

    /// Answers until it is to end.
    pub async fn run(self) {
        let keeper = self.keeper;
        // Before the first event can come.
        for teller in self.tellers {
            if let Some(at) = teller.begin(&keeper).await {
                tokio::spawn(teller.tell(at, keeper.clone(), self.listening.ending.clone()));
            }
        }
        let watch = async {
            let mut tick = tokio::time::interval(WATCH);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                look_after(&keeper).await;
            }
        };
        tokio::select! {
            () = self.listening.run() => {}
            () = watch => {}
        }
    }
}

/// Ends what bridges let lie, and forgets what ended long ago. What cannot be kept now is tried again.
async fn look_after(keeper: &Arc<Keeper>) {
    let now = Timestamp::now();
    let idle = keeper.read(|book| {
        let ended = book.overdue(&keeper.rules, now).is_empty() && book.gates(now).is_empty();
        ended && book.outlived(&keeper.rules.retention, now).is_empty()
    });
    if idle {
        return;
    }
    let done = keeper.act(|book, rules, now| {
        let mut facts = book.overdue(rules, now);
        facts.extend(book.gates(now));
        facts.extend(book.outlived(&rules.retention, now));
        Ok((facts, ()))
    });
    if let Err(refusal) = done.await {
        tracing::error!(%refusal, "runs are not looked after");
    }
}
