//! `images load` of an archive that carries a list of releases.

use std::path::Path;

use pupperware::images::carried;
use pupperware::release::source::hash;

use crate::engine::{Fake, in_folder};
use crate::transcript;

const LIST: &str = include_str!("https/releases.yaml");
const SIGNATURE: &str = include_str!("https/releases.yaml.minisig");
const KEY: &str = include_str!("https/releases.pub");

/// An archive with this list before an image.
fn archive(path: &Path, list: &str, signature: Option<&str>) {
    let mut image = tar::Builder::new(vec![]);
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    image.append_data(&mut header, "manifest.json", &b"[]"[..]).unwrap();
    let before = carried::before(list, signature).unwrap();
    std::fs::write(path, [before, image.into_inner().unwrap()].concat()).unwrap();
}

#[track_caller]
fn says(transcript: &str, texts: &[&str]) {
    for text in texts {
        assert!(transcript.contains(text), "no {text:?} in\n{transcript}");
    }
}

#[test]
fn the_list_of_releases_comes_with_the_images_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Fake::empty().serve();
    let load = |more: &[&str]| transcript(in_folder(&folder, &engine).args(["images", "load", "x.tar"]).args(more));
    let kept = || std::fs::read_to_string(folder.path().join("releases.yaml")).ok();
    archive(&folder.path().join("x.tar"), LIST, Some(SIGNATURE));

    // What is not what it should be is not kept, and nothing is loaded.
    let wrong = load(&["--manifest-sha256", &"0".repeat(64)]);
    says(&wrong, &["exit code: 6", "the list of releases in x.tar is not the manifest that was expected"]);
    let other = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    says(&load(&["--manifest-key", other]), &["exit code: 6", "is not signed by the key that is trusted"]);
    assert_eq!(kept(), None);

    let loaded = load(&["--manifest-key", KEY.trim()]);
    says(&loaded, &["exit code: 0", "pupperware/agent:8-0", "name it in pupperware.yaml", &hash(LIST.as_bytes())]);
    assert_eq!(kept().as_deref(), Some(LIST));
    let signature = std::fs::read_to_string(folder.path().join("releases.yaml.minisig")).unwrap();
    assert_eq!(signature, SIGNATURE, "so that it can be verified again");
    let list = ["releases", "--manifest", "releases.yaml", "--manifest-key", KEY.trim(), "list"];
    says(&transcript(in_folder(&folder, &engine).args(list)), &["exit code: 0", "8.0.9"]);

    // Another list takes its place only where something tells that it is genuine.
    let later = LIST.replace("8.0.9", "8.0.10");
    archive(&folder.path().join("x.tar"), &later, None);
    says(&load(&[]), &["exit code: 6", "releases.yaml is there, and the list of releases in x.tar is another"]);
    assert_eq!(kept().as_deref(), Some(LIST));
    says(&load(&["--manifest-sha256", &hash(later.as_bytes())]), &["exit code: 0", "releases.yaml"]);
    assert_eq!(kept(), Some(later));
    says(&load(&["--manifest-key", KEY.trim()]), &["exit code: 6", "has no signature, and is trusted by that"]);
}

/// A list that no program could use is no reason to load anything.
#[test]
fn a_list_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Fake::empty().serve();
    let over = LIST.replacen("schema_version: 1", "schema_version: 1\nexpires: 2020-01-01", 1);
    for (list, why) in [
        ("nonsense", "cannot be used"),
        ("schema_version: 2\n", "is of a newer pupperware"),
        (over.as_str(), "is good until 2020-01-01"),
    ] {
        archive(&folder.path().join("x.tar"), list, None);
        let refused = transcript(in_folder(&folder, &engine).args(["images", "load", "x.tar"]));
        says(&refused, &[why]);
        assert!(!refused.contains("pupperware/agent:8-0"), "{refused}");
        assert!(!folder.path().join("releases.yaml").exists());
    }
}
