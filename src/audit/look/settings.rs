//! What the engine itself tells: how containers are made, networks, neighbours, images. And the texts in which a secret
//! may show, for `volumes` to compare.

use std::collections::VecDeque;

use crate::audit::model::{Container, Evidence, Image, Neighbour, Network, Surface, Wanted};
use crate::desired::labels;
use crate::engine::found::{ContainerSettings, FoundContainer};
use crate::engine::spec::Labels;
use crate::engine::{LogLine, LogQuery, reference};
use crate::images::{self, Source};
use crate::observed;

use super::Ground;

/// Lines of a container's log that are looked at, the newest.
const LOG_LINES: u32 = 20_000;
/// Bytes of them.
const LOG_BYTES: usize = 8 << 20;

/// A text that others can read, and what it is.
pub(super) struct Text {
    pub surface: Surface,
    pub place: String,
    pub lines: Vec<String>,
}

/// Fills in what the engine tells; returns the texts.
pub(super) async fn all(ground: &Ground<'_>, evidence: &mut Evidence) -> Vec<Text> {
    let mut texts = Vec::new();
    for (name, container) in &ground.observed.containers {
        match ground.engine.inspect_settings(&container.found.id).await {
            Ok(Some(settings)) => {
                texts.extend(shown(name, &settings, &container.found));
                evidence.containers.push(judged(ground, container, settings, evidence_image(ground, container).await));
            }
            // It went away since the snapshot: helpers do.
            Ok(None) => {}
            Err(error) => evidence.unseen(name, error.to_string()),
        }
        if container.label(labels::ROLE) == "service" {
            match log(ground, &container.found.id).await {
                Ok(lines) => texts.push(Text { surface: Surface::Logs, place: name.clone(), lines }),
                Err(why) => evidence.unseen(format!("the log of {name}"), why),
            }
        }
        if container.running() {
            match processes(ground, &container.found.id).await {
                Ok(lines) => texts.push(Text { surface: Surface::Arguments, place: name.clone(), lines }),
                Err(why) => evidence.unseen(format!("the processes of {name}"), why),
            }
        }
    }
    for (name, network) in &ground.observed.networks {
        texts.push(labelled(name, &network.labels));
        let wanted = ground.desired.networks.values().find(|n| n.name == *name);
        let wanted_internal = wanted.map(|n| n.internal);
        evidence.networks.push(Network { name: name.clone(), internal: network.internal, wanted_internal });
    }
    for (name, volume) in &ground.observed.volumes {
        texts.push(labelled(name, &volume.labels));
    }
    match ground.engine.list_all_containers().await {
        Ok(all) => evidence.neighbours = neighbours(ground, &all),
        Err(error) => evidence.unseen("containers of others", error.to_string()),
    }
    texts
}

fn judged(
    ground: &Ground<'_>,
    container: &observed::Container,
    settings: ContainerSettings,
    image: Option<Image>,
) -> Container {
    let replica = ground.desired.replicas.iter().find(|r| r.spec.name == container.found.name);
    let wanted = replica.map(|r| Wanted {
        spec: r.spec.clone(),
        hash: r.hash.clone(),
        image_key: ground.desired.image(&r.component).and_then(|i| match &i.source {
            Source::Build(build) => Some(build.key.clone()),
            Source::Pull => None,
        }),
    });
    Container {
        name: container.found.name.clone(),
        service: container.label(labels::SERVICE).to_owned(),
        role: container.label(labels::ROLE).to_owned(),
        hash: container.label(labels::SPEC_HASH).to_owned(),
        settings,
        wanted,
        image,
    }
}

/// What the container's reference names now, and the label of what runs.
async fn evidence_image(ground: &Ground<'_>, container: &observed::Container) -> Option<Image> {
    let found = &container.found;
    // Engines list a container by its image's id when the name has moved on; the name is in the configuration then.
    let replica = ground.desired.replicas.iter().find(|r| r.spec.name == found.name)?;
    let reference = reference::normal(&replica.spec.image);
    let named = ground.engine.find_image(&reference).await.ok()?;
    let running = ground.engine.find_image(&found.image_id).await.ok()?;
    let key = running.and_then(|i| i.labels.get(images::KEY_LABEL).cloned());
    Some(Image { reference, named: named.map(|i| i.id), key })
}

/// Containers of others on our networks or volumes.
fn neighbours(ground: &Ground<'_>, all: &[FoundContainer]) -> Vec<Neighbour> {
    let observed = ground.observed;
    let key = |labels: &Labels, name: &str| labels.get(labels::KEY).cloned().unwrap_or_else(|| name.to_owned());
    let strangers = all.iter().filter(|c| c.labels.get(labels::PROJECT).map(String::as_str) != Some(ground.project()));
    let found = strangers.map(|c| Neighbour {
        name: c.name.clone(),
        networks: c.networks.iter().filter_map(|n| Some(key(&observed.networks.get(n)?.labels, n))).collect(),
        volumes: c.volumes.iter().filter_map(|v| Some(key(&observed.volumes.get(v)?.labels, v))).collect(),
    });
    found.filter(|n| !n.networks.is_empty() || !n.volumes.is_empty()).collect()
}

fn shown(name: &str, settings: &ContainerSettings, found: &FoundContainer) -> Vec<Text> {
    let text = |surface, lines: &[String]| Text { surface, place: name.to_owned(), lines: lines.to_vec() };
    vec![
        text(Surface::Environment, &settings.environment),
        text(Surface::Arguments, &settings.command),
        labelled(name, &found.labels),
    ]
}

fn labelled(name: &str, labels: &Labels) -> Text {
    let lines = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Text { surface: Surface::Labels, place: name.to_owned(), lines }
}

async fn log(ground: &Ground<'_>, container: &str) -> Result<Vec<String>, String> {
    let query = LogQuery {
        container: container.to_owned(),
        follow: false,
        tail: Some(LOG_LINES),
        since: None,
        timestamps: false,
    };
    let (mut lines, mut bytes) = (VecDeque::new(), 0);
    let mut keep = |line: LogLine| {
        bytes += line.text.len();
        lines.push_back(line.text.to_owned());
        // The newest are kept.
        while bytes > LOG_BYTES {
            bytes -= lines.pop_front().map_or(bytes, |oldest| oldest.len());
        }
    };
    ground.engine.logs(&query, &mut keep).await.map_err(|e| e.to_string())?;
    Ok(lines.into())
}

/// The command lines of all processes, as `docker top` would show them.
async fn processes(ground: &Ground<'_>, container: &str) -> Result<Vec<String>, String> {
    const SCRIPT: &str = r#"for f in /proc/[0-9]*/cmdline; do tr '\0' ' ' < "$f" && echo; done 2> /dev/null; exit 0"#;
    let output = ground.script(container, SCRIPT, &[], None).await?;
    if output.stdout.trim().is_empty() {
        return Err(format!("they cannot be listed: {}", output.stderr.trim()));
    }
    Ok(output.stdout.lines().map(ToOwned::to_owned).collect())
}
