//! Certificates of agents and services: who is let in, who is shut out, and what stays up meanwhile.

use std::process::{Command, Output};

use serde_json::Value;

use crate::platform::{Platform, docker, turn};

const SERVICES: [&str; 3] = ["postgres", "puppetdb", "puppetserver"];

/// Intent: an operator lets agents in by token and by hand, shuts one out, and renews a service's certificate. Who is
/// revoked is refused by Puppet Server and PuppetDB at once, and no container restarts for it.
#[test]
#[ignore = "took 18 minutes on a busy machine: `make engine-all` runs it"]
fn agents_are_let_in_and_shut_out_everywhere() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();
    let node = Node::new(&platform);
    let name = node.certname.as_str();

    // By token: signed at once. The token was good once, and is nowhere in the journal.
    let token = platform.ok(&["ca", "token", name]).stdout.trim().to_owned();
    assert_eq!(token.len(), 64, "{token}");
    node.enrol_with(&token);
    assert!(matches!(node.agent().status.code(), Some(0 | 2)), "{}", text(&node.agent()));
    platform.run(&["ca", "token", name]).expect(6).says("has a certificate already");
    let signed = certificate(&platform, name);
    assert_eq!(signed["state"], "signed");
    assert!(signed["not_after"].as_str().is_some_and(|at| at.ends_with('Z')), "{signed}");
    assert!(signed["serial"].is_string() && signed["fingerprint"].is_string() && signed["dns_alt_names"].is_array());
    assert!(node.asks_puppetdb().status.success(), "{}", text(&node.asks_puppetdb()));

    // What would break the platform, or is meant for nobody, is refused; nothing was changed.
    let before = platform.ok(&["ca", "list", "-o", "json"]).stdout;
    platform.run(&["--yes", "ca", "revoke", name, "puppet"]).expect(6).says("pupperware ca reissue puppetserver");
    platform.run(&["--yes", "ca", "clean", "puppetdb"]).expect(6).says("pupperware ca reissue puppetdb");
    platform.run(&["--yes", "ca", "revoke", "nobody"]).expect(2).says("the CA knows no \"nobody\"");
    platform.run(&["--yes", "ca", "revoke", "../web01"]).expect(2);
    platform.run(&["ca", "revoke", name]).expect(6).says("add `--yes`");
    assert_eq!(platform.ok(&["ca", "list", "-o", "json"]).stdout, before);

    // Shut out, everywhere, at once; nothing restarts, and the proof holds.
    let touched = SERVICES.map(|s| platform.touched(s));
    platform.ok(&["--yes", "ca", "revoke", name]).says("revoked, and refused everywhere");
    assert_eq!(node.agent().status.code(), Some(1), "{}", text(&node.agent()));
    let refused = node.asks_puppetdb();
    assert!(!refused.status.success() && text(&refused).contains("alert"), "{}", text(&refused));
    assert_eq!(certificate(&platform, name)["state"], "revoked");
    let status = platform.status();
    assert_eq!((&status["proved"], &status["healthy"]), (&Value::Bool(true), &Value::Bool(true)), "{status:#}");

    // Cleaned, the name may ask again; it waits until it is signed, and only what was agreed to is signed.
    platform.ok(&["--yes", "ca", "clean", name]);
    assert!(!platform.ok(&["ca", "list"]).stdout.contains("pupperware-canary"));
    node.forget();
    assert_eq!(node.agent().status.code(), Some(1), "{}", text(&node.agent()));
    assert_eq!(certificate(&platform, name)["state"], "pending");
    platform.run(&["ca", "sign", "--all"]).expect(6).says(name);
    assert_eq!(certificate(&platform, name)["state"], "pending");
    platform.ok(&["--yes", "ca", "sign", "--all"]).says(name);
    assert!(matches!(node.agent().status.code(), Some(0 | 2)), "{}", text(&node.agent()));
    assert_eq!(SERVICES.map(|s| platform.touched(s)), touched);

    // A new certificate for PuppetDB: same CA, same trust; the database is not touched, and the platform is proved.
    let (authority, server) = (platform.ca(), certificate(&platform, "puppet")["serial"].clone());
    let (old, database) = (certificate(&platform, "puppetdb")["serial"].clone(), platform.touched("postgres"));
    platform.run(&["ca", "reissue", "pupetdb"]).expect(2).says("it has postgres, puppetdb, puppetserver");
    platform.ok(&["ca", "reissue", "puppetdb"]);
    assert_ne!(certificate(&platform, "puppetdb")["serial"], old);
    assert_eq!(certificate(&platform, "puppet")["serial"], server);
    assert_eq!((platform.ca(), platform.touched("postgres")), (authority, database));
    platform.ok(&["up"]).says("nothing to do");
    let ends = platform.status()["certificates"].clone();
    assert!(ends.as_array().is_some_and(|all| all.len() == 5 && all.iter().all(|c| c["expiring"] == false)), "{ends}");
    assert!(matches!(node.agent().status.code(), Some(0 | 2)), "{}", text(&node.agent()));

    // A token that was given away is void after a rotation; a policy of the user's signs whom it wants, and nobody else.
    let token = platform.ok(&["ca", "token", "somebody"]).stdout.trim().to_owned();
    platform.ok(&["secrets", "rotate", "tokens"]).says("worth nothing now");
    let tokens = "find /var/lib/puppetserver/autosign-tokens -type f | wc -l";
    assert_eq!(platform.inside("puppetserver", &["sh", "-c", tokens]).trim(), "0");
    std::fs::write(platform.folder().join("policy"), POLICY).unwrap();
    platform.configure("autosign_policy: ./policy\nautosign: [\"*.listed.test\"]", "");
    platform.ok(&["up"]);
    for let_in in ["blue.example", "red.listed.test"] {
        assert_eq!(node.asks_for(let_in, None), Some(0));
        assert_eq!(certificate(&platform, let_in)["state"], "signed");
    }
    assert_eq!(node.asks_for("somebody", Some(&token)), Some(1), "it waits, and is not waited for");
    assert_eq!(node.asks_for("listed.test", None), Some(1), "the list does not name it");
    assert_eq!(certificate(&platform, "somebody")["state"], "pending");
    assert_eq!(certificate(&platform, "listed.test")["state"], "pending");

    // Whoever lets in everybody is told so by every command, and by the audit.
    platform.configure("autosign: true", "");
    platform.ok(&["up"]).says("warning").says("every certificate request is signed");
    assert_eq!(node.asks_for("anybody", None), Some(0));
    platform.run(&["audit"]).expect(3).says("autosign-everybody").says("autosign-stranger");
    platform.configure("", "");
    platform.ok(&["up"]);
    assert_eq!(node.asks_for("nobody-any-more", None), Some(1));

    // A list that somebody else made longer.
    platform.inside("puppetserver", &["puppetserver", "ca", "revoke", "--certname", name]);
    platform.ok(&["ca", "crl"]).says("refuses whoever is on it");
    assert!(!node.asks_puppetdb().status.success());

    platform.ok(&["stop", "puppetserver"]);
    platform.run(&["ca", "list"]).expect(1).says("puppetserver does not run").says("start");
}

/// Signs names of this domain, and looks into the request as well.
const POLICY: &str =
    "#!/bin/sh\ncase $1 in *.example) openssl req -noout -subject | grep -q \"$1\" ;; *) exit 1 ;; esac\n";

/// A certificate as `ca list` tells it.
fn certificate(platform: &Platform, name: &str) -> Value {
    let list: Value = serde_json::from_str(&platform.ok(&["ca", "list", "-o", "json"]).stdout).unwrap();
    assert_eq!(list["schema_version"], 1);
    let all = list["certificates"].as_array().expect("a list");
    all.iter().find(|c| c["certname"] == name).unwrap_or_else(|| panic!("no {name} in {list:#}")).clone()
}

/// A machine with the agent, on the networks of Puppet Server and PuppetDB.
struct Node {
    certname: String,
}

impl Node {
    fn new(platform: &Platform) -> Self {
        let node = Node { certname: format!("{}-node", platform.project) };
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &platform.container("agent")]);
        let front = platform.volume("front");
        let name = node.certname.as_str();
        let run = ["run", "--detach", "--init", "--name", name, "--hostname", name, "--network", &front];
        docker(&[&run[..], &["--entrypoint", "sleep", &image, "3600"]].concat());
        docker(&["network", "connect", &platform.volume("back"), name]);
        node
    }

    /// One run of the agent.
    fn agent(&self) -> Output {
        let run = ["puppet", "agent", "--onetime", "--no-daemonize", "--detailed-exitcodes", "--waitforcert", "0"];
        self.exec(&[&run[..], &["--no-usecacheonfailure", "--certname", &self.certname]].concat())
    }

    /// What it gets from PuppetDB with its certificate.
    fn asks_puppetdb(&self) -> Output {
        let ssl = "/var/lib/puppet/ssl";
        let (certificate, key) =
            (format!("{ssl}/certs/{}.pem", self.certname), format!("{ssl}/private_keys/{}.pem", self.certname));
        let authority = format!("{ssl}/certs/ca.pem");
        let asks = ["curl", "-sS", "--fail", "--cacert", &authority, "--cert", &certificate, "--key", &key];
        self.exec(&[&asks[..], &["https://puppetdb:8081/status/v1/simple"]].concat())
    }

    fn enrol_with(&self, token: &str) {
        let attributes = format!("custom_attributes:\n  1.2.840.113549.1.9.7: \"{token}\"\n");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("csr_attributes.yaml");
        std::fs::write(&file, attributes).unwrap();
        docker(&["cp", file.to_str().unwrap(), &format!("{}:/var/lib/puppet/", self.certname)]);
    }

    /// Asks for a certificate by another name, perhaps with a token: zero when it was signed at once.
    fn asks_for(&self, certname: &str, token: Option<&str>) -> Option<i32> {
        let attributes = "/tmp/attributes.yaml";
        let text = token.map(|t| format!("custom_attributes:\n  1.2.840.113549.1.9.7: \"{t}\"\n"));
        let text = text.unwrap_or_else(|| "{}\n".into());
        self.exec(&["sh", "-c", &format!("printf '%s' '{text}' > {attributes}")]);
        let folder = format!("/tmp/ssl-{certname}");
        let ask = ["puppet", "ssl", "bootstrap", "--certname", certname, "--ssldir", &folder, "--waitforcert", "0"];
        self.exec(&[&ask[..], &["--csr_attributes", attributes]].concat()).status.code()
    }

    /// As a machine that was made anew.
    fn forget(&self) {
        let gone = self.exec(&["rm", "-rf", "/var/lib/puppet/ssl", "/var/lib/puppet/csr_attributes.yaml"]);
        assert!(gone.status.success(), "{}", text(&gone));
    }

    fn exec(&self, command: &[&str]) -> Output {
        Command::new("docker").args([&["exec", &self.certname], command].concat()).output().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.certname]);
    }
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A root, an intermediate CA that has signed `old-agent` and revoked `gone`, their lists, and the agent's key: `/ca` is
/// as Puppet keeps it.
const ELSEWHERE: &str = "set -e; mkdir -p /ca/signed /work; cd /work; \
    new() { openssl req -new -newkey rsa:2048 -nodes -subj \"/CN=$1\" -keyout \"$2.key\" -out \"$2.csr\" 2> /dev/null; }; \
    ext='keyUsage=critical,keyCertSign,cRLSign'; \
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=Old Root' -keyout root.key -out root.pem \
    -addext \"$ext\" 2> /dev/null; new 'Old Puppet CA' ca; \
    printf 'basicConstraints=critical,CA:TRUE\n%s\nsubjectKeyIdentifier=hash\n' \"$ext\" > ca.ext; \
    openssl x509 -req -in ca.csr -CA root.pem -CAkey root.key -set_serial 9 -days 3000 -extfile ca.ext -out ca.pem 2> /dev/null; \
    printf 'keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n' > leaf.ext; \
    for each in 0x20:gone 0x21:old-agent; do name=${each#*:}; new \"$name\" \"$name\"; openssl x509 -req -in \"$name.csr\" \
    -CA ca.pem -CAkey ca.key -set_serial \"${each%:*}\" -days 2000 -extfile leaf.ext -out \"/ca/signed/$name.pem\" 2> /dev/null; done; \
    list() { printf '[ca]\ndefault_ca=x\n[x]\ndatabase=index-%s\ncrlnumber=number-%s\ndefault_md=sha256\n' $1 $1 > cnf; \
    touch index-$1; echo 05 > number-$1; \
    [ -z \"$2\" ] || openssl ca -config cnf -keyfile $1.key -cert $1.pem -revoke \"$2\" 2> /dev/null; \
    openssl ca -config cnf -keyfile $1.key -cert $1.pem -gencrl -crldays 900 -out $1.crl 2> /dev/null; }; \
    list root ''; list ca /ca/signed/gone.pem; cat root.pem ca.pem > /ca/ca_crt.pem; cat root.crl ca.crl > /ca/ca_crl.pem; \
    cp ca.key /ca/ca_key.pem; cp old-agent.key /ca/old-agent.key; echo 0030 > /ca/serial; \
    chmod 600 /ca/*.key /ca/ca_key.pem";

/// Intent: a platform begins with a CA that was made elsewhere, an intermediate one. Agents that it signed go on, with
/// their certificates; who was revoked there is refused here; serial numbers go on; and a CA that is there stays.
#[test]
fn a_ca_from_elsewhere_is_the_platforms() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.ok(&["images", "build", "base"]);
    let listed: Value = serde_json::from_str(&platform.ok(&["images", "list", "-o", "json"]).stdout).unwrap();
    let base = listed["images"].as_array().unwrap().iter().find(|i| i["component"] == "base").unwrap();
    let maker = format!("{}-elsewhere", platform.project);
    docker(&["run", "--name", &maker, "--network", "none", base["reference"].as_str().unwrap(), "sh", "-c", ELSEWHERE]);
    let ca = platform.folder().join("ca");
    docker(&["cp", &format!("{maker}:/ca"), ca.to_str().unwrap()]);
    docker(&["rm", &maker]);

    // What OpenSSL alone can see: the list of the root is signed by another key. Nothing of it stays.
    let lists = std::fs::read_to_string(ca.join("ca_crl.pem")).unwrap();
    std::fs::write(ca.join("ca_crl.pem"), forged(&lists)).unwrap();
    platform.run(&["ca", "import", "ca"]).expect(2).says("its chain does not verify").says("nothing was imported");
    std::fs::write(ca.join("ca_crl.pem"), &lists).unwrap();

    platform.ok(&["ca", "import", "ca"]).says("CN=Old Puppet CA is the CA of").says("serial number 0030");
    platform.ok(&["ca", "import", "ca"]).says("serial number 0030");
    platform.up();
    platform.run(&["ca", "import", "ca"]).expect(6).says("has a CA already").says("--destroy-data ca");

    let issuer = ["openssl", "x509", "-in", "/var/lib/puppet/ssl/certs/puppet.pem", "-noout", "-issuer", "-serial"];
    let server = platform.inside("puppetserver", &issuer);
    assert!(server.contains("Old Puppet CA") && server.contains("serial=3"), "{server}");
    assert_eq!(certificate(&platform, "old-agent")["state"], "signed");
    assert_eq!(certificate(&platform, "gone")["state"], "revoked");

    // The old agent's certificate opens Puppet Server and PuppetDB, until it is revoked; the chain of lists stays whole.
    let agent = platform.container("agent");
    for name in ["ca_crt.pem", "signed/old-agent.pem", "old-agent.key"] {
        docker(&["cp", ca.join(name).to_str().unwrap(), &format!("{agent}:/tmp/")]);
    }
    let asks = || {
        let ask =
            ["exec", &agent, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "/tmp/ca_crt.pem"];
        let shown = ["--cert", "/tmp/old-agent.pem", "--key", "/tmp/old-agent.key"];
        let url = "https://puppet:8140/puppet/v3/node/old-agent?environment=production";
        let output = Command::new("docker").args([&ask[..], &shown, &[url]].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(asks(), "200");
    platform.ok(&["--yes", "ca", "revoke", "old-agent"]).says("refused everywhere");
    assert_ne!(asks(), "200");
    platform.ok(&["ca", "reissue", "puppetdb"]);
    for list in ["/etc/puppet/puppetserver/ca/ca_crl.pem", "/var/lib/puppet/ssl/crl.pem"] {
        assert_eq!(platform.inside("puppetserver", &["grep", "-c", "BEGIN X509 CRL", list]).trim(), "2", "{list}");
    }
    platform.ok(&["agent", "run"]);
    platform.ok(&["up"]).says("nothing to do");
}

/// The lists, with one byte of the first one's signature changed.
fn forged(lists: &str) -> String {
    let mut at = lists.find("-----END X509 CRL-----").unwrap() - 100;
    at -= usize::from(lists.as_bytes()[at] == b'\n');
    let other = if lists.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &lists[..at], &lists[at + 1..])
}
