//! The security model as data: what each service may be and have. `docs/concepts/security.md` tells the reasons.
//!
//! Deliberately apart from `compose/`: a Compose file that grants more than this is a finding, too.

/// What a service may have beyond the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// May be root inside.
    pub root: bool,
    /// May write to its root file system.
    pub writable_root: bool,
    /// Capabilities that it may keep.
    pub capabilities: &'static [&'static str],
    /// Ports that it may listen on for others.
    pub listeners: &'static [u16],
    /// May be published; the configuration says where.
    pub published: bool,
}

const LEAST: Allowed =
    Allowed { root: false, writable_root: false, capabilities: &[], listeners: &[], published: true };

/// What this service may have; the least for one that is not listed.
pub fn allowed(service: &str) -> Allowed {
    match service {
        "postgres" => Allowed { listeners: &[5432], published: false, ..LEAST },
        "puppetdb" => Allowed { listeners: &[8081], published: false, ..LEAST },
        "puppetserver" | "balancer" => Allowed { listeners: &[8140], ..LEAST },
        // Only the balancer may ask it.
        "compiler" => Allowed { listeners: &[8140], published: false, ..LEAST },
        // Clear text, on a network of its own; it shows what it is asked for, and changes nothing.
        "puppetboard" => Allowed { listeners: &[8088], ..LEAST },
        "relay" => Allowed { listeners: &[8170], ..LEAST },
        // Puppet manages systems, so an agent is root in its own container, with what managing files and users needs.
        "agent" => Allowed {
            root: true,
            writable_root: true,
            capabilities: &["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SYS_CHROOT"],
            // As long as there is a bridge: SSH for its key alone, which can do nothing but run Puppet.
            listeners: &[2222],
            ..LEAST
        },
        _ => LEAST,
    }
}

/// Days before its end in which a certificate is found.
pub const EXPIRES_SOON_DAYS: i64 = 60;
/// Fewest bits of an RSA key.
pub const RSA_BITS: usize = 2048;
/// Fewest bits of a key on an elliptic curve.
pub const EC_BITS: usize = 256;
