//! What a form sent.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;

use super::session::{Session, same_origin};
use crate::relay::server::refusal::Refusal;

/// The largest form.
const LARGEST: usize = 16 << 10;
/// How long one may take to come.
const TIME: Duration = Duration::from_secs(15);

/// Its fields.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads one that was sent by a page of ours; of somebody who is signed in, with the proof that it was.
    ///
    /// # Errors
    /// It was sent by another page, or is too large or too slow.
    pub async fn of(headers: &HeaderMap, body: Incoming, session: Option<&Session>) -> Result<Self, Refusal> {
        let foreign = || Refusal::new(403, "foreign_form", "this form was not sent from a page of this server");
        if !same_origin(headers) {
            return Err(foreign());
        }
        let unread = || Refusal::new(400, "not_read", "the form could not be read");
        let read = tokio::time::timeout(TIME, Limited::new(body, LARGEST).collect()).await;
        let bytes = read.map_err(|_| unread())?.map_err(|_| unread())?.to_bytes();
        let form = Form::parse(&bytes);
        match session {
            Some(session) if form.value("csrf") != Some(session.csrf.as_str()) => Err(foreign()),
            _ => Ok(form),
        }
    }

    /// The first value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// `a=b&c=d`, percent-encoded.
    pub fn parse(bytes: &[u8]) -> Self {
        let pairs = bytes.split(|b| *b == b'&').map(|pair| {
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            (decoded(&pair[..at]), decoded(pair.get(at + 1..).unwrap_or_default()))
        });
        Form(pairs.collect())
    }
}

fn decoded(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
        rest = after;
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = &after[2..];
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(*byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let form = Form::parse(b"reason=not+on+a+%46riday%21&x&y=%zz%4&reason=again&%C3%A9=1");
        assert_eq!(form.value("reason"), Some("not on a Friday!"));
        assert_eq!((form.value("x"), form.value("y"), form.value("z")), (Some(""), Some("%zz%4"), None));
        assert_eq!(form.value("é"), Some("1"));
    }
}
