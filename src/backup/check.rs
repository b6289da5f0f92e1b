//! The whole check of an archive: every checksum, and that what is in the members can be put back without harm.
//!
//! Restoring unpacks as root, so what would be unpacked is looked at here first: paths and links that leave their volume,
//! devices, and files behind links are refused.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};

use super::manifest::{Content, Member};
use super::reader::{damaged, decoder};
use super::{Archive, Hashing, SMALL};
use crate::error::Result;

/// Most bytes of a path; the kernel takes no longer ones.
const LONGEST_PATH: u64 = 4096;
/// Most links in a volume, because they are remembered.
const MOST_LINKS: usize = 100_000;
/// What a dump of `pg_dump --format=custom` begins with.
const DUMP: &[u8] = b"PGDMP";
/// Volumes whose owners make links that lead out: code links to modules of the image, agents manage files.
const FREE_LINKS: [&str; 3] = ["code", "agent-", "puppetserver-data"];

/// Reads everything, in bounded memory. `progress` hears how many stored bytes of how many were read.
///
/// # Errors
/// The first thing that is wrong.
pub fn whole(archive: &Archive, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let all: u64 = archive.manifest.members.iter().map(|m| m.stored_bytes).sum();
    let mut read = 0;
    for member in &archive.manifest.members {
        one(archive, member).map_err(|e| damaged(&archive.path, &format!("{}: {e}", member.path)))?;
        read += member.stored_bytes;
        progress(read, all);
    }
    Ok(())
}

/// Only the checksums, several times as fast.
///
/// # Errors
/// The first that is wrong.
pub fn checksums(archive: &Archive) -> Result<()> {
    for member in &archive.manifest.members {
        let hash = || -> io::Result<bool> {
            let mut stored = Hashing::new(archive.stored(member)?);
            io::copy(&mut stored, &mut io::sink())?;
            Ok(stored.hex() == member.sha256)
        };
        match hash() {
            Ok(true) => {}
            Ok(false) => return Err(damaged(&archive.path, &format!("{}: wrong checksum", member.path))),
            Err(e) => return Err(damaged(&archive.path, &format!("{}: {e}", member.path))),
        }
    }
    Ok(())
}

fn one(archive: &Archive, member: &Member) -> io::Result<()> {
    let mut stored = Hashing::new(archive.stored(member)?);
    let mut content = decoder(BufReader::new(archive.unsealed(member, &mut stored)?))?;
    // One more than there may be, so that more is noticed.
    let mut bounded = Counting { inner: (&mut content).take(member.bytes.saturating_add(1)), bytes: 0 };
    match Content::of(&member.path) {
        Some(Content::Volume(key)) => volume(&key, &mut bounded)?,
        Some(Content::Database) => {
            let mut start = [0; DUMP.len()];
            bounded.read_exact(&mut start)?;
            if start != DUMP {
                return Err(wrong("it is no dump of a database"));
            }
        }
        Some(Content::Configuration) if member.bytes <= SMALL => {}
        _ => return Err(wrong("it does not belong there")),
    }
    io::copy(&mut bounded, &mut io::sink())?;
    let bytes = bounded.bytes;
    // To its end: the last bytes tell whether more is missing.
    io::copy(&mut content.finish(), &mut io::sink())?;
    io::copy(&mut stored, &mut io::sink())?;
    if stored.hex() != member.sha256 {
        return Err(wrong("wrong checksum"));
    }
    if bytes != member.bytes {
        return Err(wrong("it is not as large as the manifest says"));
    }
    Ok(())
}

struct Counting<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// What was seen of a volume's files.
#[derive(Default)]
struct Seen {
    links: BTreeSet<Vec<u8>>,
    names: BTreeSet<&'static str>,
    serial: Option<Vec<u8>>,
}

/// Looks at every file of a volume.
fn volume(key: &str, content: &mut impl Read) -> io::Result<()> {
    let mut seen = Seen::default();
    let (mut long_path, mut long_link) = (None, None);
    let mut archive = tar::Archive::new(content);
    // Raw: the library would read names of any length into memory.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() || kind.is_gnu_longlink() {
            if entry.size() > LONGEST_PATH {
                return Err(wrong("a path in it is too long"));
            }
            let mut name = Vec::new();
            entry.read_to_end(&mut name)?;
            name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
            *(if kind.is_gnu_longname() { &mut long_path } else { &mut long_link }) = Some(name);
            continue;
        }
        let name = long_path.take().unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let link = long_link.take().or_else(|| entry.header().link_name_bytes().map(|l| l.into_owned()));
        let path = inside(&name)?;
        behind_no_link(&seen, &path, &name)?;
        if key == "state" && path.first().map(Vec::as_slice) != Some(b"secrets") {
            return Err(wrong(format!("{} does not belong there", shown(&name))));
        }
        if !kind.is_file() && kind != tar::EntryType::Continuous && entry.header().entry_size()? != 0 {
            // Whoever unpacks it would read what is here skipped as content.
            return Err(wrong(format!("{} is no file, and has content", shown(&name))));
        }
        match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::Directory => {}
            tar::EntryType::Symlink => {
                leads_inside(key, &path, &link.unwrap_or_default(), &name)?;
                if seen.links.len() >= MOST_LINKS {
                    return Err(wrong("it has too many links"));
                }
                seen.links.insert(path.join(&b'/'));
            }
            tar::EntryType::Link => {
                let target = inside(&link.unwrap_or_default())?;
                behind_no_link(&seen, &target, &name)?;
            }
            _ => return Err(wrong(format!("{} is no file, directory or link", shown(&name)))),
        }
        if key == "ca" && path.len() == 1 {
            for known in ["ca_crt.pem", "ca_key.pem"] {
                if path[0] == known.as_bytes() && kind.is_file() {
                    seen.names.insert(known);
                }
            }
            if path[0] == b"serial" && kind.is_file() {
                let mut serial = Vec::new();
                (&mut entry).take(LONGEST_PATH).read_to_end(&mut serial)?;
                seen.serial = Some(serial);
            }
        }
    }
    if key == "ca" && seen.names.len() < 2 {
        return Err(wrong("the CA has no certificate or no key"));
    }
    let serial = seen.serial.as_deref().map(|s| String::from_utf8_lossy(s).into_owned());
    if key == "ca" && serial.and_then(|s| crate::puppet::serial::parse(&s)).is_none() {
        return Err(wrong("the CA has no serial number that makes sense"));
    }
    Ok(())
}

/// The parts of a path that stays where it is unpacked.
fn inside(name: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let parts: Vec<&[u8]> = name.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".").collect();
    if name.starts_with(b"/") || name.is_empty() || parts.contains(&b"..".as_slice()) {
        return Err(wrong(format!("{} leaves its volume", shown(name))));
    }
    Ok(parts.into_iter().map(<[u8]>::to_vec).collect())
}

/// A file behind a link would be written to where the link leads.
fn behind_no_link(seen: &Seen, path: &[Vec<u8>], name: &[u8]) -> io::Result<()> {
    if seen.links.is_empty() || (1..path.len()).all(|n| !seen.links.contains(&path[..n].join(&b'/'))) {
        return Ok(());
    }
    Err(wrong(format!("{} is behind a link", shown(name))))
}

/// A link's target must be in the volume, where nobody has a reason to link out of it.
fn leads_inside(key: &str, path: &[Vec<u8>], target: &[u8], name: &[u8]) -> io::Result<()> {
    if FREE_LINKS.iter().any(|free| key == *free || (free.ends_with('-') && key.starts_with(free))) {
        return Ok(());
    }
    let mut depth = i64::try_from(path.len()).unwrap_or(i64::MAX) - 1;
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            break;
        }
    }
    if depth < 0 || target.starts_with(b"/") {
        return Err(wrong(format!("the link {} leaves its volume", shown(name))));
    }
    Ok(())
}

fn shown(name: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests;
