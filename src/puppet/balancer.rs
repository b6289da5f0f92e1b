//! The balancer's configuration. `docs/guides/compilers.md` tells why it is as it is.
//!
//! Nothing in it depends on how many compilers there are: those are told to the running HAProxy, by slot
//! (`images/balancer/pupperware-balance`).

use std::fmt::Write;

use super::{directory, file};
use crate::config::Config;
use crate::config::sizing::Sizing;
use crate::desired::compilers::{SLOTS, certname};
use crate::desired::credentials::BALANCER as OWNER;
use crate::engine::FileEntry;

/// The command by which the balancer tells its figures, in its container.
pub fn statistics() -> Vec<String> {
    ["/usr/local/bin/pupperware-balance", "stats"].map(String::from).to_vec()
}

/// What the balancer tells of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Connections of agents that are open.
    pub connections: f64,
    /// Each compiler that takes requests.
    pub compilers: Vec<Compiler>,
}

/// A compiler as the balancer sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compiler {
    /// Its number.
    pub number: String,
    /// Whether it serves.
    pub up: bool,
    /// Requests that it has now.
    pub requests: f64,
    /// Requests that wait for it.
    pub queue: f64,
    /// Requests that it was sent so far.
    pub total: f64,
    /// Requests that were sent again, to it or to another one.
    pub retries: f64,
    /// Requests that it did not answer.
    pub errors: f64,
    /// Seconds that requests waited for it, the mean of the last 1024.
    pub waited: f64,
    /// Seconds that its answers took, the mean of the last 1024.
    pub answered: f64,
}

/// Reads the answer of [`statistics`]: HAProxy's table, whose columns have names.
pub fn figures(csv: &str) -> Figures {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let mut figures = Figures::default();
    for line in lines {
        let row: Vec<&str> = line.split(',').collect();
        let text = |name: &str| names.iter().position(|n| *n == name).and_then(|at| row.get(at)).copied().unwrap_or("");
        let number = |name: &str| text(name).parse::<f64>().unwrap_or(0.0);
        let state = text("status");
        match (text("pxname"), text("svname")) {
            ("agents", "FRONTEND") => figures.connections = number("scur"),
            ("compilers", name) if !state.starts_with("MAINT") => {
                let Some(slot) = name.strip_prefix("compiler-") else { continue };
                figures.compilers.push(Compiler {
                    number: slot.to_owned(),
                    up: state.starts_with("UP"),
                    requests: number("scur"),
                    queue: number("qcur"),
                    total: number("stot"),
                    retries: number("wretr") + number("wredis"),
                    errors: number("econ") + number("eresp"),
                    waited: number("qtime") / 1000.0,
                    answered: number("rtime") / 1000.0,
                });
            }
            _ => {}
        }
    }
    figures
}

/// Files of the `balancer-config` volume.
pub fn files(config: &Config, sizing: &Sizing) -> Vec<FileEntry> {
    vec![directory(".", OWNER, 0o750), file("haproxy.cfg", haproxy(config, sizing), OWNER)]
}

/// Requests that a compiler gets at a time for each of its JRuby instances; the others wait here, where whoever is free
/// first takes them.
const REQUESTS_PER_INSTANCE: u32 = 4;

fn haproxy(config: &Config, sizing: &Sizing) -> String {
    let project = config.project.as_str();
    let most = REQUESTS_PER_INSTANCE * sizing.compiler.jruby_instances.value;
    let mut text = FRONT.to_owned();
    for (name, checked) in [("compilers", CHECKED), ("rescue", "")] {
        let _ = write!(text, "\nbackend {name}\n{BACKEND}    {DEFAULT_SERVER} {checked}maxconn {most}\n");
        for number in 1..=SLOTS {
            let name = certname(project, number);
            // The address is found out when the slot is taken.
            let _ = writeln!(text, "    server compiler-{number} 127.0.0.1:8140 verifyhost {name} sni str({name})");
        }
    }
    text
}

/// A session that is taken up again, by ticket or from a cache, would go by the revocation list of its beginning.
const FRONT: &str = r#"# Written by pupperware; changes are overwritten.
global
    log stdout format raw local0 info
    stats socket /run/balancer/socket mode 600 level admin
    maxconn 2000
    # A request that fits is sent again when its compiler dies.
    tune.bufsize 131072
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-default-server-options ssl-min-ver TLSv1.2
    ca-base /etc/pupperware/ssl
    crt-base /run/balancer
    set-var proc.closing bool(true)
    set-var proc.hold int(0)
    lua-load /usr/share/pupperware/hold.lua

defaults
    log global
    timeout connect 2s
    timeout check 700ms
    timeout client 10m
    timeout server 10m
    timeout queue 5m
    timeout http-request 1m
    # Agents leave a connection alone that was idle for 4 s.
    timeout http-keep-alive 10s
    retries 3
    option redispatch 1
    option dontlognull

resolvers engine
    nameserver dns 127.0.0.11:53
    resolve_retries 2
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s
    hold nx 2s
    hold obsolete 2s
    hold other 2s
    hold refused 2s
    hold timeout 2s

# The published port: opened here while a compiler serves, else passed on to the primary as it is.
frontend agents
    mode tcp
    option tcplog
    option dontlog-normal
    bind :8140
    use_backend inside if { nbsrv(compilers) gt 0 } !{ var(proc.closing) -m bool }
    default_backend primary

backend primary
    mode tcp
    server primary puppetserver:8140 resolvers engine init-addr libc,none resolve-prefer ipv4

backend inside
    mode tcp
    server inside abns@inside send-proxy-v2

# What clients say of themselves is dropped; what their certificate says takes its place.
frontend inside
    mode http
    option httplog
    # Its own ready check.
    http-request set-log-level silent if { src 127.0.0.1 }
    bind abns@inside accept-proxy ssl crt own.pem ca-file ca.pem crl-file /etc/pupperware/ssl/crl.pem verify optional alpn http/1.1
    http-request del-header x-client- -m beg
    http-request deny status 400 if { ssl_c_used } !{ ssl_c_s_dn(cn) -m reg ^[a-z0-9._-]+$ }
    http-request set-header X-Client-Verify SUCCESS if { ssl_c_used }
    http-request set-header X-Client-DN CN=%[ssl_c_s_dn(cn)] if { ssl_c_used }
    http-request set-header X-Client-Cert -----BEGIN%%20CERTIFICATE-----%%0A%[ssl_c_der,base64,url_enc]%%0A-----END%%20CERTIFICATE-----%%0A if { ssl_c_used }
    http-request set-header X-Client-Verify NONE if !{ ssl_c_used }
    # While PuppetDB restarts, nothing is compiled: who asks waits here.
    http-request lua.hold if { path_beg /puppet/v3/ } { var(proc.hold) -m int gt 0 }
    http-after-response set-header Connection close if { var(proc.closing) -m bool }
    use_backend ca if { path_beg /puppet-ca/ }
    use_backend compilers if { nbsrv(compilers) gt 0 }
    default_backend rescue

# The primary believes no header, and is shown no certificate: what is left is what anybody may ask a CA.
backend ca
    mode http
    http-error status 503 content-type text/plain string "the certificate authority does not answer" hdr Retry-After 5
    http-request del-header x-client- -m beg
    http-request return status 404 content-type text/plain string "certificates are not renewed through the balancer" if { path_beg /puppet-ca/v1/certificate_renewal }
    server primary puppetserver:8140 ssl verify required ca-file ca.pem verifyhost puppet sni str(puppet) resolvers engine init-addr libc,none resolve-prefer ipv4
"#;

/// What goes to compilers. On a machine that is too busy, all of them may fail their checks and serve all the same: who is
/// connected is served by the rescue then, which has the same compilers and checks nothing.
const BACKEND: &str = r#"    mode http
    balance leastconn
    http-error status 503 content-type text/plain string "no compiler answers" hdr Retry-After 2
    retry-on conn-failure empty-response junk-response
    option httpchk
    http-check send meth GET uri /status/v1/simple ver HTTP/1.1 hdr Host puppet
    http-check expect string running
"#;

const DEFAULT_SERVER: &str = "default-server disabled ssl verify required ca-file ca.pem crt own.pem \
    resolvers engine init-addr none resolve-prefer ipv4";
/// Out within two seconds: half a second until it is asked, and twice 0.7 s of silence. What it has, it goes on with.
const CHECKED: &str = "check inter 500ms fastinter 100ms fall 2 rise 2 slowstart 10s ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sizing::{Machine, size};

    #[test]
    fn what_clients_claim_is_dropped_before_anything_is_set() {
        let drop = FRONT.find("http-request del-header x-client- -m beg").unwrap();
        assert!(drop < FRONT.find("set-header X-Client-Verify").unwrap());
        let ca = &FRONT[FRONT.find("\nbackend ca\n").unwrap()..];
        assert!(ca.contains("del-header x-client-") && !ca.contains("crt own.pem"));
    }

    #[test]
    fn figures_are_read_by_the_names_of_their_columns() {
        let csv = "# pxname,svname,qcur,scur,stot,econ,eresp,wretr,wredis,status,qtime,rtime,\n\
                   agents,FRONTEND,,7,40,,,,,OPEN,,,\n\
                   compilers,compiler-1,2,3,90,1,2,4,1,UP 1/2,250,1500,\n\
                   compilers,compiler-2,0,0,0,0,0,0,0,MAINT,0,0,\n\
                   compilers,BACKEND,0,3,90,1,2,4,1,UP,0,0,\n";
        let compiler = Compiler {
            number: "1".into(),
            up: true,
            requests: 3.0,
            queue: 2.0,
            total: 90.0,
            retries: 5.0,
            errors: 3.0,
            waited: 0.25,
            answered: 1.5,
        };
        assert_eq!(figures(csv), Figures { connections: 7.0, compilers: vec![compiler] });
        assert_eq!(figures(""), Figures::default());
    }

    #[test]
    fn every_slot_asks_for_the_name_of_its_compiler() {
        let config = Config::default();
        let sizing = size(&config, Machine { cpus: 4, memory_bytes: 16 << 30 }).unwrap();
        let text = haproxy(&config, &sizing);
        assert_eq!(
            text.matches("    server compiler-").count(),
            2 * SLOTS as usize,
            "one for each, and one in the rescue"
        );
        assert!(text.contains("server compiler-16 127.0.0.1:8140 verifyhost pupperware-compiler-16 "));
    }
}
