//! Load: simulated agents, and a manifest that tells who compiled it.

use std::process::Command;

use serde_json::Value;

use crate::platform::{Platform, docker, eventually, tell};

/// Tells in each catalog which server compiled it.
const SITE: &str = "notify { \"compiled-by:${server_facts['servername']}\": }\n";
/// What `pupperware.yaml` says below `puppetserver:` so that the agents get their certificates.
pub const SIGNED: &str = "autosign: [\"*.load.test\"]";

/// Serves the manifest that tells.
pub fn serve_site(platform: &Platform) {
    let place = "cat > /etc/puppet/code/environments/production/manifests/site.pp";
    let write = format!("printf '%s' '{}' | {place}", SITE.replace('\'', "'\\''"));
    platform.inside("puppetserver", &["sh", "-c", &write]);
}

/// Simulated agents that loop in a container of their own.
pub struct Load {
    name: String,
}

impl Load {
    /// So many agents, which have their certificates when this returns. Their names end with `.load.test`.
    pub fn start(platform: &Platform, agents: u32) -> Self {
        let name = format!("{}-load", platform.project);
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &platform.container("agent")]);
        let front = platform.volume("front");
        let keys = format!("{}:/tmp/agents", platform.folder().join("agents").display());
        std::fs::create_dir_all(platform.folder().join("agents")).unwrap();
        let source = format!("{}/benches/agents:/agents:ro", env!("CARGO_MANIFEST_DIR"));
        let run = ["run", "--detach", "--name", &name, "--network", &front, "--volume", &source, "--volume", &keys];
        docker(&[&run[..], &["--entrypoint", "ruby", &image, "/agents/agents.rb", &agents.to_string()]].concat());
        let load = Load { name };
        eventually("the agents have certificates", || load.exec(&["test", "-e", "/tmp/go"]));
        load
    }

    fn exec(&self, command: &[&str]) -> bool {
        Command::new("docker").args([&["exec", &self.name], command].concat()).output().unwrap().status.success()
    }

    /// Lets all finish what they do; what they have counted.
    pub fn end(self) -> Value {
        assert!(self.exec(&["touch", "/tmp/stop"]));
        assert_eq!(docker(&["wait", &self.name]), "0");
        let output = Command::new("docker").args(["logs", &self.name]).output().unwrap();
        tell(&String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("figures")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.name]);
    }
}
