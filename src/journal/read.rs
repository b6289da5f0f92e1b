//! Reads the journal back, for people. Nothing is decided by it.

use super::lock;
use crate::desired::labels;
use crate::engine::Engine;
use crate::error::Result;

/// The last runs' entries, one JSON object a line, oldest first; nothing when there is no journal yet.
///
/// The state volume is reached through a container that is never started. It is of the role of those that any later run
/// clears away.
///
/// # Errors
/// The engine's.
pub async fn last(engine: &Engine, project: &str, runs: usize) -> Result<Option<String>> {
    let volume = labels::scoped(project, "state");
    // The engine would make one that is missing.
    if !engine.list_volumes(&labels::selector(project)).await?.iter().any(|v| v.name == volume) {
        return Ok(None);
    }
    lock::ensure_anchor(engine).await?;
    let name = format!("{project}-journal-{}", std::process::id());
    let mut spec = lock::anchor_container(project, name, "task", &[("state".into(), volume)]);
    for mount in &mut spec.mounts {
        mount.read_only = true;
    }
    let container = engine.create_container(&spec).await?;
    let files = engine.get_files(&container, "/volumes/state/journal").await;
    engine.remove_container(&container).await?;
    Ok(files?.map(|files| joined(files, runs)))
}

/// Files are `journal/RUN/SEGMENT.jsonl`; both sort by time.
fn joined(mut files: Vec<(String, Vec<u8>)>, runs: usize) -> String {
    files.sort();
    let run = |path: &str| path.rsplit_once('/').map_or_else(String::new, |(run, _)| run.to_owned());
    let mut names: Vec<String> = files.iter().map(|(path, _)| run(path)).collect();
    names.dedup();
    let first = names.len().saturating_sub(runs);
    let wanted = files.iter().filter(|(path, _)| names[first..].contains(&run(path)));
    wanted.map(|(_, content)| String::from_utf8_lossy(content)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_come_in_their_order() {
        let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
        let files = vec![
            file("journal/3/000001.jsonl", "e\n"),
            file("journal/2/000002.jsonl", "d\n"),
            file("journal/1/000001.jsonl", "a\n"),
            file("journal/2/000001.jsonl", "c\n"),
        ];
        assert_eq!(joined(files.clone(), 2), "c\nd\ne\n");
        assert_eq!(joined(files, 9), "a\nc\nd\ne\n");
    }
}
