//! What each kind of step is called: its stable name, what it works on, where it is shown, what it puts at stake.

use super::Action;
use crate::observed::record::Phase;
use crate::report::event::Stage;

impl Action {
    /// The stable name of what it does.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::PullImage { .. } => "pull_image",
            Action::MakeBase { .. } => "make_base",
            Action::BuildImage { .. } => "build_image",
            Action::CreateNetwork { .. } => "create_network",
            Action::RemoveNetwork { .. } => "remove_network",
            Action::CreateVolume { .. } => "create_volume",
            Action::RemoveVolume { .. } => "remove_volume",
            Action::PlaceFiles { .. } => "place_files",
            Action::IssueCredentials { .. } => "issue_credentials",
            Action::RecordIssued { .. } => "record_issued",
            Action::RecordRetired { .. } => "record_retired",
            Action::RecordRotation { .. } => "record_rotation",
            Action::RenewSecret { .. } => "renew_secret",
            Action::MakeKeyPair { .. } => "make_key_pair",
            Action::CloseSsh { .. } => "close_ssh",
            Action::WithdrawTokens { .. } => "withdraw_tokens",
            Action::ImportCa { .. } => "import_ca",
            Action::SetPassword { .. } => "set_password",
            Action::CreateContainer { .. } => "create_container",
            Action::StartContainer { .. } => "start_container",
            Action::WaitReady { .. } => "wait_ready",
            Action::StopContainer { .. } => "stop_container",
            Action::RemoveContainer { .. } => "remove_container",
            Action::Prove { .. } => "prove",
            Action::RunAgent { .. } => "run_agent",
            Action::SignCertificate { .. } => "sign_certificate",
            Action::RevokeCertificate { .. } => "revoke_certificate",
            Action::RemoveCertificate { .. } => "remove_certificate",
            Action::PushCrl { .. } => "push_crl",
            Action::MakeCanary { .. } => "make_canary",
            Action::VerifyRefusal { .. } => "verify_refusal",
            Action::PlaceToken { .. } => "place_token",
            Action::DeactivateNode { .. } => "deactivate_node",
            Action::StageCode { .. } => "stage_code",
            Action::SwitchCode { .. } => "switch_code",
            Action::CheckCode { .. } => "check_code",
            Action::FlushEnvironments { .. } => "flush_environments",
            Action::EnrolCompilers { .. } => "enrol_compilers",
            Action::Balance { .. } => "balance",
            Action::HoldRequests { .. } => "hold_requests",
            Action::DrainCompiler { .. } => "drain_compiler",
            Action::RecordScale { .. } => "record_scale",
            Action::CompileCatalog { .. } => "compile_catalog",
            Action::CompareCatalogs { .. } => "compare_catalogs",
            Action::RecordCode { .. } => "record_code",
            Action::RecordProof { .. } => "record_proof",
            Action::RemoveRecord { .. } => "remove_record",
            Action::WriteBackup { .. } => "write_backup",
            Action::RecordBackup { .. } => "record_backup",
            Action::RecordVerification { .. } => "record_verification",
            Action::MarkRestore { .. } => "mark_restore",
            Action::RestoreVolume { .. } => "restore_volume",
            Action::SettleCa { .. } => "settle_ca",
            Action::RestoreDatabase { .. } => "restore_database",
            Action::PlaceConfiguration { .. } => "place_configuration",
            Action::FinishRestore => "finish_restore",
            Action::MarkUpgrade { .. } => "mark_upgrade",
            Action::DrainQueue { .. } => "drain_queue",
            Action::TakeInventory { .. } => "take_inventory",
            Action::CopyDatabase { .. } => "copy_database",
            Action::VerifyInventory { .. } => "compare_inventory",
            Action::VerifyCa { .. } => "compare_ca",
            Action::CommitUpgrade { .. } => "commit_upgrade",
            Action::FinishRollback { .. } => "finish_rollback",
            Action::ForgetUpgrade => "forget_upgrade",
            Action::CallHook { .. } => "call_hook",
        }
    }

    /// What it works on, for people and programs: `container demo-postgres-1`, `volume ca`.
    pub fn resource(&self) -> String {
        match self {
            Action::PullImage { reference, .. } => format!("image {reference}"),
            Action::MakeBase { debian } => format!("image {}", debian.reference),
            Action::BuildImage { image } => format!("image {}", image.reference),
            Action::CreateNetwork { spec } => format!("network {}", spec.name),
            Action::RemoveNetwork { name } => format!("network {name}"),
            Action::CreateVolume { key, .. }
            | Action::RemoveVolume { key, .. }
            | Action::RestoreVolume { key, .. }
            | Action::PlaceFiles { key, .. } => format!("volume {key}"),
            Action::WriteBackup { source } => format!("file {}", source.file),
            Action::SettleCa { .. } | Action::VerifyCa { .. } | Action::ImportCa { .. } => {
                "certificate authority".into()
            }
            Action::MarkUpgrade { to, phase, .. } => match phase {
                Phase::Preparing => format!("upgrade to {}", to.version),
                Phase::Switching => format!("switch to {}", to.version),
                Phase::Undoing => format!("return from {}", to.version),
            },
            Action::DrainQueue { puppetdb } => format!("container {puppetdb}"),
            Action::HoldRequests { balancer, .. } => format!("container {balancer}"),
            Action::TakeInventory { .. } => "database and certificate authority".into(),
            Action::CopyDatabase { from, into } => format!("database puppetdb from {from} into {into}"),
            Action::VerifyInventory { postgres, .. } => format!("database in {postgres}"),
            Action::CommitUpgrade { running, .. } => format!("release {}", running.release.version),
            Action::ForgetUpgrade => "way back from the last upgrade".into(),
            Action::CallHook { hook, .. } => format!("hook {hook}"),
            Action::RestoreDatabase { .. } => "database puppetdb".into(),
            Action::PlaceConfiguration { path, .. } => format!("file {}", path.display()),
            Action::RecordBackup { .. } | Action::RecordVerification { .. } => "backup".into(),
            Action::IssueCredentials { .. } | Action::RecordIssued { .. } => "credentials".into(),
            Action::RecordRetired { certname, .. } => format!("credentials of {certname}"),
            Action::RecordRotation { secret, .. } => format!("rotation of {secret}"),
            Action::RenewSecret { secret, .. } => format!("secret {secret}"),
            Action::MakeKeyPair { .. } => "key pair of eyaml".into(),
            Action::CloseSsh { .. } => "SSH to agents".into(),
            Action::WithdrawTokens { .. } => "one-time tokens".into(),
            Action::SetPassword { postgres } => format!("container {postgres}"),
            Action::CreateContainer { spec, .. } => format!("container {}", spec.name),
            Action::StartContainer { name, .. }
            | Action::WaitReady { name, .. }
            | Action::StopContainer { name, .. }
            | Action::RemoveContainer { name, .. } => format!("container {name}"),
            Action::Prove { certname, .. } | Action::RunAgent { certname, .. } => format!("agent {certname}"),
            Action::SignCertificate { certname, .. }
            | Action::RevokeCertificate { certname, .. }
            | Action::RemoveCertificate { certname, .. }
            | Action::MakeCanary { certname, .. } => format!("certificate {certname}"),
            Action::PushCrl { copy, .. } | Action::VerifyRefusal { copy, .. } => {
                format!("container {}", copy.container)
            }
            Action::PlaceToken { certname, .. } => format!("token for {certname}"),
            Action::DeactivateNode { certname, .. } => format!("node {certname}"),
            Action::StageCode { .. } | Action::SwitchCode { .. } | Action::CheckCode { .. } => "code".into(),
            Action::FlushEnvironments { server, .. } => format!("container {server}"),
            Action::EnrolCompilers { certnames, .. } => format!("compilers {}", certnames.join(", ")),
            Action::Balance { balancer, members } => match members.as_slice() {
                [] => format!("container {balancer}: no compiler"),
                members => format!("container {balancer}: {}", members.join(", ")),
            },
            Action::DrainCompiler { certname, .. } => format!("compiler {certname}"),
            Action::RecordScale { compilers, agents } => {
                let named = [("compilers", compilers), ("agents", agents)];
                let named = named.iter().filter_map(|(what, n)| Some(format!("{what}={}", (*n).as_ref()?)));
                format!("scale {}", named.collect::<Vec<_>>().join(" "))
            }
            Action::CompileCatalog { certname, environment, .. } => format!("catalog {certname} in {environment}"),
            Action::CompareCatalogs { .. } => "catalogs of all nodes".into(),
            Action::RecordProof { .. }
            | Action::RecordCode { .. }
            | Action::RemoveRecord { .. }
            | Action::MarkRestore { .. }
            | Action::FinishRollback { .. }
            | Action::FinishRestore => "record".into(),
        }
    }

    /// Where it is shown.
    pub fn stage(&self) -> Stage {
        match self {
            Action::PullImage { .. } | Action::MakeBase { .. } | Action::BuildImage { .. } => Stage::Images,
            Action::StopContainer { .. }
            | Action::RemoveContainer { .. }
            | Action::RemoveNetwork { .. }
            | Action::RemoveVolume { .. }
            | Action::RemoveRecord { .. }
            | Action::RevokeCertificate { .. }
            | Action::RemoveCertificate { .. }
            | Action::WithdrawTokens { .. }
            | Action::HoldRequests { .. }
            | Action::DrainCompiler { .. }
            | Action::DeactivateNode { .. } => Stage::Clear,
            Action::CreateNetwork { .. } | Action::CreateVolume { .. } => Stage::Foundation,
            Action::PlaceFiles { .. }
            | Action::IssueCredentials { .. }
            | Action::EnrolCompilers { .. }
            | Action::RecordIssued { .. }
            | Action::SignCertificate { .. }
            | Action::PushCrl { .. }
            | Action::MakeCanary { .. }
            | Action::PlaceToken { .. }
            | Action::RecordRotation { under_way: true, .. }
            | Action::RenewSecret { .. }
            | Action::MakeKeyPair { .. }
            | Action::CloseSsh { .. }
            | Action::ImportCa { .. }
            | Action::SetPassword { .. } => Stage::Credentials,
            Action::CreateContainer { .. }
            | Action::StartContainer { .. }
            | Action::WaitReady { .. }
            | Action::Balance { .. } => Stage::Services,
            Action::Prove { .. }
            | Action::RunAgent { .. }
            | Action::VerifyRefusal { .. }
            | Action::VerifyInventory { .. }
            | Action::VerifyCa { .. } => Stage::Proof,
            Action::MarkUpgrade { .. }
            | Action::CallHook { .. }
            | Action::DrainQueue { .. }
            | Action::TakeInventory { .. }
            | Action::CopyDatabase { .. } => Stage::Migration,
            Action::CommitUpgrade { .. } | Action::FinishRollback { .. } | Action::ForgetUpgrade => Stage::Record,
            Action::StageCode { .. }
            | Action::SwitchCode { .. }
            | Action::CheckCode { .. }
            | Action::FlushEnvironments { .. }
            | Action::CompileCatalog { .. }
            | Action::CompareCatalogs { .. } => Stage::Code,
            Action::RecordRotation { under_way: false, .. }
            | Action::RecordRetired { .. }
            | Action::RecordProof { .. }
            | Action::RecordCode { .. }
            | Action::RecordScale { .. }
            | Action::RecordBackup { .. }
            | Action::RecordVerification { .. } => Stage::Record,
            Action::WriteBackup { .. } => Stage::Backup,
            Action::MarkRestore { .. }
            | Action::RestoreVolume { .. }
            | Action::SettleCa { .. }
            | Action::RestoreDatabase { .. }
            | Action::PlaceConfiguration { .. }
            | Action::FinishRestore => Stage::Restore,
        }
    }

    /// The service it belongs to.
    pub fn service(&self) -> Option<&str> {
        match self {
            Action::CreateContainer { service, .. }
            | Action::StartContainer { service, .. }
            | Action::WaitReady { service, .. }
            | Action::StopContainer { service, .. } => Some(service),
            Action::PushCrl { copy, .. } | Action::VerifyRefusal { copy, .. } => Some(&copy.service),
            Action::RemoveContainer { service, .. } => service.as_deref(),
            _ => None,
        }
    }

    /// True for steps that write the platform's record.
    pub fn writes_record(&self) -> bool {
        matches!(
            self,
            Action::RecordIssued { .. }
                | Action::RecordRetired { .. }
                | Action::RecordCode { .. }
                | Action::RecordScale { .. }
                | Action::RecordRotation { .. }
                | Action::RecordProof { .. }
                | Action::RecordBackup { .. }
                | Action::RecordVerification { .. }
                | Action::MarkRestore { .. }
                | Action::FinishRestore
                | Action::MarkUpgrade { .. }
                | Action::TakeInventory { .. }
                | Action::CommitUpgrade { .. }
                | Action::FinishRollback { .. }
                | Action::ForgetUpgrade
        )
    }

    /// True when something is lost that nobody can make again.
    pub fn data_loss(&self) -> bool {
        matches!(self, Action::RemoveVolume { throw_away: false, .. })
    }

    /// True for steps that only look and wait: an interruption may cut them short.
    pub fn only_waits(&self) -> bool {
        matches!(
            self,
            Action::WaitReady { .. }
                | Action::Prove { .. }
                | Action::RunAgent { .. }
                | Action::VerifyRefusal { .. }
                | Action::CompileCatalog { undo: None, .. }
                | Action::CompareCatalogs { .. }
                | Action::DrainQueue { .. }
        )
    }
}
