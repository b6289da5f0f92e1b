# Which TLS versions a service on this container's loopback accepts. Arguments: PORT, STARTTLS or -, CERTIFICATE or -, KEY.
#
# The system's own OpenSSL settings refuse old versions on our side already, so they are left aside, with every cipher
# and the lowest security level. With "control" for PORT, a server that takes all versions is started here first, to
# prove that they can be seen.
set -u
port=$1 starttls=$2 certificate=$3 key=$4
export OPENSSL_CONF=/dev/null
server=
if [ "$port" = control ]; then
    port=14433
    openssl s_server -accept "127.0.0.1:$port" -cert "$certificate" -key "$key" -cipher 'ALL:@SECLEVEL=0' -quiet \
        > /dev/null 2>&1 < /dev/zero &
    server=$!
    sleep 1
fi
set --
[ "$starttls" = - ] || set -- "$@" -starttls "$starttls"
[ "$certificate" = - ] || set -- "$@" -cert "$certificate" -key "$key"
for version in tls1_2 tls1_1 tls1; do
    said=$(timeout 10 openssl s_client -connect "127.0.0.1:$port" "$@" "-$version" -cipher 'ALL:@SECLEVEL=0' \
        2>&1 < /dev/null)
    case $said in
        *CONNECTED*'Cipher is (NONE)'*) verdict=refused ;;
        *CONNECTED*'Cipher is '*) verdict=accepted ;;
        *) verdict=unknown ;;
    esac
    printf '%s\t%s\n' "$version" "$verdict"
done
[ -z "$server" ] || kill "$server"
