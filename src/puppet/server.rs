//! puppetserver's configuration: what differs from one platform to another. The rest is in its image.

use super::{directory, file, megabytes, relay};
use crate::config::Config;
use crate::config::sizing::Sizing;
use crate::config::types::{Autosign, AutosignPolicy};
use crate::desired::credentials::PUPPET as OWNER;
use crate::engine::FileEntry;

/// Files of the `puppetserver-config` volume.
pub fn files(config: &Config, sizing: &Sizing) -> Vec<FileEntry> {
    let mut files = vec![
        directory(".", OWNER, 0o755),
        directory("conf.d", OWNER, 0o755),
        file("puppet.conf", puppet_conf(config), OWNER),
        file("puppetdb.conf", PUPPETDB_CONF.to_owned(), OWNER),
        file("routes.yaml", ROUTES.to_owned(), OWNER),
        file("conf.d/webserver.conf", WEBSERVER.to_owned(), OWNER),
        file("conf.d/puppetserver.conf", puppetserver_conf(config, sizing.puppetserver.jruby_instances.value), OWNER),
        file("jvm.options", jvm_options(sizing.puppetserver.heap.value), OWNER),
        file("autosign.globs", autosign_globs(&config.puppetserver.autosign), OWNER),
    ];
    if config.reports_to_relay() {
        files.extend(relay::processor());
    }
    if let Some(program) = policy(config) {
        let executable = |path: &str, content: String| FileEntry { mode: 0o750, ..file(path, content, OWNER) };
        files.push(executable("autosign", AUTOSIGN.to_owned()));
        files.push(executable("autosign.policy", program.to_owned()));
    }
    files
}

/// The user's own policy, if there is one.
fn policy(config: &Config) -> Option<&str> {
    config.puppetserver.autosign_policy.as_ref().and_then(AutosignPolicy::program)
}

/// Asks our policy, then the user's. A policy that hangs would hold up the CA.
const AUTOSIGN: &str = "\
#!/bin/sh
# Written by pupperware; changes are overwritten.
set -euf
csr=$(cat)
if printf '%s\\n' \"$csr\" | /usr/local/bin/pupperware-autosign \"$1\"; then exit 0; fi
printf '%s\\n' \"$csr\" | timeout 60 /etc/pupperware/autosign.policy \"$1\"
";

/// Files of a compiler's configuration volume. It has no CA, and answers nobody but the balancer.
pub fn compiler_files(config: &Config, sizing: &Sizing, certname: &str) -> Vec<FileEntry> {
    let ssl = "/var/lib/puppet/ssl";
    let curl = format!("cert = {ssl}/certs/{certname}.pem\nkey = {ssl}/private_keys/{certname}.pem\n");
    let mut files = vec![
        directory(".", OWNER, 0o755),
        directory("conf.d", OWNER, 0o755),
        directory("services.d", OWNER, 0o755),
        file("puppet.conf", compiler_conf(config, certname), OWNER),
        file("puppetdb.conf", PUPPETDB_CONF.to_owned(), OWNER),
        file("routes.yaml", ROUTES.to_owned(), OWNER),
        file("services.d/ca.cfg", NO_CA.to_owned(), OWNER),
        file("conf.d/webserver.conf", compiler_webserver(certname), OWNER),
        file("conf.d/authorization.conf", HEADERS.to_owned(), OWNER),
        file("conf.d/puppetserver.conf", puppetserver_conf(config, sizing.compiler.jruby_instances.value), OWNER),
        file("jvm.options", jvm_options(sizing.compiler.heap.value), OWNER),
        file(".curlrc", curl, OWNER),
    ];
    if config.reports_to_relay() {
        files.extend(relay::processor());
    }
    files
}

/// Where reports go.
fn reports(config: &Config) -> &'static str {
    if config.reports_to_relay() { "puppetdb,relay" } else { "puppetdb" }
}

/// The list of revoked certificates is read again when it changes, as on the primary.
const NO_CA: &str = "\
# Written by pupperware; changes are overwritten.
puppetlabs.services.ca.certificate-authority-disabled-service/certificate-authority-disabled-service
puppetlabs.trapperkeeper.services.watcher.filesystem-watch-service/filesystem-watch-service
";

/// Who asks stands in headers. They are believed because of who may connect at all: see `compiler_webserver`.
const HEADERS: &str = "\
# Written by pupperware; changes are overwritten.
authorization: {
    allow-header-cert-info: true
}
";

/// `trust.pem` holds the balancer's own certificate and this compiler's, for its ready check. The CA's is not in it: no
/// other certificate of the platform opens a connection.
fn compiler_webserver(certname: &str) -> String {
    format!(
        "# Written by pupperware; changes are overwritten.\n\
         webserver: {{\n\
         \x20   client-auth: need\n\
         \x20   ssl-host: 0.0.0.0\n\
         \x20   ssl-port: 8140\n\
         \x20   ssl-protocols: [TLSv1.3, TLSv1.2]\n\
         \x20   ssl-cert: /var/lib/puppet/ssl/certs/{certname}.pem\n\
         \x20   ssl-key: /var/lib/puppet/ssl/private_keys/{certname}.pem\n\
         \x20   ssl-ca-cert: /var/lib/puppet/ssl/trust.pem\n\
         }}\n"
    )
}

fn compiler_conf(config: &Config, certname: &str) -> String {
    format!(
        "# Written by pupperware; changes are overwritten.\n\
         [main]\n\
         certname = {certname}\n\
         server = puppet\n\
         ssldir = /var/lib/puppet/ssl\n\
         \n\
         [server]\n\
         codedir = /etc/puppet/code\n\
         vardir = /var/lib/puppetserver\n\
         logdir = /var/log/puppetserver\n\
         rundir = /run/puppetserver\n\
         storeconfigs = true\n\
         storeconfigs_backend = puppetdb\n\
         reports = {}\n\
         environment_timeout = {}\n{}",
        reports(config),
        config.puppetserver.environment_timeout,
        if config.code.control_repo.is_some() { DEPLOYED } else { "" }
    )
}

fn puppet_conf(config: &Config) -> String {
    format!(
        "# Written by pupperware; changes are overwritten.\n\
         [main]\n\
         certname = puppet\n\
         server = puppet\n\
         ssldir = /var/lib/puppet/ssl\n\
         \n\
         [server]\n\
         cadir = /etc/puppet/puppetserver/ca\n\
         ca_name = Puppet CA: {}\n\
         codedir = /etc/puppet/code\n\
         vardir = /var/lib/puppetserver\n\
         logdir = /var/log/puppetserver\n\
         rundir = /run/puppetserver\n\
         # One policy decides on every request: one-time tokens, the globs of pupperware.yaml, the user's script.\n\
         autosign = {}\n\
         storeconfigs = true\n\
         storeconfigs_backend = puppetdb\n\
         reports = {}\n\
         environment_timeout = {}\n{}",
        config.project,
        if policy(config).is_some() { "/etc/pupperware/autosign" } else { "/usr/local/bin/pupperware-autosign" },
        reports(config),
        config.puppetserver.environment_timeout,
        if config.code.control_repo.is_some() { DEPLOYED } else { "" }
    )
}

/// Deployed code: one link names what is served, and each environment's link is resolved once, so that a compilation
/// under way does not wander into the next deployment.
const DEPLOYED: &str = "\
environmentpath = /etc/puppet/code/current/environments
versioned_environment_dirs = true
";

/// A catalog without its facts and reports stored is a failure that someone must see: no soft write failure.
const PUPPETDB_CONF: &str = "\
# Written by pupperware; changes are overwritten.
[main]
server_urls = https://puppetdb:8081
soft_write_failure = false
";

const ROUTES: &str = "\
# Written by pupperware; changes are overwritten.
---
master:
  facts:
    terminus: puppetdb
    cache: yaml
";

const WEBSERVER: &str = "\
# Written by pupperware; changes are overwritten.
webserver: {
    client-auth: want
    ssl-host: 0.0.0.0
    ssl-port: 8140
    ssl-protocols: [TLSv1.3, TLSv1.2]
    ssl-cert: /var/lib/puppet/ssl/certs/puppet.pem
    ssl-key: /var/lib/puppet/ssl/private_keys/puppet.pem
    ssl-ca-cert: /var/lib/puppet/ssl/certs/ca.pem
    ssl-crl-path: /var/lib/puppet/ssl/crl.pem
}
";

fn puppetserver_conf(config: &Config, instances: u32) -> String {
    let more = if config.reports_to_relay() { format!(", {}", relay::LOAD_PATH) } else { String::new() };
    format!(
        "# Written by pupperware; changes are overwritten.\n\
         jruby-puppet: {{\n\
         \x20   ruby-load-path: [/usr/lib/puppetserver/ruby/vendor_ruby{more}]\n\
         \x20   gem-home: /var/lib/puppetserver/jruby-gems\n\
         \x20   gem-path: [${{jruby-puppet.gem-home}}, \"/usr/lib/puppetserver/vendored-jruby-gems\"]\n\
         \x20   server-conf-dir: /etc/puppet\n\
         \x20   server-code-dir: /etc/puppet/code\n\
         \x20   server-var-dir: /var/lib/puppetserver\n\
         \x20   server-run-dir: /run/puppetserver\n\
         \x20   server-log-dir: /var/log/puppetserver\n\
         \x20   max-active-instances: {instances}\n\
         }}\n\
         http-client: {{\n\
         \x20   ssl-protocols: [TLSv1.2, TLSv1.3]\n\
         }}\n"
    )
}

fn jvm_options(heap: u64) -> String {
    let heap = megabytes(heap);
    format!("# Written by pupperware; changes are overwritten.\n-Xms{heap}m\n-Xmx{heap}m\n")
}

/// One glob a line. Nothing at all means that only the platform's one-time tokens are signed.
fn autosign_globs(autosign: &Autosign) -> String {
    let globs: Vec<String> = match autosign {
        Autosign::Off => vec![],
        Autosign::Everybody => vec!["*".into()],
        Autosign::Matching(globs) => globs.iter().map(ToString::to_string).collect(),
    };
    globs.into_iter().map(|g| g + "\n").collect()
}
