# PostgreSQL's own view, and two attempts over the network. Runs in its container as its administrator.
set -u
query() {
    psql -h /run/postgresql -U postgres -d puppetdb -w -X -A -t -q -c "$1"
}
query "SELECT concat_ws(E'\t', 'hba', coalesce(type, 'unreadable'), coalesce(array_to_string(user_name, ','), ''),
    coalesce(auth_method, ''), coalesce(array_to_string(database, ','), ''), coalesce(address, ''))
    FROM pg_hba_file_rules ORDER BY line_number" || exit 1
query "SELECT E'super\t' || rolname FROM pg_roles WHERE rolsuper AND rolcanlogin" || exit 1
query "SELECT E'weak\t' || rolname FROM pg_authid WHERE rolcanlogin AND rolpassword NOT LIKE 'SCRAM-SHA-256\$%'" || exit 1
# By the address that others use: what holds for it is not what holds for the loopback.
for mode in disable require; do
    said=$(psql "host=postgres user=puppetdb dbname=puppetdb sslmode=$mode connect_timeout=10" -w -X -A -t -q \
        -c "SELECT 'connected'" 2>&1 | tr '\n\t' '  ')
    printf '%s\t%.300s\n' "$mode" "$said"
done
