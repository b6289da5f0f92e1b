# PostgreSQL as the official image starts it: initdb, role and database on first start, then the server. No TLS.
set -eu
bin=$(echo /usr/lib/postgresql/[0-9]*/bin)
PATH=$bin:$PATH
id postgres > /dev/null
chown postgres: /data
as() { setpriv --reuid postgres --regid postgres --init-groups "$@"; }
mkdir -p /run/postgresql
chown postgres: /run/postgresql
if [ ! -e /data/db/PG_VERSION ]; then
    as initdb --pgdata /data/db --auth-local trust --auth-host scram-sha-256 > /dev/null
    as pg_ctl --pgdata /data/db --options '-c listen_addresses=' --wait start > /dev/null
    as psql -q -c "CREATE ROLE puppetdb LOGIN PASSWORD 'puppetdb'" postgres
    as psql -q -c 'CREATE DATABASE puppetdb OWNER puppetdb' postgres
    as psql -q -c 'CREATE EXTENSION pg_trgm' puppetdb
    as pg_ctl --pgdata /data/db --wait stop > /dev/null
    echo 'host all all all scram-sha-256' >> /data/db/pg_hba.conf
fi
exec setpriv --reuid postgres --regid postgres --init-groups \
    postgres -D /data/db -c 'listen_addresses=*' -c "shared_buffers=$SHARED_BUFFERS"
