//! Archives that are whole, broken, and hostile.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::*;
use age::secrecy::ExposeSecret;

use crate::backup::{Keys, LeftOut, Manifest, Writer, folder};
use crate::config::types::{AgeRecipient, Setting};
use crate::error::Kind;

fn manifest() -> Manifest {
    Manifest {
        schema_version: 1,
        project: "demo".into(),
        release: semver::Version::new(8, 0, 0),
        definition: None,
        channel: None,
        program: "0.1.0".into(),
        started_at: "2026-11-21T00:00:00Z".into(),
        finished_at: "2026-11-21T00:00:01Z".into(),
        encrypted_for: vec![],
        packages: std::collections::BTreeMap::new(),
        members: vec![],
        left_out: vec![LeftOut { what: "code".into(), why: "a directory".into() }],
    }
}

/// An entry of a volume: path, kind, where a link leads or what a file holds.
type Entry = (&'static str, tar::EntryType, &'static str);

const FILE: tar::EntryType = tar::EntryType::Regular;
const LINK: tar::EntryType = tar::EntryType::Symlink;
const CA: [Entry; 3] = [("./ca_crt.pem", FILE, "x"), ("./ca_key.pem", FILE, "x"), ("serial", FILE, "000A")];

/// A tar as a hostile writer makes it: nothing in it is put right.
fn packed(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(vec![]);
    for (path, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        let links = matches!(*kind, tar::EntryType::Symlink | tar::EntryType::Link);
        header.set_size(if links { 0 } else { content.len() as u64 });
        if links {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, if links { &[] } else { content.as_bytes() }).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An archive of these members.
fn archive(members: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
    archive_for(members, &[], manifest())
}

/// The same, encrypted, and with another manifest.
fn archive_for(
    members: &[(&str, Vec<u8>)],
    recipients: &[AgeRecipient],
    manifest: Manifest,
) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo-20261121T000000Z.pupperware");
    let mut writer = Writer::create(&path, recipients).unwrap();
    for (name, content) in members {
        let mut member = writer.member_at((*name).to_owned()).unwrap();
        member.write_all(content).unwrap();
        member.done().unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let judge = async |path: &Path, keys: Keys| {
        let mut archive = Archive::open(path)?;
        archive.unlock(keys).and_then(|()| whole(&archive, &mut |_, _| {}))
    };
    // What is hostile is judged by the test.
    let trusting = async |_: &Path, _: Keys| Ok(());
    let finished = if recipients.is_empty() {
        runtime.block_on(writer.finish(manifest, trusting))
    } else {
        runtime.block_on(writer.finish(manifest, judge))
    };
    finished.unwrap();
    (folder, path)
}

/// A private key in a file of its own, and its public half.
fn key(folder: &tempfile::TempDir, name: &str) -> (PathBuf, AgeRecipient) {
    use std::os::unix::fs::OpenOptionsExt;
    let identity = age::x25519::Identity::generate();
    let path = folder.path().join(name);
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(identity.to_string().expose_secret().as_bytes()).unwrap();
    (path, AgeRecipient::parse(&identity.to_public().to_string()).unwrap())
}

/// A dump that cannot be compressed, so that only its checksum tells that a byte of it changed.
fn dump() -> Vec<u8> {
    let noise = (1..20_000_u32).map(|n| n.wrapping_mul(n).wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    b"PGDMP".iter().copied().chain(noise).collect()
}

fn whole_one() -> (tempfile::TempDir, PathBuf) {
    archive(&[("volumes/ca.tar.zst", packed(&CA)), ("database/puppetdb.dump.zst", dump())])
}

fn judged(path: &Path) -> Result<()> {
    Archive::open(path).and_then(|a| whole(&a, &mut |_, _| {}))
}

/// What is wrong with a volume of this key and content.
fn volume_with(key: &str, entries: &[Entry]) -> String {
    let (_folder, path) = archive(&[(&format!("volumes/{key}.tar.zst"), packed(entries))]);
    judged(&path).map_or_else(|e| e.what.split(": ").skip(2).collect::<Vec<_>>().join(": "), |()| "whole".into())
}

#[test]
fn what_was_written_is_whole_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = whole_one();
    judged(&path).unwrap();
    let archive = Archive::open(&path).unwrap();
    checksums(&archive).unwrap();
    assert_eq!(archive.manifest.volumes().collect::<Vec<_>>(), ["ca"]);
    assert_eq!(archive.manifest.left_out[0].what, "code");
    let mut back = vec![];
    archive.content(archive.manifest.member(&Content::Database).unwrap()).unwrap().read_to_end(&mut back).unwrap();
    assert_eq!(back, dump());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// Every byte that is changed, and every end that is missing, is noticed: one in each block, and both ends.
#[test]
fn no_damage_goes_unnoticed() {
    let (folder, path) = whole_one();
    let bytes = std::fs::read(&path).unwrap();
    let broken = folder.path().join("broken.pupperware");
    for at in (0..bytes.len()).step_by(101) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        std::fs::write(&broken, &damaged).unwrap();
        // Padding is the one place where nothing can be lost.
        if bytes[at] != 0 {
            assert!(judged(&broken).is_err(), "byte {at} of {} changed", bytes.len());
        }
        std::fs::write(&broken, &bytes[..at]).unwrap();
        assert!(judged(&broken).is_err(), "{at} of {} bytes", bytes.len());
    }
    std::fs::write(&broken, [bytes, vec![0; 512]].concat()).unwrap();
    assert!(judged(&broken).unwrap_err().what.contains("does not end where it should"));
    std::fs::write(&broken, "not a tar at all").unwrap();
    assert_eq!(judged(&broken).unwrap_err().kind, Kind::Failed);
}

#[test]
fn nothing_leaves_its_volume() {
    assert_eq!(volume_with("ca", &CA), "whole");
    assert_eq!(volume_with("code", &[("../../etc/passwd", FILE, "x")]), r#""../../etc/passwd" leaves its volume"#);
    assert_eq!(volume_with("code", &[("/etc/passwd", FILE, "x")]), r#""/etc/passwd" leaves its volume"#);
    assert_eq!(volume_with("code", &[("a", tar::EntryType::Link, "../x")]), r#""../x" leaves its volume"#);
    assert_eq!(volume_with("code", &[("a", LINK, "/etc"), ("a/b", FILE, "x")]), r#""a/b" is behind a link"#);
    assert_eq!(volume_with("code", &[("a", tar::EntryType::Block, "")]), r#""a" is no file, directory or link"#);
    assert_eq!(volume_with("puppetserver-ssl", &[("a", LINK, "../x")]), r#"the link "a" leaves its volume"#);
    assert_eq!(volume_with("state", &[("journal/1", FILE, "x")]), r#""journal/1" does not belong there"#);
    // Modules of the image are linked to, and links of agents are theirs.
    assert_eq!(volume_with("code", &[("a", LINK, "/usr/share/puppet/modules")]), "whole");
    assert_eq!(volume_with("puppetserver-ssl", &[("a/b", LINK, "../c")]), "whole");
}

#[test]
fn a_ca_without_its_parts_is_none() {
    assert_eq!(volume_with("ca", &CA[..1]), "the CA has no certificate or no key");
    assert_eq!(volume_with("ca", &CA[..2]), "the CA has no serial number that makes sense");
}

#[test]
fn members_of_somebody_else_are_refused() {
    let (_folder, path) = archive(&[("volumes/X.tar.zst", vec![])]);
    assert!(judged(&path).unwrap_err().what.contains("does not belong there"));
    let (_folder, path) = archive(&[("volumes/code.tar.zst", vec![]), ("volumes/code.tar.zst", vec![])]);
    assert!(judged(&path).unwrap_err().what.contains("twice"));
    let (_folder, path) = archive(&[("database/puppetdb.dump.zst", b"SQLite".to_vec())]);
    assert!(judged(&path).unwrap_err().what.contains("no dump"));
}

#[test]
fn what_a_killed_run_left_is_swept_and_nothing_else() {
    let (folder, path) = whole_one();
    let leftover = folder.path().join("demo-20261120T000000Z.pupperware.partial");
    let of_another = folder.path().join("demo-2-20261120T000000Z.pupperware.partial");
    for file in [&leftover, &of_another] {
        std::fs::write(file, "x").unwrap();
    }
    let writing = Writer::create(&folder.path().join("demo-20261122T000000Z.pupperware"), &[]).unwrap();
    folder::sweep(folder.path(), "demo").unwrap();
    assert!(!leftover.exists() && of_another.exists() && path.exists());
    assert!(writing.partial().exists(), "another run is at it");
    let partial = writing.partial().to_owned();
    drop(writing);
    assert!(!partial.exists(), "what was given up is gone");
}

#[test]
fn an_encrypted_one_is_opened_by_its_key_and_listed_without() {
    let keys = tempfile::tempdir().unwrap();
    let ((mine, recipient), (other, _)) = (key(&keys, "mine"), key(&keys, "other"));
    let members = [("volumes/ca.tar.zst.age", packed(&CA)), ("database/puppetdb.dump.zst.age", dump())];
    let (_folder, path) = archive_for(&members, std::slice::from_ref(&recipient), manifest());
    let mut archive = Archive::open(&path).unwrap();
    assert_eq!(archive.manifest.encrypted_for, std::slice::from_ref(&recipient));
    assert_eq!(archive.manifest.volumes().collect::<Vec<_>>(), ["ca"]);
    checksums(&archive).unwrap();
    let stored = std::fs::read(&path).unwrap();
    assert!(!stored.windows(5).any(|w| w == b"PGDMP"));

    let missing = archive.unlock(Keys::default()).unwrap_err();
    assert_eq!(missing.kind, Kind::Usage);
    assert!(missing.what.ends_with(&format!("is encrypted for {recipient}")), "{missing}");
    assert_eq!(missing.hint.as_deref(), Some("give the file with the private key with `--identity FILE`"));
    let wrong = archive.unlock(Keys::read(&other).unwrap()).unwrap_err();
    assert!(wrong.what.starts_with("no given key opens") && wrong.what.contains(&recipient.to_string()), "{wrong}");

    archive.unlock(Keys::read(&mine).unwrap()).unwrap();
    whole(&archive, &mut |_, _| {}).unwrap();
    let mut back = vec![];
    archive.content(archive.manifest.member(&Content::Database).unwrap()).unwrap().read_to_end(&mut back).unwrap();
    assert_eq!(back, dump());
}

/// With the key, every byte that is changed and every end that is missing is noticed in an encrypted one as well.
#[test]
fn no_damage_of_an_encrypted_one_goes_unnoticed() {
    let keys = tempfile::tempdir().unwrap();
    let (mine, recipient) = key(&keys, "mine");
    let (folder, path) = archive_for(&[("volumes/ca.tar.zst.age", packed(&CA))], &[recipient], manifest());
    let bytes = std::fs::read(&path).unwrap();
    let broken = folder.path().join("broken.pupperware");
    let judged = |content: &[u8]| {
        std::fs::write(&broken, content).unwrap();
        let mut archive = Archive::open(&broken)?;
        archive.unlock(Keys::read(&mine)?)?;
        whole(&archive, &mut |_, _| {})
    };
    judged(&bytes).unwrap();
    for at in (0..bytes.len()).step_by(13).filter(|at| bytes[*at] != 0) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(judged(&damaged).is_err(), "byte {at} of {} changed", bytes.len());
        assert!(judged(&bytes[..at]).is_err(), "{at} of {} bytes", bytes.len());
    }
}

#[test]
fn what_is_not_encrypted_has_no_place_among_what_is() {
    let (_folder, path) = archive(&[("volumes/code.tar.zst", vec![]), ("volumes/ca.tar.zst.age", packed(&CA))]);
    assert!(judged(&path).unwrap_err().what.contains("not encrypted as its manifest says"));
}

/// What may be in a newer format, nobody here can know.
#[test]
fn a_newer_format_is_told_before_anything_else_is_found_strange() {
    let newer = Manifest { schema_version: 2, ..manifest() };
    let (_folder, path) = archive_for(&[("eyaml/keys.tar.zst", vec![])], &[], newer);
    let refused = Archive::open(&path).unwrap_err();
    assert_eq!(refused.kind, Kind::Refused);
    assert!(refused.what.ends_with("cannot be used: it was made by a newer pupperware"), "{refused}");
}
