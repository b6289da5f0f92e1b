#!/bin/sh
# Makes what `tests/cli/https.rs` reads: a CA, a certificate for localhost, and a list of releases with its signature of
# minisign. Needs OpenSSL 3. The keys guard nothing.
set -eu
cd "$(dirname "$0")"
days=36500
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -subj '/CN=a test' -days $days -addext 'basicConstraints=critical,CA:TRUE' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -out ca.pem
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out key.pem
printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' > extensions
openssl req -new -key key.pem -subj '/CN=localhost' |
    openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days $days -extfile extensions -out cert.pem
rm -f ca.key ca.srl extensions

# The program's own list of today, with one release more.
python3 - << 'END'
text = open('../../../images/channels.yaml').read()
head, last = text.split('  - version: 8.0.0')
open('releases.yaml', 'w').write(text + '  - version: 8.0.9' + last)
END

# What minisign writes: "Ed" or "ED" (hashed before), the key's number, and the key or the signature.
openssl genpkey -algorithm ed25519 -out signing.key
number=0123456789abcdef
bytes() { printf '%s' "$1" | sed 's/../\\x&/g' | xargs -0 printf '%b'; }
{ printf Ed; bytes $number; openssl pkey -in signing.key -pubout -outform DER | tail -c 32; } | openssl base64 -A > releases.pub
comment='timestamp:0 file:releases.yaml'
openssl dgst -blake2b512 -binary -out digest releases.yaml
openssl pkeyutl -sign -rawin -inkey signing.key -in digest -out signature
{ cat signature; printf %s "$comment"; } > both
openssl pkeyutl -sign -rawin -inkey signing.key -in both -out global
{
    echo 'untrusted comment: a test'
    { printf ED; bytes $number; cat signature; } | openssl base64 -A
    printf '\ntrusted comment: %s\n' "$comment"
    openssl base64 -A -in global
    echo
} > releases.yaml.minisig
rm -f signing.key digest signature both global
