//! What services tell of themselves from inside: sockets that listen, PostgreSQL's rules.

use super::{Ground, read};
use crate::audit::model::{Attempt, Evidence, Listener, Probe};

const DATABASE: &str = include_str!("database.sh");

/// Sockets of every service, and the database's view.
pub(super) async fn all(ground: &Ground<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for replica in &ground.desired.replicas {
        let Some(container) = ground.running(replica) else { continue };
        let name = &replica.spec.name;
        let command = ["cat", "/proc/net/tcp", "/proc/net/tcp6"].map(String::from).to_vec();
        match ground.command(&container.found.id, command, None).await {
            // Where there is no IPv6, its table is missing, and the other one says everything.
            Ok(output) if output.stdout.contains("local_address") => {
                let ports = read::listeners(&output.stdout);
                evidence.listeners.extend(ports.into_iter().map(|port| Listener {
                    container: name.clone(),
                    service: replica.service.clone(),
                    port,
                }));
            }
            Ok(output) => evidence.unseen(format!("the sockets of {name}"), output.stderr.trim()),
            Err(why) => evidence.unseen(format!("the sockets of {name}"), why),
        }
    }
    database(ground, &mut evidence).await;
    evidence
}

async fn database(ground: &Ground<'_>, evidence: &mut Evidence) {
    let Some(container) = ground.service("postgres") else { return };
    let output = match ground.script(&container.found.id, DATABASE, &[], None).await {
        Ok(output) if output.code == 0 => output,
        Ok(output) => return evidence.unseen("the database's rules", output.stderr.trim()),
        Err(why) => return evidence.unseen("the database's rules", why),
    };
    evidence.database = Some(read::database(&output.stdout));
    for (attempt, mode, how) in [
        (Attempt::PostgresPlain, "disable", "a connection over the network without TLS"),
        (Attempt::PostgresNoPassword, "require", "a connection over the network with TLS and without a password"),
    ] {
        let said = read::field(&output.stdout, mode);
        let verdict = match attempt {
            Attempt::PostgresPlain => read::plain_connection(said),
            _ => read::without_password(said),
        };
        evidence.probes.push(Probe { attempt, place: container.found.name.clone(), how: how.into(), verdict });
    }
}
