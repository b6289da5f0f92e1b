# load.sh CLIENTS REQUESTS: so many clients at once, each asking for its catalog so often over one TLS connection, as
# agents do: facts with every request. Prints one line a request: seconds and HTTP status.
set -eu
ssl=/var/lib/puppet/ssl
name=$(ls $ssl/private_keys | head -n 1)
name=${name%.pem}
[ -e /tmp/body ] || ruby -rjson -rcgi -e '
    values = JSON.parse(`facter --json`)
    # What an agent adds to the facts of its machine.
    values.merge!("clientcert" => ARGV[0], "clientversion" => `puppet --version`.strip, "clientnoop" => false)
    facts = { name: ARGV[0], values: values, timestamp: Time.now.utc.iso8601,
              expiration: (Time.now + 3600).utc.iso8601 }
    print "environment=load&facts_format=application%2Fjson&facts=" + CGI.escape(CGI.escape(facts.to_json))
' -rtime "$name" > /tmp/body
client=0
while [ "$client" -lt "$1" ]; do
    client=$((client + 1))
    curl -s -o /dev/null --cacert "$ssl/certs/ca.pem" --cert "$ssl/certs/$name.pem" --key "$ssl/private_keys/$name.pem" \
        -H 'Accept: application/vnd.puppet.rich+json, application/json' --data @/tmp/body \
        -w '%{time_total} %{http_code}\n' "https://puppet:8140/puppet/v3/catalog/$name?n=[1-$2]" > "/tmp/client-$client" &
done
wait
cat /tmp/client-*
rm /tmp/client-*
