//! Which requests there are, and who may make them.

use hyper::Method;

use super::super::refusal::Refusal;
use crate::relay::api::TokenScope;

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Asks for a run.
    AskRun,
    /// Runs that are outstanding, or all.
    ListRuns,
    /// One run.
    ShowRun,
    /// Takes a run.
    AcceptRun,
    /// Says how far a run is.
    PutState,
    /// Wants a run to stop.
    CancelRun,
    /// Approves a run.
    ApproveRun,
    /// Denies a run.
    DenyRun,
    /// What was approved against what happened.
    CompareRun,
    /// How each node of a run fares.
    ListNodes,
    /// What happens to a run, as it happens.
    FollowRun,
    /// Sends an event.
    TakeEvent,
    /// Events that were sent.
    ListEvents,
    /// Whether the server serves.
    Health,
    /// This API's description.
    Describe,
    /// All tokens.
    ListTokens,
    /// Makes a token.
    MakeToken,
    /// Makes a link that signs somebody in.
    MakeLink,
    /// Replaces a token.
    RotateToken,
    /// Ends a token.
    RevokeToken,
}

/// Who may make a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Holders of a token with one of these scopes.
    Scopes(&'static [TokenScope]),
    /// Whoever reaches the server's own socket.
    Admin,
}

/// A request that there is.
#[derive(Debug)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path; `{id}` is an identifier.
    pub path: &'static str,
    /// What it wants.
    pub operation: Operation,
    /// Who may make it.
    pub access: Access,
}

const RUN: Access = Access::Scopes(&[TokenScope::Run]);
const BRIDGE: Access = Access::Scopes(&[TokenScope::Bridge]);
const LOOK: Access = Access::Scopes(&[TokenScope::Run, TokenScope::Bridge, TokenScope::Approve]);
const APPROVE: Access = Access::Scopes(&[TokenScope::Approve]);
const TRIGGER: Access = Access::Scopes(&[TokenScope::Trigger]);

const fn route(method: Method, path: &'static str, operation: Operation, access: Access) -> Route {
    Route { method, path, operation, access }
}

/// Every request that there is.
pub static ROUTES: [Route; 20] = [
    route(Method::POST, "/_puppet/runs", Operation::AskRun, RUN),
    route(Method::GET, "/_puppet/runs", Operation::ListRuns, LOOK),
    route(Method::GET, "/_puppet/runs/{id}", Operation::ShowRun, LOOK),
    route(Method::POST, "/_puppet/runs/{id}/accept", Operation::AcceptRun, BRIDGE),
    route(Method::PUT, "/_puppet/runs/{id}/state", Operation::PutState, BRIDGE),
    route(Method::POST, "/_puppet/runs/{id}/cancel", Operation::CancelRun, RUN),
    route(Method::POST, "/_puppet/runs/{id}/approve", Operation::ApproveRun, APPROVE),
    route(Method::POST, "/_puppet/runs/{id}/deny", Operation::DenyRun, APPROVE),
    route(Method::GET, "/_puppet/runs/{id}/comparison", Operation::CompareRun, LOOK),
    route(Method::GET, "/_puppet/runs/{id}/nodes", Operation::ListNodes, LOOK),
    route(Method::GET, "/_puppet/runs/{id}/events", Operation::FollowRun, LOOK),
    route(Method::POST, "/api/events", Operation::TakeEvent, TRIGGER),
    route(Method::GET, "/api/events", Operation::ListEvents, RUN),
    route(Method::GET, "/healthz", Operation::Health, Access::Open),
    route(Method::GET, "/openapi.yaml", Operation::Describe, Access::Open),
    route(Method::GET, "/admin/tokens", Operation::ListTokens, Access::Admin),
    route(Method::POST, "/admin/tokens", Operation::MakeToken, Access::Admin),
    route(Method::POST, "/admin/links", Operation::MakeLink, Access::Admin),
    route(Method::POST, "/admin/tokens/{id}/rotate", Operation::RotateToken, Access::Admin),
    route(Method::POST, "/admin/tokens/{id}/revoke", Operation::RevokeToken, Access::Admin),
];

/// The route of a request, and the identifier in its path.
///
/// # Errors
/// There is none (404), or not with this method (405).
pub fn find<'p>(method: &Method, path: &'p str) -> Result<(&'static Route, &'p str), Refusal> {
    let mut elsewhere = false;
    for route in &ROUTES {
        let Some(id) = fits(route.path, path) else { continue };
        if route.method == *method {
            return Ok((route, id));
        }
        elsewhere = true;
    }
    Err(match elsewhere {
        true => Refusal::new(405, "method_not_allowed", "this path does not know this method"),
        false => Refusal::new(404, "no_such_path", "there is nothing here"),
    })
}

/// The methods that a path knows.
pub fn methods(path: &str) -> Vec<&'static str> {
    ROUTES.iter().filter(|route| fits(route.path, path).is_some()).map(|route| route.method.as_str()).collect()
}

/// Whether a path fits a pattern, and its identifier; an empty one when the pattern has none.
fn fits<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, after)) = pattern.split_once("{id}") else { return (pattern == path).then_some("") };
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods() {
        let found = |method: Method, path: &str| find(&method, path).map(|(r, id)| (r.operation, id.to_owned()));
        assert_eq!(found(Method::GET, "/_puppet/runs"), Ok((Operation::ListRuns, String::new())));
        assert_eq!(found(Method::GET, "/_puppet/runs/x"), Ok((Operation::ShowRun, "x".into())));
        assert_eq!(found(Method::PUT, "/_puppet/runs/x/state"), Ok((Operation::PutState, "x".into())));
        for (method, path, status) in [
            (Method::DELETE, "/_puppet/runs", 405),
            (Method::GET, "/_puppet/runs/", 404),
            (Method::GET, "/_puppet/runs/a/b", 404),
            (Method::GET, "/_puppet/runs//nodes", 404),
            (Method::GET, "/", 404),
        ] {
            assert_eq!(found(method, path).map_err(|refusal| refusal.status), Err(status), "{path}");
        }
        assert_eq!(methods("/_puppet/runs"), ["POST", "GET"]);
    }
}
