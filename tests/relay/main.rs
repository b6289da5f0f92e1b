//! The Relay server on a real port of the loopback address: what the original clients send, what hostile ones send, and
//! many at once. No engine.

mod hostile;
mod openapi;
mod original;
mod racing;
mod served;
mod server;
