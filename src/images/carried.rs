//! The list of releases in an archive of images: what a machine without a network cannot fetch comes with the images.
//!
//! It stands before what the engine writes, so that it is found without reading gigabytes; to the engine, and to
//! `docker load`, it is a file that belongs to no image.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::release::source::{LARGEST, Listed};

/// Its path in the archive.
const LIST: &str = "pupperware/releases.yaml";
/// The path of its signature.
const SIGNATURE: &str = "pupperware/releases.yaml.minisig";
/// What ends a tar archive.
const END: usize = 1024;

/// A list as it was carried: not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The list.
    pub text: Vec<u8>,
    /// Its signature, if it came with one.
    pub signature: Option<String>,
}

/// The beginning of an archive that carries this list: another archive goes on from there.
///
/// # Errors
/// None that is known: it is written into memory.
pub fn before(text: &str, signature: Option<&str>) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(vec![]);
    for (path, content) in [(LIST, Some(text)), (SIGNATURE, signature)] {
        let Some(content) = content else { continue };
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, content.as_bytes()).map_err(failed)?;
    }
    let mut bytes = archive.into_inner().map_err(failed)?;
    bytes.truncate(bytes.len() - END);
    Ok(bytes)
}

/// The same for a list that was fetched.
///
/// # Errors
/// As [`before`].
pub fn before_listed(listed: &Listed) -> Result<Vec<u8>> {
    before(&listed.text, listed.signature.as_deref())
}

/// What an archive carries; nothing where it is of images alone.
///
/// # Errors
/// The file cannot be read, or the list in it is too large for one.
pub fn of(path: &Path) -> Result<Option<Carried>> {
    let failed = |e| Error::failed(format!("cannot read {}", path.display())).because(e);
    let mut archive = tar::Archive::new(File::open(path).map_err(failed)?);
    let mut carried: Option<Carried> = None;
    // What is no archive, or a compressed one, is the engine's to judge.
    for entry in archive.entries().map_err(failed)?.map_while(Result::ok) {
        let name = entry.path().map(|path| path.display().to_string()).unwrap_or_default();
        if name != LIST && name != SIGNATURE {
            break;
        }
        let mut content = Vec::new();
        entry.take(LARGEST + 1).read_to_end(&mut content).map_err(failed)?;
        if content.len() as u64 > LARGEST {
            return Err(Error::failed(format!("{name} in {} is too large", path.display())));
        }
        match &mut carried {
            None if name == LIST => carried = Some(Carried { text: content, signature: None }),
            Some(carried) if name == SIGNATURE => {
                carried.signature = Some(String::from_utf8_lossy(&content).into_owned());
            }
            _ => {}
        }
    }
    Ok(carried)
}

fn failed(e: std::io::Error) -> Error {
    Error::failed("the list of releases cannot be put into an archive").because(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that begins with this, and goes on as an engine writes it.
    fn archive(before: &[u8]) -> tempfile::NamedTempFile {
        let mut rest = tar::Builder::new(vec![]);
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        rest.append_data(&mut header, "manifest.json", &b"[]"[..]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [before, &rest.into_inner().unwrap()].concat()).unwrap();
        file
    }

    #[test]
    fn a_list_comes_with_the_images_and_is_no_end_of_them() {
        let file = archive(&before("schema_version: 1\n", Some("signed")).unwrap());
        let carried = of(file.path()).unwrap().unwrap();
        assert_eq!((carried.text, carried.signature), (b"schema_version: 1\n".to_vec(), Some("signed".into())));
        let names = |file: &tempfile::NamedTempFile| -> Vec<String> {
            let mut archive = tar::Archive::new(File::open(file.path()).unwrap());
            archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect()
        };
        assert_eq!(names(&file), [LIST, SIGNATURE, "manifest.json"]);
        let unsigned = archive(&before("x", None).unwrap());
        assert_eq!(of(unsigned.path()).unwrap().unwrap().signature, None);
        assert_eq!(of(archive(&[]).path()).unwrap(), None);
    }

    #[test]
    fn what_is_no_archive_carries_nothing_and_what_is_too_large_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for content in ["", "x", &"x".repeat(2000)] {
            std::fs::write(file.path(), content).unwrap();
            assert_eq!(of(file.path()).unwrap(), None);
        }
        assert!(of(Path::new("/nowhere/x.tar")).unwrap_err().what.starts_with("cannot read /nowhere"));
        let large = "x".repeat(usize::try_from(LARGEST).unwrap() + 1);
        assert!(of(archive(&before(&large, None).unwrap()).path()).unwrap_err().what.contains("is too large"));
    }
}
