//! Code from a control repository: deployed before the first start, changed at once, kept when anything goes wrong.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::platform::{Platform, docker, turn};

/// A git server on SSH, in a container on the host's network: `up` fetches code before the platform has any service.
pub struct Repository {
    name: String,
    /// The address of the engine's host, as containers see it.
    gateway: String,
    pub port: u16,
}

impl Repository {
    /// A control repository with a module of its own, whose key and host key are put into the folder of `platform`.
    pub fn new(platform: &Platform, image: &str) -> Self {
        let name = format!("{}-git", platform.project);
        let ask = ["run", "--rm", "--add-host", "host:host-gateway", "--entrypoint", "getent", image, "hosts", "host"];
        let gateway = docker(&ask).split_whitespace().next().expect("an address").to_owned();
        let port = TcpListener::bind((gateway.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let script = format!(
            "set -e; export HOME=/root; mkdir -p /run/sshd /root/.ssh /srv/hello/manifests /srv/control/manifests; \
             chmod 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /host; ssh-keygen -q -t ed25519 -N '' -f /client; \
             cp /client.pub /root/.ssh/authorized_keys; \
             git config --global user.email test@example.com; git config --global user.name test; \
             git config --global init.defaultBranch production; \
             cd /srv/hello; git init -q; echo 'class hello {{ notify {{ \"module one\": }} }}' > manifests/init.pp; \
             git add .; git commit -qm one; \
             cd /srv/control; git init -q; \
             echo 'mod \"hello\", git: \"ssh://root@{gateway}:{port}/srv/hello\", branch: \"production\"' > Puppetfile; \
             echo 'node default {{ include(hello) notify {{ \"code one\": }} }}' > manifests/site.pp; \
             mkdir data; printf -- '---\\n# nothing yet\\n' > data/common.yaml; \
             git add .; git commit -qm one; git branch dev; git branch feature-x; touch /ready; \
             exec /usr/sbin/sshd -D -e -p {port} -h /host -o ListenAddress={gateway} -o StrictModes=no"
        );
        let run = ["run", "--detach", "--name", &name, "--network", "host", "--user", "0:0", "--entrypoint", "sh"];
        docker(&[&run[..], &[image, "-c", &script]].concat());
        let repository = Repository { name, gateway, port };
        while TcpStream::connect((repository.gateway.as_str(), port)).is_err() {
            let running = docker(&["inspect", "--format", "{{.State.Running}}", &repository.name]);
            assert_eq!(running, "true", "{}", docker(&["logs", &repository.name]));
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let file = |name: &str, content: String| {
            let path = platform.folder().join(name);
            std::fs::write(&path, content + "\n").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        file("key", repository.inside("cat /client"));
        let host_key = repository.inside("cut -d ' ' -f 1,2 /host.pub");
        file("known_hosts", format!("[{}]:{port} {host_key}", repository.gateway));
        repository
    }

    fn inside(&self, script: &str) -> String {
        docker(&["exec", &self.name, "sh", "-c", &format!("export HOME=/root; {script}")])
    }

    /// Commits a new `manifests/site.pp`; the commit's hash.
    pub fn commit(&self, site: &str) -> String {
        self.inside(&format!(
            "cd /srv/control; printf '%s\\n' '{site}' > manifests/site.pp; git commit -qam next; git rev-parse HEAD"
        ))
    }

    /// The platform's configuration with this repository, at a port of its host.
    pub fn configuration(&self, port: u16, timeout: &str) -> String {
        format!(
            "code:\n  control_repo:\n    url: ssh://root@{}:{port}/srv/control\n    ssh_key: key\n    \
             known_hosts: known_hosts\n    timeout: {timeout}\n",
            self.gateway
        )
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // Not by `docker`, which would fail the scenario a second time.
        let _ = Command::new("docker").args(["rm", "--force", &self.name]).output();
    }
}

/// The image that deploys code; git and a server for it are in it.
pub fn image(platform: &Platform) -> String {
    platform.ok(&["images", "build", "code"]);
    platform.image("code")
}

/// What `code status` tells.
pub fn served(platform: &Platform) -> Value {
    serde_json::from_str(&platform.ok(&["code", "status", "-o", "json"]).stdout).unwrap()
}

/// The commit that an environment is served from.
pub fn commit(served: &Value, environment: &str) -> String {
    let environments = served["environments"].as_array().unwrap();
    let found = environments.iter().find(|e| e["name"] == environment);
    found.unwrap_or_else(|| panic!("no {environment} in {served:#}"))["commit"].as_str().unwrap().to_owned()
}

/// What the platform's agent is told by its catalog.
fn applies(platform: &Platform, text: &str) {
    let run = platform.run(&["agent", "run"]).expect(2);
    assert!(run.all().contains(text), "no \"{text}\" in {}", run.all());
}

/// Containers of ours that are no service.
fn tasks(platform: &Platform) -> String {
    let filter = format!("label=dev.pupperware.project={}", platform.project);
    docker(&[
        "ps",
        "--all",
        "--format",
        "{{.Names}}",
        "--filter",
        &filter,
        "--filter",
        "label=dev.pupperware.role=task",
    ])
}

/// Intent: agents get what the control repository has, all of it or what they got before: whatever fails, hangs, or is
/// killed. The server keeps environments for ever here, so that a deployment without a flush would not be seen.
#[test]
fn a_control_repository_is_served_whole_or_not_at_all() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    let image = image(&platform);
    the_token_goes_to_its_host_only(&image);
    let git = Repository::new(&platform, &image);
    let use_repository = |port: u16, timeout: &str| {
        platform.configure("environment_timeout: unlimited", &git.configuration(port, timeout));
    };

    // A first deployment that fails: no server starts over nothing.
    use_repository(1, "5m");
    platform.run(&["up"]).expect(1).says("cannot be read").says("Connection refused");
    let server = format!("name={}", platform.container("puppetserver"));
    assert_eq!(docker(&["ps", "--quiet", "--filter", &server]), "");
    assert_eq!(tasks(&platform), "");

    use_repository(git.port, "5m");
    let up = platform.ok(&["up"]).says("branch feature-x is left out");
    assert!(!up.all().contains("PRIVATE KEY"));
    platform.ok(&["up"]).says("nothing to do");
    applies(&platform, "code one");
    applies(&platform, "module one");
    let first = commit(&served(&platform), "production");

    // New code is served at once, and only where it was asked for.
    let second = git.commit("node default { include(hello) notify { \"code two\": } }");
    git.inside("cd /srv/control; git branch -f dev");
    platform.ok(&["code", "deploy", "production"]);
    applies(&platform, "code two");
    let now = served(&platform);
    assert_eq!((commit(&now, "production"), commit(&now, "dev")), (second.clone(), first.clone()));
    platform.ok(&["code", "deploy"]);
    assert_eq!(commit(&served(&platform), "dev"), second);

    // What is wrong is not served.
    git.commit("node default {");
    platform.run(&["code", "deploy"]).expect(1).says("production/manifests/site.pp").says("it is not served");
    platform.run(&["code", "deploy", "nowhere"]).expect(1).says("has no branch nowhere").says("dev, feature-x");
    platform.run(&["code", "deploy", "feature-x"]).expect(2).says("cannot be an environment");
    git.commit("node default { include nobody }");
    platform.ok(&["code", "check", "production", "--node", &format!("{}-agent-1", platform.project)]);
    platform.ok(&["code", "deploy", "production"]);
    let check = ["code", "check", "production", "--node", &format!("{}-agent-1", platform.project)];
    platform.run(&check).expect(1).says("does not compile").says("nobody");
    platform.ok(&["code", "undo"]);
    assert_eq!(commit(&served(&platform), "production"), second);
    applies(&platform, "code two");

    // A repository that hangs, and a deployment that is killed.
    let silent = TcpListener::bind((git.gateway.as_str(), 0)).unwrap();
    use_repository(silent.local_addr().unwrap().port(), "3s");
    platform.run(&["code", "deploy"]).expect(5).says("took longer than 3 s");
    assert_eq!(tasks(&platform), "");
    use_repository(git.port, "5m");
    let fourth = git.commit("node default { notify { \"code four\": } }");
    let mut deploy = platform.start(&["code", "deploy"]);
    deploy.sees("start", &format!("{}-code-stage", platform.project));
    deploy.signal("KILL");
    deploy.end();
    applies(&platform, "code two");
    platform.ok(&["code", "deploy"]);
    assert_eq!(tasks(&platform), "");
    applies(&platform, "code four");

    // It is kept, and nothing else with it.
    let trees = platform.inside("puppetserver", &["sh", "-c", "ls /etc/puppet/code/deployments | wc -l"]);
    assert_eq!(trees.trim(), "2", "the one that is served, and the one before");
    platform.inside("puppetserver", &["sh", "-c", "! grep -rl 'PRIVATE KEY' /etc/puppet/code"]);
    platform.ok(&["down"]);
    platform.ok(&["up"]);
    assert_eq!(commit(&served(&platform), "production"), fourth);
}

/// Git gets the token for the repository's own host, and for no other.
fn the_token_goes_to_its_host_only(image: &str) {
    let ask = "set -e; printf s3cret > /var/lib/pupperware-code/token; export HOME=/tmp GIT_TERMINAL_PROMPT=0; \
        ruby -r /usr/share/pupperware/deploy -e 'Deploy.new(\"https://git.example/a.git\").send(:take_secrets)'; \
        for host in git.example other.example git.example.other.example; do \
        printf 'protocol=https\\nhost=%s\\n\\n' $host | git credential fill 2> /dev/null | grep -c s3cret || true; done; \
        printf 'protocol=http\\nhost=git.example\\n\\n' | git credential fill 2> /dev/null | grep -c s3cret || true";
    let told = docker(&["run", "--rm", "--entrypoint", "sh", image, "-c", ask]);
    assert_eq!(told, "1\n0\n0\n0");
}
