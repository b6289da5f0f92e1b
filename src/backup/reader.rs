//! Reads an archive. Nothing in it is believed: members that are not ours, sizes that do not add up and anything that is
//! not exactly where it belongs make it no archive of ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use super::manifest::{Content, Manifest, Member, SEALED};
use super::seal::{Keys, Unsealing};
use super::{BLOCK, Hashing, MANIFEST, SMALL, SUMS, padding};
use crate::error::{Error, Result};

/// Most memory that decompressing takes: 2^23 bytes. What we write needs less.
const WINDOW_LOG: u32 = 23;
/// More members than any archive has.
const MOST_MEMBERS: usize = 1000;

/// An archive whose outside is whole: every member is there with the size that the manifest says.
#[derive(Debug)]
pub struct Archive {
    /// The file.
    pub path: PathBuf,
    /// What it is of.
    pub manifest: Manifest,
    /// Where each member begins.
    places: BTreeMap<String, u64>,
    /// What opens its members, when they are encrypted.
    keys: Keys,
}

impl Archive {
    /// Opens an archive. That what its members hold is whole is told by [`super::check::whole`].
    ///
    /// # Errors
    /// It cannot be read, is not whole, or is of a newer format.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::failed(format!("cannot read {}", path.display())).because(e))?;
        match Self::scan(path, file) {
            Ok(archive) => Ok(archive),
            // A refusal says its own hint; everything else is damage.
            Err(error) if error.kind == crate::error::Kind::Refused => {
                Err(Error { what: format!("{} cannot be used: {}", path.display(), error.what), ..error })
            }
            Err(error) => Err(damaged(path, &error.to_string())),
        }
    }

    /// Takes keys for what is encrypted in it, after a try with the first member. One that is not encrypted needs none.
    ///
    /// # Errors
    /// There are none, or none fits.
    pub fn unlock(&mut self, keys: Keys) -> Result<()> {
        let Some(first) = self.manifest.members.first().filter(|_| self.manifest.encrypted()) else { return Ok(()) };
        let public: Vec<String> = self.manifest.encrypted_for.iter().map(ToString::to_string).collect();
        let (name, public) = (self.path.display(), public.join(", "));
        if keys.is_empty() {
            return Err(Error::usage(format!("{name} is encrypted for {public}"))
                .hint("give the file with the private key with `--identity FILE`"));
        }
        let tried = self.stored(first).and_then(|stored| Unsealing::new(stored, &keys));
        match tried {
            Ok(_) => {
                self.keys = keys;
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                Err(Error::usage(format!("no given key opens {name}: it is encrypted for {public}"))
                    .hint("`age-keygen -y FILE` shows the public halves of the keys in a file"))
            }
            Err(e) => Err(damaged(&self.path, &format!("{}: {e}", first.path))),
        }
    }

    fn scan(path: &Path, mut file: File) -> Result<Self> {
        let io = |e: io::Error| Error::failed("it cannot be read").because(e);
        let wrong = |what: &str| Error::failed(what);
        let length = file.metadata().map_err(io)?.len();
        let mut places: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut small: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut strange: Option<String> = None;
        let mut at = 0;
        loop {
            if at + BLOCK > length {
                return Err(wrong("it ends too early"));
            }
            let mut block = [0; BLOCK as usize];
            file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut block)).map_err(io)?;
            if block == [0; BLOCK as usize] {
                break;
            }
            let (name, size) = member(&block).ok_or_else(|| wrong("it is no archive of pupperware's"))?;
            at += BLOCK;
            let end = size.checked_add(at + padding(size)).filter(|end| *end <= length);
            let end = end.ok_or_else(|| wrong("it ends too early"))?;
            if places.len() > MOST_MEMBERS || places.contains_key(&name) || small.contains_key(&name) {
                return Err(wrong("a member is in it twice, or there are too many"));
            }
            if name == MANIFEST || name == SUMS {
                if size > SMALL {
                    return Err(Error::failed(format!("{name} is too large")));
                }
                let mut content = Vec::new();
                (&file).take(size).read_to_end(&mut content).map_err(io)?;
                small.insert(name, content);
            } else {
                if Content::of(&name).is_none() || small.contains_key(MANIFEST) {
                    strange.get_or_insert_with(|| name.clone());
                }
                places.insert(name, (at, size));
            }
            at = end;
        }
        if at + 2 * BLOCK != length {
            return Err(wrong("it does not end where it should"));
        }
        let missing = || wrong("it has no manifest");
        let (text, sums) = (small.get(MANIFEST).ok_or_else(missing)?, small.get(SUMS).ok_or_else(missing)?);
        // First of all: in a newer format, other members may belong there.
        let manifest = Manifest::read(text)?;
        if let Some(name) = strange {
            return Err(Error::failed(format!("it has a member that does not belong there: {name:?}")));
        }
        agree(&manifest, text, sums, &places)?;
        let places = places.into_iter().map(|(name, (at, _))| (name, at)).collect();
        Ok(Archive { path: path.to_owned(), manifest, places, keys: Keys::default() })
    }

    /// The stored bytes of a member.
    pub(super) fn stored(&self, member: &Member) -> io::Result<Take<File>> {
        let mut file = File::open(&self.path)?;
        let at = self.places.get(&member.path).ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(*at))?;
        Ok(file.take(member.stored_bytes))
    }

    /// The content of a member, never more of it than the manifest says.
    ///
    /// # Errors
    /// The file's.
    pub fn content(&self, member: &Member) -> io::Result<impl Read + Send + use<>> {
        Ok(decoder(BufReader::new(self.unsealed(member, self.stored(member)?)?))?.take(member.bytes))
    }

    /// The compressed bytes of a member, from its stored ones.
    pub(super) fn unsealed<R: Read>(&self, member: &Member, stored: R) -> io::Result<Unsealing<R>> {
        if member.path.ends_with(SEALED) { Unsealing::new(stored, &self.keys) } else { Ok(Unsealing::Open(stored)) }
    }

    /// The user's configuration, if it is in.
    ///
    /// # Errors
    /// It cannot be read, or is no text.
    pub fn configuration(&self) -> Result<Option<String>> {
        let Some(member) = self.manifest.member(&Content::Configuration) else { return Ok(None) };
        let cannot = |e: io::Error| damaged(&self.path, &format!("{}: {e}", member.path));
        let mut text = String::new();
        self.content(member).map_err(cannot)?.take(SMALL).read_to_string(&mut text).map_err(cannot)?;
        Ok(Some(text))
    }
}

/// Decompresses one frame, with bounded memory.
pub(super) fn decoder<R: io::BufRead>(stored: R) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(stored)?.single_frame();
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(decoder)
}

/// The error for an archive that is not whole.
pub(super) fn damaged(path: &Path, why: &str) -> Error {
    Error::failed(format!("{} is not a whole backup: {why}", path.display()))
        .hint("use another one; `pupperware backup list` shows which there are")
}

/// Name and size of a member, from its header.
fn member(block: &[u8; BLOCK as usize]) -> Option<(String, u64)> {
    let header = tar::Header::from_byte_slice(block);
    let sum: u32 =
        block.iter().enumerate().map(|(i, b)| u32::from(if (148..156).contains(&i) { b' ' } else { *b })).sum();
    let sound = header.cksum().ok()? == sum && header.entry_type() == tar::EntryType::Regular;
    let name = std::str::from_utf8(&header.path_bytes()).ok()?.to_owned();
    sound.then_some((name, header.entry_size().ok()?))
}

/// Manifest, checksums and what is there must say the same.
fn agree(manifest: &Manifest, text: &[u8], sums: &[u8], places: &BTreeMap<String, (u64, u64)>) -> Result<()> {
    let mut hash = Hashing::new(text);
    io::copy(&mut hash, &mut io::sink()).map_err(|e| Error::failed("it cannot be read").because(e))?;
    let mut wanted: String = manifest.members.iter().map(|m| format!("{}  {}\n", m.sha256, m.path)).collect();
    wanted += &format!("{}  {MANIFEST}\n", hash.hex());
    if wanted.as_bytes() != sums {
        return Err(Error::failed("its manifest is not the one that it was written with"));
    }
    let listed: BTreeMap<&str, u64> = manifest.members.iter().map(|m| (m.path.as_str(), m.stored_bytes)).collect();
    let there: BTreeMap<&str, u64> = places.iter().map(|(name, (_, size))| (name.as_str(), *size)).collect();
    if listed != there || listed.len() != manifest.members.len() {
        return Err(Error::failed("its members are not those that its manifest lists"));
    }
    // All or none: what is not encrypted in an archive that is may be from anybody.
    if manifest.members.iter().any(|m| m.path.ends_with(SEALED) != manifest.encrypted()) {
        return Err(Error::failed("its members are not encrypted as its manifest says"));
    }
    Ok(())
}
