//! Images on their way to a machine without a network, with the list that tells of their release.

use crate::platform::{Platform, docker, turn};
use crate::upgrade::list_releases;

/// Intent: images of a release that only a list of one's own knows are saved in one place and loaded in another: the list
/// comes along, and makes the release known there. To any engine, it is an archive of images.
#[test]
fn a_list_of_releases_travels_with_the_images() {
    let Some(_turn) = turn() else { return };
    let (here, there) = (Platform::new("releases: { manifest: releases.yaml }\n"), Platform::new(""));
    list_releases(&here, &[("8.0.1", &["provision"])]);
    let archive = there.folder().join("images.tar");
    let archive = archive.to_str().expect("a plain name");
    here.ok(&["images", "build", "provision", "--release", "8.0.1"]);
    here.ok(&["images", "save", archive, "provision", "--release", "8.0.1"]).says("and the list of releases");

    let read = docker(&["load", "--input", archive]);
    assert!(read.contains("Loaded image: pupperware/provision:8-"), "{read}");
    there.run(&["images", "list", "provision", "--release", "8.0.1"]).expect(2).says("there is no release 8.0.1");
    there.ok(&["images", "load", "images.tar"]).says("pupperware/provision:8-").says("name it in pupperware.yaml");
    let listed = ["images", "list", "provision", "--release", "8.0.1", "--manifest", "releases.yaml"];
    there.ok(&listed).says("here");
}
