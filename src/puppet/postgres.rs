//! PostgreSQL's configuration: TLS only, one user, one database, sized for its container.

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
