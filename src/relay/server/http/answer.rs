//! Answers: JSON, refusals, text, streams; with the headers that all of them have.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::super::refusal::Refusal;

/// The body of an answer, at once or as it comes.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An answer with this body, as JSON.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(body) {
        Ok(text) => whole(status, "application/json", text.into()),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            whole(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::new())
        }
    }
}

/// An answer that is there at once.
pub fn whole(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    with_headers(status, content_type, Full::new(body).boxed_unsync())
}

/// An answer with this body.
pub fn with_headers(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Says why something is not done. `methods` are those that the path knows.
pub fn refusal(refusal: &Refusal, methods: &[&str]) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &refusal.body());
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED
        && let Ok(allowed) = methods.join(", ").parse()
    {
        headers.insert(header::ALLOW, allowed);
    }
    // What was not read of the request cannot be passed over for the next one.
    if matches!(refusal.status, 408 | 413) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
