# Puppet Server as Pupperware's image starts it: settings, the CA when there is none, then the server.
# In our image (it has a class path of its own) our start command runs; in the stock one, the package's.
set -eu
umask 022
mkdir -p /run/puppetserver /var/log/puppetserver /etc/pupperware/conf.d
settings=/etc/puppet
[ ! -L /etc/puppet/puppet.conf ] || settings=/etc/pupperware
cat > $settings/puppet.conf << END
[main]
certname = puppet
server = puppet
dns_alt_names = puppet
ssldir = /var/lib/puppet/ssl
[server]
cadir = /etc/puppet/puppetserver/ca
codedir = /etc/puppet/code
vardir = /var/lib/puppetserver
logdir = /var/log/puppetserver
rundir = /run/puppetserver
autosign = true
storeconfigs = true
storeconfigs_backend = puppetdb
reports = puppetdb
environment_timeout = unlimited
END
printf '[main]\nserver_urls = https://puppetdb:8081\nsoft_write_failure = true\n' > $settings/puppetdb.conf
printf -- '---\nmaster:\n  facts:\n    terminus: puppetdb\n    cache: yaml\n' > $settings/routes.yaml
if [ $settings = /etc/pupperware ]; then
    conf=/etc/pupperware/conf.d
    cp /peers/ours/* $conf/
    printf -- '-Xms%s\n-Xmx%s\n' "$HEAP" "$HEAP" > /etc/pupperware/jvm.options
else
    conf=/etc/puppet/puppetserver/conf.d
fi
sed -i "s/.*max-active-instances:.*/    max-active-instances: $JRUBIES/" $conf/puppetserver.conf
grep -q "max-active-instances: $JRUBIES" $conf/puppetserver.conf
chown -R puppet: /run/puppetserver /var/log/puppetserver /var/lib/puppetserver /var/lib/puppet /etc/puppet/puppetserver/ca
if [ ! -e /etc/puppet/puppetserver/ca/ca_crt.pem ]; then
    puppetserver ca setup --config $settings/puppet.conf
    chown -R puppet: /var/lib/puppet /etc/puppet/puppetserver/ca
fi
as() { exec setpriv --reuid puppet --regid puppet --init-groups "$@"; }
if [ $settings = /etc/pupperware ]; then
    as /usr/local/bin/pupperware-start
fi
cd /
as /usr/bin/java "-Xms$HEAP" "-Xmx$HEAP" -Djruby.logger.class=com.puppetlabs.jruby_utils.jruby.Slf4jLogger \
    -Djruby.lib=/usr/share/jruby/lib -XX:+CrashOnOutOfMemoryError -jar /usr/share/puppetserver/puppetserver.jar \
    --config /etc/puppet/puppetserver/conf.d --bootstrap-config /etc/puppet/puppetserver/services.d
