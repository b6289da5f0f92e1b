# Packages of this image with newer versions: package, installed, available, suites. Runs as root in a container that is
# thrown away.
set -u
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt-get -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any -q update > /tmp/update.log 2>&1 || {
    tail -n 3 /tmp/update.log >&2
    exit 1
}
# `curl/stable-security,stable 8.14.1-3 amd64 [upgradable from: 8.14.1-2]`
apt list --upgradable 2> /dev/null |
    sed -n 's|^\([^/ ]*\)/\([^ ]*\) \([^ ]*\) .*\[upgradable from: \([^]]*\)\].*|update\t\1\t\4\t\3\t\2|p'
