//! A bearer token in a file that nobody else may read.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::relay::api::Token;

/// Where a token is. It is read for every request, so that a rotated one is used at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFile(PathBuf);

/// No file with a token is larger.
const LARGEST: u64 = 4096;

impl TokenFile {
    /// A token at this path. It is looked at when it is needed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        TokenFile(path.into())
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the token.
    ///
    /// # Errors
    /// The file cannot be read, others may read it, or it holds no token. Says which file, never what is in it.
    pub fn read(&self) -> Result<Token, String> {
        let path = self.0.display();
        let meta = std::fs::metadata(&self.0).map_err(|e| format!("cannot read the token file {path}: {e}"))?;
        if !meta.is_file() {
            return Err(format!("the token file {path} is no file"));
        }
        if meta.mode() & 0o077 != 0 {
            return Err(format!(
                "the token file {path} can be read by others (mode {:o}); `chmod 600 {path}`",
                meta.mode() & 0o777
            ));
        }
        if meta.len() > LARGEST {
            return Err(format!("the token file {path} holds {} bytes; that is no token", meta.len()));
        }
        let text = std::fs::read_to_string(&self.0).map_err(|e| format!("cannot read the token file {path}: {e}"))?;
        Token::parse(&text).map_err(|why| format!("the token file {path} holds no token: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, TokenFile::new(path))
    }

    #[test]
    fn a_token_is_trimmed_and_hidden() {
        let (_folder, token) = file("s3cret\n", 0o600);
        let token = token.read().unwrap();
        assert_eq!(token.secret(), "s3cret");
        assert!(!format!("{token:?}").contains("s3cret"));
    }

    #[test]
    fn files_that_others_read_and_things_that_are_no_token_are_refused() {
        for mode in [0o640, 0o604, 0o666] {
            let (_folder, token) = file("s3cret", mode);
            let why = token.read().unwrap_err();
            assert!(why.contains("chmod 600") && !why.contains("s3cret"), "{why}");
        }
        for text in ["", "\n", "a b", "a\nb", "\u{e9}"] {
            assert!(file(text, 0o600).1.read().is_err(), "{text:?} was taken");
        }
        assert!(file(&"a".repeat(5000), 0o600).1.read().is_err());
        assert!(TokenFile::new("/nonexistent/token").read().unwrap_err().contains("/nonexistent/token"));
    }
}
