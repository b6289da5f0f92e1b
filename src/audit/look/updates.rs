//! Packages with newer versions: asked in a container that is thrown away, because images keep no package lists.

use std::collections::BTreeMap;

use super::{Ground, PATIENCE, read};
use crate::audit::model::Evidence;
use crate::desired::{Replica, labels};
use crate::engine::spec::{Attachment, ContainerSpec};

const SCRIPT: &str = include_str!("updates.sh");
/// Package lists are some tens of megabytes.
const PATIENCE_FACTOR: u32 = 4;

/// Updates that wait in the image of each service; none unless they were asked for.
pub(super) async fn all(ground: &Ground<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    // Services of one image share its packages.
    let mut images: BTreeMap<&str, &Replica> = BTreeMap::new();
    for replica in ground.desired.replicas.iter().filter(|_| ground.updates) {
        images.entry(&replica.spec.image).or_insert(replica);
    }
    for replica in images.into_values() {
        match waiting(ground, replica).await {
            Ok(output) => evidence.updates.extend(read::updates(&replica.spec.name, &output)),
            Err(why) => evidence.unseen(format!("updates of {}", replica.spec.image), why),
        }
    }
    evidence
}

async fn waiting(ground: &Ground<'_>, replica: &Replica) -> Result<String, String> {
    let engine = ground.engine;
    let spec = ContainerSpec {
        name: format!("{}-audit-updates", ground.project()),
        hostname: "audit".into(),
        image: replica.spec.image.clone(),
        entrypoint: Some(["sh", "-c", SCRIPT].map(String::from).to_vec()),
        command: Some(vec![]),
        user: Some("0:0".into()),
        labels: labels::common(ground.project(), "look"),
        // The engine's default network: the platform's own have nothing to do with it.
        networks: vec![Attachment { network: "bridge".into(), aliases: vec![] }],
        cap_drop: vec!["ALL".into()],
        security_opt: vec!["no-new-privileges:true".into()],
        init: true,
        pids: Some(256),
        memory_bytes: Some(512 << 20),
        ..ContainerSpec::default()
    };
    let run = async {
        engine.remove_container(&spec.name).await?;
        engine.create_container(&spec).await?;
        engine.start_container(&spec.name).await?;
        engine.wait_exit(&spec.name).await
    };
    let ended = tokio::time::timeout(PATIENCE * PATIENCE_FACTOR, run).await;
    let lines = engine.last_lines(&spec.name, 5000).await;
    let removed = engine.remove_container(&spec.name).await;
    let code = ended.map_err(|_| "no answer in time".to_owned())?.map_err(|e| e.to_string())?;
    removed.map_err(|e| e.to_string())?;
    match code {
        0 => Ok(lines.join("\n")),
        _ => Err(lines.last().cloned().unwrap_or_else(|| format!("apt ended with the exit code {code}"))),
    }
}
