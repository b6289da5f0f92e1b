//! Whether the JVMs run from their class-data archives. The JVM drops an archive that does not fit its flags or class
//! path without a word, and then starts several times slower.

use super::Check;
use crate::desired::labels;
use crate::engine::{Engine, ExecRequest};
use crate::observed::{Container, Observed};

/// The services that have one.
const SERVICES: [(&str, &str); 2] =
    [("class-archive-puppetserver", "puppetserver"), ("class-archive-puppetdb", "puppetdb")];
/// Where images keep it. The JVM is the container's first process; an archive in use is mapped into its memory.
const LOOK: [&str; 4] = ["grep", "-q", "/usr/share/pupperware/app.jsa", "/proc/1/maps"];

/// One check a service.
pub(super) async fn all(engine: &Engine, observed: &Observed) -> Vec<Check> {
    let mut checks = Vec::new();
    for (id, service) in SERVICES {
        let found = observed.services().find(|(_, c)| c.label(labels::SERVICE) == service);
        checks.push(match found.filter(|(_, c)| Container::running(c)) {
            None => Check::ok("images", id, format!("not known: {service} does not run")),
            Some((_, container)) => in_use(engine, id, service, &container.found.id).await,
        });
    }
    checks
}

async fn in_use(engine: &Engine, id: &'static str, service: &str, container: &str) -> Check {
    let request = ExecRequest {
        container: container.to_owned(),
        command: LOOK.map(String::from).to_vec(),
        ..ExecRequest::default()
    };
    match engine.exec(&request, &mut |_| {}).await {
        Ok(output) if output.code == 0 => {
            Check::ok("images", id, format!("{service} runs from its class-data archive"))
        }
        Ok(output) if output.code == 1 => Check::warning(
            "images",
            id,
            format!("{service} runs without its class-data archive: it starts slowly"),
            "heaps of 32g and more do not fit it; otherwise look for JVM flags of your own, or build the image anew",
        ),
        Ok(output) => Check::warning(
            "images",
            id,
            format!("{service} cannot be looked at: {}", output.stderr.trim()),
            "see whether the service is well with `pupperware status`",
        ),
        Err(error) => Check::warning(
            "images",
            id,
            format!("{service} cannot be looked at: {error}"),
            "see whether the service is well with `pupperware status`",
        ),
    }
}
