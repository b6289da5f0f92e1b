//! Who keeps a copy of the CA's revocation list, and how each takes a new one.

use serde::Serialize;

use super::{BALANCER, COMPILER, Desired, PRIMARY, Replica};

/// How a service takes a new list that was put into its volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// It watches the file: nobody notices.
    Watches,
    /// It is told to, and nobody notices.
    Told,
    /// On SIGHUP it starts its inner services anew, within the same process: seconds without answers.
    Hangup,
    /// PostgreSQL is told to read its configuration again: connections stay.
    Database,
    /// Nobody reads it there; it is kept so that no copy is old.
    Unread,
    /// With its next start, or the next list that cannot wait.
    Later,
}

/// A service's copy of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CrlCopy {
    /// The service.
    pub service: String,
    /// Its container.
    pub container: String,
    /// The file in it.
    pub path: String,
    /// How it takes a new one.
    pub reload: Reload,
    /// Name and port at which it can be asked, over TLS, whether it lets a certificate in.
    pub asked_at: Option<(String, u16)>,
}

impl Desired {
    /// Every copy, in the order of the services.
    pub fn crl_copies(&self) -> Vec<CrlCopy> {
        self.replicas.iter().filter_map(copy).collect()
    }
}

fn copy(replica: &Replica) -> Option<CrlCopy> {
    let (path, reload, port) = match replica.service.as_str() {
        PRIMARY | COMPILER => ("/var/lib/puppet/ssl/crl.pem", Reload::Watches, Some(8140)),
        "puppetdb" => ("/etc/pupperware/ssl/crl.pem", Reload::Hangup, Some(8081)),
        "postgres" => ("/etc/pupperware/ssl/crl.pem", Reload::Database, None),
        BALANCER => ("/etc/pupperware/ssl/crl.pem", Reload::Told, Some(8140)),
        "puppetboard" | "relay" | "bridge" => ("/etc/pupperware/ssl/crl.pem", Reload::Unread, None),
        _ => return None,
    };
    Some(CrlCopy {
        service: replica.service.clone(),
        container: replica.spec.name.clone(),
        path: path.into(),
        reload,
        // A balancer without compilers shows the primary's certificate, which has other names of its own.
        asked_at: port
            .map(|port| (if replica.service == BALANCER { "puppet".into() } else { replica.certname.clone() }, port)),
    })
}
