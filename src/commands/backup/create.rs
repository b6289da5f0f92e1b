//! `backup create`.

use std::path::{Path, PathBuf};

use super::prune;
use crate::backup::{Archive, folder, show_bytes};
use crate::cli::backup::BackupCreateArgs;
use crate::cli::global::GlobalArgs;
use crate::commands::change::{self, Change, Outcome};
use crate::commands::context::{Context, Extra};
use crate::config::types::{AgeRecipient, Setting};
use crate::error::{Error, Result};
use crate::plan;
use crate::report::{Report, terminal};

/// Writes a backup, and removes old ones where that is asked for.
pub(super) async fn run(global: &GlobalArgs, args: &BackupCreateArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let keep = if args.prune { Some(prune::kept(&context, None)?) } else { None };
    let mut order = super::order(&context, args.to.as_deref())?;
    if !args.recipient.is_empty() {
        order.recipients = recipients(&args.recipient)?;
    }
    let platform = context.platform().await?;
    let change = Change {
        command: "backup create",
        engine: &platform.engine,
        release: platform.release.version.clone(),
        channel: None,
    };
    let plan = async |observed: &crate::observed::Observed| plan::backup(&platform.desired, observed, &order);
    if let Outcome::Done(_) = change::run(&context, &change, &args.change, &platform.observed, plan).await? {
        let file = Path::new(&order.file);
        let archive = Archive::open(file)?;
        let stored: u64 = archive.manifest.members.iter().map(|m| m.stored_bytes).sum();
        let encrypted = if archive.manifest.encrypted() { ", encrypted" } else { "" };
        terminal::out(&format!("{} ({}{encrypted})\n", order.file, show_bytes(stored)))?;
        for left_out in &archive.manifest.left_out {
            context.report.note(format!("not in it: {} ({})", left_out.what, left_out.why));
        }
        if let (Some(keep), Some(place)) = (keep, file.parent()) {
            // Nobody is asked: the number stands in the configuration, and the flag was given.
            let surplus = prune::surplus(context.project(), place, keep, &context.report)?;
            // Whatever a clock says that was set back: not the one that was just made. And nothing that somebody named.
            let doomed = |path: &PathBuf| path != file && folder::is_named_by_us(path, context.project());
            prune::remove(&surplus.into_iter().filter(doomed).collect::<Vec<_>>())?;
        }
    }
    Ok(0)
}

/// Public keys from the command line. What is none is not shown: it may be a private one.
fn recipients(given: &[String]) -> Result<Vec<AgeRecipient>> {
    let mut recipients: Vec<AgeRecipient> = vec![];
    for (number, text) in given.iter().enumerate() {
        let recipient = AgeRecipient::parse(text).map_err(|refusal| {
            let error = Error::usage(format!("--recipient, number {}: {}", number + 1, refusal.reason));
            match refusal.suggestion {
                Some(suggestion) => error.hint(suggestion),
                None => error,
            }
        })?;
        if !recipients.contains(&recipient) {
            recipients.push(recipient);
        }
    }
    Ok(recipients)
}
