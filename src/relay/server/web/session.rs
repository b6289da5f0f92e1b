//! Who is signed in: sessions in memory, their cookies, and what a form must bring with it.
//!
//! A session is lost with the server; people sign in again. It ends with the token that it was made with.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use hyper::header::{COOKIE, HOST, HeaderMap, ORIGIN};

use crate::relay::api::{ConnectionName, Line, RunId, Token, TokenHash, TokenId, TokenScope};

/// How long one lasts.
const LASTS: Duration = Duration::from_secs(12 * 3_600);
/// The most sessions at once; the oldest go.
const MOST: usize = 1_000;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Session {
    /// Whose runs they see.
    pub connection: ConnectionName,
    /// What they are called.
    pub name: Line,
    /// The token that they signed in with; who came by a link has none.
    pub token: Option<TokenId>,
    /// What they may do.
    pub scopes: BTreeSet<TokenScope>,
    /// The only run that they see, when a link was made for one.
    pub run: Option<RunId>,
    /// What their forms bring with them.
    pub csrf: String,
    ends: Instant,
}

impl Session {
    /// Of somebody who just signed in; `random` is for their forms.
    pub fn new(
        connection: ConnectionName,
        name: Line,
        token: Option<TokenId>,
        scopes: BTreeSet<TokenScope>,
        run: Option<RunId>,
        random: [u8; 16],
    ) -> Self {
        let csrf = random.iter().map(|b| format!("{b:02x}")).collect();
        Session { connection, name, token, scopes, run, csrf, ends: Instant::now() + LASTS }
    }

    /// True when they may do what needs this.
    pub fn may(&self, scope: TokenScope) -> bool {
        self.scopes.contains(&scope)
    }

    /// True when they may see this run.
    pub fn sees(&self, id: &RunId) -> bool {
        self.run.as_ref().is_none_or(|only| only == id)
    }
}

/// All of them, by the hash of what is in the cookie.
#[derive(Debug, Default)]
pub struct Sessions {
    by_cookie: HashMap<TokenHash, Session>,
}

impl Sessions {
    /// Keeps one.
    pub fn add(&mut self, secret: &Token, session: Session) {
        let now = Instant::now();
        self.by_cookie.retain(|_, session| session.ends > now);
        if self.by_cookie.len() >= MOST {
            let oldest = self.by_cookie.iter().min_by_key(|(_, session)| session.ends).map(|(hash, _)| hash.clone());
            oldest.and_then(|hash| self.by_cookie.remove(&hash));
        }
        self.by_cookie.insert(secret.hash(), session);
    }

    /// The session of a request.
    pub fn find(&self, headers: &HeaderMap, secure: bool) -> Option<&Session> {
        let session = self.by_cookie.get(&secret(headers, secure)?.hash())?;
        (session.ends > Instant::now()).then_some(session)
    }

    /// Ends the session of a request.
    pub fn end(&mut self, headers: &HeaderMap, secure: bool) {
        if let Some(secret) = secret(headers, secure) {
            self.by_cookie.remove(&secret.hash());
        }
    }
}

/// The prefix makes browsers refuse it from a neighbour, or without TLS.
fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-relay" } else { "relay" }
}

fn secret(headers: &HeaderMap, secure: bool) -> Option<Token> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    let value = pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == cookie_name(secure))?.1;
    Token::parse(value).ok()
}

/// The `Set-Cookie` that keeps a session; without one, it ends it.
pub fn cookie(secret: Option<&Token>, secure: bool) -> String {
    let (value, age) = secret.map_or(("", 0), |secret| (secret.secret(), LASTS.as_secs()));
    let more = if secure { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{more}", cookie_name(secure))
}

/// True when a form was not sent by somebody else's page, as far as the browser tells.
pub fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    let Some(origin) = text(ORIGIN.as_str()) else { return true };
    let host = text(HOST.as_str()).unwrap_or_default();
    origin.split_once("://").is_some_and(|(_, place)| place.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_finds_its_session_and_no_other() {
        let mut sessions = Sessions::default();
        let secret = Token::from_random([1; 20]);
        let session = Session::new("default".parse().unwrap(), "ci".into(), None, BTreeSet::new(), None, [2; 16]);
        sessions.add(&secret, session);
        let cookie = |text: &str| headers(&[("cookie", text)]);
        let good = cookie(&format!("a=b; relay={}; c=d", secret.secret()));
        assert!(sessions.find(&good, false).is_some());
        assert!(sessions.find(&good, true).is_none(), "with TLS, it has another name");
        assert!(sessions.find(&cookie("relay=x"), false).is_none());
        sessions.end(&good, false);
        assert!(sessions.find(&good, false).is_none());
    }

    #[test]
    fn sessions_do_not_pile_up() {
        let mut sessions = Sessions::default();
        for n in 0..1_010_u32 {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            let session = Session::new("a".parse().unwrap(), "a".into(), None, BTreeSet::new(), None, [0; 16]);
            sessions.add(&Token::from_random(bytes), session);
        }
        assert_eq!(sessions.by_cookie.len(), MOST);
    }

    #[test]
    fn forms_of_other_pages() {
        assert!(same_origin(&headers(&[("host", "relay:8170")])));
        assert!(same_origin(&headers(&[("host", "relay:8170"), ("origin", "https://relay:8170")])));
        for bad in [
            [("host", "relay:8170"), ("origin", "https://evil.example")],
            [("host", "relay:8170"), ("origin", "null")],
            [("host", "relay:8170"), ("sec-fetch-site", "cross-site")],
            [("host", "relay:8170"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(!same_origin(&headers(&bad)), "{bad:?}");
        }
    }
}
