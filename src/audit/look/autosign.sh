# Would a stranger be signed? Asks as one, in the primary's container, and takes the request away again. Argument: the
# stranger's certname. Prints the state that the CA gives to the request: `requested` or `signed`.
#
# The key is thrown away as it is made, so that nobody could use a certificate that was signed.
set -u
certname=$1
ssl=/var/lib/puppet/ssl
api=https://puppet:8140/puppet-ca/v1

stranger() {
    curl -sS --fail --max-time 30 --resolve puppet:8140:127.0.0.1 --cacert "$ssl/certs/ca.pem" "$@"
}

authority() {
    stranger --cert "$ssl/certs/puppet.pem" --key "$ssl/private_keys/puppet.pem" "$@"
}

trap 'authority -X DELETE "$api/certificate_status/$certname" > /dev/null' EXIT
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj "/CN=$certname" 2> /dev/null |
    stranger -X PUT -H 'Content-Type: text/plain' --data-binary @- "$api/certificate_request/$certname" > /dev/null ||
    exit 1
authority "$api/certificate_status/$certname" | tr -d ' \n' | sed -n 's/.*"state":"\([a-z]*\)".*/\1\n/p'
