//! What the program generates about itself: version, completions, man pages.

use insta::assert_snapshot;

use crate::{pupperware, transcript};

#[test]
fn version_for_people() {
    let expected = concat!("pupperware ", env!("CARGO_PKG_VERSION"), "\n");
    pupperware().arg("version").assert().success().stdout(expected).stderr("");
}

#[test]
fn version_for_programs() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(concat!(r#""version": ""#, env!("CARGO_PKG_VERSION")), r#""version": "[VERSION]"#);
    settings.add_filter(r#""(os|arch)": "\w+""#, r#""$1": "[HERE]""#);
    settings.bind(|| {
        assert_snapshot!(transcript(pupperware().args(["version", "-o", "json"])), @r#"
    exit code: 0
    --- stdout
    {
      "schema_version": 1,
      "version": "[VERSION]",
      "os": "[HERE]",
      "arch": "[HERE]"
    }
    --- stderr
    "#)
    });
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = pupperware().args(["completions", shell]).output().unwrap();
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("restart") && script.contains("dry-run"), "{shell}");
    }
}

#[test]
fn the_man_page_is_a_man_page() {
    let output = pupperware().arg("man").output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains(".TH pupperware 1") && page.contains(".SH SUBCOMMANDS"), "{page}");
}

#[test]
fn man_pages_are_written_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("share/man1");
    pupperware().arg("man").arg(&target).assert().success().stdout("");
    for page in ["pupperware.1", "pupperware-up.1", "pupperware-config-show.1"] {
        assert!(target.join(page).is_file(), "{page}");
    }
}

#[test]
fn an_unwritable_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let text = transcript(pupperware().arg("man").arg(file.join("man1")));
    assert_snapshot!(text.replace(&dir.path().display().to_string(), "[DIR]"), @"
    exit code: 1
    --- stdout
    --- stderr
    error: cannot write man pages to [DIR]/file/man1
      caused by: Not a directory (os error 20)
    ");
}
