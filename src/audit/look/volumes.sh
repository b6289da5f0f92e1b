# What is in the volumes, read-only at /volumes/<key>. One fact a line, fields between tabs; never what is in a key or
# secret. Standard input: paths of configuration files to hash, one a line.
set -u
cd /volumes || exit 1

# Data and code are the services' own; of what each node brings, nothing is the platform's.
list() {
    find . -mindepth 1 -maxdepth 6 \
        \( -path './code/*' -o -path './postgres-data*/*' -o -path './puppetdb-data/*' \
        -o -path './ca/signed/*' -o -path './ca/requests/*' \
        -o -path './puppetserver-data/*' ! -path './puppetserver-data/autosign-tokens*' \
        -o -path './agent-*/*' ! -path './agent-*/ssl*' ! -path './agent-*/csr_attributes.yaml' \) -prune -o "$@"
}

list \( -type f -o -type d \) -printf 'file\t%U\t%G\t%m\t%y\t%P\n'

list -type f -size -64k -exec grep -alE -e '-----BEGIN [A-Z ]*PRIVATE KEY-----' {} + | while IFS= read -r path; do
    public=$(openssl pkey -in "$path" -passin pass: -pubout -outform DER 2> /dev/null | sha256sum)
    printf 'key\t%s\t%s\n' "${public%% *}" "${path#./}"
done

for path in ca/ca_crt.pem ca/ca_crl.pem *-config/ssl/ca.pem *-config/ssl/cert.pem *-config/ssl/crl.pem \
    *-ssl/certs/*.pem *-ssl/crl.pem agent-*/ssl/certs/*.pem; do
    [ -s "$path" ] || continue
    printf 'pem\t%s\n' "$path"
    head -c 1000000 "$path" | sed 's/^/ /'
done

if [ -e puppetserver-config/autosign.globs ]; then
    sed 's/^/glob\t/' puppetserver-config/autosign.globs
fi

while IFS= read -r path; do
    hash=
    [ ! -e "$path" ] || hash=$(sha256sum < "$path")
    printf 'sha\t%s\t%s\n' "${hash%% *}" "$path"
done
