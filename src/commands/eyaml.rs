//! `pupperware code eyaml`: values that only Puppet Server can read. Nothing of the platform is changed here; what is
//! encrypted or opened, OpenSSL does in Puppet Server's container.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::context::{Context, Extra};
use crate::cli::code::{EyamlArgs, EyamlCommand, EyamlEncryptArgs, EyamlReencryptArgs};
use crate::cli::global::GlobalArgs;
use crate::engine::{Engine, ExecRequest};
use crate::error::{Error, Result};
use crate::plan::ca::primary;
use crate::puppet::eyaml::{self, Answer};
use crate::report::{Report, terminal};

/// Most bytes of a value: more is no password, and no key either.
const LONGEST: u64 = 1 << 20;
/// How many bytes of values are handed over at once: what is answered meanwhile has to fit on its way.
const BATCH: usize = 32 << 10;
/// The exit code that tells of a key pair that is not there.
const NO_PAIR: i64 = 3;

/// Does what the sub-command says.
pub(super) async fn run(global: &GlobalArgs, args: &EyamlArgs, report: &Report) -> Result<u8> {
    // What can be wrong here is told before the engine is asked.
    let text = match &args.command {
        EyamlCommand::Encrypt(args) => {
            let value = value(args)?;
            let server = Server::new(global, report).await?;
            encrypted(&server, args, value).await?
        }
        EyamlCommand::PublicKey(args) => {
            Server::new(global, report).await?.answer(eyaml::certificate(args.pair), vec![], args.pair).await?
        }
        EyamlCommand::Reencrypt(args) => {
            let files = files(args)?;
            reencrypt(&Server::new(global, report).await?, files).await?
        }
    };
    terminal::out(&text)?;
    Ok(0)
}

/// Puppet Server, where the keys are.
struct Server {
    engine: Engine,
    container: String,
}

impl Server {
    async fn new(global: &GlobalArgs, report: &Report) -> Result<Self> {
        let context = Context::new(global, &Extra::default(), report)?;
        let platform = context.platform().await?;
        let container = primary(&platform.desired, &platform.observed)?.spec.name.clone();
        Ok(Server { engine: platform.engine, container })
    }

    /// What a command prints there.
    async fn answer(&self, command: Vec<String>, stdin: Vec<u8>, pair: Option<u32>) -> Result<String> {
        let request = ExecRequest { container: self.container.clone(), command, user: None, stdin: Some(stdin) };
        let output = self.engine.exec(&request, &mut |_| {}).await?;
        match (output.code, pair) {
            (0, _) => Ok(output.stdout),
            (NO_PAIR, Some(pair)) => Err(Error::usage(format!("there is no key pair {pair}"))
                .hint("`pupperware secrets list` shows those that there are")),
            (NO_PAIR, None) => {
                Err(Error::failed("the platform has no key pair for eyaml yet").hint("`pupperware up` makes it"))
            }
            (code, _) => Err(Error::failed(format!("OpenSSL failed in {} (exit code {code})", self.container))
                .details(output.stderr.lines().map(ToOwned::to_owned))),
        }
    }
}

/// The value to encrypt, without the line end that editors and `echo` put there.
fn value(args: &EyamlEncryptArgs) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let name = match &args.file {
        Some(file) => {
            let cannot = |e: std::io::Error| Error::usage(format!("cannot read {}", file.display())).because(e);
            File::open(file).map_err(cannot)?.take(LONGEST + 1).read_to_end(&mut value).map_err(cannot)?;
            file.display().to_string()
        }
        None if std::io::stdin().is_terminal() => {
            return Err(Error::usage("the value comes from standard input, and at a terminal all could read it")
                .hint("put it into a file: `pupperware code eyaml encrypt FILE`"));
        }
        None => {
            let cannot = |e: std::io::Error| Error::usage("cannot read standard input").because(e);
            std::io::stdin().take(LONGEST + 1).read_to_end(&mut value).map_err(cannot)?;
            "standard input".to_owned()
        }
    };
    if value.len() as u64 > LONGEST {
        return Err(Error::usage(format!("there is more than 1 MiB in {name}, which is no value for Hiera")));
    }
    if value.last() == Some(&b'\n') {
        value.pop();
    }
    if value.is_empty() {
        return Err(Error::usage(format!("there is nothing to encrypt in {name}")));
    }
    Ok(value)
}

async fn encrypted(server: &Server, args: &EyamlEncryptArgs, value: Vec<u8>) -> Result<String> {
    let base64 = server.answer(eyaml::encrypt(args.pair), value, args.pair).await?;
    if !eyaml::is_base64(&base64) {
        return Err(Error::failed(format!("{} did not encrypt the value", server.container)));
    }
    Ok(line(args.label.as_deref(), &eyaml::wrapped(&base64)))
}

/// A line of YAML, or the value alone.
fn line(label: Option<&str>, value: &str) -> String {
    match label {
        // Text by text: it serialises, whatever the key is made of.
        Some(key) => serde_yaml::to_string(&BTreeMap::from([(key, value)])).expect("text serialises"),
        None => format!("{value}\n"),
    }
}

/// A file with encrypted values, or with paths to key pairs.
struct Encrypted {
    path: PathBuf,
    text: String,
    values: Vec<(Range<usize>, String)>,
}

/// What may have to be written anew, of all that was named.
fn files(args: &EyamlReencryptArgs) -> Result<Vec<Encrypted>> {
    let mut paths = Vec::new();
    for path in &args.paths {
        let cannot = |e: std::io::Error| Error::usage(format!("cannot read {}", path.display())).because(e);
        if std::fs::metadata(path).map_err(cannot)?.is_dir() {
            below(path, &mut paths).map_err(cannot)?;
        } else {
            paths.push(path.clone());
        }
    }
    paths.sort();
    paths.dedup();
    let mut found = Vec::new();
    for path in paths {
        let cannot = |e: std::io::Error| Error::usage(format!("cannot read {}", path.display())).because(e);
        // What is no text holds no value.
        let Ok(text) = String::from_utf8(std::fs::read(&path).map_err(cannot)?) else { continue };
        let values = eyaml::values(&text);
        if !values.is_empty() || text.contains(eyaml::KEYS) {
            found.push(Encrypted { path, text, values });
        }
    }
    Ok(found)
}

/// YAML below a directory. Links are left alone: what they lead to may be elsewhere, or here already.
fn below(directory: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let (entry, path) = entry.map(|e| (e.file_type(), e.path()))?;
        let yaml = path.extension().is_some_and(|e| ["yaml", "yml", "eyaml"].iter().any(|y| e == *y));
        match entry? {
            kind if kind.is_dir() && !path.ends_with(".git") => below(&path, paths)?,
            kind if kind.is_file() && yaml => paths.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// Has every value encrypted for the newest pair, and only then writes the files that change.
async fn reencrypt(server: &Server, files: Vec<Encrypted>) -> Result<String> {
    let all: Vec<&str> = files.iter().flat_map(|f| f.values.iter().map(|(_, base64)| base64.as_str())).collect();
    let (pair, answers) = ask(server, &all).await?;
    let mut rest = answers.as_slice();
    let (mut changed, mut unknown) = (Vec::new(), Vec::new());
    for file in &files {
        let (mine, others) = rest.split_at(file.values.len());
        rest = others;
        for ((range, _), _) in file.values.iter().zip(mine).filter(|(_, answer)| **answer == Answer::Unknown) {
            let line = file.text[..range.start].matches('\n').count() + 1;
            unknown.push(format!("{}:{line}", file.path.display()));
        }
        let text = eyaml::replaced(&file.text, &file.values, mine, pair);
        if text != file.text {
            changed.push((&file.path, text));
        }
    }
    if !unknown.is_empty() {
        return Err(Error::failed("no key pair of this platform opens these values, and no file was changed")
            .details(unknown)
            .hint("encrypt them anew with `pupperware code eyaml encrypt`"));
    }
    let count = answers.iter().filter(|a| **a != Answer::Kept).count();
    for (path, text) in &changed {
        write(path, text)
            .map_err(|e| Error::failed(format!("cannot write {}", path.display())).because(e))
            .map_err(|e| e.hint("what was written so far is whole; do it again when the cause is gone"))?;
    }
    let names: String = changed.iter().map(|(path, _)| format!("{}\n", path.display())).collect();
    let word = if count == 1 { "value" } else { "values" };
    Ok(format!("{names}{count} {word} encrypted for key pair {pair}, {} were already\n", answers.len() - count))
}

/// Asks in batches; the newest pair, and an answer for each value.
async fn ask(server: &Server, values: &[&str]) -> Result<(u32, Vec<Answer>)> {
    let (mut newest, mut answers) = (None, Vec::new());
    let mut rest = values;
    loop {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|v| {
            bytes += v.len();
            bytes <= BATCH
        });
        let (batch, others) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = others;
        let stdin: String = batch.iter().map(|v| format!("{v}\n")).collect();
        let output = server.answer(eyaml::reencrypt(), stdin.into_bytes(), None).await?;
        let read = eyaml::read_answers(&output).filter(|(_, given)| given.len() == batch.len());
        let Some((pair, given)) = read else {
            return Err(Error::failed(format!("{} gave a strange answer", server.container)));
        };
        if *newest.get_or_insert(pair) != pair {
            return Err(Error::failed("another key pair was made meanwhile, and no file was changed")
                .hint("run the same command again"));
        }
        answers.extend(given);
        if rest.is_empty() {
            return Ok((pair, answers));
        }
    }
}

/// In the file's place at once, with its mode.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encrypt(file: PathBuf) -> Result<Vec<u8>> {
        value(&EyamlEncryptArgs { file: Some(file), label: None, pair: None })
    }

    #[test]
    fn one_line_end_is_left_out_and_nothing_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        std::fs::write(&path, "s3cret\n\n").unwrap();
        assert_eq!(encrypt(path.clone()).unwrap(), b"s3cret\n");
        std::fs::write(&path, "\n").unwrap();
        assert!(encrypt(path.clone()).unwrap_err().what.contains("nothing to encrypt"));
        std::fs::write(&path, vec![b'a'; (1 << 20) + 1]).unwrap();
        assert!(encrypt(path).unwrap_err().what.contains("more than 1 MiB"));
        assert_eq!(encrypt("/nonexistent".into()).unwrap_err().kind.exit_code(), 2);
    }

    #[test]
    fn a_label_makes_a_line_that_yaml_reads() {
        let value = eyaml::wrapped(&"QUJD".repeat(300));
        for key in ["profile::db::password", "a: b", "- x", "yes", ""] {
            let line = line(Some(key), &value);
            let read: BTreeMap<String, String> = serde_yaml::from_str(&line).unwrap();
            assert_eq!(read, BTreeMap::from([(key.to_owned(), value.clone())]), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }

    #[test]
    fn yaml_is_found_below_a_directory_and_git_and_links_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("data/nodes")).unwrap();
        std::fs::create_dir_all(at(".git")).unwrap();
        let value = "a: ENC[PKCS7,QUJD]\n";
        for path in ["data/nodes/a.eyaml", "data/b.yml", ".git/c.yaml", "data/d.txt"] {
            std::fs::write(at(path), value).unwrap();
        }
        std::fs::write(at("data/plain.yaml"), "a: 1\n").unwrap();
        std::fs::write(at("hiera.yaml"), "x: /etc/pupperware/eyaml/1/private_key.pkcs7.pem\n").unwrap();
        std::os::unix::fs::symlink(at("data"), at("link")).unwrap();
        let args = EyamlReencryptArgs { paths: vec![folder.path().into()] };
        let found: Vec<PathBuf> = files(&args).unwrap().into_iter().map(|f| f.path).collect();
        assert_eq!(found, [at("data/b.yml"), at("data/nodes/a.eyaml"), at("hiera.yaml")]);
    }
}
