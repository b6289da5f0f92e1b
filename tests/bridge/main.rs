//! The bridge against servers, nodes and clients that fail in every way that they can. No engine is needed.

mod bolt;
mod book;
mod days;
mod forced;
mod kills;
mod orchestrator;
mod process;
mod server;
mod world;
