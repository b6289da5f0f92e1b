//! The server's certificate and key, from files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::{Error, Result};

/// TLS with this certificate (PEM, its chain behind it) and key.
///
/// # Errors
/// A file cannot be read, or they do not belong together.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let unreadable = |path: &Path, error: rustls::pki_types::pem::Error| {
        Error::usage(format!("cannot read {}", path.display())).because(anyhow::anyhow!("{error}"))
    };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(|error| unreadable(certificate, error))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| unreadable(certificate, error))?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key_der));
    let mut config = config.map_err(|error| {
        let what = format!("{} and {} are not a certificate and its key", certificate.display(), key.display());
        Error::usage(what).because(error)
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
