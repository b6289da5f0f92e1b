//! Scenarios against a real Docker Engine: intent -> steps -> observables, one test each.
//!
//! They run the built program as a user does, each on platforms of its own (project names `pwtest-...`), and leave
//! nothing behind. Without an engine they fail; `PUPPERWARE_ENGINE_TESTS=skip` leaves them out on purpose.
//! Two at a time, because a platform's start keeps two cores busy: locks in `platform` see to that.

mod air_gapped;
mod audit;
mod backup;
mod board;
mod ca;
mod code;
mod crossing;
mod faults;
mod history;
mod interruption;
mod kills;
mod life;
mod load;
mod mishaps;
mod observability;
mod packages;
mod platform;
mod power;
mod relay;
mod repair;
mod rolling;
mod scale;
mod secrets;
mod stranger;
mod trouble;
mod upgrade;
