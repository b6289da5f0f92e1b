//! `scale --advise`: how many compilers the platform's own figures ask for. It looks twice, and changes nothing.

use std::time::Duration;

use serde::Serialize;

use crate::commands::context::{Context, Platform};
use crate::desired::{BALANCER, COMPILER, PRIMARY, labels};
use crate::engine::ExecRequest;
use crate::error::{Error, Result};
use crate::puppet::{api, balancer, metrics};
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::Table;

/// Between the two looks.
const SECONDS: u32 = 20;
/// What part of the time a JRuby instance may work on average: agents come in waves.
const BUSY: f64 = 0.6;

/// What was measured, and what follows.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Advice {
    /// Seconds that it was measured for.
    seconds: u32,
    /// JRuby instances of those that serve agents.
    instances: f64,
    /// How many requests they had in hand on average; those that waited for an instance count, too.
    in_hand: f64,
    /// Requests that wait at the balancer.
    waiting: f64,
    /// How many compilers there are.
    compilers: u32,
    /// How many there should be.
    advised: u32,
    /// Why not more, where more were asked for.
    limit: Option<String>,
}

/// What the advice is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    instances: f64,
    in_hand: f64,
    waiting: f64,
}

/// What the machine can carry.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Machine {
    cpus: u32,
    /// JRuby instances of the primary, and of each compiler.
    primary: u32,
    each: u32,
    /// Compilers that its memory carries.
    most: u32,
}

impl Advice {
    /// Compilers do nothing for a machine whose processors are all busy: there are as many as those can keep at work.
    fn of(compilers: u32, measured: Measured, machine: Machine) -> Self {
        let Measured { instances, in_hand, waiting } = measured;
        let wanted = (in_hand + waiting) / BUSY;
        let fits = wanted <= f64::from(machine.primary);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number that is not negative"
        )]
        let asked = if fits { 0 } else { (wanted / f64::from(machine.each)).ceil().clamp(1.0, 1000.0) as u32 };
        let by_cpus = (machine.cpus / machine.each).max(1);
        let (advised, limit) = if asked <= by_cpus.min(machine.most) {
            (asked, None)
        } else if by_cpus <= machine.most {
            (by_cpus, Some(format!("the machine has {} processors, and more compilers would share them", machine.cpus)))
        } else {
            (machine.most, Some(format!("the machine has memory for {}", machine.most)))
        };
        Advice { seconds: SECONDS, instances, in_hand, waiting, compilers, advised, limit }
    }
}

impl Tabular for Advice {
    fn table(&self) -> Table {
        let mut table = Table::new(["MEASURED", "VALUE"]);
        for (what, value) in [
            ("JRuby instances that serve agents", self.instances),
            ("requests in hand, on average", self.in_hand),
            ("requests that wait at the balancer", self.waiting),
            ("compilers", f64::from(self.compilers)),
            ("compilers advised", f64::from(self.advised)),
        ] {
            table.row([what.into(), format!("{value:.1}").trim_end_matches(".0").into()]);
        }
        table
    }
}

/// Looks, and tells.
pub(super) async fn run(context: &Context, platform: &Platform, output: Output) -> Result<u8> {
    let first = look(platform).await?;
    context.report.note(format!("measuring for {SECONDS} s"));
    tokio::time::sleep(Duration::from_secs(SECONDS.into())).await;
    let second = look(platform).await?;
    let in_hand = (second.worked - first.worked).max(0.0) / f64::from(SECONDS);
    let measured = Measured { instances: second.instances, in_hand, waiting: second.waiting };
    let sizing = &platform.sizing;
    let machine = Machine {
        cpus: sizing.machine.cpus,
        primary: sizing.puppetserver.jruby_instances.value,
        each: sizing.compiler.jruby_instances.value,
        most: sizing.most_compilers,
    };
    let advice = Advice::of(second.compilers, measured, machine);
    print_data(output, &Document::new(advice.clone()))?;
    if let Some(limit) = &advice.limit {
        context.report.note(limit);
    }
    if advice.advised != advice.compilers {
        context.report.note(format!("`pupperware scale compilers={}` brings it about", advice.advised));
    }
    Ok(0)
}

/// One look.
#[derive(Debug, Default)]
struct Look {
    compilers: u32,
    instances: f64,
    /// Seconds that requests took so far, those of all servers added up.
    worked: f64,
    waiting: f64,
}

/// Asks whoever serves agents: the compilers where there are some, else the primary.
async fn look(platform: &Platform) -> Result<Look> {
    let mut look = Look::default();
    let running = |service: &'static str| {
        let of = move |c: &crate::observed::Container| c.label(labels::SERVICE) == service && c.running();
        platform.observed.services().filter(move |(_, c)| of(c))
    };
    let ask = async |container: &str, command: Vec<String>| {
        let request = ExecRequest { container: container.to_owned(), command, ..ExecRequest::default() };
        platform.engine.exec(&request, &mut |_| {}).await
    };
    for (name, _) in running(BALANCER) {
        let figures = balancer::figures(&ask(name, balancer::statistics()).await?.stdout);
        look.waiting = figures.compilers.iter().map(|c| c.queue).sum();
    }
    let mut servers: Vec<(&String, Vec<String>)> = running(COMPILER)
        .map(|(name, c)| (name, api::command_on_compiler(c.label(labels::CERTNAME), "GET", metrics::STATUS)))
        .collect();
    look.compilers = u32::try_from(servers.len()).unwrap_or(u32::MAX);
    if servers.is_empty() {
        servers.extend(running(PRIMARY).map(|(name, _)| (name, api::command("GET", metrics::STATUS, None))));
    }
    if servers.is_empty() {
        return Err(Error::failed("no Puppet Server runs, so there is nothing to measure")
            .hint("start the platform with `pupperware up`"));
    }
    for (name, command) in servers {
        let server = metrics::server(&api::answer(&ask(name, command).await?)?.body)?;
        look.instances += server.jrubies.unwrap_or(0.0);
        look.worked += server.requests.iter().map(|r| r.seconds).sum::<f64>();
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_what_is_in_hand_as_far_as_the_machine_goes() {
        let machine = Machine { cpus: 16, primary: 4, each: 4, most: 3 };
        let advise =
            |in_hand: f64, waiting: f64, machine| Advice::of(1, Measured { instances: 4.0, in_hand, waiting }, machine);
        // The primary alone has time to spare.
        assert_eq!(advise(2.0, 0.0, machine).advised, 0);
        // 4 in hand want 6.7 instances: two compilers.
        let two = advise(4.0, 0.0, machine);
        assert_eq!((two.advised, two.limit), (2, None));
        // What waits is work, too; memory ends it.
        let more = advise(4.0, 20.0, machine);
        assert_eq!(more.advised, 3);
        assert!(more.limit.is_some_and(|l| l.contains("memory for 3")));
        // Two cores are busy with one compiler.
        let small = Machine { cpus: 2, primary: 1, each: 1, most: 8 };
        let busy = advise(30.0, 0.0, small);
        assert_eq!(busy.advised, 2);
        assert!(busy.limit.is_some_and(|l| l.contains("2 processors")));
    }
}
