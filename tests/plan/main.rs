//! Plans as text: what is done to a platform, from every state that it can be in.
//!
//! `world` holds a platform as it should be, `engine` is an engine of plain data that carries plans out and panics where
//! a real one would refuse. The other modules are the cases, grouped by what happened before.

mod board;
mod ca;
mod changes;
mod code;
mod containers;
mod engine;
mod first_run;
mod leftovers;
mod lifecycle;
mod losses;
mod properties;
mod refusals;
mod relay;
mod reports;
mod restore;
mod rotation;
mod scale;
mod smoke;
mod upgrade;
mod world;
