//! `pupperware down`: containers and networks go, volumes stay unless they are named.

use super::change::{self, Change, Outcome, confirm};
use super::context::{Context, Extra};
use super::lifecycle::recorded;
use crate::cli::down::DownArgs;
use crate::cli::global::GlobalArgs;
use crate::error::Result;
use crate::plan;
use crate::report::{Report, terminal};

/// Takes the platform down.
pub(super) async fn run(global: &GlobalArgs, args: &DownArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let (engine, observed) = context.observe().await?;
    let plan = |observed: &crate::observed::Observed| plan::down(observed, &args.destroy_data);
    plan(&observed)?;
    // Naming a volume is the consent to lose it; ALL names none, so it takes a yes.
    if !args.change.dry_run && args.destroy_data.iter().any(|d| d == "ALL") {
        confirm(
            &context,
            &format!("destroying ALL data of {}, its certificate authority among it,", context.project()),
        )?;
    }
    let change = Change { command: "down", engine: &engine, release: recorded(&observed), channel: None };
    match change::run(&context, &change, &args.change, &observed, plan).await? {
        Outcome::Nothing => terminal::out(&format!("nothing to do: {} is not up\n", context.project()))?,
        Outcome::Done => {
            terminal::out(&format!("{} is down; its data is kept unless you named it\n", context.project()))?
        }
        Outcome::Shown(_) => {}
    }
    Ok(0)
}
