//! Checks of the engine's machine: operating system, disk, memory, clock.

use super::Check;
use crate::config::sizing::show_size;
use crate::desired::Desired;
use crate::engine::{Engine, EngineInfo};

/// Seconds that our clock and the engine's may differ: certificates made on one must be valid on the other.
const CLOCK_SKEW: i64 = 300;

pub(super) fn linux(info: &EngineInfo) -> Check {
    if info.os == "linux" || info.os.is_empty() {
        return Check::ok("engine", "engine-linux", "runs Linux containers");
    }
    Check::error(
        "engine",
        "engine-linux",
        format!("the engine runs {} containers, and the platform's images are Linux ones", info.os),
        "switch it to Linux containers",
    )
}

/// Free bytes where the engine keeps its data, as far as that is known.
pub fn free_bytes(engine: &Engine, info: &EngineInfo) -> Option<u64> {
    let stat = engine.is_local().then(|| rustix::fs::statvfs(&info.root_dir).ok())??;
    Some(stat.f_bavail * stat.f_frsize)
}

/// Free space where the engine keeps its data; only known when the engine is on this machine.
pub(super) fn disk(engine: &Engine, info: &EngineInfo, needed_gib: u64) -> Check {
    let id = "disk-space";
    if !engine.is_local() {
        return Check::ok("machine", id, "not known: the engine is on another machine");
    }
    let Some(free) = free_bytes(engine, info) else {
        return Check::ok("machine", id, format!("not known: {} cannot be looked at", info.root_dir));
    };
    let (have, need) = (show_size(free >> 20 << 20), needed_gib << 30);
    if free < need {
        return Check::error(
            "machine",
            id,
            format!("{have} are free in {}, and this needs {needed_gib}g", info.root_dir),
            "free some space; `docker system df` shows what uses it",
        );
    }
    Check::ok("machine", id, format!("{have} free in {}", info.root_dir))
}

/// The sum of the limits against what there is.
pub(super) fn memory(info: &EngineInfo, desired: &Desired) -> Check {
    let wanted: u64 =
        desired.replicas.iter().filter(|r| r.service != "agent").filter_map(|r| r.spec.memory_bytes).sum();
    let (have, want) = (show_size(info.memory_bytes >> 20 << 20), show_size(wanted >> 20 << 20));
    if wanted > info.memory_bytes {
        return Check::error(
            "machine",
            "memory",
            format!("the services may use {want}, and the machine has {have}"),
            "set smaller `memory` and `heap` values in pupperware.yaml; `pupperware config show` tells what is chosen and why",
        );
    }
    Check::ok("machine", "memory", format!("{have}, of which the services may use {want}"))
}

pub(super) fn clock(info: &EngineInfo) -> Check {
    let Ok(theirs) = info.system_time.parse::<jiff::Timestamp>() else {
        return Check::ok("machine", "clock", "the engine does not tell its time");
    };
    let skew = theirs.duration_since(jiff::Timestamp::now()).as_secs();
    if skew.abs() > CLOCK_SKEW {
        return Check::warning(
            "machine",
            "clock",
            format!("the engine's clock is {skew} s from this machine's"),
            "synchronise both (NTP): certificates that are not valid yet are refused",
        );
    }
    Check::ok("machine", "clock", format!("within {} s of this machine's", skew.abs()))
}
