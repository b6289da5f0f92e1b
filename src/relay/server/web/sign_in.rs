//! Signing in: with a token, or by a link that works once.

use std::sync::{Arc, PoisonError};

use hyper::body::Incoming;
use hyper::{Method, Response};
use jiff::Timestamp;

use super::form::Form;
use super::markup::{E, Page};
use super::session::{Session, cookie};
use super::{Visit, redirect, shown};
use crate::relay::api::{Line, Token, TokenScope};
use crate::relay::server::http::answer::Body;
use crate::relay::server::http::{Door, Server, random};
use crate::relay::server::refusal::Refusal;

impl Server {
    /// Asks for a token, or takes one.
    pub(super) async fn sign_in(
        self: &Arc<Self>,
        door: Door,
        visit: &Visit<'_>,
        session: Option<&Session>,
        body: Incoming,
    ) -> Result<Response<Body>, Refusal> {
        if *visit.method != Method::POST {
            return Ok(match session {
                Some(_) => redirect("/", None),
                None => shown(&asking(None), None),
            });
        }
        let form = Form::of(visit.headers, body, None).await?;
        let token = form.value("token").and_then(|text| Token::parse(text).ok());
        let holder = token.and_then(|token| {
            self.keeper.read(|book| {
                let (caller, scopes) = book.holder(&token, Timestamp::now())?;
                Some((caller.clone(), scopes.clone(), book.decider(&caller).name))
            })
        });
        let looks = |scope: &TokenScope| matches!(scope, TokenScope::Run | TokenScope::Approve);
        match holder {
            Some((caller, scopes, name)) if scopes.iter().any(looks) => {
                let session = Session::new(caller.connection, name, Some(caller.token), scopes, None, random()?);
                self.begin(session, "/")
            }
            Some(_) => Ok(shown(
                &asking(Some("This token is not for people: it has neither the scope run nor approve.")),
                None,
            )),
            None => {
                self.count_stranger(door)?;
                Ok(shown(&asking(Some("This token opens nothing here.")), None))
            }
        }
    }

    /// Where a link leads: a page with a button. Programs that look at links beforehand do not press it, so that the link
    /// still works for who does.
    pub(super) async fn follow_link(
        self: &Arc<Self>,
        door: Door,
        visit: &Visit<'_>,
        session: Option<&Session>,
        body: Incoming,
    ) -> Result<Response<Body>, Refusal> {
        let gone = || Refusal::new(404, "no_such_link", "this link has been used, or its time is over");
        let secret = Token::parse(visit.id).ok().filter(Token::is_ours);
        let link =
            secret.as_ref().and_then(|secret| self.keeper.read(|book| book.link(secret, Timestamp::now()).cloned()));
        let (Some(secret), Some(link)) = (secret, link) else {
            self.count_stranger(door)?;
            return Err(gone());
        };
        if *visit.method != Method::POST {
            let run = link.run.as_ref().map(|id| format!(" for run {id}")).unwrap_or_default();
            let main = format!(
                "<section class=\"card narrow\">\n<h1>Sign in</h1>\n<p>This link signs you in as <strong>{}</strong>{}. It works \
                 once.</p>\n<form method=\"post\" action=\"/link/{}\"><button class=\"main\">Sign in</button></form>\n</section>",
                E(&link.name),
                E(run),
                E(secret.secret())
            );
            return Ok(shown(&Page { title: "Sign in".into(), main, ..Page::default() }, session));
        }
        Form::of(visit.headers, body, None).await?;
        let used = self.keeper.act(move |book, _, now| book.use_link(&secret, now)).await.map_err(|_| gone())?;
        let to = used.run.as_ref().map_or("/".to_owned(), |id| format!("/runs/{id}"));
        let scopes = [TokenScope::Approve].into();
        let session = Session::new(used.connection, used.name, None, scopes, used.run, random()?);
        self.begin(session, &to)
    }

    fn begin(&self, session: Session, to: &str) -> Result<Response<Body>, Refusal> {
        let secret = Token::from_random(random()?);
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).add(&secret, session);
        Ok(redirect(to, Some(cookie(Some(&secret), self.secure))))
    }
}

/// The form that asks for a token.
fn asking(problem: Option<&str>) -> Page {
    let problem = problem.map(Line::from);
    let said = problem.map(|text| format!("<p role=\"alert\" class=\"problem\">{}</p>\n", E(text))).unwrap_or_default();
    let main = format!(
        "<section class=\"card narrow\">\n<h1>Sign in</h1>\n{said}<form method=\"post\" action=\"/sign-in\">\n\
         <label for=\"token\">Token</label>\n\
         <input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus \
         spellcheck=\"false\">\n\
         <p class=\"hint\">With the scope <code>run</code> or <code>approve</code>; \
         <code>pupperware relay token create</code> makes one.</p>\n\
         <button class=\"main\">Sign in</button>\n</form>\n</section>"
    );
    Page { title: "Sign in".into(), main, ..Page::default() }
}
