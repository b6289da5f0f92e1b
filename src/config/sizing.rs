//! What `auto` comes to on a machine: heaps, memory limits, JRuby instances, buffers, each with its reason.
//!
//! Pure: the machine is an argument. The limits of the services together never exceed the machine's memory,
//! more memory never makes a service smaller, and what the user set is kept.

use std::fmt;

use serde::Serialize;

use super::model::{Config, PuppetServer};
use super::types::MIB;
use crate::error::{Error, Result};

/// What a server needs beside its heap: metaspace, code cache, threads, JRuby's native memory. Bytes.
pub const SERVER_OVERHEAD: u64 = 600 * MIB;
/// The part of a server's heap that does not depend on JRuby instances. Bytes.
pub const SERVER_BASE: u64 = 512 * MIB;
/// The part of a server's heap that one JRuby instance needs. Bytes.
pub const SERVER_PER_INSTANCE: u64 = 512 * MIB;
/// What PuppetDB needs beside its heap. Bytes.
pub const PUPPETDB_OVERHEAD: u64 = 350 * MIB;
/// What PostgreSQL needs beside its shared buffers: connections, sorting, autovacuum. Bytes.
pub const POSTGRES_OVERHEAD: u64 = 112 * MIB;
/// An agent's memory limit. Agents run one after the other and are not counted among the services. Bytes.
pub const AGENT_MEMORY: u64 = 1024 * MIB;

/// The smallest heaps and buffers that we choose, bytes.
const SERVER_LEAST_HEAP: u64 = 512 * MIB;
const PUPPETDB_LEAST_HEAP: u64 = 256 * MIB;
const POSTGRES_LEAST_BUFFERS: u64 = 48 * MIB;
/// The heap that PuppetDB gets where there is room: Debian's 192 MB is too small for its queue.
const PUPPETDB_GOOD_HEAP: u64 = 512 * MIB;
/// The largest PostgreSQL that we choose, bytes.
const POSTGRES_MOST: u64 = 2048 * MIB;
/// The most JRuby instances that we choose.
const MOST_INSTANCES: u32 = 4;
/// The part of a compiler's heap that does not depend on JRuby instances: it has no CA. Bytes.
const COMPILER_BASE: u64 = 256 * MIB;
/// The balancer's memory limit. Bytes.
pub const BALANCER_MEMORY: u64 = 256 * MIB;

/// What the engine's host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Processors, at least 1.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// As a label holds it: `CPUS/BYTES`.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cpus, self.memory_bytes)
    }
}

impl Machine {
    /// Reads what [`Display`](fmt::Display) wrote.
    pub fn from_label(text: &str) -> Option<Self> {
        let (cpus, memory_bytes) = text.split_once('/')?;
        Some(Machine { cpus: cpus.parse().ok()?, memory_bytes: memory_bytes.parse().ok()? })
    }
}

/// A value and why it is that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure<T> {
    /// The value; sizes are in bytes.
    pub value: T,
    /// One line, lower case.
    pub reason: String,
}

impl<T> Figure<T> {
    fn new(value: T, reason: impl Into<String>) -> Self {
        Figure { value, reason: reason.into() }
    }

    /// A user's value.
    fn set(value: T) -> Self {
        Figure::new(value, "set in pupperware.yaml")
    }
}

/// Puppet Server's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerSizing {
    /// JRuby instances.
    pub jruby_instances: Figure<u32>,
    /// JVM heap, bytes.
    pub heap: Figure<u64>,
    /// Container limit, bytes.
    pub memory: Figure<u64>,
}

/// PuppetDB's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PuppetDbSizing {
    /// JVM heap, bytes.
    pub heap: Figure<u64>,
    /// Container limit, bytes.
    pub memory: Figure<u64>,
}

/// PostgreSQL's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostgresSizing {
    /// Shared buffers, bytes.
    pub shared_buffers: Figure<u64>,
    /// Container limit, bytes.
    pub memory: Figure<u64>,
}

/// Every figure of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sizing {
    /// The machine that all of it is for.
    pub machine: Machine,
    /// The primary.
    pub puppetserver: ServerSizing,
    /// PuppetDB.
    pub puppetdb: PuppetDbSizing,
    /// PostgreSQL.
    pub postgres: PostgresSizing,
    /// Each compiler.
    pub compiler: ServerSizing,
    /// How many compilers the machine's memory carries beside the other services.
    pub most_compilers: u32,
    /// Container limit of one agent, bytes.
    pub agent_memory: Figure<u64>,
    /// What the user should know: a machine that is only just large enough.
    pub warnings: Vec<String>,
}

/// What a service takes: the user's limit, or at least so much and more if there is more.
#[derive(Clone, Copy)]
struct Demand {
    least: u64,
    fixed: bool,
}

impl Demand {
    /// `heap` and `limit` are the user's.
    fn new(limit: Option<u64>, heap: Option<u64>, least: u64, overhead: u64) -> Self {
        match limit {
            Some(limit) => Demand { least: limit, fixed: true },
            None => Demand { least: heap.unwrap_or(least) + overhead, fixed: heap.is_some() },
        }
    }

    fn of(self, share: u64) -> u64 {
        if self.fixed { self.least } else { share.max(self.least) }
    }
}

/// Sizes the platform.
///
/// # Errors
///
/// A usage error when the machine has less memory than the services need at the least (about 1.9 GiB, more
/// if the user asked for more); it says how much is needed and how much there is.
pub fn size(config: &Config, machine: Machine) -> Result<Sizing> {
    let (server, db, pg) = (&config.puppetserver, &config.puppetdb, &config.postgres);
    let (server_heap, db_heap) = (server.heap.set().map(|s| s.bytes()), db.heap.set().map(|s| s.bytes()));
    let buffers = pg.shared_buffers.set().map(|s| s.bytes());
    let limits = [server.memory.set(), db.memory.set(), pg.memory.set()].map(|l| l.map(|l| l.bytes()));
    let [server_limit, db_limit, pg_limit] = limits;

    let wants = [
        Demand::new(server_limit, server_heap, SERVER_LEAST_HEAP, SERVER_OVERHEAD),
        Demand::new(db_limit, db_heap, PUPPETDB_LEAST_HEAP, PUPPETDB_OVERHEAD),
        Demand::new(pg_limit, buffers, POSTGRES_LEAST_BUFFERS, POSTGRES_OVERHEAD),
    ];
    let [for_server, for_db, for_pg] = wants;
    let need: u64 = wants.iter().map(|d| d.least).sum();
    let have = machine.memory_bytes;
    if have < need {
        return Err(too_small(
            need,
            have,
            limits.iter().any(Option::is_some) || server_heap.or(db_heap).or(buffers).is_some(),
        ));
    }

    // The server's share does not depend on what the others choose: so more memory can make nothing smaller.
    // Half of the machine is the server's, also when the user gives it less: a changed heap of the server must
    // not resize, and so restart, the other services.
    let others = for_db.least + for_pg.least;
    let half = (have / 2).min(have - others);
    let server_share = for_server.of(half);
    let spare = have - half.max(for_server.least) - others;
    let db_share = for_db.of(for_db.least + spare / 2);
    let pg_share = for_pg.of((for_pg.least + spare / 4).min(POSTGRES_MOST));

    let mut warnings = Vec::new();
    let puppetserver = server_sizing(server, server_limit, server_heap, server_share, machine, &mut warnings);
    let puppetdb = PuppetDbSizing::choose(db_limit, db_heap, db_share);
    let postgres = PostgresSizing::choose(pg_limit, buffers, pg_share);
    if puppetdb.heap.value < PUPPETDB_GOOD_HEAP && db_heap.is_none() {
        warnings.push(format!(
            "PuppetDB gets a heap of only {}: the machine has {}, and 4g is comfortable",
            show_size(puppetdb.heap.value),
            show_size(have)
        ));
    }
    let compiler = compiler_sizing(config, machine);
    let taken = puppetserver.memory.value + puppetdb.memory.value + postgres.memory.value + BALANCER_MEMORY;
    let most_compilers = u32::try_from(have.saturating_sub(taken) / compiler.memory.value).unwrap_or(u32::MAX);
    let compilers = config.compilers.replicas.get();
    if compilers > most_compilers {
        warnings.push(format!(
            "{compilers} compilers want {} each, and the machine has memory for {most_compilers} beside the other services",
            show_size(compiler.memory.value)
        ));
    }
    Ok(Sizing {
        machine,
        puppetserver,
        puppetdb,
        postgres,
        compiler,
        most_compilers,
        agent_memory: Figure::new(AGENT_MEMORY, "enough for one Puppet run, its package manager included"),
        warnings,
    })
}

fn server_sizing(
    server: &PuppetServer,
    limit: Option<u64>,
    heap: Option<u64>,
    share: u64,
    machine: Machine,
    warnings: &mut Vec<String>,
) -> ServerSizing {
    // A container that may use one and a half processors compiles on two.
    let cpus = server.cpus.map_or(machine.cpus, |c| c.milli().div_ceil(1000).min(machine.cpus)).max(1);
    let room = heap.unwrap_or_else(|| share.saturating_sub(SERVER_OVERHEAD));
    let carried = u32::try_from(room.saturating_sub(SERVER_BASE) / SERVER_PER_INSTANCE).unwrap_or(u32::MAX).max(1);
    let wished = cpus.saturating_sub(1).clamp(1, MOST_INSTANCES);

    let instances = match server.jruby_instances.set() {
        Some(set) => Figure::set(set.get()),
        None if carried < wished => {
            let room = show_size(room);
            Figure::new(carried, format!("{cpus} cores would carry {wished}, but a heap of {room} carries {carried}"))
        }
        None if cpus > MOST_INSTANCES => {
            Figure::new(wished, format!("{cpus} cores; more than {wished} only by request"))
        }
        None if cpus == 1 => Figure::new(wished, "1 core"),
        None => Figure::new(wished, format!("{wished} of {cpus} cores; one is left for the other services")),
    };

    let wanted = SERVER_BASE + SERVER_PER_INSTANCE * u64::from(instances.value);
    let heap = match heap {
        Some(heap) => Figure::set(heap),
        None => {
            let value = wanted.min(whole(room, 64 * MIB)).max(256 * MIB);
            if value < wanted {
                let (got, count) = (show_size(value), jrubies(instances.value));
                let want = show_size(wanted);
                warnings
                    .push(format!("Puppet Server gets a heap of only {got} for {count}, where {want} is comfortable"));
                Figure::new(value, format!("what is left of {} ({want} would be comfortable)", show_size(share)))
            } else {
                Figure::new(value, format!("512m, and 512m for each of {}", jrubies(instances.value)))
            }
        }
    };
    let memory = match limit {
        Some(limit) => Figure::set(limit),
        None => beside(heap.value, SERVER_OVERHEAD, "the heap"),
    };
    ServerSizing { jruby_instances: instances, heap, memory }
}

/// Every compiler is alike, however many there are: another one must not restart those that there are.
fn compiler_sizing(config: &Config, machine: Machine) -> ServerSizing {
    let wished = machine.cpus.saturating_sub(1).clamp(1, MOST_INSTANCES);
    let jruby_instances = config
        .compilers
        .jruby_instances
        .set()
        .map_or_else(|| Figure::new(wished, format!("{} cores", machine.cpus)), |set| Figure::set(set.get()));
    let heap = config.compilers.heap.set().map_or_else(
        || {
            let value = COMPILER_BASE + SERVER_PER_INSTANCE * u64::from(jruby_instances.value);
            Figure::new(value, format!("256m, and 512m for each of {}", jrubies(jruby_instances.value)))
        },
        |set| Figure::set(set.bytes()),
    );
    let memory = beside(heap.value, SERVER_OVERHEAD, "the heap");
    ServerSizing { jruby_instances, heap, memory }
}

impl PuppetDbSizing {
    fn choose(limit: Option<u64>, heap: Option<u64>, share: u64) -> Self {
        let heap = heap.map_or_else(
            || {
                let room = whole(share.saturating_sub(PUPPETDB_OVERHEAD), 64 * MIB).max(256 * MIB);
                match limit {
                    Some(_) => Figure::new(room, "what the memory limit leaves"),
                    None if room < PUPPETDB_GOOD_HEAP => Figure::new(room, "what the machine leaves"),
                    None => Figure::new(PUPPETDB_GOOD_HEAP, "good for some thousand nodes"),
                }
            },
            Figure::set,
        );
        let memory = limit.map_or_else(|| beside(heap.value, PUPPETDB_OVERHEAD, "the heap"), Figure::set);
        PuppetDbSizing { heap, memory }
    }
}

impl PostgresSizing {
    fn choose(limit: Option<u64>, buffers: Option<u64>, share: u64) -> Self {
        let memory = match (limit, buffers) {
            (Some(limit), _) => Figure::set(limit),
            (None, Some(buffers)) => beside(buffers, POSTGRES_OVERHEAD, "the shared buffers"),
            (None, None) => Figure::new(whole(share, 8 * MIB), "a part of what the Puppet services leave"),
        };
        let shared_buffers = buffers.map_or_else(
            || {
                let quarter = whole(memory.value / 4, 8 * MIB);
                let least = POSTGRES_LEAST_BUFFERS.min(whole(memory.value / 2, 8 * MIB)).max(16 * MIB);
                let reason =
                    if quarter > least { "a quarter of the memory limit" } else { "the least that works well" };
                Figure::new(quarter.max(least), reason)
            },
            Figure::set,
        );
        PostgresSizing { shared_buffers, memory }
    }
}

fn beside(inner: u64, overhead: u64, what: &str) -> Figure<u64> {
    Figure::new(inner + overhead, format!("{what} and {} beside it", show_size(overhead)))
}

fn too_small(need: u64, have: u64, set: bool) -> Error {
    let what = format!(
        "the machine is too small: the platform needs {} of memory, there is {}",
        show_size(need),
        show_size(have)
    );
    let hint = if set {
        "ask for less memory in `pupperware.yaml`, or give the engine more"
    } else {
        "give the engine more memory (4g is comfortable)"
    };
    Error::usage(what).hint(hint)
}

fn jrubies(count: u32) -> String {
    format!("{count} JRuby instance{}", if count == 1 { "" } else { "s" })
}

/// Rounds down to a multiple.
fn whole(bytes: u64, unit: u64) -> u64 {
    bytes - bytes % unit
}

/// A size as it is written in the file: `512m`, `2g`; rounded down to mebibytes.
pub fn show_size(bytes: u64) -> String {
    let mib = bytes / MIB;
    if mib > 0 && mib.is_multiple_of(1024) { format!("{}g", mib / 1024) } else { format!("{mib}m") }
}

#[cfg(test)]
#[path = "sizing_tests.rs"]
mod tests;
