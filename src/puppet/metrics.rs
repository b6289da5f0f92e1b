//! Figures that Puppet Server and PuppetDB tell of themselves: the answers of their status and metrics services, read.
//!
//! Both have them behind TLS, and are asked inside their containers. Puppet Server's own `/metrics/v2` stays closed to
//! everybody (auth.conf); its status service tells the same at the level `debug`. An answer without a figure, of another
//! line or a later version, has `None` or nothing in its place.

use serde_json::Value;

use crate::error::{Error, Result};

/// Where either service tells its status with all figures.
pub const STATUS: &str = "/status/v1/services?level=debug";
/// Where PuppetDB tells of its queue.
pub const QUEUE: &str = "/metrics/v2/read/puppetlabs.puppetdb.mq:name=global.";
/// Figures of the queue that count up, by PuppetDB's names.
pub const QUEUE_COUNTERS: [&str; 4] = ["processed", "retried", "discarded", "fatal"];

/// A Java virtual machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Jvm {
    /// Heap in use, bytes.
    pub heap_used: Option<f64>,
    /// What the heap may grow to, bytes.
    pub heap_max: Option<f64>,
    /// Memory in use beside the heap, bytes.
    pub non_heap_used: Option<f64>,
    /// When it started, seconds since the epoch.
    pub start_time: Option<f64>,
    /// Seconds of collecting garbage so far, all collectors.
    pub gc_seconds: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
    /// Open files.
    pub open_files: Option<f64>,
}

/// Things that happened, and how long all of them took.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed {
    /// Of which sort; empty where there is only one.
    pub name: String,
    /// How many.
    pub count: f64,
    /// Seconds.
    pub seconds: f64,
}

/// Puppet Server's figures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Server {
    /// Its virtual machine.
    pub jvm: Jvm,
    /// Catalogs compiled.
    pub catalogs: Option<Timed>,
    /// Requests by route.
    pub requests: Vec<Timed>,
    /// JRuby instances.
    pub jrubies: Option<f64>,
    /// Those that wait for work.
    pub jrubies_free: Option<f64>,
    /// How often one was asked for and none came in time.
    pub borrow_timeouts: Option<f64>,
}

/// PuppetDB's figures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Database {
    /// Its virtual machine.
    pub jvm: Jvm,
    /// Commands that wait to be stored.
    pub queue_depth: Option<f64>,
    /// Whether PostgreSQL can be written.
    pub writable: Option<bool>,
    /// Commands by what came of them: `processed`, `retried`, `discarded`, `fatal`.
    pub commands: Vec<(&'static str, f64)>,
}

/// Reads Puppet Server's status.
///
/// # Errors
/// The answer is not JSON.
pub fn server(status: &str) -> Result<Server> {
    let status = parse(status)?;
    // It is called `master` beside, as it was until Puppet 6.
    let service = ["server", "master"].iter().map(|name| &status[*name]["status"]["experimental"]);
    let requests = service.map(|s| timed(&s["http-metrics"], "route-id")).find(|r| !r.is_empty()).unwrap_or_default();
    let profiler = &status["puppet-profiler"]["status"]["experimental"];
    let catalogs = timed(&profiler["catalog-metrics"], "metric").into_iter().find(|t| t.name == "compile");
    let jrubies = &status["jruby-metrics"]["status"]["experimental"]["metrics"];
    Ok(Server {
        jvm: jvm(&status),
        catalogs,
        // The sum of all the others.
        requests: requests.into_iter().filter(|r| r.name != "total").collect(),
        jrubies: jrubies["num-jrubies"].as_f64(),
        jrubies_free: jrubies["num-free-jrubies"].as_f64(),
        borrow_timeouts: jrubies["borrow-timeout-count"].as_f64(),
    })
}

/// Reads PuppetDB's status, and its answers about the queue, one a line.
///
/// # Errors
/// The status is not JSON.
pub fn database(status: &str, queue: &str) -> Result<Database> {
    let status = parse(status)?;
    let own = &status["puppetdb-status"]["status"];
    let answers: Vec<Value> = queue.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let commands = QUEUE_COUNTERS.iter().filter_map(|name| {
        let bean = format!("puppetlabs.puppetdb.mq:name=global.{name}");
        let answer = answers.iter().find(|a| a["request"]["mbean"] == *bean)?;
        Some((*name, answer["value"]["Count"].as_f64()?))
    });
    Ok(Database {
        jvm: jvm(&status),
        queue_depth: own["queue_depth"].as_f64(),
        writable: own["write_dbs_up?"].as_bool().or_else(|| own["write_db_up?"].as_bool()),
        commands: commands.collect(),
    })
}

fn parse(status: &str) -> Result<Value> {
    serde_json::from_str(status).map_err(|e| Error::failed("the status is not JSON").because(e))
}

fn jvm(status: &Value) -> Jvm {
    let jvm = &status["status-service"]["status"]["experimental"]["jvm-metrics"];
    let collectors = jvm["gc-stats"].as_object().into_iter().flat_map(|all| all.values());
    let times: Vec<f64> = collectors.filter_map(|c| c["total-time-ms"].as_f64()).collect();
    Jvm {
        heap_used: jvm["heap-memory"]["used"].as_f64(),
        heap_max: jvm["heap-memory"]["max"].as_f64(),
        non_heap_used: jvm["non-heap-memory"]["used"].as_f64(),
        start_time: jvm["start-time-ms"].as_f64().map(seconds),
        gc_seconds: (!times.is_empty()).then(|| seconds(times.iter().sum())),
        threads: jvm["threading"]["thread-count"].as_f64(),
        open_files: jvm["file-descriptors"]["used"].as_f64(),
    }
}

/// Rows of name, count and all their milliseconds.
fn timed(rows: &Value, name: &str) -> Vec<Timed> {
    let row = |row: &Value| {
        Some(Timed {
            name: row[name].as_str()?.to_owned(),
            count: row["count"].as_f64()?,
            seconds: seconds(row["aggregate"].as_f64()?),
        })
    };
    rows.as_array().into_iter().flatten().filter_map(row).collect()
}

fn seconds(milliseconds: f64) -> f64 {
    milliseconds / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const JVM: &str = r#""status-service":{"status":{"experimental":{"jvm-metrics":{
        "heap-memory":{"used":80630328,"max":518979584},"non-heap-memory":{"used":22262296,"max":-1},
        "gc-stats":{"Copy":{"count":5,"total-time-ms":3196},"MarkSweepCompact":{"count":2,"total-time-ms":2470}},
        "threading":{"thread-count":51},"file-descriptors":{"used":331,"max":20000},
        "start-time-ms":1795273199605}}}}"#;

    #[test]
    fn puppet_servers_figures_are_read() {
        let status = format!(
            r#"{{{JVM},
            "puppet-profiler":{{"status":{{"experimental":{{"catalog-metrics":[
                {{"metric":"find_facts","count":1,"mean":97,"aggregate":97}},
                {{"metric":"compile","count":2,"mean":1276,"aggregate":2552}}]}}}}}},
            "jruby-metrics":{{"status":{{"experimental":{{"metrics":{{
                "num-jrubies":2,"num-free-jrubies":1,"borrow-timeout-count":0}}}}}}}},
            "master":{{"status":{{"experimental":{{"http-metrics":[
                {{"route-id":"total","count":6,"mean":1434,"aggregate":8604}},
                {{"route-id":"puppet-v3-report-/*/","count":6,"mean":1434,"aggregate":8604}}]}}}}}}}}"#
        );
        let server = server(&status).unwrap();
        assert_eq!(server.catalogs, Some(Timed { name: "compile".into(), count: 2.0, seconds: 2.552 }));
        assert_eq!((server.jrubies, server.jrubies_free, server.borrow_timeouts), (Some(2.0), Some(1.0), Some(0.0)));
        assert_eq!(server.requests.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["puppet-v3-report-/*/"]);
        assert_eq!(server.jvm.heap_max, Some(518_979_584.0));
        assert_eq!(server.jvm.gc_seconds, Some(5.666));
        assert_eq!(server.jvm.start_time, Some(1_795_273_199.605));
    }

    #[test]
    fn puppetdbs_figures_are_read() {
        let status = format!(r#"{{{JVM},"puppetdb-status":{{"status":{{"queue_depth":3,"write_dbs_up?":true}}}}}}"#);
        let queue = "{\"request\":{\"mbean\":\"puppetlabs.puppetdb.mq:name=global.processed\"},\"value\":{\"Count\":7}}\nForbidden\n";
        let database = database(&status, queue).unwrap();
        assert_eq!((database.queue_depth, database.writable), (Some(3.0), Some(true)));
        assert_eq!(database.commands, [("processed", 7.0)]);
        assert_eq!(database.jvm.threads, Some(51.0));
    }

    #[test]
    fn what_is_not_told_is_not_invented() {
        assert_eq!(server("{}").unwrap(), Server::default());
        assert_eq!(database("{}", "").unwrap(), Database::default());
        assert!(server("Forbidden request").is_err());
    }
}
