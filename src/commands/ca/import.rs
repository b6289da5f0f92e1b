//! `pupperware ca import`: reads the files of a CA, judges them, and has them put where `up` finds them.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::cli::ca::ImportArgs;
use crate::commands::change::{self, Change, Outcome};
use crate::commands::context::{Context, Platform};
use crate::engine::FileEntry;
use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::plan::{self, Import};
use crate::puppet::authority::{self, Authority, CERTIFICATES, Found, INVENTORY, KEY, LISTS, SERIAL, SIGNED};
use crate::puppet::serial;
use crate::report::terminal;

/// Most bytes of a file: a revocation list of a million certificates is smaller.
const LONGEST: u64 = 64 << 20;
/// Where the container looks for the files, in the CA's volume.
const PLACE: &str = ".import";
/// An end within this time is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Imports a CA.
pub(super) async fn run(context: &Context, platform: &Platform, args: &ImportArgs) -> Result<u8> {
    let found = read(&args.directory)?;
    let now = Timestamp::now();
    let ca = authority::judge(&found, now).map_err(|mut e| {
        e.what = format!("{}/{}", args.directory.display(), e.what);
        e
    })?;
    if ca.ends.duration_since(now) < SOON {
        context.report.warn(format!(
            "{} ends on {}, and nothing that it signs lasts longer",
            ca.subject,
            ca.ends.strftime("%F")
        ));
    }
    if ca.lists_end.duration_since(now) < SOON {
        context.report.warn(format!(
            "a revocation list of a CA above {} ends on {}: from then on everybody is shut out, and nothing here can renew it",
            ca.subject,
            ca.lists_end.strftime("%F")
        ));
    }
    if !ca.administrators.is_empty() {
        context.report.warn_with_hint(
            format!("certificates that may sign and revoke stay valid: {}", ca.administrators.join(", ")),
            format!(
                "after `up`, when they are not needed any more: `pupperware ca revoke {}`",
                ca.administrators.join(" ")
            ),
        );
    }
    let key = fs::canonicalize(args.directory.join(KEY)).map_err(|e| cannot_read(&args.directory.join(KEY), e))?;
    let what = Import { files: files(&found, &ca), key, serial: serial::text(ca.serial) };

    let change = Change {
        command: "ca import",
        engine: &platform.engine,
        release: platform.release.version.clone(),
        channel: platform.desired.channel.clone(),
    };
    let make = async |observed: &Observed| plan::import(&platform.desired, observed, &what);
    if let Outcome::Done(_) = change::run(context, &change, &args.change, &platform.observed, make).await? {
        terminal::out(&format!(
            "{} is the CA of {}, and goes on with serial number {}\nnext: `pupperware up`\n",
            ca.subject,
            context.project(),
            what.serial
        ))?;
    }
    Ok(0)
}

/// Reads what is there, after a look at who else may read the key.
fn read(directory: &Path) -> Result<Found> {
    let key = directory.join(KEY);
    let mode = fs::metadata(&key).map_err(|e| cannot_read(&key, e))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::usage(format!("{} can be read by others: its mode is {mode:04o}", key.display()))
            .hint(format!("`chmod 600 {}`, and think about who may have read it", key.display())));
    }
    let needed = |name: &str| {
        let path = directory.join(name);
        text(&path).map_err(|e| cannot_read(&path, e))
    };
    let optional = |name: &str| {
        let path = directory.join(name);
        match text(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(cannot_read(&path, e)),
        }
    };
    Ok(Found {
        certificates: needed(CERTIFICATES)?,
        key: needed(KEY)?,
        lists: needed(LISTS)?,
        serial: optional(SERIAL)?,
        inventory: optional(INVENTORY)?,
        signed: signed(&directory.join(SIGNED))?,
    })
}

/// The certificates that the CA has signed, if they are there.
fn signed(directory: &Path) -> Result<Vec<(String, String)>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(e) => return Err(cannot_read(directory, e)),
    };
    let mut signed = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| cannot_read(directory, e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".pem"));
        let Some(name) = name else { continue };
        signed.push((name.to_owned(), text(&path).map_err(|e| cannot_read(&path, e))?));
    }
    signed.sort();
    Ok(signed)
}

fn text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST { Err(std::io::Error::other("it is larger than 64 MiB")) } else { Ok(text) }
}

fn cannot_read(path: &Path, error: std::io::Error) -> Error {
    let missing = error.kind() == ErrorKind::NotFound;
    let failure = Error::usage(format!("cannot read {}", path.display())).because(error);
    let wanted = format!("a CA is a directory with {CERTIFICATES}, {KEY}, {LISTS}, {SERIAL} or {INVENTORY}");
    if missing { failure.hint(wanted) } else { failure }
}

/// The files as they go into the volume; all but the key.
fn files(found: &Found, ca: &Authority) -> Vec<FileEntry> {
    let entry = |path: String, content: &str, mode| FileEntry {
        path: format!("{PLACE}/{path}"),
        content: content.to_owned(),
        owner: (0, 0),
        mode,
    };
    let mut files = vec![
        entry(String::new(), "", 0o700),
        entry(CERTIFICATES.into(), &ca.certificates, 0o600),
        entry(LISTS.into(), &ca.lists, 0o600),
    ];
    // Lines are added behind it.
    let inventory = found.inventory.as_ref().map(|text| format!("{}\n", text.trim_end()));
    files.extend(inventory.map(|text| entry(INVENTORY.into(), &text, 0o600)));
    if !found.signed.is_empty() {
        files.push(entry(format!("{SIGNED}/"), "", 0o700));
    }
    files.extend(found.signed.iter().map(|(name, text)| entry(format!("{SIGNED}/{name}.pem"), text, 0o600)));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_and_missing_files_are_told_before_anything_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(error.to_string().contains(KEY) && error.hint.unwrap().contains(CERTIFICATES));
        let key = folder.path().join(KEY);
        fs::write(&key, "x").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(folder.path()).unwrap_err().what.ends_with("can be read by others: its mode is 0640"));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains(CERTIFICATES));
        for name in [CERTIFICATES, LISTS, SERIAL] {
            fs::write(folder.path().join(name), "y").unwrap();
        }
        fs::create_dir(folder.path().join(SIGNED)).unwrap();
        fs::write(folder.path().join(SIGNED).join("web01.pem"), "z").unwrap();
        let found = read(folder.path()).unwrap();
        assert_eq!((found.serial.as_deref(), found.inventory), (Some("y"), None));
        assert_eq!(found.signed, [("web01".to_owned(), "z".to_owned())]);
    }
}
