//! Files in volumes: who may read keys and secrets, who may write, whether the configuration is ours.

use super::Theme;
use crate::audit::model::{Evidence, File, Finding, Rule, Severity, Volumes};

/// The theme.
pub const THEME: Theme = Theme {
    title: "Files in volumes",
    rules: &[&PRIVATE_MODE, &PRIVATE_OWNER, &WORLD_WRITABLE, &CA_KEY_COPY, &CONFIGURATION],
    check,
};

static PRIVATE_MODE: Rule = Rule {
    id: "private-file-mode",
    severity: Severity::High,
    title: "a key or secret can be read by others than its service",
    remedy: "take the permission away (`chmod o-rwx` as root in the volume), and replace the key or secret if somebody may have read it",
};
static PRIVATE_OWNER: Rule = Rule {
    id: "private-file-owner",
    severity: Severity::High,
    title: "a key or secret belongs to another user than its service's",
    remedy: "find out who changed it, and give it back (`chown` as root in the volume)",
};
static WORLD_WRITABLE: Rule = Rule {
    id: "file-world-writable",
    severity: Severity::High,
    title: "everybody can write to a file or directory that the platform trusts",
    remedy: "take the permission away (`chmod o-w` as root in the volume), and check the content",
};
static CA_KEY_COPY: Rule = Rule {
    id: "ca-key-copy",
    severity: Severity::High,
    title: "the key of the CA lies outside of the CA's own volume",
    remedy: "remove the copy; whoever could read it can sign certificates: consider a new CA",
};
static CONFIGURATION: Rule = Rule {
    id: "configuration-differs",
    severity: Severity::High,
    title: "a service's configuration file is not what this program writes",
    remedy: "have it written anew: `docker rm --force CONTAINER`, then `pupperware up`",
};

/// Where the CA keeps its key.
const CA_KEY: &str = "ca/ca_key.pem";

fn check(evidence: &Evidence) -> Vec<Finding> {
    let Some(volumes) = &evidence.volumes else { return vec![] };
    let mut findings = Vec::new();
    for file in &volumes.files {
        if private(file, volumes) {
            readers(file, volumes, &mut findings);
        }
        // A sticky directory is everybody's on purpose; none of these is one.
        if file.mode & 0o002 != 0 {
            findings.push(WORLD_WRITABLE.broken(&file.path, format!("mode {:o}", file.mode)));
        }
    }
    let ca = volumes.keys.iter().find(|(path, _)| path == CA_KEY).map(|(_, hash)| hash);
    for (path, hash) in volumes.keys.iter().filter(|(path, _)| !path.starts_with("ca/")) {
        if Some(hash) == ca {
            findings.push(CA_KEY_COPY.broken(path, "the same key as ca/ca_key.pem"));
        }
    }
    for (path, found, wanted) in &volumes.configuration {
        if found != wanted {
            let state = if found.is_empty() { "it is missing" } else { "its content differs" };
            findings.push(CONFIGURATION.broken(path, state));
        }
    }
    findings
}

/// Keys, secrets and tokens, by place or by what is in them.
fn private(file: &File, volumes: &Volumes) -> bool {
    let path = format!("/{}", file.path);
    let by_place = ["/private_keys/", "/secrets/", "/autosign-tokens/"].iter().any(|part| path.contains(part))
        || ["/key.pem", "/key.pk8", "/ca_key.pem", "/csr_attributes.yaml"].iter().any(|end| path.ends_with(end));
    !file.directory && (by_place || volumes.keys.iter().any(|(key, _)| *key == file.path))
}

/// A key is its service's; a group may read it only where that is the service's own.
fn readers(file: &File, volumes: &Volumes, findings: &mut Vec<Finding>) {
    let volume = file.path.split('/').next().unwrap_or_default();
    let owners = volumes.owners.get(volume).map(Vec::as_slice).unwrap_or_default();
    let group_is_ours = file.gid == 0 || owners.contains(&file.gid);
    if file.mode & 0o007 != 0 || (file.mode & 0o070 != 0 && !group_is_ours) {
        let evidence = format!("mode {:o}, owner {}, group {}", file.mode, file.uid, file.gid);
        findings.push(PRIVATE_MODE.broken(&file.path, evidence));
    }
    if !owners.is_empty() && file.uid != 0 && !owners.contains(&file.uid) {
        findings.push(PRIVATE_OWNER.broken(&file.path, format!("owner {}, and {} is right", file.uid, owners[0])));
    }
}
