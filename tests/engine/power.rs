//! The power goes off: an engine of the scenario's own, with a platform on it, is gone at once and starts again.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::platform::{Platform, docker, eventually, tell, turn};

/// What a platform without a control repository needs.
const COMPONENTS: [&str; 5] = ["base", "postgres", "puppetdb", "puppetserver", "agent"];
const SERVICES: [&str; 4] = ["postgres", "puppetdb", "puppetserver", "agent"];

/// Intent: the machine loses its power and starts again. Everything comes back by itself, and no report that was
/// accepted is lost.
#[test]
#[ignore = "takes minutes: an engine with images of its own"]
fn a_platform_comes_back_when_the_power_does() {
    let Some(_turn) = turn() else { return };
    let first = Platform::new("");
    let machine = Machine::new(&first);
    machine.starts();
    let platform = Platform::on("", &machine.engine());
    let images = platform.folder().join("images.tar");
    let images = images.to_str().expect("a plain name");
    first.ok(&[&["images", "build"], &COMPONENTS[..]].concat());
    first.ok(&[&["images", "save", images], &COMPONENTS[..]].concat());
    platform.ok(&["images", "load", images]);
    platform.up();
    let agent = format!("{}-agent-1", platform.project);
    let (ca, before) = (platform.ca(), platform.reports(&agent).expect("PuppetDB answers"));
    let started = SERVICES.map(|s| platform.touched(s));

    // Taken by the server, and nowhere but on its way when everything stops.
    platform.ok(&["agent", "run"]);
    machine.stops();
    platform.run(&["status"]).expect(4).says("no Docker Engine answers");
    machine.starts();
    let since = Instant::now();
    for (service, started) in SERVICES.into_iter().zip(started) {
        platform.ready_again(service);
        assert_ne!(platform.touched(service), started);
    }
    tell(&format!("all services ready {} s after the engine answered", since.elapsed().as_secs()));
    platform.ok(&["agent", "run"]);
    eventually("all reports are in PuppetDB", || platform.reports(&agent) == Some(before + 2));
    assert_eq!(platform.ca(), ca);
    // It was proved as it ran before.
    assert_eq!(platform.status()["proved"], false);
    platform.up();
    platform.ok(&["up"]).says("nothing to do");
}

/// An engine in a container, with networks and processes of its own: what runs in it ends with it.
struct Machine {
    name: String,
    folder: PathBuf,
}

impl Machine {
    /// Not started yet.
    fn new(platform: &Platform) -> Self {
        platform.ok(&["images", "build", "base"]);
        let (name, folder) = (format!("{}-machine", platform.project), platform.folder());
        let driver = docker(&["info", "--format", "{{.Driver}}"]);
        // Processes, networks and volatile files are its own; programs are those of the machine around it. A change of
        // root by `chroot` would not do: whoever enters a container of it would end up outside.
        let script = format!(
            "set -e; for at in $(sed -n 's,^[^ ]* \\(/sys[^ ]*\\) .*,\\1,p' /proc/mounts); do \
             mount -o remount,rw,bind $at; done; cd /machine; mount -t proc proc proc; mount --rbind /sys sys; \
             mount -t tmpfs tmpfs run; mkdir run/data run/socket; mount --bind /data run/data; \
             mount --bind /socket run/socket; echo '{{}}' > run/daemon.json; \
             mkdir run/old; pivot_root . run/old; umount -l run/old; \
             exec dockerd --config-file /run/daemon.json --data-root /run/data \
             --host unix:///run/socket/docker.sock --storage-driver {driver} --exec-opt native.cgroupdriver=cgroupfs"
        );
        let label = format!("dev.pupperware.test={}", platform.project);
        let (data, socket) = (format!("{name}:/data"), format!("{}:/socket", folder.display()));
        let create = ["create", "--name", &name, "--label", &label, "--user", "0", "--network", "none"];
        // Not `--privileged`, which fails on an engine that lacks one capability itself.
        let may = ["--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--device-cgroup-rule=a *:* rwm"];
        let unconfined = ["seccomp", "apparmor", "systempaths"].map(|part| format!("--security-opt={part}=unconfined"));
        let root = ["--mount", "type=bind,source=/,target=/machine,bind-nonrecursive=true"];
        let volumes = ["--volume=/dev:/machine/dev", "--volume", &data, "--volume", &socket, "--entrypoint", "sh"];
        let unconfined = unconfined.each_ref().map(String::as_str);
        let run = [&platform.image("base"), "-c", &script];
        docker(&[&create[..], &may, &unconfined, &root, &volumes, &run].concat());
        Machine { name, folder }
    }

    /// Its address.
    fn engine(&self) -> String {
        format!("unix://{}", self.folder.join("docker.sock").display())
    }

    fn starts(&self) {
        docker(&["start", &self.name]);
        eventually("the engine answers", || {
            Command::new("docker").args(["--host", &self.engine(), "info"]).output().is_ok_and(|o| o.status.success())
        });
    }

    /// At once, with all that runs in it.
    fn stops(&self) {
        docker(&["kill", &self.name]);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Not by `docker`, which would fail the scenario a second time.
        for arguments in [&["rm", "--force", &self.name][..], &["volume", "rm", "--force", &self.name]] {
            let _ = Command::new("docker").args(arguments).output();
        }
    }
}
