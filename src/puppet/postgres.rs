//! PostgreSQL's configuration: TLS only, one user, one database, sized for its container; and how its user gets another
//! password.

use super::{directory, file, megabytes};
use crate::config::sizing::Sizing;
use crate::desired::credentials::POSTGRES as OWNER;
use crate::engine::FileEntry;

/// Files of the `postgres-config` volume.
pub fn files(sizing: &Sizing) -> Vec<FileEntry> {
    vec![
        directory(".", OWNER, 0o750),
        file("postgresql.conf", postgresql_conf(sizing), OWNER),
        file("pg_hba.conf", PG_HBA.to_owned(), OWNER),
    ]
}

fn postgresql_conf(sizing: &Sizing) -> String {
    format!(
        "# Written by pupperware; changes are overwritten.\n\
         listen_addresses = '*'\n\
         port = 5432\n\
         unix_socket_directories = '/run/postgresql'\n\
         max_connections = 100\n\
         ssl = on\n\
         ssl_cert_file = '/etc/pupperware/ssl/cert.pem'\n\
         ssl_key_file = '/etc/pupperware/ssl/key.pem'\n\
         ssl_ca_file = '/etc/pupperware/ssl/ca.pem'\n\
         ssl_crl_file = '/etc/pupperware/ssl/crl.pem'\n\
         ssl_min_protocol_version = 'TLSv1.2'\n\
         password_encryption = 'scram-sha-256'\n\
         shared_buffers = {}MB\n\
         dynamic_shared_memory_type = posix\n\
         log_destination = 'stderr'\n\
         logging_collector = off\n\
         log_timezone = 'UTC'\n\
         timezone = 'UTC'\n\
         # Queries may carry data of nodes; the log says what failed, not with which values.\n\
         log_parameter_max_length_on_error = 0\n\
         jit = off\n",
        megabytes(sizing.postgres.shared_buffers.value)
    )
}

/// Over the network only TLS, only the one user with its password, only its database. The socket is inside.
const PG_HBA: &str = "\
# Written by pupperware; changes are overwritten.
# TYPE   DATABASE  USER      ADDRESS  METHOD
local    all       postgres           peer
hostssl  puppetdb  puppetdb  all      scram-sha-256
";

/// The command that gives the user the password that is in the container, once PostgreSQL serves; it waits for that as
/// many seconds. SQL goes in by standard input, because arguments can be seen; nothing of it may reach a log.
pub fn set_password(seconds: u64) -> Vec<String> {
    ["/bin/sh", "-euc", SET_PASSWORD, "set-password", &seconds.to_string()].map(String::from).to_vec()
}

/// Only these characters are ever in a password of ours, so it needs no quoting.
const SET_PASSWORD: &str = r#"
/usr/local/bin/pupperware-ready --wait "$1"
password=$(cat /etc/pupperware/secrets/puppetdb-password)
case $password in
    '' | *[!A-Za-z0-9_-]*) echo 'secrets/puppetdb-password is empty or holds odd characters' >&2; exit 1 ;;
esac
psql -h /run/postgresql -U postgres -d postgres -w -X -q -v ON_ERROR_STOP=1 -v VERBOSITY=terse << SQL
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET password_encryption = 'scram-sha-256';
ALTER ROLE puppetdb PASSWORD '$password';
SQL
"#;
