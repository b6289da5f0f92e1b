//! The Relay API's wire format, and the rules of a run's state. No I/O, no clock.
//!
//! What the original API defines keeps its names and status codes. What we add is optional for both sides:
//!
//! | addition | where |
//! |---|---|
//! | `Idempotency-Key` header | `POST /_puppet/runs`: the same key gives the same run |
//! | `accept_token`, `lease` | [`AcceptRequest`], [`Accepted`]: accepting can be repeated; who lost a run is told so |
//! | `?wait=SECONDS` | `GET /_puppet/runs`: the answer waits until there is a run to take |
//! | `progress`, `nodes` | [`StateUpdate`]: how each node fares |
//! | `cancel_requested` | [`State`]: also in the answer to a state update |
//! | `limits`, `description` | [`NewRun`] |
//!
//! The original Ruby bridge makes an instance variable of every field, and parses every time it is given. So names are
//! plain snake_case, and nothing is ever sent as `null`.

mod admin;
mod answers;
mod events;
pub mod heartbeat;
pub mod life;
mod names;
mod nodes;
mod run;
mod scope;
mod state;
mod token;

pub use admin::{NewToken, TokenInfo, TokenList, TokenMade, TokenScope};
pub use answers::{AcceptRequest, Accepted, Failure, NodePage, RunList};
pub use events::{EventList, EventMade, NewEvent, ReportEvent};
pub use names::{
    AcceptToken, BadName, ConnectionName, Environment, IdempotencyKey, JobId, Lease, Line, NodeName, ReportHash, RunId,
    TokenId, TokenName,
};
pub use nodes::{NodeResult, NodeStatus, Progress};
pub use run::{Limits, MAX_NODES, NewRun, Run, RunType};
pub use scope::{Nodes, Scope};
pub use state::{Outcome, State, StateUpdate, Status};
pub use token::{Token, TokenHash};

/// The largest body of a request, in bytes: [`MAX_NODES`] names as long as names can be.
pub const MAX_BODY: usize = 3 << 20;

/// The longest that a long poll may wait, in seconds; a longer wish is cut.
pub const MAX_WAIT_SECONDS: u64 = 60;
