//! The API over HTTP: connections, limits, who is let in, and what each request does.
//!
//! Two doors: the port, where a token is asked for, and the server's own Unix socket, where whoever reaches it may
//! administrate. Bounded on both: connections, time for a request to come, its size, how often somebody asks.

pub mod answer;
mod limit;
mod listen;
mod operations;
pub mod routes;
mod stream;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Request, Response};
use jiff::Timestamp;
use tokio::sync::watch;

use super::book::Caller;
use super::keeper::Keeper;
use super::refusal::Refusal;
use super::web::{self, Session, Sessions};
use crate::relay::api::{MAX_BODY, Token, TokenId};
use answer::Body;
use limit::{Limiter, Who};
use routes::Access;

pub use listen::{Listening, bind_admin};
pub use operations::OPENAPI;
pub(super) use operations::random;

/// How long the body of a request may take to come.
const BODY_TIME: Duration = Duration::from_secs(15);

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The port; from there.
    Port(IpAddr),
    /// The server's own socket.
    Own,
}

/// Answers requests.
pub struct Server {
    pub(super) keeper: Arc<Keeper>,
    limiter: Mutex<Limiter>,
    pub(super) used: Mutex<HashMap<TokenId, Timestamp>>,
    pub(super) sessions: Mutex<Sessions>,
    /// Whether the port has TLS.
    pub(super) secure: bool,
    pub(super) ending: watch::Receiver<bool>,
}

impl Server {
    /// Over this state; it ends what waits when `ending` becomes true.
    pub fn new(keeper: Arc<Keeper>, secure: bool, ending: watch::Receiver<bool>) -> Self {
        Server { keeper, limiter: Mutex::default(), used: Mutex::default(), sessions: Mutex::default(), secure, ending }
    }

    /// Answers a request; a refusal is an answer, too.
    pub async fn answer(self: Arc<Self>, door: Door, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        match self.carry_out(door, request).await {
            Ok(response) => response,
            Err(refusal) => answer::refusal(&refusal, &routes::methods(&path)),
        }
    }

    async fn carry_out(self: &Arc<Self>, door: Door, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if matches!(door, Door::Port(_))
            && let Some((wanted, id)) = web::find(&head.method, path)
        {
            let query = head.uri.query().unwrap_or_default();
            let visit = web::Visit { id, method: &head.method, query, headers: &head.headers };
            return Ok(self.page(wanted, door, &visit, body).await);
        }
        let (route, id) = routes::find(&head.method, head.uri.path())?;
        let caller = match route.access {
            Access::Open => None,
            Access::Admin if door == Door::Own => None,
            // On the port there is no such path.
            Access::Admin => return Err(Refusal::new(404, "no_such_path", "there is nothing here")),
            Access::Scopes(scopes) => Some(self.admit(door, &head.headers, scopes)?),
        };
        let asked = operations::Asked { id, query: head.uri.query().unwrap_or_default(), headers: &head.headers, body };
        match caller {
            Some(caller) => self.operate(route.operation, caller, asked).await,
            None => self.operate_openly(route.operation, asked).await,
        }
    }

    /// Who asks, when a token with one of these scopes says so.
    fn admit(
        &self,
        door: Door,
        headers: &HeaderMap,
        scopes: &[crate::relay::api::TokenScope],
    ) -> Result<Caller, Refusal> {
        let now = Timestamp::now();
        let found = bearer(headers).and_then(|token| {
            self.keeper.read(|book| {
                let (caller, has) = book.holder(&token, now)?;
                Some((caller, scopes.iter().any(|scope| has.contains(scope))))
            })
        });
        let Some((caller, allowed)) = found else {
            self.count_stranger(door)?;
            return Err(Refusal::new(
                401,
                "unauthorized",
                "a token of this server is needed: `Authorization: Bearer ...`",
            ));
        };
        self.count(Who::Token(caller.token.clone()))?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(caller.token.clone(), now);
        if !allowed {
            let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            let message = format!("the token has not the scope for this: {}", names.join(" or "));
            return Err(Refusal::new(403, "forbidden", message));
        }
        Ok(caller)
    }

    /// Counts somebody's visit to a page. Files and forms of who is not signed in yet count when something is wrong.
    pub(super) fn count_visit(&self, door: Door, session: Option<&Session>) -> Result<(), Refusal> {
        match (session, door) {
            (Some(session), _) => self.count(Who::Visitor(session.csrf.clone())),
            (None, Door::Port(address)) => self.count(Who::Guest(address)),
            (None, Door::Own) => Ok(()),
        }
    }

    /// Counts a try of somebody who knows nothing that opens anything.
    pub(super) fn count_stranger(&self, door: Door) -> Result<(), Refusal> {
        match door {
            Door::Port(address) => self.count(Who::Stranger(address)),
            Door::Own => Ok(()),
        }
    }

    fn count(&self, who: Who) -> Result<(), Refusal> {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter
            .try_once(who, Instant::now())
            .map_err(|wait| Refusal::new(429, "too_many_requests", "too many requests").retry_after(wait.as_secs() + 1))
    }
}

fn bearer(headers: &HeaderMap) -> Option<Token> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token).ok()).flatten()
}

/// The body of a request, when it is not too long and comes in time.
async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(body, MAX_BODY).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Refusal::new(413, "too_large", format!("a body has at most {MAX_BODY} bytes")))
        }
        Ok(Err(error)) => Err(Refusal::new(400, "not_read", format!("the body ended early: {error}"))),
        Err(_) => Err(Refusal::new(408, "too_slow", "the body did not come in time")),
    }
}
