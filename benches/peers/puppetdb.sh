# PuppetDB as Pupperware's image starts it: a certificate from puppetserver (openssl and curl), settings, the service.
set -eu
umask 022
ssl=/var/lib/puppetdb/ssl
mkdir -p "$ssl" /run/puppetdb/conf.d /var/log/puppetdb /etc/pupperware/conf.d
ask() { curl -sf --cacert "$ssl/ca.pem" "$@"; }
if [ ! -e "$ssl/cert.pem" ]; then
    curl -skf https://puppet:8140/puppet-ca/v1/certificate/ca -o "$ssl/ca.pem"
    openssl genrsa -out "$ssl/key.pem" 4096 2> /dev/null
    openssl req -new -key "$ssl/key.pem" -subj /CN=puppetdb -out "$ssl/request.pem"
    ask -X PUT -H 'Content-Type: text/plain' --data-binary "@$ssl/request.pem" \
        'https://puppet:8140/puppet-ca/v1/certificate_request/puppetdb?environment=production' > /dev/null
    until ask https://puppet:8140/puppet-ca/v1/certificate/puppetdb -o "$ssl/cert.pem"; do sleep 1; done
fi
cat > /run/puppetdb/conf.d/peer.ini << END
[global]
vardir = /var/lib/puppetdb
logging-config = /etc/puppetdb/logback.xml
[database]
subname = //postgres:5432/puppetdb
username = puppetdb
password = puppetdb
[jetty]
host = 127.0.0.1
port = 8080
ssl-host = 0.0.0.0
ssl-port = 8081
ssl-key = $ssl/key.pem
ssl-cert = $ssl/cert.pem
ssl-ca-cert = $ssl/ca.pem
END
chown -R puppetdb: /var/lib/puppetdb /run/puppetdb /var/log/puppetdb
as() { exec setpriv --reuid puppetdb --regid puppetdb --init-groups "$@"; }
set -- --bootstrap-config /etc/puppetdb/bootstrap.cfg
options=/usr/share/pupperware/java.options
if [ -e $options ]; then
    as java @$options -XX:SharedArchiveFile=/usr/share/pupperware/app.jsa "-Xms$HEAP" "-Xmx$HEAP" clojure.main \
        -m puppetlabs.puppetdb.core services "$@" --config /etc/puppetdb/conf.d,/run/puppetdb/conf.d
fi
# The package's own files would set these a second time.
rm -f /etc/puppetdb/conf.d/database.ini /etc/puppetdb/conf.d/jetty.ini /etc/puppetdb/conf.d/config.ini
as java "-Xms$HEAP" "-Xmx$HEAP" -Djava.security.egd=/dev/urandom -cp /usr/share/puppetdb/puppetdb.jar clojure.main \
    -m puppetlabs.puppetdb.core services "$@" --config /etc/puppetdb/conf.d,/run/puppetdb/conf.d
