//! Settings that must fit each other. Only what the user wrote is judged; what we choose fits by itself.

use super::reader::Context;
use crate::config::model::Config;
use crate::config::problem::Problem;
use crate::config::sizing::{POSTGRES_OVERHEAD, PUPPETDB_OVERHEAD, SERVER_BASE, SERVER_OVERHEAD, SERVER_PER_INSTANCE};
use crate::config::types::{Addon, EnvironmentTimeout, MIB};

/// Reports what does not fit.
pub fn check(config: &Config, context: &mut Context) {
    if config.has(Addon::Puppetboard) {
        puppetboard(config, context);
    }
    relay(config, context);
    let (server, db, pg) = (&config.puppetserver, &config.puppetdb, &config.postgres);
    let bytes = |size: Option<u64>, or: u64| size.unwrap_or(or);
    let pairs = [
        ("puppetserver", "heap", server.heap.set().map(|s| s.bytes()), server.memory.set(), SERVER_OVERHEAD),
        ("puppetdb", "heap", db.heap.set().map(|s| s.bytes()), db.memory.set(), PUPPETDB_OVERHEAD),
        ("postgres", "shared_buffers", pg.shared_buffers.set().map(|s| s.bytes()), pg.memory.set(), POSTGRES_OVERHEAD),
    ];
    for (service, inner, inside, memory, overhead) in pairs {
        let path = format!("{service}.memory");
        let (Some(memory), Some(span)) = (memory, context.given.get(&path).copied()) else {
            continue;
        };
        let least = if inner == "heap" { 256 * MIB } else { 16 * MIB };
        let want = bytes(inside, least) + overhead;
        if memory.bytes() >= want {
            continue;
        }
        let advice = format!(
            "write `{}m` or more{}",
            want / MIB,
            if inside.is_some() { format!(", or a smaller `{inner}`") } else { String::new() }
        );
        let too_small = memory.bytes() <= bytes(inside, least + overhead - 1);
        let problem = if too_small {
            Problem::error(
                span,
                path,
                format!("{memory} leaves no room for the {inner} and what the service needs beside it"),
            )
        } else {
            Problem::warning(
                span,
                path,
                format!("{memory} is tight: the {inner} and what the service needs beside it come to {}m", want / MIB),
            )
        };
        let problem = problem.suggest(advice);
        let other = context.given.get(&format!("{service}.{inner}")).filter(|_| inside.is_some());
        context.problems.push(match other {
            Some(other) => problem.relate(*other, format!("the {inner} is given here")),
            None => problem,
        });
    }

    if let (Some(instances), Some(heap), Some(span)) =
        (server.jruby_instances.set(), server.heap.set(), context.given.get("puppetserver.heap").copied())
    {
        let want = SERVER_BASE + SERVER_PER_INSTANCE * u64::from(instances.get());
        if heap.bytes() < want {
            let message = format!("{heap} is little for {instances} JRuby instances");
            context.problems.push(
                Problem::warning(span, "puppetserver.heap", message)
                    .suggest(format!("`{}m` is what we would choose; or write `heap: auto`", want / MIB)),
            );
        }
    }

    if let EnvironmentTimeout::For(ttl) = server.environment_timeout
        && ttl.seconds() > 0
        && let Some(span) = context.given.get("puppetserver.environment_timeout").copied()
    {
        let message = "between 0 and `unlimited`, JRuby instances can serve different versions of the code";
        context.problems.push(
            Problem::warning(span, "puppetserver.environment_timeout", message).suggest("write `0` or `unlimited`"),
        );
    }
}

/// Rules that no report comes to tell nobody anything.
fn relay(config: &Config, context: &mut Context) {
    let given = |path: &str| context.given.get(path).copied();
    let (rules, reports) = (given("relay.rules"), given("relay.reports"));
    let mut warn = |span, path: &str, message: &str, other: Option<_>| {
        let problem = Problem::warning(span, path, message);
        context.problems.push(match other {
            Some((span, what)) => problem.relate(span, what),
            None => problem,
        });
    };
    if !config.has(Addon::Relay) {
        let given = [(rules, "relay.rules"), (reports.filter(|_| config.relay.reports == Some(true)), "relay.reports")];
        for (span, path) in given.into_iter().filter_map(|(span, path)| Some((span?, path))) {
            warn(span, path, "is of no use while the Relay server is switched off", None);
        }
    } else if let (Some(rules), Some(reports), Some(false)) = (rules, reports, config.relay.reports) {
        let other = Some((reports, "reports are switched off here"));
        warn(rules, "relay.rules", "no report comes to these rules", other);
    }
}

/// Two services cannot have one port, and one of them has no login.
fn puppetboard(config: &Config, context: &mut Context) {
    let (server, board) = (config.puppetserver.publish, config.puppetboard.publish);
    let given = |path: &str| context.given.get(path).copied();
    let (theirs, ours) = (given("puppetserver.publish"), given("puppetboard.publish"));
    let meet =
        server.address() == board.address() || server.address().is_unspecified() || board.address().is_unspecified();
    if let Some(span) = ours.or(theirs).filter(|_| meet && server.port() == board.port()) {
        let path = if ours.is_some() { "puppetboard.publish" } else { "puppetserver.publish" };
        let message = format!("puppetserver and puppetboard would both be published on port {}", board.port());
        let problem = Problem::error(span, path, message).suggest("choose another port for one of them");
        context.problems.push(match theirs.filter(|_| ours.is_some()) {
            Some(theirs) => problem.relate(theirs, "the server's is given here"),
            None => problem,
        });
    }
    if let Some(span) = ours.filter(|_| !board.address().is_loopback()) {
        let message = "Puppetboard has no login: whoever reaches this address reads the facts and reports of all nodes";
        let advice = format!("write `{}`, and put a proxy that asks who is there before it", board.port());
        context.problems.push(Problem::warning(span, "puppetboard.publish", message).suggest(advice));
    }
}
