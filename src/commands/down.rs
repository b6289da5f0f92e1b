//! `pupperware down`: containers and networks go, volumes stay unless they are named.

use super::change::{self, Change, Outcome, confirm};
use super::context::{Context, Extra};
use super::lifecycle::recorded;
use crate::cli::down::DownArgs;
use crate::cli::global::GlobalArgs;
use crate::error::Result;
use crate::plan::{self, Action, Plan};
use crate::report::{Report, terminal};

/// Takes the platform down.
pub(super) async fn run(global: &GlobalArgs, args: &DownArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let (engine, observed) = context.observe().await?;
    let plan = |observed: &crate::observed::Observed| plan::down(observed, &args.destroy_data);
    let first = plan(&observed)?;
    // Naming a volume is the consent to lose it; ALL names none, so it takes a yes.
    if !args.change.dry_run && args.destroy_data.iter().any(|d| d == "ALL") {
        confirm(
            &context,
            &format!("destroying ALL data of {}, its certificate authority included", context.project()),
        )?;
    }
    let change = Change { command: "down", engine: &engine, release: recorded(&observed), channel: None };
    match change::run(&context, &change, &args.change, &observed, async |o| plan(o)).await? {
        Outcome::Nothing => terminal::out(&format!("nothing to do: {} is not up\n", context.project()))?,
        Outcome::Done(_) => terminal::out(&summary(context.project(), &first, observed.volumes.len()))?,
        Outcome::Shown(_) => {}
    }
    Ok(0)
}

/// What is left of the data, in a line; `volumes` is how many there were.
fn summary(project: &str, plan: &Plan, volumes: usize) -> String {
    let destroyed = plan.steps.iter().filter_map(|step| match &step.action {
        Action::RemoveVolume { key, .. } => Some(key.as_str()),
        _ => None,
    });
    let destroyed: Vec<&str> = destroyed.collect();
    let data = if destroyed.is_empty() {
        "its data is kept".into()
    } else if destroyed.len() < volumes {
        format!("removed with their data: {}; all other data is kept", destroyed.join(", "))
    } else {
        format!("nothing is kept, removed with their data: {}", destroyed.join(", "))
    };
    format!("{project} is down; {data}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::labels;
    use crate::engine::found::FoundVolume;
    use crate::observed::Observed;

    #[test]
    fn what_is_left_is_said_in_a_line() {
        let volumes = ["ca", "code", "state"].map(|key| {
            let spec = labels::volume("demo", key);
            (spec.name.clone(), FoundVolume { name: spec.name, labels: spec.labels })
        });
        let observed = Observed { volumes: volumes.into(), ..Observed::default() };
        let said = |destroy: &[&str]| {
            let destroy: Vec<String> = destroy.iter().map(ToString::to_string).collect();
            summary("demo", &plan::down(&observed, &destroy).unwrap(), 3)
        };
        let everything = "demo is down; nothing is kept, removed with their data: ca, code, state\n";
        assert_eq!(said(&[]), "demo is down; its data is kept\n");
        assert_eq!(said(&["code"]), "demo is down; removed with their data: code; all other data is kept\n");
        assert_eq!(said(&["ca", "state", "code"]), everything);
        assert_eq!(said(&["ALL"]), everything);
    }
}
