//! The Relay server on a real port of the loopback address: what the original clients send, what hostile ones send, many
//! at once, and a whole run with the bridge. No engine.

mod fuzz;
mod hostile;
mod openapi;
mod original;
mod pages;
mod processor;
mod racing;
mod rules;
mod served;
mod server;
mod whole;
