//! The bridge against servers, nodes and clients that fail in every way that they can. No engine is needed.

mod book;
mod days;
mod kills;
mod process;
mod server;
mod world;
