//! Gathers the figures: the engine's of all containers, and what Puppet Server and PuppetDB tell of themselves.
//!
//! A service that does not answer is a figure, too; only an engine that does not is a failure.

use std::time::Duration;

use jiff::Timestamp;

use crate::commands::status::{Drift, Status};
use crate::desired::{BALANCER, COMPILER, PRIMARY, labels};
use crate::engine::{Engine, ExecRequest};
use crate::error::{Error, Result};
use crate::observed::{self, Observed};
use crate::puppet::balancer::{self, Figures};
use crate::puppet::metrics::{self, Database, Jvm, Server};
use crate::puppet::{api, puppetdb};
use crate::report::exposition::Exposition;

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Where figures come from.
pub(super) struct Source {
    pub(super) engine: Engine,
    pub(super) project: String,
}

/// What a service tells of itself.
enum Told {
    Server(Server),
    Database(Database),
    Balancer(Figures),
}

/// One container with what could be learned of it.
struct Looked {
    memory: Option<u64>,
    /// Nothing for services that tell nothing.
    told: Option<Result<Told>>,
}

impl Source {
    /// Asks the engine and all services, side by side.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn gather(&self) -> Result<Exposition> {
        let observed = observed::snapshot(&self.engine, &self.project, &[]).await?;
        let status = Status::of(&self.project, &observed, Drift::unknown());
        let mut text = Exposition::default();
        platform(&mut text, &status);
        let replicas: Vec<(&str, &str)> = status
            .services
            .iter()
            .flat_map(|s| s.replicas.iter().map(|r| (s.name.as_str(), r.name.as_str())))
            .filter(|(_, name)| running(&observed, name))
            .collect();
        let looks = replicas.iter().map(|(service, name)| {
            let certname = observed.containers.get(*name).map_or("", |c| c.label(labels::CERTNAME));
            self.look(service, name, certname)
        });
        let looked = futures_util::future::join_all(looks).await;
        for ((service, name), looked) in replicas.iter().zip(looked) {
            let labels = [("service", *service), ("container", *name)];
            if let Some(memory) = looked.memory {
                text.gauge(
                    "pupperware_container_memory_bytes",
                    "Memory that the container uses.",
                    &labels,
                    whole(memory),
                );
            }
            let Some(told) = looked.told else { continue };
            if let Err(error) = &told {
                tracing::warn!(%error, container = name, "a service does not tell its figures");
            }
            text.gauge(
                "pupperware_service_answers",
                "1 when the service told its figures.",
                &labels,
                flag(told.is_ok()),
            );
            match told {
                Ok(Told::Server(server)) => of_server(&mut text, &labels, &server),
                Ok(Told::Database(database)) => of_database(&mut text, &labels, &database),
                Ok(Told::Balancer(figures)) => of_balancer(&mut text, &labels, &figures),
                Err(_) => {}
            }
        }
        Ok(text)
    }

    async fn look(&self, service: &str, name: &str, certname: &str) -> Looked {
        let told = async {
            match service {
                PRIMARY => Some(patiently(self.server(name, api::command("GET", metrics::STATUS, None))).await),
                COMPILER => {
                    let command = api::command_on_compiler(certname, "GET", metrics::STATUS);
                    Some(patiently(self.server(name, command)).await)
                }
                BALANCER => Some(patiently(self.balancer(name)).await),
                "puppetdb" => Some(patiently(self.database(name)).await),
                _ => None,
            }
        };
        let memory = async { self.engine.memory(name).await.ok().flatten() };
        let (memory, told) = tokio::join!(memory, told);
        Looked { memory, told }
    }

    async fn balancer(&self, name: &str) -> Result<Told> {
        let command = bounded(balancer::statistics());
        let request = ExecRequest { container: name.into(), command, ..ExecRequest::default() };
        let output = self.engine.exec(&request, &mut |_| {}).await?;
        match output.code {
            0 => Ok(Told::Balancer(balancer::figures(&output.stdout))),
            _ => {
                Err(Error::failed("the balancer does not tell its figures").details([output.stderr.trim().to_owned()]))
            }
        }
    }

    async fn server(&self, name: &str, command: Vec<String>) -> Result<Told> {
        let command = bounded(command);
        let request = ExecRequest { container: name.into(), command, ..ExecRequest::default() };
        let answer = api::answer(&self.engine.exec(&request, &mut |_| {}).await?)?;
        Ok(Told::Server(metrics::server(&answer.body)?))
    }

    async fn database(&self, name: &str) -> Result<Told> {
        let ask = async |command| {
            let request = ExecRequest { container: name.into(), command: bounded(command), ..ExecRequest::default() };
            let output = self.engine.exec(&request, &mut |_| {}).await?;
            match output.code {
                0 => Ok(output.stdout),
                _ => Err(Error::failed("PuppetDB does not answer").details([output.stderr.trim().to_owned()])),
            }
        };
        let status = ask(puppetdb::status()).await?;
        Ok(Told::Database(metrics::database(&status, &ask(puppetdb::queue()).await?)?))
    }
}

/// A request that ends in its container, too, when nobody waits for it any more: scrapes would pile up beside a service
/// that hangs.
fn bounded(command: Vec<String>) -> Vec<String> {
    let mut words = vec!["timeout".to_owned(), PATIENCE.as_secs().to_string()];
    words.extend(command);
    words
}

async fn patiently(asked: impl Future<Output = Result<Told>>) -> Result<Told> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(Error::failed("no answer in time")))
}

fn running(observed: &Observed, name: &str) -> bool {
    observed.containers.get(name).is_some_and(observed::Container::running)
}

/// What the engine and the record tell.
fn platform(text: &mut Exposition, status: &Status) {
    let labels = [
        ("release", status.release.as_deref().unwrap_or_default()),
        ("channel", status.channel.as_deref().unwrap_or_default()),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    text.gauge("pupperware_info", "What runs, and the version of the program that tells.", &labels, 1.0);
    let help = "1 when the platform is proved as it runs now.";
    text.gauge("pupperware_proved", help, &[], flag(status.proved));
    if let Some(at) = status.proved_at.as_deref().and_then(epoch) {
        text.gauge("pupperware_proof_time_seconds", "When it was proved last, since the epoch.", &[], at);
    }
    if let Some((backup, at)) = status.backup.as_ref().and_then(|b| Some((b, epoch(&b.finished_at)?))) {
        text.gauge(
            "pupperware_backup_time_seconds",
            "When the last good backup was finished, since the epoch.",
            &[],
            at,
        );
        let help = "1 when the last good backup was restored elsewhere, and proved.";
        text.gauge("pupperware_backup_verified", help, &[], flag(backup.verified_at.is_some()));
    }
    for service in &status.services {
        for replica in &service.replicas {
            let labels = [("service", service.name.as_str()), ("container", replica.name.as_str())];
            let since = replica.since.as_deref().and_then(epoch);
            text.gauge("pupperware_service_up", "1 while the container runs.", &labels, flag(since.is_some()));
            text.gauge("pupperware_service_ready", "1 while the service is ready.", &labels, flag(replica.ready));
            if let Some(since) = since {
                let help = "When the container started, since the epoch.";
                text.gauge("pupperware_service_start_time_seconds", help, &labels, since);
            }
        }
    }
}

fn of_jvm(text: &mut Exposition, labels: &[(&'static str, &str)], jvm: &Jvm) {
    for (name, help, value) in [
        ("pupperware_jvm_heap_used_bytes", "Heap in use.", jvm.heap_used),
        ("pupperware_jvm_heap_max_bytes", "What the heap may grow to.", jvm.heap_max),
        ("pupperware_jvm_non_heap_used_bytes", "Memory in use beside the heap.", jvm.non_heap_used),
        ("pupperware_jvm_start_time_seconds", "When the virtual machine started, since the epoch.", jvm.start_time),
        ("pupperware_jvm_threads", "Threads.", jvm.threads),
        ("pupperware_jvm_open_files", "Open files.", jvm.open_files),
    ] {
        if let Some(value) = value {
            text.gauge(name, help, labels, value);
        }
    }
    if let Some(seconds) = jvm.gc_seconds {
        text.counter("pupperware_jvm_gc_seconds_total", "Time spent collecting garbage.", labels, seconds);
    }
}

fn of_server(text: &mut Exposition, labels: &[(&'static str, &str)], server: &Server) {
    of_jvm(text, labels, &server.jvm);
    if let Some(catalogs) = &server.catalogs {
        let name = "pupperware_puppetserver_catalogs_compiled_total";
        text.counter(name, "Catalogs compiled.", labels, catalogs.count);
        let name = "pupperware_puppetserver_catalog_compile_seconds_total";
        text.counter(name, "Time that compiling them took.", labels, catalogs.seconds);
    }
    for route in &server.requests {
        let labels = [labels, &[("route", route.name.as_str())]].concat();
        text.counter("pupperware_puppetserver_requests_total", "Requests answered.", &labels, route.count);
        let name = "pupperware_puppetserver_request_seconds_total";
        text.counter(name, "Time that answering them took.", &labels, route.seconds);
    }
    if let Some(all) = server.jrubies {
        text.gauge("pupperware_puppetserver_jrubies", "JRuby instances.", labels, all);
    }
    if let Some(free) = server.jrubies_free {
        text.gauge("pupperware_puppetserver_jrubies_free", "JRuby instances that wait for work.", labels, free);
    }
    if let Some(count) = server.borrow_timeouts {
        let name = "pupperware_puppetserver_jruby_timeouts_total";
        text.counter(name, "Requests for which no JRuby instance came free in time.", labels, count);
    }
}

fn of_balancer(text: &mut Exposition, labels: &[(&'static str, &str)], figures: &Figures) {
    let name = "pupperware_balancer_connections";
    text.gauge(name, "Connections of agents.", labels, figures.connections);
    for compiler in &figures.compilers {
        let labels = [labels, &[("compiler", compiler.number.as_str())]].concat();
        text.gauge("pupperware_balancer_compiler_up", "1 while it is sent requests.", &labels, flag(compiler.up));
        text.gauge("pupperware_balancer_requests", "Requests that a compiler has.", &labels, compiler.requests);
        text.gauge("pupperware_balancer_queue", "Requests that wait for a compiler.", &labels, compiler.queue);
        for (name, help, seconds) in [
            (
                "pupperware_balancer_wait_seconds",
                "How long the last 1024 requests waited, on average.",
                compiler.waited,
            ),
            (
                "pupperware_balancer_answer_seconds",
                "How long the last 1024 answers took, on average.",
                compiler.answered,
            ),
        ] {
            text.gauge(name, help, &labels, seconds);
        }
        for (name, help, count) in [
            ("pupperware_balancer_requests_total", "Requests that a compiler was sent.", compiler.total),
            ("pupperware_balancer_retries_total", "Requests that were sent again.", compiler.retries),
            ("pupperware_balancer_errors_total", "Requests that a compiler did not answer.", compiler.errors),
        ] {
            text.counter(name, help, &labels, count);
        }
    }
}

fn of_database(text: &mut Exposition, labels: &[(&'static str, &str)], database: &Database) {
    of_jvm(text, labels, &database.jvm);
    if let Some(depth) = database.queue_depth {
        text.gauge("pupperware_puppetdb_queue_depth", "Commands that wait to be stored.", labels, depth);
    }
    if let Some(writable) = database.writable {
        let help = "1 while PostgreSQL can be written.";
        text.gauge("pupperware_puppetdb_database_writable", help, labels, flag(writable));
    }
    for (outcome, count) in &database.commands {
        let labels = [labels, &[("outcome", *outcome)]].concat();
        text.counter("pupperware_puppetdb_commands_total", "Commands by what came of them.", &labels, *count);
    }
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory, far below 2^53")]
fn whole(value: u64) -> f64 {
    value as f64
}

/// RFC 3339 to seconds since the epoch, as Prometheus counts.
fn epoch(time: &str) -> Option<f64> {
    let time: Timestamp = time.parse().ok()?;
    Some(time.as_duration().as_secs_f64())
}
