//! One-time links: whom they sign in, and for how long they work. Kept by their hash, as tokens are.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Book, Decision, Fact, Refusal};
use crate::relay::api::{ConnectionName, Line, NewLink, RunId, Token, TokenHash};

/// How long a link works when nothing is said.
const LASTS: SignedDuration = SignedDuration::from_hours(1);

/// A link that nobody has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Whose runs it shows.
    pub connection: ConnectionName,
    /// Whom it signs in.
    pub name: Line,
    /// The only run that it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Until when it works.
    pub ends_at: Timestamp,
}

impl Book {
    /// A link with this secret.
    pub fn make_link(&self, new: NewLink, secret: &Token, now: Timestamp) -> Decision<Link> {
        if let Some(run) = &new.run {
            self.run(&new.connection, run)?;
        }
        if new.name.as_str().is_empty() {
            return Err(Refusal::new(422, "not_valid", "say whom the link is for"));
        }
        let lasts = new.seconds.map_or(LASTS, |n| SignedDuration::from_secs(n.get().into()));
        let ends_at = now.saturating_add(lasts).unwrap_or(Timestamp::MAX);
        let link = Link { connection: new.connection, name: new.name, run: new.run, ends_at };
        Ok((vec![Fact::LinkMade { hash: secret.hash(), link: link.clone() }], link))
    }

    /// The link with this secret, when it works.
    pub fn link(&self, secret: &Token, now: Timestamp) -> Option<&Link> {
        self.links.get(&secret.hash()).filter(|link| now < link.ends_at)
    }

    /// Uses a link; it works once.
    pub fn use_link(&self, secret: &Token, now: Timestamp) -> Decision<Link> {
        let link = self.link(secret, now).cloned();
        let link = link.ok_or_else(|| Refusal::new(404, "no_such_link", "there is no such link (any more)"))?;
        Ok((vec![Fact::LinksEnded { hashes: vec![secret.hash()] }], link))
    }

    /// Links whose time is over.
    pub(super) fn ended_links(&self, now: Timestamp) -> Vec<TokenHash> {
        self.links.iter().filter(|(_, link)| now >= link.ends_at).map(|(hash, _)| hash.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{at, take};
    use super::*;

    #[test]
    fn a_link_works_once_and_not_for_ever() {
        let mut book = Book::default();
        let secret = |n: u8| Token::from_random([n; 20]);
        let new = || {
            serde_json::from_value::<NewLink>(json!({"connection": "default", "name": "kim", "seconds": 60})).unwrap()
        };
        for n in [1, 2] {
            let made = book.make_link(new(), &secret(n), at(0));
            take(&mut book, made).unwrap();
        }
        assert!(book.link(&secret(3), at(0)).is_none());
        let used = book.use_link(&secret(1), at(59));
        assert_eq!(take(&mut book, used).unwrap().name.as_str(), "kim");
        assert_eq!(book.use_link(&secret(1), at(59)).unwrap_err().status, 404, "used");
        assert_eq!(book.use_link(&secret(2), at(60)).unwrap_err().status, 404, "too late");
        let again: Book = serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap();
        assert!(again.link(&secret(2), at(59)).is_some());
        let facts = book.outlived(&super::super::Retention::default(), at(60));
        take(&mut book, Ok((facts, ()))).unwrap();
        assert!(book.links.is_empty());
        let other = NewLink { run: Some("8e659097-254a-4b27-bb93-88efea9a9f0e".parse().unwrap()), ..new() };
        assert_eq!(book.make_link(other, &secret(4), at(0)).unwrap_err().status, 404, "there is no such run");
    }
}
