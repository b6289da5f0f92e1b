//! `pupperware relay bridge`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cli::relay::bridge::BridgeArgs;
use crate::error::{Error, Result};
use crate::execute::cancel::Cancel;
use crate::relay::bridge::audit::{self, AuditLog};
use crate::relay::bridge::config::BridgeConfig;
use crate::relay::bridge::drive::Workshop;
use crate::relay::bridge::journal::Journal;
use crate::relay::bridge::reporter::{Alarm, Connect, Reporter};
use crate::relay::bridge::service;
use crate::relay::client::relay::RelayApi;
use crate::report::Report;

/// How long what is under way may take when the bridge is asked to end; then the journal has to do.
const GRACE: Duration = Duration::from_secs(10);

/// Works until it is asked to end.
pub(super) async fn run(args: &BridgeArgs, report: &Report) -> Result<u8> {
    let config = BridgeConfig::load(&args.settings)?;
    let relay = config.relay()?;
    let reports = config.reports()?;
    if args.check {
        return check(&config, &relay, report).await;
    }
    let backend = config.runner(reports.clone())?;
    let unusable = |why: String| Error::failed("the bridge cannot start").because(anyhow::anyhow!(why));
    let (journal, runs) = Journal::open(&config.state_dir).map_err(unusable)?;
    let audit = AuditLog::open(&config.state_dir).map_err(unusable)?;
    let warn = report.clone();
    let alarm: Alarm = Arc::new(move |text| warn.warn(text));
    let target = relay.target();
    let connect: Connect = Arc::new(move || Arc::new(relay.another()) as Arc<dyn RelayApi>);
    let reporter = Reporter::start(Arc::clone(&connect), config.rhythm(), Arc::clone(&alarm)).map_err(unusable)?;
    let left = runs.values().filter(|state| !state.closed()).count();
    if left > 0 {
        report.note(format!("going on with {left} runs of an earlier process"));
    }
    let workshop = Workshop {
        connect,
        ledger: Arc::new(journal),
        backend,
        reports,
        policy: config.allow.clone(),
        audit: Arc::new(audit),
        reporter,
        alarm,
        rules: config.rules(),
    };
    let manner = config.manner(args.once);
    if !args.once {
        report.note(format!("taking runs from {target}; Ctrl-C ends this"));
    }
    let cancel = Cancel::listen();
    let (end, shutdown) = watch::channel(false);
    let serving = service::serve(Arc::new(workshop), runs, &manner, shutdown);
    tokio::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = cancel.requested() => {
            end.send_replace(true);
            report.note("ending; what is under way is in the journal");
            tokio::select! {
                _ = &mut serving => {}
                () = tokio::time::sleep(GRACE) => {}
                () = cancel.insisted() => {}
            }
            return Ok(0);
        }
    };
    served.map(|()| 0).map_err(|fatal| Error::failed("the bridge cannot go on").because(fatal))
}

/// Asks everything once that a bridge needs, and says how it went.
async fn check(config: &BridgeConfig, relay: &crate::relay::client::relay::Relay, report: &Report) -> Result<u8> {
    config.runner(None)?;
    if config.state_dir.join(audit::NAME).exists() {
        let lines = audit::verify(&config.state_dir).map_err(Error::failed)?;
        report.note(format!("the audit log is whole: {lines} lines"));
    }
    let listed = relay.list(Duration::ZERO).await;
    let listed =
        listed.map_err(|e| Error::failed(format!("{} does not answer as it should", relay.target())).because(e))?;
    report.note(format!("{} answers; it lists {} runs", relay.target(), listed.runs.len()));
    Ok(0)
}
