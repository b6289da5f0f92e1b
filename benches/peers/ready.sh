# ready.sh SERVICE: the health checks.
set -eu
case $1 in
    postgres) exec "$(echo /usr/lib/postgresql/[0-9]*/bin)/pg_isready" -q -h 127.0.0.1 -p 5432 ;;
    puppetserver) url=https://localhost:8140 ;;
    puppetdb) url=http://localhost:8080 ;;
esac
[ "$(curl -skf --max-time 5 "$url/status/v1/simple")" = running ]
