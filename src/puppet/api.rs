//! Requests to Puppet Server's HTTP API, made in the primary's container with the server's own certificate, so that no key
//! leaves it: the CA's API, the admin API, catalogs. Running them is the caller's.

use crate::engine::ExecOutput;
use crate::error::{Error, Result};

/// Where the server's certificates are, in its container.
const SSL: &str = "/var/lib/puppet/ssl";
/// Seconds that an answer may take; a first catalog of a large environment takes its time.
const TIMEOUT: &str = "300";

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}

impl Answer {
    /// True for 2xx.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The command that asks: `path` begins with a slash; with `body`, the request's body is read from standard input, with
/// this content type.
pub fn command(method: &str, path: &str, body: Option<&str>) -> Vec<String> {
    let mut words: Vec<String> =
        ["curl", "-sS", "--max-time", TIMEOUT, "--resolve", "puppet:8140:127.0.0.1", "-X", method]
            .map(String::from)
            .to_vec();
    for (flag, file) in
        [("--cacert", "certs/ca.pem"), ("--cert", "certs/puppet.pem"), ("--key", "private_keys/puppet.pem")]
    {
        words.extend([flag.to_owned(), format!("{SSL}/{file}")]);
    }
    if let Some(content_type) = body {
        words.extend(["-H".into(), format!("Content-Type: {content_type}"), "--data-binary".into(), "@-".into()]);
    }
    words.extend(["-w".into(), "\n%{http_code}".into(), format!("https://puppet:8140{path}")]);
    words
}

/// The same for a compiler, asked in its own container: by its own certificate, with which it lets itself in, on behalf of
/// the primary, whose certificate (not the key) it has.
pub fn command_on_compiler(certname: &str, method: &str, path: &str) -> Vec<String> {
    const SCRIPT: &str = "set -eu; ssl=/var/lib/puppet/ssl; \
        shown=$(openssl x509 -in \"$ssl/primary.pem\" -outform der | base64 -w 0 | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g'); \
        exec curl -sS --max-time 300 --resolve \"$1:8140:127.0.0.1\" -X \"$2\" --cacert \"$ssl/certs/ca.pem\" \
        --cert \"$ssl/certs/$1.pem\" --key \"$ssl/private_keys/$1.pem\" \
        -H 'X-Client-Verify: SUCCESS' -H 'X-Client-DN: CN=puppet' \
        -H \"X-Client-Cert: -----BEGIN%20CERTIFICATE-----%0A$shown%0A-----END%20CERTIFICATE-----%0A\" \
        -w '\n%{http_code}' \"https://$1:8140$3\"";
    ["sh", "-c", SCRIPT, "sh", certname, method, path].map(String::from).to_vec()
}

/// The command that asks a service for its status with a certificate that should be refused: `files` and `.pem` is the
/// certificate, `.key` its key. The service is known by `name` and reached in `container`.
pub fn as_canary(name: &str, port: u16, container: &str, files: &str) -> Vec<String> {
    let mut words: Vec<String> =
        ["curl", "-sS", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}"].map(String::from).to_vec();
    for (flag, value) in [
        ("--connect-to", format!("{name}:{port}:{container}:{port}")),
        ("--cacert", format!("{SSL}/certs/ca.pem")),
        ("--cert", format!("{files}.pem")),
        ("--key", format!("{files}.key")),
    ] {
        words.extend([flag.to_owned(), value]);
    }
    words.push(format!("https://{name}:{port}/status/v1/simple"));
    words
}

/// True when [`as_canary`] was refused for its certificate: curl's codes for a handshake that fails, and for one that the
/// other side takes back, both with the alert. Silence, or a service that is not there, says nothing.
pub fn refuses_certificate(output: &ExecOutput) -> bool {
    matches!(output.code, 35 | 55 | 56) && output.stderr.contains("alert")
}

/// What came of [`command`].
///
/// # Errors
/// The server could not be asked at all; an answer that refuses is none.
pub fn answer(output: &ExecOutput) -> Result<Answer> {
    let (body, status) = output.stdout.rsplit_once('\n').unwrap_or_default();
    match status.trim().parse() {
        Ok(status) if output.code == 0 => Ok(Answer { status, body: body.to_owned() }),
        _ => Err(Error::failed("Puppet Server does not answer")
            .details(output.stderr.lines().map(ToOwned::to_owned))
            .hint("see how it is with `pupperware status`, and why with `pupperware logs puppetserver`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: i64, stdout: &str) -> ExecOutput {
        ExecOutput { code, stdout: stdout.into(), stderr: "curl: (7) refused".into() }
    }

    #[test]
    fn a_refusal_is_an_answer_and_silence_is_not() {
        let refused = answer(&output(0, "not allowed\nreally\n403")).unwrap();
        assert_eq!(refused, Answer { status: 403, body: "not allowed\nreally".into() });
        assert!(!refused.ok());
        assert!(answer(&output(0, "\n204")).unwrap().ok());
        assert_eq!(answer(&output(7, "\n000")).unwrap_err().details, ["curl: (7) refused"]);
    }

    #[test]
    fn only_an_alert_is_a_refusal_of_the_certificate() {
        let said =
            |code, stderr: &str| refuses_certificate(&ExecOutput { code, stdout: "000".into(), stderr: stderr.into() });
        assert!(said(56, "curl: (56) OpenSSL SSL_read: ssl/tls alert certificate unknown, errno 0"));
        assert!(!said(56, "curl: (56) Recv failure: Connection reset by peer"));
        assert!(!said(7, "curl: (7) Failed to connect"));
        assert!(!said(0, ""));
    }

    #[test]
    fn nothing_of_the_body_is_in_the_command() {
        let words = command("PUT", "/puppet-ca/v1/certificate_status/a", Some("application/json"));
        assert_eq!(words.last().unwrap(), "https://puppet:8140/puppet-ca/v1/certificate_status/a");
        assert!(words.contains(&"@-".to_owned()));
    }
}
