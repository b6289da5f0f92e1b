//! What is in the volumes: a helper container that has them all read-only, and no network, looks and compares. It works
//! as well while the services are down.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::settings::Text;
use super::{Ground, read};
use crate::audit::model::{Evidence, Leak, Verdict, Volumes};
use crate::desired::credentials::PUPPET;
use crate::desired::labels;
use crate::engine::spec::{ContainerSpec, Labels, Mount, MountSource};

const LOOK: &str = include_str!("volumes.sh");
const SECRETS: &str = include_str!("secrets.sh");
pub(super) const TLS: &str = include_str!("tls.sh");

/// Seconds after which the helper ends by itself, if nobody is there to remove it.
const LIFE: &str = "900";

/// Everything that is to be seen in volumes, and where their secrets show in `texts`.
pub(super) async fn all(ground: &Ground<'_>, texts: Vec<Text>) -> Evidence {
    let mut evidence = Evidence::default();
    let spec = helper(ground);
    let engine = ground.engine;
    let started = async {
        engine.remove_container(&spec.name).await?;
        engine.create_container(&spec).await?;
        engine.start_container(&spec.name).await
    };
    match started.await {
        Ok(()) => {
            look(ground, &spec.name, &mut evidence).await;
            leaks(ground, &spec.name, texts, &mut evidence).await;
            old_tls_can_be_seen(ground, &spec.name, &mut evidence).await;
        }
        Err(error) => evidence.unseen("the volumes", error.to_string()),
    }
    if let Err(error) = engine.remove_container(&spec.name).await {
        evidence.unseen("the end of the helper container", error.to_string());
    }
    evidence
}

/// The helper: may read everything, change nothing, and reach nobody.
fn helper(ground: &Ground<'_>) -> ContainerSpec {
    let volumes = ground.observed.volumes.iter().filter_map(|(name, v)| Some((name, v.labels.get(labels::KEY)?)));
    ContainerSpec {
        name: format!("{}-audit", ground.project()),
        hostname: "audit".into(),
        image: ground.desired.image("provision").map(|i| i.reference.clone()).unwrap_or_default(),
        entrypoint: Some(vec!["/usr/bin/sleep".into()]),
        command: Some(vec![LIFE.into()]),
        user: Some("0:0".into()),
        labels: labels::common(ground.project(), "look"),
        mounts: volumes
            .map(|(name, key)| Mount {
                source: MountSource::Volume(name.clone()),
                target: format!("/volumes/{key}"),
                read_only: true,
                labels: Labels::new(),
            })
            .collect(),
        tmpfs: BTreeMap::from([("/tmp".into(), "mode=0700".into())]),
        cap_drop: vec!["ALL".into()],
        cap_add: vec!["DAC_READ_SEARCH".into()],
        security_opt: vec!["no-new-privileges:true".into()],
        read_only: true,
        init: true,
        pids: Some(64),
        memory_bytes: Some(256 << 20),
        ..ContainerSpec::default()
    }
}

async fn look(ground: &Ground<'_>, helper: &str, evidence: &mut Evidence) {
    let desired = ground.desired;
    let files = desired.files.iter().flat_map(|(key, files)| files.iter().map(move |f| (key, f)));
    let wanted: BTreeMap<String, String> = files
        .filter(|(_, f)| !f.path.ends_with('/'))
        .map(|(key, f)| (format!("{key}/{}", f.path), hex(&Sha256::digest(f.content.as_bytes()))))
        .collect();
    let paths: String = wanted.keys().map(|path| format!("{path}\n")).collect();
    let output = match ground.script(helper, LOOK, &[], Some(paths.into_bytes())).await {
        Ok(output) if output.code == 0 => output,
        Ok(output) => return evidence.unseen("the volumes", output.stderr.trim()),
        Err(why) => return evidence.unseen("the volumes", why),
    };
    let mut volumes = Volumes { owners: owners(ground), ..read::volumes(&output.stdout, &wanted) };
    for key in desired.volumes.keys().filter(|key| !there(ground, key)) {
        evidence.unseen(format!("the volume {key}"), "it is not there");
        // What is missing with its volume is no change of it.
        volumes.configuration.retain(|(path, ..)| !path.starts_with(&format!("{key}/")));
    }
    if !volumes.trust.iter().any(|(path, _)| path == "ca/ca_crt.pem") {
        evidence.unseen("the CA", "its certificate is not there");
    }
    evidence.volumes = Some(volumes);
}

fn there(ground: &Ground<'_>, key: &str) -> bool {
    ground.observed.volumes.values().any(|v| v.labels.get(labels::KEY).is_some_and(|k| k == key))
}

/// Who may own private files: whom the volume was made for. An agent gives its directory to its own user `puppet`.
fn owners(ground: &Ground<'_>) -> BTreeMap<String, Vec<u32>> {
    let mut owners: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for directory in &ground.desired.credentials.directories {
        let known = owners.entry(directory.volume.clone()).or_default();
        if !known.contains(&directory.owner) {
            known.push(directory.owner);
        }
    }
    for volume in ground.desired.credentials.agent_volumes() {
        owners.entry(volume.to_owned()).or_default().push(PUPPET);
    }
    for key in ground.desired.compilers().flat_map(|r| &r.volumes) {
        owners.entry(key.clone()).or_default().push(PUPPET);
    }
    owners
}

async fn leaks(ground: &Ground<'_>, helper: &str, texts: Vec<Text>, evidence: &mut Evidence) {
    let mut haystack = String::new();
    // The number of each text's last line.
    let mut ends = Vec::new();
    let mut count = 0;
    for text in &texts {
        for line in text.lines.iter().flat_map(|line| line.lines()) {
            haystack.push_str(line);
            haystack.push('\n');
            count += 1;
        }
        ends.push(count);
    }
    let what = "secrets in environments, labels, arguments and logs";
    let output = match ground.script(helper, SECRETS, &[], Some(haystack.into_bytes())).await {
        Ok(output) => output,
        Err(why) => return evidence.unseen(what, why),
    };
    let Some(lines) = read::secret_lines(&output.stdout) else {
        return evidence.unseen(what, "there are no secrets to compare with: the volume state does not hold them");
    };
    for line in lines {
        // The text whose lines it is among.
        let at = ends.partition_point(|end| *end < line);
        if let Some(text) = texts.get(at) {
            evidence.leaks.push(Leak { surface: text.surface, place: text.place.clone() });
        }
    }
    evidence.leaks.sort();
    evidence.leaks.dedup();
}

/// A server that takes every version of TLS must be seen to do so, or all that is refused says nothing.
async fn old_tls_can_be_seen(ground: &Ground<'_>, helper: &str, evidence: &mut Evidence) {
    let ssl = "/volumes/postgres-config/ssl";
    let arguments = ["control", "-", &format!("{ssl}/cert.pem"), &format!("{ssl}/key.pem")];
    let seen = match ground.script(helper, TLS, &arguments, None).await {
        Ok(output) => read::versions(&output.stdout),
        Err(why) => return evidence.unseen("old TLS versions", why),
    };
    if seen.len() != 3 || seen.iter().any(|(_, verdict)| *verdict != Verdict::Allowed) {
        evidence.unseen("old TLS versions", "the OpenSSL of the images cannot speak them, so refusals say nothing");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
