//! Checks of the published ports.

use std::net::{IpAddr, TcpListener};

use super::Check;
use crate::desired::{BALANCER, PRIMARY, labels};
use crate::engine::Engine;
use crate::engine::found::FoundPort;
use crate::observed::Observed;

/// A published port, as a check knows it.
#[derive(Clone, Copy)]
pub(super) struct Port {
    /// The check's id.
    pub id: &'static str,
    /// The service.
    pub service: &'static str,
}

/// Where agents reach the server.
pub(super) const SERVER: Port = Port { id: "port-published", service: PRIMARY };
/// Where people reach Puppetboard.
pub(super) const PUPPETBOARD: Port = Port { id: "port-puppetboard", service: "puppetboard" };
/// Where programs reach the Relay server.
pub(super) const RELAY: Port = Port { id: "port-relay", service: "relay" };

impl Port {
    /// Whose it is, for people.
    fn owner(self) -> &'static str {
        match self.service {
            PRIMARY => "server",
            "relay" => "Relay server",
            _ => "Puppetboard",
        }
    }

    /// Whether a service has it. The server leaves its port to a balancer, and takes it back.
    pub(super) fn is_of(self, service: &str) -> bool {
        service == self.service || (self.service == PRIMARY && service == BALANCER)
    }

    /// Held by our own container (which may be about to be replaced), or free.
    pub(super) fn check(self, engine: &Engine, (address, port): (IpAddr, u16), observed: &Observed) -> Check {
        let ours: Vec<FoundPort> = observed
            .services()
            .filter(|(_, c)| self.is_of(c.label(labels::SERVICE)) && c.running())
            .flat_map(|(_, c)| c.found.ports.iter().copied())
            .collect();
        self.held(address, port, &ours, observed).unwrap_or_else(|| self.free(engine, address, port))
    }

    /// What is known from the engine's containers; nothing when none of them holds the port.
    fn held(self, address: IpAddr, port: u16, ours: &[FoundPort], observed: &Observed) -> Option<Check> {
        let Port { id, service } = self;
        if let Some(holder) = observed.holder(address, port) {
            return Some(Check::error(
                "network",
                id,
                format!("port {port} is held by the container {holder}"),
                format!("choose another with `{service}.publish` in pupperware.yaml, or `docker stop {holder}`"),
            ));
        }
        let ours = ours.iter().any(|held| held.bars(address, port));
        ours.then(|| Check::ok("network", id, format!("port {port} is our {}'s", self.owner())))
    }

    /// Tries to bind the port at its address, where the engine is on this machine.
    fn free(self, engine: &Engine, address: IpAddr, port: u16) -> Check {
        let Port { id, service } = self;
        if !engine.is_local() {
            return Check::ok("network", id, format!("port {port}: not known, the engine is on another machine"));
        }
        match TcpListener::bind((address, port)) {
            Ok(_) => Check::ok("network", id, format!("port {port} is free")),
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Check::error(
                "network",
                id,
                format!("port {port} is already taken by a program on this machine"),
                format!(
                    "find it with `ss -ltnp 'sport = :{port}'`, or choose another port with `{service}.publish` in pupperware.yaml"
                ),
            ),
            Err(e) if e.kind() == std::io::ErrorKind::AddrNotAvailable => Check::error(
                "network",
                id,
                format!("this machine has no address {address} to publish the {} on", self.owner()),
                format!("name one that it has, or 0.0.0.0, with `{service}.publish` in pupperware.yaml"),
            ),
            // The engine may be allowed what we are not (ports below 1024).
            Err(e) => Check::ok("network", id, format!("port {port}: not known ({e})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Severity;

    fn port(address: &str) -> FoundPort {
        FoundPort { address: address.parse().unwrap(), port: 8140, tcp: true }
    }

    fn judged(address: &str, ours: &[FoundPort], theirs: &[FoundPort]) -> Option<Severity> {
        let ports = theirs.iter().map(|p| (*p, "other-puppetserver-1".to_owned())).collect();
        let observed = Observed { ports, ..Observed::default() };
        SERVER.held(address.parse().unwrap(), 8140, ours, &observed).map(|check| check.severity)
    }

    #[test]
    fn only_what_meets_our_address_counts() {
        let (mine, other) = ([port("10.0.0.1")], [port("10.0.0.2")]);
        assert_eq!(judged("10.0.0.1", &mine, &other), Some(Severity::Ok));
        assert_eq!(judged("10.0.0.1", &[], &other), None);
        assert_eq!(judged("0.0.0.0", &[], &other), Some(Severity::Error));
        // Our server moves: its old address says nothing of the new one.
        assert_eq!(judged("10.0.0.2", &mine, &[]), None);
        assert_eq!(judged("10.0.0.2", &mine, &other), Some(Severity::Error));
        // It takes all addresses, the one that it holds and the one that somebody else does.
        assert_eq!(judged("0.0.0.0", &mine, &[]), Some(Severity::Ok));
        assert_eq!(judged("0.0.0.0", &mine, &other), Some(Severity::Error));
    }
}
