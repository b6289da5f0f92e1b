//! Checks of the published ports.

use std::net::{IpAddr, TcpListener};

use super::Check;
use crate::desired::Desired;
use crate::engine::Engine;
use crate::observed::{Container, Observed};

/// Held by our own server (which may be about to be replaced), or free.
pub(super) fn published(engine: &Engine, desired: &Desired, observed: &Observed) -> Check {
    let ours = desired.primary().and_then(|r| observed.containers.get(&r.spec.name)).filter(|c| Container::running(c));
    if let Some(container) = ours
        && container.found.ports.iter().any(|(_, port)| *port == desired.address.1)
    {
        return Check::ok("network", "port-published", format!("port {} is our server's", desired.address.1));
    }
    if let Some(holder) = observed.ports.get(&desired.address.1) {
        return Check::error(
            "network",
            "port-published",
            format!("port {} is held by the container {holder}", desired.address.1),
            format!("choose another with `puppetserver.publish` in pupperware.yaml, or `docker stop {holder}`"),
        );
    }
    free(engine, desired)
}

/// Tries to bind the port, where the engine is on this machine.
fn free(engine: &Engine, desired: &Desired) -> Check {
    let (address, port) = &desired.address;
    let id = "port-published";
    if !engine.is_local() {
        return Check::ok("network", id, format!("port {port}: not known, the engine is on another machine"));
    }
    let Ok(ip) = address.parse::<IpAddr>() else {
        return Check::ok("network", id, format!("port {port} at {address}: not known"));
    };
    match TcpListener::bind((ip, *port)) {
        Ok(_) => Check::ok("network", id, format!("port {port} is free")),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Check::error(
            "network",
            id,
            format!("port {port} is already taken by a program on this machine"),
            format!(
                "find it with `ss -ltnp 'sport = :{port}'`, or choose another port with `puppetserver.publish` in pupperware.yaml"
            ),
        ),
        Err(e) if e.kind() == std::io::ErrorKind::AddrNotAvailable => Check::error(
            "network",
            id,
            format!("this machine has no address {address} to publish the server on"),
            "name one that it has, or 0.0.0.0, with `puppetserver.publish` in pupperware.yaml",
        ),
        // The engine may be allowed what we are not (ports below 1024).
        Err(e) => Check::ok("network", id, format!("port {port}: not known ({e})")),
    }
}
