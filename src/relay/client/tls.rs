//! TLS for clients: whom we trust, and who we are. Names and dates are always verified.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// Where the certificates are that a connection needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities to trust; without it those of this machine.
    pub ca: Option<PathBuf>,
    /// Certificate and key that we show, if the other side wants one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Where systems keep the authorities that they trust, the first that is there.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What makes TLS connections of these files.
///
/// # Errors
/// A file that cannot be read or holds nothing usable; says which.
pub fn connector(files: &TlsFiles) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let path = match &files.ca {
        Some(path) => path.clone(),
        None => SYSTEM.iter().map(PathBuf::from).find(|p| p.is_file()).ok_or(
            "this machine has no list of authorities that it trusts; install ca-certificates, or set `ca_file`",
        )?,
    };
    let own = files.ca.is_some();
    for certificate in certificates(&path)? {
        // A system's list may hold something old that is not understood; a file that the user names must be right.
        match roots.add(certificate) {
            Err(e) if own => return Err(format!("{} holds a certificate that cannot be used: {e}", path.display())),
            _ => {}
        }
    }
    if roots.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .with_root_certificates(roots);
    let config = match &files.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates(cert)?;
            let secret = PrivateKeyDer::from_pem_file(key)
                .map_err(|e| format!("{} holds no private key that can be used: {e}", key.display()))?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|e| format!("{} and {} do not go together: {e}", cert.display(), key.display()))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let broken = |e: rustls::pki_types::pem::Error| format!("cannot read certificates from {}: {e}", path.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(broken)?.collect();
    let found = found.map_err(broken)?;
    if found.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        let why = |ca: PathBuf| connector(&TlsFiles { ca: Some(ca), identity: None }).err().unwrap();
        assert!(why(empty).contains("empty.pem"));
        assert!(why(folder.path().join("absent.pem")).contains("absent.pem"));
        let broken = folder.path().join("broken.pem");
        std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(why(broken).contains("broken.pem"));
    }
}
