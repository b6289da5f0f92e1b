//! `pupperware scale`: other numbers of compilers and agents, by the pipeline of `up`.

mod advice;

use super::change::{self, Change, Outcome};
use super::context::{Context, Extra, Platform};
use crate::checks;
use crate::cli::global::GlobalArgs;
use crate::cli::scale::{ScaleArgs, Wanted};
use crate::config::sizing::show_size;
use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::plan::{self, Scale};
use crate::report::{Report, terminal};

/// Does it.
pub(super) async fn run(global: &GlobalArgs, args: &ScaleArgs, report: &Report) -> Result<u8> {
    let scale = asked(&args.wanted)?;
    let context = Context::new(global, &Extra { scale, ..Extra::default() }, report)?;
    let platform = context.platform().await?;
    if platform.observed.record.is_none() {
        return Err(Error::failed(format!("there is no platform {} that could be scaled", context.project()))
            .hint("create it with `pupperware up`"));
    }
    if args.advise {
        return advice::run(&context, &platform, args.change.output).await;
    }
    if !args.force {
        refuse_too_many(&platform, scale)?;
    }
    let desired = &platform.desired;
    let plan = |observed: &Observed| plan::scale(desired, observed, scale);
    if !args.change.dry_run {
        checks::before_up(&platform.engine, &platform.info, desired, &platform.observed, &plan(&platform.observed)?)?;
    }
    let change = Change {
        command: "scale",
        engine: &platform.engine,
        release: platform.release.version.clone(),
        channel: desired.channel.clone(),
    };
    let (compilers, agents) =
        (desired.compilers().count(), desired.replicas.iter().filter(|r| r.service == "agent").count());
    let has = format!("{} has {}, {}", desired.project, count(compilers, "compiler"), count(agents, "agent"));
    match change::run(&context, &change, &args.change, &platform.observed, async |o| plan(o)).await? {
        Outcome::Shown(_) => {}
        Outcome::Nothing => terminal::out(&format!("nothing to do: {has}\n"))?,
        Outcome::Done(_) => terminal::out(&format!("{has}, proved\n"))?,
    }
    Ok(0)
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The numbers, each named once.
fn asked(wanted: &[Wanted]) -> Result<Scale> {
    let mut scale = Scale::default();
    for one in wanted {
        let (what, place, number) = match one {
            Wanted::Compilers(n) => ("compilers", &mut scale.compilers, n.get()),
            Wanted::Agents(n) => ("agents", &mut scale.agents, n.get()),
        };
        if place.replace(number).is_some() {
            return Err(Error::usage(format!("{what} is given twice")).hint("name each number once"));
        }
    }
    Ok(scale)
}

/// Fewer than there are is always fine.
fn refuse_too_many(platform: &Platform, scale: Scale) -> Result<()> {
    let sizing = &platform.sizing;
    let (Some(wanted), most) = (scale.compilers, sizing.most_compilers) else { return Ok(()) };
    let there = platform.observed.record.as_ref().and_then(|r| r.scale.compilers).unwrap_or(0);
    if wanted <= most || wanted <= there {
        return Ok(());
    }
    let each = show_size(sizing.compiler.memory.value);
    Err(Error::refused(format!(
        "the machine has no memory for {wanted} compilers: each takes up to {each}, and there is room for {most}"
    ))
    .hint("ask for fewer, give each less with `compilers.heap` in pupperware.yaml, or take the risk with `--force`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_named_once() {
        let parse = |words: &[&str]| asked(&words.iter().map(|w| w.parse().unwrap()).collect::<Vec<_>>());
        assert_eq!(parse(&["compilers=2", "agents=3"]).unwrap(), Scale { compilers: Some(2), agents: Some(3) });
        assert!(parse(&["compilers=2", "compilers=3"]).is_err());
    }
}
