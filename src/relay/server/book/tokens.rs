//! Tokens: made, found, replaced, revoked. Two of a name can be live while one replaces the other.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Book, Caller, Decision, Fact, Kept, Refusal};
use crate::relay::api::{ConnectionName, NewToken, Token, TokenId, TokenInfo, TokenName, TokenScope};

/// How long a token that was replaced goes on.
pub const ROTATION_GRACE: SignedDuration = SignedDuration::from_hours(24);

impl Book {
    /// A token, which is given.
    pub fn make_token(&self, new: NewToken, id: TokenId, token: &Token, now: Timestamp) -> Decision<TokenInfo> {
        if new.scopes.is_empty() {
            return Err(Refusal::new(422, "not_valid", "a token without scope opens nothing"));
        }
        if !self.live(&new.connection, &new.name, now).is_empty() {
            let message = format!("{} has a token `{}`; rotate or revoke it", new.connection, new.name);
            return Err(Refusal::new(409, "token_exists", message));
        }
        let info = TokenInfo {
            id,
            connection: new.connection,
            name: new.name,
            scopes: new.scopes,
            created_at: now,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        };
        Ok((vec![Fact::TokenMade { info: info.clone(), hash: token.hash() }], info))
    }

    /// Makes this the one token of its name, whatever it was before; nothing when it is that already.
    pub fn adopt_token(&self, new: NewToken, id: TokenId, token: &Token, now: Timestamp) -> Decision<()> {
        let known = self.by_hash.get(&token.hash());
        let same = |info: &&TokenInfo| Some(&info.id) == known && info.scopes == new.scopes;
        let live = self.live(&new.connection, &new.name, now);
        let kept = live.iter().copied().find(same).map(|info| info.id.clone());
        let ended = live.iter().filter(|info| Some(&info.id) != kept.as_ref());
        let mut facts: Vec<Fact> =
            ended.map(|info| Fact::TokenEnds { id: info.id.clone(), at: now, revoked: true }).collect();
        if kept.is_none() {
            let NewToken { connection, name, scopes } = new;
            let info = TokenInfo {
                id,
                connection,
                name,
                scopes,
                created_at: now,
                expires_at: None,
                revoked_at: None,
                last_used_at: None,
            };
            facts.push(Fact::TokenMade { info, hash: token.hash() });
        }
        Ok((facts, ()))
    }

    /// Ends whatever has this name.
    pub fn drop_tokens(&self, connection: &ConnectionName, name: &TokenName, now: Timestamp) -> Vec<Fact> {
        let live = self.live(connection, name, now).into_iter();
        live.map(|info| Fact::TokenEnds { id: info.id.clone(), at: now, revoked: true }).collect()
    }

    /// A second token like this one, which ends after [`ROTATION_GRACE`].
    pub fn rotate_token(&self, old: &TokenId, id: TokenId, token: &Token, now: Timestamp) -> Decision<TokenInfo> {
        let known = self.token(old)?;
        let live = self.live(&known.connection, &known.name, now);
        match live.as_slice() {
            [one] if one.id == *old => {}
            [] => return Err(Refusal::new(409, "token_ended", "this token has ended; make another one")),
            _ => {
                let message = "this token is being replaced already; revoke the older one first";
                return Err(Refusal::new(409, "token_rotating", message));
            }
        }
        let end = now.saturating_add(ROTATION_GRACE).unwrap_or(Timestamp::MAX);
        let info = TokenInfo { id, created_at: now, last_used_at: None, ..known.clone() };
        let facts = vec![
            Fact::TokenMade { info: info.clone(), hash: token.hash() },
            Fact::TokenEnds { id: old.clone(), at: end, revoked: false },
        ];
        Ok((facts, info))
    }

    /// Ends a token now.
    pub fn revoke_token(&self, id: &TokenId, now: Timestamp) -> Decision<TokenInfo> {
        let known = self.token(id)?;
        if known.revoked_at.is_some() {
            return Ok((Vec::new(), known.clone()));
        }
        let info = TokenInfo { revoked_at: Some(now), ..known.clone() };
        Ok((vec![Fact::TokenEnds { id: id.clone(), at: now, revoked: true }], info))
    }

    /// All tokens, by connection and name, the older ones first.
    pub fn tokens(&self) -> Vec<TokenInfo> {
        let key = |info: &TokenInfo| (info.connection.clone(), info.name.clone(), info.created_at);
        let sorted: BTreeMap<_, _> =
            self.tokens.values().map(|kept| ((key(&kept.info), &kept.info.id), kept)).collect();
        sorted.into_values().map(|kept| kept.info.clone()).collect()
    }

    /// Who holds this token, and what it is good for; nobody when it has ended. It is found by its hash, so how long
    /// that takes tells nothing about it.
    pub fn holder(&self, token: &Token, now: Timestamp) -> Option<(Caller, &std::collections::BTreeSet<TokenScope>)> {
        let kept = self.tokens.get(self.by_hash.get(&token.hash())?)?;
        let caller = Caller { token: kept.info.id.clone(), connection: kept.info.connection.clone() };
        kept.info.is_live(now).then_some((caller, &kept.info.scopes))
    }

    /// What a token is called.
    pub fn token_name(&self, id: &TokenId) -> Option<&TokenName> {
        self.tokens.get(id).map(|kept| &kept.info.name)
    }

    /// True when a token still opens anything.
    pub fn is_live(&self, id: &TokenId, now: Timestamp) -> bool {
        self.tokens.get(id).is_some_and(|kept| kept.info.is_live(now))
    }

    fn token(&self, id: &TokenId) -> Result<&TokenInfo, Refusal> {
        let kept = self.tokens.get(id).ok_or_else(|| Refusal::new(404, "no_such_token", "there is no such token"))?;
        Ok(&kept.info)
    }

    fn live(&self, connection: &ConnectionName, name: &TokenName, now: Timestamp) -> Vec<&TokenInfo> {
        let same = |kept: &&Kept| kept.info.connection == *connection && kept.info.name == *name;
        self.tokens.values().filter(same).map(|kept| &kept.info).filter(|info| info.is_live(now)).collect()
    }
}
