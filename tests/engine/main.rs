//! Scenarios against a real Docker Engine: intent -> steps -> observables, one test each.
//!
//! They run the built program as a user does, each on platforms of its own (project names `pwtest-...`), and leave
//! nothing behind. Without an engine they fail; `PUPPERWARE_ENGINE_TESTS=skip` leaves them out on purpose.
//! One at a time, because a platform's start keeps two cores busy: a lock in `platform` sees to that.

mod audit;
mod backup;
mod ca;
mod code;
mod faults;
mod interruption;
mod life;
mod observability;
mod platform;
mod repair;
mod secrets;
mod stranger;
mod trouble;
mod upgrade;
