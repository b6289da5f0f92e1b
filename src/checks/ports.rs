//! Checks of the published ports.

use std::net::{IpAddr, TcpListener};

use super::Check;
use crate::desired::{PRIMARY, labels};
use crate::engine::Engine;
use crate::observed::Observed;

/// Held by our own server (which may be about to be replaced), or free.
pub(super) fn published(engine: &Engine, address: &(String, u16), observed: &Observed) -> Check {
    let wanted = address.1;
    let ours = observed.services().any(|(_, c)| {
        c.label(labels::SERVICE) == PRIMARY && c.running() && c.found.ports.iter().any(|(_, port)| *port == wanted)
    });
    if ours {
        return Check::ok("network", "port-published", format!("port {wanted} is our server's"));
    }
    if let Some(holder) = observed.ports.get(&wanted) {
        return Check::error(
            "network",
            "port-published",
            format!("port {wanted} is held by the container {holder}"),
            format!("choose another with `puppetserver.publish` in pupperware.yaml, or `docker stop {holder}`"),
        );
    }
    free(engine, address)
}

/// Tries to bind the port, where the engine is on this machine.
fn free(engine: &Engine, (address, port): &(String, u16)) -> Check {
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
