//! `backup create`.

use std::path::Path;

use crate::backup::{Archive, show_bytes};
use crate::cli::backup::BackupCreateArgs;
use crate::cli::global::GlobalArgs;
use crate::commands::change::{self, Change, Outcome};
use crate::commands::context::{Context, Extra};
use crate::error::Result;
use crate::plan;
use crate::report::{Report, terminal};

/// Writes a backup.
pub(super) async fn run(global: &GlobalArgs, args: &BackupCreateArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let platform = context.platform().await?;
    let order = super::order(&context, args.to.as_deref())?;
    let change = Change {
        command: "backup create",
        engine: &platform.engine,
        release: platform.release.version.clone(),
        channel: None,
    };
    let plan = async |observed: &crate::observed::Observed| plan::backup(&platform.desired, observed, &order);
    if let Outcome::Done(_) = change::run(&context, &change, &args.change, &platform.observed, plan).await? {
        let archive = Archive::open(Path::new(&order.file))?;
        let stored: u64 = archive.manifest.members.iter().map(|m| m.stored_bytes).sum();
        terminal::out(&format!("{} ({})\n", order.file, show_bytes(stored)))?;
        for left_out in &archive.manifest.left_out {
            context.report.note(format!("not in it: {} ({})", left_out.what, left_out.why));
        }
    }
    Ok(0)
}
