//! What each request does: reads it into types, lets the core decide, and answers.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::book::{Book, Caller, Choice, Entry, fitting};
use super::answer::{self, Body};
use super::routes::Operation;
use super::{Refusal, Server, read};
use crate::relay::api::{
    AcceptRequest, BadName, DecisionRequest, EventMade, IdempotencyKey, Lease, LinkMade, MAX_WAIT_SECONDS, NewEvent,
    NewLink, NewRun, NewToken, RunId, RunList, StateUpdate, Token, TokenId, TokenInfo, TokenList, TokenMade,
};

/// The description of this API.
pub const OPENAPI: &str = include_str!("../../../../docs/reference/relay-api.yaml");

/// The most that a page of runs, nodes or events has, and what it has when nothing is said.
const PAGE: (usize, usize) = (1_000, 100);

/// A request, taken apart.
pub(super) struct Asked<'r> {
    /// The identifier in its path.
    pub id: &'r str,
    /// What follows the `?`.
    pub query: &'r str,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Its body, not read yet.
    pub body: Incoming,
}

impl Server {
    /// Does what the holder of a token wants.
    pub(super) async fn operate(
        self: &Arc<Self>,
        operation: Operation,
        caller: Caller,
        asked: Asked<'_>,
    ) -> Result<Response<Body>, Refusal> {
        match operation {
            Operation::AskRun => {
                let key = header(asked.headers, "idempotency-key")?.map(IdempotencyKey::try_from).transpose()?;
                let request: NewRun = parsed(asked.body).await?;
                let ids = (RunId::from_random(random()?), RunId::from_random(random()?));
                let keeper = &self.keeper;
                let run = keeper.act(move |book, rules, now| book.ask(rules, &caller, request, key, ids, now)).await?;
                Ok(answer::json(StatusCode::CREATED, &run))
            }
            Operation::ListRuns => self.list_runs(&caller, asked.query).await,
            Operation::ShowRun => {
                let id = run_id(&asked)?;
                let run = self.keeper.read(|book| book.run(&caller.connection, &id).map(Entry::view))?;
                Ok(answer::json(StatusCode::OK, &run))
            }
            Operation::AcceptRun => {
                let (id, body) = (run_id(&asked)?, read(asked.body).await?);
                // The original bridge sends nothing, or an empty object.
                let AcceptRequest { accept_token } =
                    if body.is_empty() { AcceptRequest::default() } else { serde_json::from_slice(&body)? };
                let fresh = Lease::try_from(RunId::from_random(random()?).to_string())?;
                let keeper = &self.keeper;
                let accepted =
                    keeper.act(move |book, _, now| book.accept(&caller, &id, accept_token.as_ref(), &fresh, now));
                Ok(answer::json(StatusCode::ACCEPTED, &accepted.await?))
            }
            Operation::PutState => {
                let id = run_id(&asked)?;
                let update: StateUpdate = parsed(asked.body).await?;
                let state = self.keeper.act(move |book, _, now| book.update(&caller, &id, &update, now)).await?;
                Ok(answer::json(StatusCode::ACCEPTED, &state))
            }
            Operation::CancelRun => {
                let id = run_id(&asked)?;
                let run = self.keeper.act(move |book, _, now| book.cancel(&caller.connection, &id, now)).await?;
                Ok(answer::json(StatusCode::ACCEPTED, &run))
            }
            Operation::ApproveRun => self.decide(caller, Choice::Approve, asked).await,
            Operation::DenyRun => self.decide(caller, Choice::Deny, asked).await,
            Operation::CompareRun => {
                let (id, (offset, limit)) = (run_id(&asked)?, page(asked.query)?);
                let comparison = self.keeper.read(|book| book.comparison(&caller.connection, &id, offset, limit))?;
                Ok(answer::json(StatusCode::OK, &comparison))
            }
            Operation::ListNodes => {
                let (id, (offset, limit)) = (run_id(&asked)?, page(asked.query)?);
                let nodes = self.keeper.read(|book| book.nodes(&caller.connection, &id, offset, limit))?;
                Ok(answer::json(StatusCode::OK, &nodes))
            }
            Operation::FollowRun => {
                let last = header(asked.headers, "last-event-id")?.and_then(|text| text.parse().ok());
                self.follow(caller, run_id(&asked)?, last.unwrap_or(0))
            }
            Operation::TakeEvent => {
                let new: NewEvent = parsed(asked.body).await?;
                let id = RunId::from_random(random()?);
                let event = self.keeper.act(move |book, _, now| book.take_event(&caller, new, id, now)).await?;
                Ok(answer::json(StatusCode::ACCEPTED, &EventMade { event }))
            }
            Operation::ListEvents => {
                let (after, (_, limit)) = (number(asked.query, "after")?.unwrap_or(0), page(asked.query)?);
                let look = |book: &Book| {
                    let list = book.events_after(&caller.connection, after, limit);
                    (!list.events.is_empty(), list)
                };
                Ok(answer::json(StatusCode::OK, &self.wait_for(wait(asked.query)?, look).await))
            }
            other => self.operate_openly(other, asked).await,
        }
    }

    /// Does what needs no token.
    pub(super) async fn operate_openly(
        self: &Arc<Self>,
        operation: Operation,
        asked: Asked<'_>,
    ) -> Result<Response<Body>, Refusal> {
        match operation {
            Operation::Health => {
                let body = json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "approval": true});
                Ok(answer::json(StatusCode::OK, &body))
            }
            Operation::Describe => Ok(answer::whole(StatusCode::OK, "application/yaml", OPENAPI.into())),
            Operation::ListTokens => {
                let tokens = self.keeper.read(Book::tokens);
                let tokens = tokens.into_iter().map(|info| self.with_use(info)).collect();
                Ok(answer::json(StatusCode::OK, &TokenList { tokens }))
            }
            Operation::MakeToken => {
                let new: NewToken = parsed(asked.body).await?;
                let (id, token) = (TokenId::from_random(random()?), Token::from_random(random()?));
                let made = token.clone();
                let info = self.keeper.act(move |book, _, now| book.make_token(new, id, &made, now)).await?;
                Ok(answer::json(StatusCode::CREATED, &TokenMade { token: token.secret().to_owned(), info }))
            }
            Operation::MakeLink => {
                let (new, secret): (NewLink, _) = (parsed(asked.body).await?, Token::from_random(random()?));
                let path = format!("/link/{}", secret.secret());
                let link = self.keeper.act(move |book, _, now| book.make_link(new, &secret, now)).await?;
                Ok(answer::json(StatusCode::CREATED, &LinkMade { path, ends_at: link.ends_at }))
            }
            Operation::RotateToken => {
                let old: TokenId = asked.id.parse()?;
                let (id, token) = (TokenId::from_random(random()?), Token::from_random(random()?));
                let made = token.clone();
                let info = self.keeper.act(move |book, _, now| book.rotate_token(&old, id, &made, now)).await?;
                Ok(answer::json(StatusCode::CREATED, &TokenMade { token: token.secret().to_owned(), info }))
            }
            Operation::RevokeToken => {
                let id: TokenId = asked.id.parse()?;
                let info = self.keeper.act(move |book, _, now| book.revoke_token(&id, now)).await?;
                Ok(answer::json(StatusCode::OK, &info))
            }
            _ => Err(Refusal::new(401, "unauthorized", "a token of this server is needed")),
        }
    }

    async fn decide(
        self: &Arc<Self>,
        caller: Caller,
        choice: Choice,
        asked: Asked<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let (id, body) = (run_id(&asked)?, read(asked.body).await?);
        let DecisionRequest { reason } =
            if body.is_empty() { DecisionRequest::default() } else { serde_json::from_slice(&body)? };
        let decided =
            self.keeper.act(move |book, _, now| book.decide(&book.decider(&caller), &id, choice, reason, now));
        Ok(answer::json(StatusCode::OK, &decided.await?))
    }

    /// What is outstanding, after waiting for something to take; or, with `status=all`, every run.
    async fn list_runs(&self, caller: &Caller, query: &str) -> Result<Response<Body>, Refusal> {
        let views = |entries: Vec<&Entry>| RunList { runs: fitting(entries).into_iter().map(Entry::view).collect() };
        let list = match value(query, "status") {
            Some("all") => {
                let (offset, limit) = page(query)?;
                self.keeper.read(|book| views(book.all(&caller.connection, offset, limit)))
            }
            Some("open") => {
                let (offset, limit) = page(query)?;
                self.keeper.read(|book| views(book.open(&caller.connection, offset, limit)))
            }
            None => {
                let look = |book: &Book| {
                    let entries = book.outstanding(&caller.connection);
                    (entries.first().is_some_and(|entry| entry.is_free()), views(entries))
                };
                self.wait_for(wait(query)?, look).await
            }
            Some(_) => return Err(Refusal::new(422, "not_valid", "`status` can only be `open` or `all`")),
        };
        Ok(answer::json(StatusCode::OK, &list))
    }

    fn with_use(&self, info: TokenInfo) -> TokenInfo {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        TokenInfo { last_used_at: used.get(&info.id).copied(), ..info }
    }
}

impl From<BadName> for Refusal {
    fn from(bad: BadName) -> Self {
        Refusal::new(422, "not_valid", bad.to_string())
    }
}

/// An identifier that cannot be one belongs to no run.
fn run_id(asked: &Asked<'_>) -> Result<RunId, Refusal> {
    asked.id.parse().map_err(|bad: BadName| Refusal::new(404, "no_such_run", bad.to_string()))
}

async fn parsed<T: DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    Ok(serde_json::from_slice(&read(body).await?)?)
}

fn header(headers: &HeaderMap, name: &str) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Refusal::new(422, "not_valid", format!("`{name}` is not ASCII")))?;
    Ok(Some(text.to_owned()))
}

fn value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn number(query: &str, name: &str) -> Result<Option<u64>, Refusal> {
    let parse = |text: &str| text.parse().map_err(|_| Refusal::new(422, "not_valid", format!("`{name}` is a number")));
    value(query, name).map(parse).transpose()
}

fn page(query: &str) -> Result<(usize, usize), Refusal> {
    let (most, usual) = PAGE;
    let offset = number(query, "offset")?.map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let limit = number(query, "limit")?.map_or(usual, |n| usize::try_from(n).unwrap_or(most).clamp(1, most));
    Ok((offset, limit))
}

fn wait(query: &str) -> Result<Duration, Refusal> {
    Ok(Duration::from_secs(number(query, "wait")?.unwrap_or(0).min(MAX_WAIT_SECONDS)))
}

pub(in super::super) fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "no random bytes");
        Refusal::new(503, "no_chance", "the system gives no random bytes").retry_after(5)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        assert_eq!(page("offset=5&limit=7").unwrap(), (5, 7));
        assert_eq!(page("").unwrap(), (0, PAGE.1));
        assert_eq!(page("limit=999999999").unwrap().1, PAGE.0);
        assert_eq!(page("limit=0").unwrap().1, 1);
        assert_eq!(wait("wait=99999999999").unwrap(), Duration::from_secs(MAX_WAIT_SECONDS));
        for bad in ["wait=x", "wait=-1", "wait=", "wait=99999999999999999999999"] {
            assert_eq!(wait(bad).unwrap_err().status, 422, "{bad}");
        }
    }
}
