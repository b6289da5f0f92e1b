//! Who holds a lock: a process, in a process namespace, in a boot, of a machine. Told in the lock's labels, and judged
//! by whoever finds the lock taken.
//!
//! A lock is only taken over when its process is gone for sure. Machines may share a name, containers a machine, and a
//! process number means nothing outside of its namespace; whatever cannot be judged from here counts as living.

use std::fs;

use rustix::process::{Pid, test_kill_process};

use crate::desired::hash;
use crate::engine::spec::Labels;
use crate::error::Error;

const HOST: &str = "dev.pupperware.lock.host";
const MACHINE: &str = "dev.pupperware.lock.machine";
const BOOT: &str = "dev.pupperware.lock.boot";
const NAMESPACE: &str = "dev.pupperware.lock.pid-namespace";
const PID: &str = "dev.pupperware.lock.pid";
const SINCE: &str = "dev.pupperware.lock.since";
const COMMAND: &str = "dev.pupperware.lock.command";

/// Where a process runs. What a system does not tell is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// The machine's name.
    host: String,
    /// Tells machines of the same name apart. A hash: the id itself is not for others to see.
    machine: String,
    /// Changes with every boot, so that an old process number is not mistaken for a new process.
    boot: String,
    /// Process numbers mean something within it only.
    namespace: String,
}

impl Place {
    fn here() -> Self {
        let line = |path: &str| fs::read_to_string(path).map(|s| s.trim().to_owned()).unwrap_or_default();
        let machine = line("/etc/machine-id");
        let namespace = fs::read_link("/proc/self/ns/pid").map(|link| link.to_string_lossy().into_owned());
        Place {
            host: host(),
            machine: if machine.is_empty() { machine } else { hash::of(&("lock", machine)) },
            boot: line("/proc/sys/kernel/random/boot_id"),
            namespace: namespace.unwrap_or_default(),
        }
    }

    /// True when the holder was a process of this machine that does not live any more.
    fn sees_gone(&self, labels: &Labels) -> bool {
        let get = |key: &str| labels.get(key).map_or("", String::as_str);
        if get(HOST) != self.host || get(MACHINE) != self.machine {
            return false;
        }
        if get(BOOT) != self.boot {
            // Without an id of the machine, this may as well be another one of the same name.
            return !self.machine.is_empty();
        }
        if get(NAMESPACE) != self.namespace {
            return false;
        }
        let pid = get(PID).parse().ok().and_then(Pid::from_raw);
        // EPERM means that it lives and belongs to someone else.
        pid.is_none_or(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH) || is_zombie(pid))
    }
}

/// True when it has ended and only waits for its parent to ask how: in containers and CI some parents never do.
fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // `PID (name) STATE ...`; the name may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// This machine's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Who we are, for the labels of a lock.
pub(super) fn identity(command: &str) -> Labels {
    let place = Place::here();
    Labels::from([
        (HOST.into(), place.host),
        (MACHINE.into(), place.machine),
        (BOOT.into(), place.boot),
        (NAMESPACE.into(), place.namespace),
        (PID.into(), std::process::id().to_string()),
        (SINCE.into(), super::now()),
        (COMMAND.into(), command.into()),
    ])
}

/// True when the process that holds a lock with these labels is gone for sure.
pub(super) fn is_gone(labels: &Labels) -> bool {
    Place::here().sees_gone(labels)
}

/// The refusal while somebody else holds the lock.
pub(super) fn busy(project: &str, labels: &Labels) -> Error {
    let get = |key: &str| labels.get(key).map_or("?", String::as_str);
    Error::refused(format!(
        "another change of {project} is under way: `{}` by process {} on {}, since {}",
        get(COMMAND),
        get(PID),
        get(HOST),
        get(SINCE)
    ))
    .hint(format!(
        "wait for it with `--wait-lock 5m`; if that process is gone for good, free the lock with `docker rm {project}-lock`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of no process that lives: the largest number that Linux gives is 4194304.
    const NOBODY: &str = "2147483646";

    /// Our labels with others in their place.
    fn with(changes: &[(&str, &str)]) -> Labels {
        let mut labels = identity("up");
        labels.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        labels
    }

    /// A Linux machine with an id.
    fn linux() -> Place {
        Place { machine: "m1".into(), boot: "b1".into(), namespace: "pid:[1]".into(), ..Place::here() }
    }

    fn held_at(place: &Place, pid: &str) -> Labels {
        with(&[
            (HOST, &place.host),
            (MACHINE, &place.machine),
            (BOOT, &place.boot),
            (NAMESPACE, &place.namespace),
            (PID, pid),
        ])
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_only_waits_for_its_parent_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().to_string();
        // It ends soon, and nobody asks how before it is judged.
        while !is_gone(&with(&[(PID, &pid)])) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(fs::exists(format!("/proc/{pid}")).unwrap());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_of_this_machine_holds_the_lock_as_long_as_it_lives() {
        assert!(!is_gone(&identity("up")));
        assert!(is_gone(&with(&[(PID, NOBODY)])));
    }

    #[test]
    fn an_earlier_boot_of_this_machine_is_over() {
        let before = Place { boot: "b0".into(), ..linux() };
        assert!(linux().sees_gone(&held_at(&before, &std::process::id().to_string())));
        // Process namespaces have numbers of their own in every boot.
        let inside = Place { namespace: "pid:[2]".into(), ..before };
        assert!(linux().sees_gone(&held_at(&inside, NOBODY)));
    }

    #[test]
    fn another_machine_is_never_judged() {
        for other in [
            Place { host: "elsewhere".into(), ..linux() },
            // Of the same name.
            Place { machine: "m2".into(), boot: "b2".into(), ..linux() },
            // Without an id: a container of that name, here or elsewhere.
            Place { machine: String::new(), ..linux() },
        ] {
            assert!(!linux().sees_gone(&held_at(&other, NOBODY)), "{other:?}");
        }
    }

    #[test]
    fn another_process_namespace_of_this_boot_is_never_judged() {
        let container = Place { namespace: "pid:[2]".into(), ..linux() };
        assert!(!linux().sees_gone(&held_at(&container, NOBODY)));
    }

    #[test]
    fn without_a_machine_id_another_boot_may_be_another_machine() {
        let container = Place { machine: String::new(), ..linux() };
        let other = Place { boot: "b2".into(), ..container.clone() };
        assert!(!container.sees_gone(&held_at(&other, NOBODY)));
        assert!(container.sees_gone(&held_at(&container, NOBODY)));
    }

    #[test]
    fn a_system_that_tells_nothing_but_its_name_judges_by_the_process() {
        let mac = Place { machine: String::new(), boot: String::new(), namespace: String::new(), ..linux() };
        assert!(mac.sees_gone(&held_at(&mac, NOBODY)));
        assert!(!mac.sees_gone(&held_at(&mac, &std::process::id().to_string())));
    }

    #[test]
    fn a_lock_that_says_less_than_ours_is_read_and_not_judged() {
        let mut old = held_at(&linux(), NOBODY);
        old.retain(|key, _| key != MACHINE && key != NAMESPACE);
        assert!(!linux().sees_gone(&old));
        assert!(!linux().sees_gone(&Labels::new()));
        let error = busy("demo", &old);
        assert!(
            error.what.starts_with("another change of demo is under way: `up` by process 2147483646 on "),
            "{error}"
        );
    }
}
