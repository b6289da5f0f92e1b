//! The command that a node's shell gets, and how its answer is told from everything else that a connection says.
//!
//! `ssh` hands one string to the login shell of the other side. [`remote`] is the only place where that string is made.

use std::fmt::Write as _;

/// So many bytes of what Puppet says are sent.
const KEPT: usize = 16 << 10;

/// Quotes a word for a POSIX shell, whatever is in it. A NUL cannot be in any word; it is left out.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '=' | ':' | ',' | '+' | '@');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("'");
    for c in word.chars().filter(|c| *c != '\0') {
        match c {
            '\'' => quoted.push_str("'\\''"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// What runs on the node: the words, with Puppet's own packages found where they are installed, and at the end a line with
/// the nonce and the exit code. `ssh` ends with 255 for its own troubles and for a command that did: only that line tells.
///
/// What Puppet says goes into a file without a name, where there is room for one, and its end comes when Puppet has ended:
/// a connection that breaks while Puppet still writes into it would make resources fail.
///
/// It is the argument of a `sh -c`, as login shells are not all POSIX ones.
pub fn remote(words: &[String], nonce: &str) -> String {
    let mut script = String::from(
        "{ log=$(mktemp) && exec 3>\"$log\" 4<\"$log\" && rm -f \"$log\"; } 2>/dev/null || exec 3>&1 4</dev/null; ",
    );
    script.push_str(&self::script(words));
    let _ = write!(script, " >&3 2>&3; code=$?; tail -c {KEPT} <&4; printf '\\n%s %d\\n' {} \"$code\"", quote(nonce));
    format!("exec sh -c {}", quote(&script))
}

/// The same without that line, for who tells the exit code by itself.
pub fn bare(words: &[String]) -> String {
    format!("exec sh -c {}", quote(&script(words)))
}

fn script(words: &[String]) -> String {
    let mut script = String::from("PATH=\"$PATH:/opt/puppetlabs/bin\"; export PATH;");
    for word in words {
        let _ = write!(script, " {}", quote(word));
    }
    script
}

/// The exit code that the trailer tells, and the output before it. `None` when the connection ended before the command.
pub fn trailer(output: &str, nonce: &str) -> Option<(i32, usize)> {
    let at = output.rfind(nonce)?;
    // At the start of a line, and the last thing that was said.
    if at > 0 && !output[..at].ends_with('\n') {
        return None;
    }
    let rest = output[at + nonce.len()..].strip_prefix(' ')?;
    let code = rest.strip_suffix('\n')?.parse().ok()?;
    Some((code, at.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn shell(script: &str) -> String {
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn a_plain_word_stays_readable() {
        assert_eq!(quote("--environment=production"), "--environment=production");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn the_code_comes_back() {
        let words: Vec<String> = ["sh", "-c", "echo out; exit 6"].map(String::from).to_vec();
        let output = shell(&remote(&words, "nonce-1"));
        assert_eq!(trailer(&output, "nonce-1"), Some((6, 4)));
        assert_eq!(&output[..4], "out\n");
        let missing = shell(&remote(&["/nonexistent/puppet".to_owned()], "q"));
        let (code, end) = trailer(&missing, "q").unwrap();
        assert!(code == 127 && missing[..end].contains("not found"), "{missing}");
    }

    /// Whoever listened is gone: what was begun comes to its end all the same.
    #[test]
    fn a_broken_connection_breaks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let done = folder.path().join("done");
        let script = format!("sleep 0.2; echo out; echo err >&2; echo more && touch {}", done.display());
        let words: Vec<String> = ["sh", "-c", &script].map(String::from).to_vec();
        let mut child = Command::new("sh")
            .args(["-c", &remote(&words, "q")])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        child.wait().unwrap();
        assert!(done.exists());
    }

    #[test]
    fn output_that_looks_like_a_trailer_is_none() {
        assert_eq!(trailer("n 0", "n"), None, "cut off");
        assert_eq!(trailer("x n 0\n", "n"), None, "not at the start of a line");
        assert_eq!(trailer("n 0\nmore\n", "n"), None, "something follows");
        assert_eq!(trailer("", "n"), None);
        assert_eq!(trailer("n zero\n", "n"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Through two shells, as on a node: what arrives is what was meant, and nothing else runs.
        #[test]
        fn words_arrive_as_they_are(words in proptest::collection::vec("[^\0]{0,20}", 1..4)) {
            let mut command = vec!["printf".to_owned(), "[%s]".to_owned()];
            command.extend(words.iter().cloned());
            let output = shell(&remote(&command, "q3f9"));
            let (code, end) = trailer(&output, "q3f9").unwrap();
            let wanted: String = words.iter().map(|w| format!("[{w}]")).collect();
            prop_assert_eq!(code, 0);
            prop_assert_eq!(&output[..end], wanted);
        }
    }
}
