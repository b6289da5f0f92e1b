# In which lines of standard input a secret of this platform stands: prints their numbers. The secrets stay in here.
set -u
umask 077
patterns=/tmp/patterns

# The secrets themselves, one-time tokens, and the body of every private key, which is in lines of base64.
{
    cat /volumes/state/secrets/* /volumes/*/secrets/*
    sed -n 's/^.*: *"\([A-Za-z0-9_-]*\)" *$/\1/p' /volumes/agent-*/csr_attributes.yaml
    cat /volumes/ca/ca_key.pem /volumes/*/ssl/key.pem /volumes/*/private_keys/*.pem /volumes/*/ssl/private_keys/*.pem \
        /volumes/state/secrets/eyaml/*/private_key.pkcs7.pem |
        grep -v -e '-----' | grep -E '^.{40,}$'
} 2> /dev/null | grep -E '^.{12,}$' | sort -u > "$patterns"

printf 'patterns %s\n' "$(wc -l < "$patterns")"
# An empty list of patterns matches nothing; everything is read before the first answer.
grep -anF -f "$patterns" | cut -d : -f 1 > /tmp/lines
head -n 1000 /tmp/lines
rm -f "$patterns" /tmp/lines
