//! What each kind of step does with the engine. No decisions: those were made in `plan`.

use jiff::Timestamp;

use super::{
    Context, backup_steps, ca_steps, code_steps, compare_steps, compiler_steps, crl_steps, ends_container, hook_steps,
    image_steps, node_steps, prove, record_steps, restore_steps, secret_steps, upgrade_steps, wait,
};
use crate::desired::{Private, labels};
use crate::engine::found::FoundNetwork;
use crate::engine::spec::{ContainerSpec, NetworkSpec};
use crate::engine::{EngineError, FileEntry};
use crate::error::{Error, Result};
use crate::journal::{self, lock};
use crate::plan::Action;
use crate::puppet::ca;

/// Does it; returns what is worth a word to the user.
pub(super) async fn run(context: &Context, id: usize, action: &Action) -> Result<Option<String>> {
    let engine = &context.engine;
    if let Some(name) = ends_container(action) {
        context.expected.stopping(name);
    }
    match action {
        Action::PullImage { component, reference } => image_steps::pull(context, id, component, reference).await?,
        Action::MakeBase { debian } => return image_steps::make_base(context, id, debian).await,
        Action::BuildImage { image } => return image_steps::build(context, id, image).await,
        Action::CreateNetwork { spec } => create_network(context, spec).await?,
        Action::RemoveNetwork { name } => engine.remove_network(name).await?,
        Action::CreateVolume { spec, .. } => {
            // Tells this volume from any other that may once have the name; the engine's own date moves with writes.
            let mut spec = spec.clone();
            spec.labels.insert(labels::MADE.into(), journal::now());
            engine.create_volume(&spec).await?;
        }
        Action::RemoveVolume { key, name, .. } => {
            if key == "state" {
                // The lock holds this volume for the journal; with nothing left to guard or to tell, both end here.
                engine.remove_container(&context.lock).await?;
            }
            engine.remove_volume(name).await?;
        }
        Action::PlaceFiles { key, volume, files, private } => place(context, key, volume, files, private).await?,
        Action::IssueCredentials { task, request, certificates } => {
            return issue(context, id, task, request, certificates).await;
        }
        Action::RecordIssued { request, volumes } => record_steps::issued(context, request, volumes).await?,
        Action::RecordRetired { certname, volume } => record_steps::retired(context, certname, volume).await?,
        Action::RecordRotation { secret, under_way } => record_steps::rotation(context, secret, *under_way).await?,
        Action::RenewSecret { task, request, .. } => secret_steps::renew(context, task, request).await?,
        Action::MakeKeyPair { task, request } => return secret_steps::key_pair(context, task, request).await,
        Action::CloseSsh { task, request } => secret_steps::close_ssh(context, task, request).await?,
        Action::WithdrawTokens { primary } => return ca_steps::withdraw_tokens(context, primary).await,
        Action::ImportCa { task, serial, files, key } => {
            ca_steps::import(context, task, serial, files, key).await?;
        }
        Action::SetPassword { postgres } => secret_steps::set_password(context, postgres).await?,
        Action::CreateContainer { spec, .. } => match engine.create_container(spec).await {
            Err(e) if e.is_conflict() => ours_or(context, spec, e).await?,
            other => {
                other?;
            }
        },
        Action::StartContainer { name, .. } => start(context, name).await?,
        Action::WaitReady { name, service } => wait::ready(context, id, name, service).await?,
        Action::StopContainer { name, grace_seconds, .. } => engine.stop_container(name, *grace_seconds).await?,
        Action::RemoveContainer { name, .. } => engine.remove_container(name).await?,
        Action::Prove { agent, certname, puppetdb } => {
            let report = prove::prove(context, id, agent, certname, puppetdb).await?;
            *context.proof.lock().expect("not held over a panic") = Some(report);
            return Ok(Some(format!("{certname} applied its catalog, and its report is in PuppetDB")));
        }
        Action::RunAgent { agent, certname } => prove::unchanged(context, agent, certname).await?,
        Action::SignCertificate { primary, certname } => ca_steps::sign(context, primary, certname).await?,
        Action::RevokeCertificate { primary, certname } => ca_steps::revoke(context, primary, certname).await?,
        Action::RemoveCertificate { primary, certname } => ca_steps::remove(context, primary, certname).await?,
        Action::PushCrl { primary, copy } => crl_steps::push(context, id, primary, copy).await?,
        Action::MakeCanary { primary, certname } => crl_steps::make_canary(context, primary, certname).await?,
        Action::VerifyRefusal { primary, certname, copy } => {
            crl_steps::verify(context, primary, certname, copy).await?;
        }
        Action::PlaceToken { primary, certname, hash } => {
            ca_steps::place_token(context, primary, certname, hash).await?;
        }
        Action::DeactivateNode { puppetdb, certname } => node_steps::deactivate(context, puppetdb, certname).await?,
        Action::StageCode { task, files, seconds } => {
            return context.work(code_steps::stage(context, id, task, files, *seconds)).await;
        }
        Action::SwitchCode { task } => return code_steps::switch(context, id, task).await,
        Action::CheckCode { task, seconds } => return code_steps::check(context, id, task, *seconds).await,
        Action::FlushEnvironments { server, compiler } => {
            code_steps::flush(context, server, compiler.as_deref()).await?;
        }
        Action::EnrolCompilers { primary, certnames, task, request } => {
            return compiler_steps::enrol(context, primary, certnames, task, request).await;
        }
        Action::Balance { balancer, members } => compiler_steps::balance(context, balancer, members).await?,
        Action::HoldRequests { balancer, seconds } => compiler_steps::hold(context, balancer, *seconds).await?,
        Action::DrainCompiler { balancer, certname, seconds } => {
            compiler_steps::drain(context, balancer, certname, *seconds).await?;
        }
        Action::RecordScale { compilers, agents } => record_steps::scaled(context, *compilers, *agents).await?,
        Action::CompileCatalog { server, certname, environment, undo } => {
            let compiled = code_steps::compile(context, server, certname, environment).await;
            return match (compiled, undo) {
                (Err(error), Some(undo)) => Err(code_steps::undo(context, id, undo, error).await),
                (compiled, _) => compiled,
            };
        }
        Action::CompareCatalogs { old, new, puppetdb, strict } => {
            return context.work(compare_steps::compare(context, id, (old, new), puppetdb, *strict)).await;
        }
        Action::RecordCode { url, volume } => record_steps::deployed(context, url, volume).await?,
        Action::RecordProof { certname, running } => record_steps::proved(context, certname, running).await?,
        Action::WriteBackup { source } => return backup_steps::write(context, id, source).await,
        Action::RecordBackup { file } => record_steps::backed_up(context, file).await?,
        Action::RecordVerification { finished_at } => record_steps::verified(context, finished_at).await?,
        Action::MarkRestore { file, identity, only, ca } => {
            restore_steps::mark(context, file, identity.as_deref(), only, ca.as_deref()).await?;
        }
        Action::RestoreVolume { key, file, identity, task } => {
            let archive = restore_steps::open(file, identity.as_deref())?;
            return restore_steps::volume(context, id, key, &archive, task).await;
        }
        Action::SettleCa { volume } => return restore_steps::settle(context, volume).await,
        Action::RestoreDatabase { postgres, file, identity } => {
            let archive = restore_steps::open(file, identity.as_deref())?;
            return context.work(restore_steps::database(context, id, postgres, &archive)).await;
        }
        Action::PlaceConfiguration { path, text } => restore_steps::place_configuration(path, text)?,
        Action::FinishRestore => record_steps::restored(context).await?,
        Action::MarkUpgrade { to, phase, backup, left } => {
            record_steps::upgrading(context, to, *phase, backup.as_deref(), *left).await?;
        }
        Action::DrainQueue { puppetdb } => upgrade_steps::drain(context, id, puppetdb).await?,
        Action::TakeInventory { postgres, task, kept_seconds } => {
            return upgrade_steps::take(context, postgres, task, *kept_seconds).await;
        }
        Action::CopyDatabase { from, into } => {
            return context.work(upgrade_steps::copy(context, id, from, into)).await;
        }
        Action::VerifyInventory { postgres, part } => return upgrade_steps::verify(context, postgres, *part).await,
        Action::VerifyCa { task } => upgrade_steps::verify_ca(context, task).await?,
        Action::CommitUpgrade { running, before, database, channel, certname, request, volumes } => {
            let issued = (request.as_str(), volumes.as_slice());
            record_steps::upgraded(context, running, (before, database), channel.as_deref(), certname, issued).await?;
        }
        Action::FinishRollback { running, certname, request, volumes } => {
            record_steps::rolled_back(context, running, certname, (request, volumes)).await?;
        }
        Action::ForgetUpgrade => record_steps::forgotten(context).await?,
        Action::CallHook { hook, occasion } => hook_steps::call(hook, occasion).await?,
        Action::RemoveRecord { volumes } => {
            for volume in volumes {
                engine.remove_volume(volume).await?;
            }
        }
    }
    Ok(None)
}

/// Makes a network. One that is there already is fine when an interrupted run's last call made exactly this one: on
/// somebody else's, services might be in reach of whoever else is on it.
async fn create_network(context: &Context, spec: &NetworkSpec) -> Result<()> {
    let engine = &context.engine;
    // Asked first: older engines make a second one of the same name instead of refusing it.
    let mut found = engine.find_network(&spec.name).await?;
    if found.is_none() {
        match engine.create_network(spec).await {
            Err(e) if e.is_conflict() => found = engine.find_network(&spec.name).await?,
            other => return Ok(other?),
        }
    }
    let ours = |n: &FoundNetwork| spec.labels.iter().all(|(key, value)| n.labels.get(key) == Some(value));
    if found.as_ref().is_some_and(ours) {
        return Ok(());
    }
    Err(crate::plan::not_our_network(&spec.name))
}

/// Starts a container, whose death is alarming from then on.
async fn start(context: &Context, name: &str) -> Result<()> {
    context.engine.start_container(name).await?;
    if context.expected.stopped(name)
        && let Some(detail) = context.engine.inspect_container(name).await?
    {
        // By the engine's clock, as the times of its events. Were it unreadable, every death would alarm.
        context.expected.started(name, detail.started_at.parse().unwrap_or(Timestamp::MIN));
    }
    Ok(())
}

/// A container of that name came up since the plan was made: fine when an interrupted run's last call made exactly
/// this one, an error when it is somebody else's.
async fn ours_or(context: &Context, spec: &ContainerSpec, conflict: EngineError) -> Result<()> {
    let ours = context.engine.list_containers(&labels::selector(&context.project)).await?;
    let hash = |l: &crate::engine::spec::Labels| l.get(labels::SPEC_HASH).cloned();
    if ours.iter().any(|c| c.name == spec.name && hash(&c.labels) == hash(&spec.labels)) {
        return Ok(());
    }
    Err(Error::from(conflict).hint(format!(
        "a container that is not of this platform has the name {0}; rename it with `docker rename {0} NEW`, or choose another `--project`",
        spec.name
    )))
}

/// Writes files into a volume by way of a container that is never started.
async fn place(context: &Context, key: &str, volume: &str, files: &[FileEntry], private: &[Private]) -> Result<()> {
    let engine = &context.engine;
    let mut files = files.to_vec();
    for Private { path, from, owner } in private {
        let content = std::fs::read_to_string(from)
            .map_err(|e| Error::failed(format!("cannot read {}", from.display())).because(e))?;
        let owner = (u64::from(*owner), u64::from(*owner));
        files.push(FileEntry { path: path.clone(), content, owner, mode: 0o400 });
    }
    let name = format!("{}-place-{key}", context.project);
    let spec = lock::anchor_container(&context.project, name.clone(), "task", &[(key.into(), volume.into())]);
    engine.remove_container(&name).await?;
    engine.create_container(&spec).await?;
    let placed = engine.put_files(&name, &format!("/volumes/{key}"), &files).await;
    engine.remove_container(&name).await?;
    Ok(placed?)
}

/// Makes CA, certificates and secrets in a one-shot container.
async fn issue(
    context: &Context,
    id: usize,
    task: &ContainerSpec,
    request: &str,
    certificates: &[(String, String)],
) -> Result<Option<String>> {
    let (code, lines) = provision(context, task, None, request, certificates).await?;
    match code {
        0 => {
            let issued: Vec<&String> = lines.iter().filter(|l| l.starts_with("issued ")).collect();
            for line in &issued {
                context.progress(id, line);
            }
            Ok(Some(format!(
                "{} issued, {} kept",
                issued.len(),
                lines.iter().filter(|l| l.starts_with("kept ")).count()
            )))
        }
        // The one refusal of pupperware-provision: leaf certificates without their CA.
        4 => Err(Error::refused("the CA is missing, and certificates that it signed still exist")
            .details(lines)
            .hint("restore the CA volume from where it is kept; a new CA would be trusted by no existing agent")),
        code => {
            Err(Error::failed(format!("certificates and secrets could not be made (exit code {code})")).details(lines))
        }
    }
}

/// Runs `pupperware-provision` in a one-shot container that finds these files in one of its volumes: its exit code, and
/// the last lines that it said. Of these certificates (subject, path in the container) it is remembered when they end.
pub(super) async fn provision(
    context: &Context,
    task: &ContainerSpec,
    files: Option<(&str, &[FileEntry])>,
    request: &str,
    certificates: &[(String, String)],
) -> Result<(i64, Vec<String>)> {
    let engine = &context.engine;
    let name = &task.name;
    engine.remove_container(name).await?;
    engine.create_container(task).await?;
    let order = FileEntry { path: "provision.request".into(), content: request.into(), owner: (0, 0), mode: 0o600 };
    engine.put_files(name, "/volumes/state", &[order]).await?;
    if let Some((volume, files)) = files {
        engine.put_files(name, &format!("/volumes/{volume}"), files).await?;
    }
    engine.start_container(name).await?;
    let code = engine.wait_exit(name).await?;
    let lines = engine.last_lines(name, 60).await;
    if code == 0 {
        // Looked at while the volumes are at hand.
        let ends = futures_util::future::try_join_all(certificates.iter().map(|(subject, path)| async move {
            let file = engine.get_files(name, path).await?.and_then(|files| files.into_iter().next());
            Ok::<_, EngineError>(file.and_then(|(_, pem)| Some((subject.clone(), ca::end_of(&pem)?))))
        }));
        let ends = ends.await?;
        context.ends.lock().expect("not held over a panic").extend(ends.into_iter().flatten());
    }
    engine.remove_container(name).await?;
    Ok((code, lines))
}
