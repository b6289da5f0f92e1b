//! Pages for people: runs as they go, what a noop run found, approval, the connection. They work without JavaScript; with
//! it, what is new comes by itself.
//!
//! Nothing here decides: a page shows the book, and a form does what the API does, with the same rights.

mod changes;
mod connection;
mod form;
mod markup;
mod run;
mod runs;
mod session;
mod sign_in;

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode};
use jiff::Timestamp;

use super::book::{Choice, Decider};
use super::http::answer::{self, Body};
use super::http::{Door, Server};
use super::refusal::Refusal;
use crate::relay::api::{Line, RunId, Status, TokenScope};
use form::Form;
use markup::{E, Page};
pub(super) use session::{Session, Sessions};

/// What a page may load, and who may frame it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the browser asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The list of runs.
    Runs,
    /// One run.
    Run,
    /// That there is news.
    Live,
    /// Tokens, and who uses them.
    Connection,
    /// The form that asks for a token, and what it sends.
    SignIn,
    /// The end of a session.
    SignOut,
    /// Where a one-time link leads, and what its form sends.
    Link,
    /// A decision's form.
    Decide(Choice),
    /// The form that stops a run.
    Cancel,
    /// A file that all pages use.
    File(&'static str, &'static str),
}

/// What this request is for, and the identifier in its path, when it is for a page.
pub fn find<'p>(method: &Method, path: &'p str) -> Option<(Wanted, &'p str)> {
    let get = method == Method::GET || method == Method::HEAD;
    if !get && method != Method::POST {
        return None;
    }
    let wanted = match (get, path) {
        (true, "/") => Wanted::Runs,
        (true, "/live") => Wanted::Live,
        (true, "/connections") => Wanted::Connection,
        (_, "/sign-in") => Wanted::SignIn,
        (false, "/sign-out") => Wanted::SignOut,
        (true, "/relay/style.css") => Wanted::File("text/css; charset=utf-8", include_str!("style.css")),
        (true, "/relay/live.js") => Wanted::File("text/javascript; charset=utf-8", include_str!("live.js")),
        (true, "/relay/icon.svg") => Wanted::File("image/svg+xml", include_str!("icon.svg")),
        _ => {
            if let Some(secret) = path.strip_prefix("/link/") {
                return Some((Wanted::Link, secret));
            }
            let (id, rest) = path.strip_prefix("/runs/").map(|rest| rest.split_once('/').unwrap_or((rest, "")))?;
            let wanted = match (get, rest) {
                (true, "") => Wanted::Run,
                (true, "live") => Wanted::Live,
                (false, "approve") => Wanted::Decide(Choice::Approve),
                (false, "deny") => Wanted::Decide(Choice::Deny),
                (false, "cancel") => Wanted::Cancel,
                _ => return None,
            };
            return Some((wanted, id));
        }
    };
    Some((wanted, ""))
}

/// A request for a page, taken apart.
pub struct Visit<'r> {
    /// The identifier in its path.
    pub id: &'r str,
    /// Its method.
    pub method: &'r Method,
    /// What follows the `?`.
    pub query: &'r str,
    /// Its headers.
    pub headers: &'r HeaderMap,
}

impl Server {
    /// Answers a request for a page; what is refused is a page, too.
    pub(super) async fn page(
        self: &Arc<Self>,
        wanted: Wanted,
        door: Door,
        visit: &Visit<'_>,
        body: Incoming,
    ) -> Response<Body> {
        let session = self.session(visit.headers);
        let answered = match self.count_visit(door, session.as_ref()) {
            Ok(()) => self.visited(wanted, door, visit, session.clone(), body).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = answered.unwrap_or_else(|refusal| refused(&refusal, session.as_ref()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        response
    }

    async fn visited(
        self: &Arc<Self>,
        wanted: Wanted,
        door: Door,
        visit: &Visit<'_>,
        session: Option<Session>,
        body: Incoming,
    ) -> Result<Response<Body>, Refusal> {
        match wanted {
            Wanted::File(kind, text) => {
                let mut response = answer::whole(StatusCode::OK, kind, Bytes::from_static(text.as_bytes()));
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
                return Ok(response);
            }
            Wanted::SignIn => return self.sign_in(door, visit, session.as_ref(), body).await,
            Wanted::Link => return self.follow_link(door, visit, session.as_ref(), body).await,
            _ => {}
        }
        let Some(session) = session else { return Ok(redirect("/sign-in", None)) };
        let form = match visit.method {
            &Method::POST => Form::of(visit.headers, body, Some(&session)).await?,
            _ => Form::default(),
        };
        match wanted {
            Wanted::Runs => match &session.run {
                Some(only) => Ok(redirect(&format!("/runs/{only}"), None)),
                None => Ok(shown(&self.runs_page(&session, visit.query), Some(&session))),
            },
            Wanted::Run => {
                let id = seen(&session, visit.id)?;
                Ok(shown(&self.run_page(&session, &id, visit.query)?, Some(&session)))
            }
            Wanted::Connection if session.run.is_none() => Ok(shown(&self.connection_page(&session), Some(&session))),
            Wanted::Connection => Err(Refusal::new(403, "forbidden", "the link was made for one run")),
            Wanted::Live => self.live(session, visit.id),
            Wanted::SignOut => {
                self.sessions.lock().unwrap_or_else(PoisonError::into_inner).end(visit.headers, self.secure);
                Ok(redirect("/sign-in", Some(session::cookie(None, self.secure))))
            }
            Wanted::Decide(choice) => {
                let id = seen(&session, visit.id)?;
                needs(&session, TokenScope::Approve)?;
                let decider = Decider {
                    connection: session.connection.clone(),
                    token: session.token.clone(),
                    name: session.name.clone(),
                };
                let reason = form.value("reason").map(Line::from).filter(|reason| !reason.as_str().is_empty());
                let decided = id.clone();
                let act = self.keeper.act(move |book, _, now| book.decide(&decider, &decided, choice, reason, now));
                act.await.map(|_| redirect(&format!("/runs/{id}"), None))
            }
            Wanted::Cancel => {
                let id = seen(&session, visit.id)?;
                needs(&session, TokenScope::Run)?;
                let (connection, stopped) = (session.connection.clone(), id.clone());
                let act = self.keeper.act(move |book, _, now| book.cancel(&connection, &stopped, now));
                act.await.map(|_| redirect(&format!("/runs/{id}"), None))
            }
            Wanted::File(..) | Wanted::SignIn | Wanted::Link => {
                Err(Refusal::new(404, "no_such_path", "there is nothing here"))
            }
        }
    }

    /// Who is signed in, as long as the token that they used is good for something.
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.find(headers, self.secure)?.clone();
        let live = |id| self.keeper.read(|book| book.is_live(id, Timestamp::now()));
        session.token.as_ref().is_none_or(live).then_some(session)
    }

    /// Says, as server-sent events, that a run or any of the connection's runs has changed.
    fn live(self: &Arc<Self>, session: Session, id: &str) -> Result<Response<Body>, Refusal> {
        let only = if id.is_empty() { None } else { Some(seen(&session, id)?) };
        if only.is_none() && session.run.is_some() {
            return Err(Refusal::new(403, "forbidden", "the link was made for one run"));
        }
        let connection = session.connection;
        let look = move |server: &Server| {
            server.keeper.read(|book| match &only {
                Some(id) => {
                    book.run(&connection, id).ok().map(|run| (run.changed, run.state().status == Status::Complete))
                }
                None => Some((book.changed(&connection), false)),
            })
        };
        let first = look(self).map_or(0, |(changed, _)| changed);
        let waiting = (self.clone(), self.keeper.changes(), self.ending.clone(), first, true);
        let news = stream::unfold(waiting, move |(server, mut changes, mut ending, mut seen, begun)| {
            let look = look.clone();
            async move {
                // Something at once, so that the browser knows that it is connected.
                if begun {
                    let hello = Frame::data(Bytes::from_static(b"retry: 2000\n\n"));
                    return Some((Ok::<_, Infallible>(hello), (server, changes, ending, seen, false)));
                }
                loop {
                    if *ending.borrow() {
                        return None;
                    }
                    changes.borrow_and_update();
                    let (changed, done) = look(&server)?;
                    if changed > seen {
                        seen = changed;
                        let kind = if done { "end" } else { "news" };
                        let text = format!("event: {kind}\ndata: {changed}\n\n");
                        return Some((Ok(Frame::data(text.into())), (server, changes, ending, seen, false)));
                    }
                    tokio::select! {
                        _ = changes.changed() => {}
                        _ = ending.changed() => {}
                        () = tokio::time::sleep(std::time::Duration::from_secs(15)) => {
                            let here = Frame::data(Bytes::from_static(b":\n\n"));
                            return Some((Ok(here), (server, changes, ending, seen, false)));
                        }
                    }
                }
            }
        });
        Ok(answer::with_headers(StatusCode::OK, "text/event-stream", StreamBody::new(news).boxed_unsync()))
    }
}

/// The run of this identifier, if they may see it. One that they may not see is not there.
fn seen(session: &Session, id: &str) -> Result<RunId, Refusal> {
    let known = id.parse().ok().filter(|id| session.sees(id));
    known.ok_or_else(|| Refusal::new(404, "no_such_run", "there is no such run"))
}

fn needs(session: &Session, scope: TokenScope) -> Result<(), Refusal> {
    match session.may(scope) {
        true => Ok(()),
        false => Err(Refusal::new(403, "forbidden", format!("you are not signed in with the scope `{scope}`"))),
    }
}

/// A page as an answer.
fn shown(page: &Page, session: Option<&Session>) -> Response<Body> {
    answer::whole(StatusCode::OK, "text/html; charset=utf-8", markup::framed(page, session).into())
}

fn refused(refusal: &Refusal, session: Option<&Session>) -> Response<Body> {
    let title = match refusal.status {
        404 => "Not found",
        429 => "Too many requests",
        500.. => "The server is in trouble",
        _ => "That was not done",
    };
    let main = format!(
        "<h1>{title}</h1>\n<p role=\"alert\">{}</p>\n<p><a href=\"/\">Back to the runs</a></p>",
        E(&refusal.message)
    );
    let mut response = shown(&Page { title: title.into(), main, ..Page::default() }, session);
    *response.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Sends the browser to another page, with GET.
fn redirect(to: &str, cookie: Option<String>) -> Response<Body> {
    let mut response = answer::whole(StatusCode::SEE_OTHER, "text/plain", Bytes::new());
    let headers = response.headers_mut();
    if let Ok(place) = HeaderValue::from_str(to) {
        headers.insert(header::LOCATION, place);
    }
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_pages() {
        let wanted = |method: Method, path: &str| find(&method, path).map(|(wanted, id)| (wanted, id.to_owned()));
        assert_eq!(wanted(Method::GET, "/"), Some((Wanted::Runs, String::new())));
        assert_eq!(wanted(Method::GET, "/runs/x"), Some((Wanted::Run, "x".into())));
        assert_eq!(wanted(Method::POST, "/runs/x/approve"), Some((Wanted::Decide(Choice::Approve), "x".into())));
        assert_eq!(wanted(Method::POST, "/link/x"), Some((Wanted::Link, "x".into())));
        for (method, path) in [
            (Method::GET, "/runs/x/approve"),
            (Method::POST, "/runs/x"),
            (Method::GET, "/sign-out"),
            (Method::GET, "/runs/x/live/y"),
            (Method::PUT, "/runs/x/approve"),
            (Method::DELETE, "/sign-out"),
            (Method::GET, "/relay/../style.css"),
            (Method::GET, "/_puppet/runs"),
        ] {
            assert_eq!(wanted(method, path), None, "{path}");
        }
    }
}
