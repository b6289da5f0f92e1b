//! Lists the files below `images/<component>/`, so that `src/images/context.rs` can embed them, and makes a fingerprint of
//! everything that this program is made of: an image that has the program in it is made anew when that changes.
//!
//! Cargo runs this before compiling; nothing else is generated at build time.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let sources = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo::rustc-env=PUPPERWARE_FINGERPRINT={:016x}", fingerprint(&sources)?);
    let root = sources.join("images");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut table = String::from("&[\n");
    let mut components: Vec<PathBuf> = fs::read_dir(&root)?.map(|e| e.map(|e| e.path())).collect::<io::Result<_>>()?;
    components.retain(|path| path.is_dir());
    components.sort();
    for folder in components {
        let mut files = Vec::new();
        walk(&folder, &mut files)?;
        files.sort();
        let name = folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
        writeln!(table, "({name:?}, &[").expect("writing into a String");
        for file in files {
            let inside = file.strip_prefix(&folder).expect("it was found there").to_string_lossy().into_owned();
            writeln!(table, "    ({inside:?}, include_str!({:?})),", file.to_string_lossy())
                .expect("writing into a String");
        }
        table.push_str("]),\n");
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("image_contexts.rs");
    fs::write(out, table)
}

/// Every regular file below a folder.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The same for the same sources, profile and target, on whatever machine.
fn fingerprint(sources: &Path) -> io::Result<u64> {
    let mut files = vec![sources.join("Cargo.toml"), sources.join("Cargo.lock")];
    println!("cargo::rerun-if-changed=Cargo.toml");
    println!("cargo::rerun-if-changed=Cargo.lock");
    for folder in ["src", "compose", "images", "integrations"] {
        walk(&sources.join(folder), &mut files)?;
    }
    files.sort();
    let mut hash = DefaultHasher::new();
    for name in ["PROFILE", "TARGET"] {
        hash.write(env::var(name).expect("cargo sets it").as_bytes());
    }
    for file in files {
        let content = fs::read(&file)?;
        hash.write(file.strip_prefix(sources).expect("it was found there").as_os_str().as_encoded_bytes());
        hash.write_usize(content.len());
        hash.write(&content);
    }
    Ok(hash.finish())
}
