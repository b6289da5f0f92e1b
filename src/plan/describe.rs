//! What each kind of step is called: its stable name, what it works on, where it is shown, what it puts at stake.

use super::Action;
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
            Action::CreateContainer { .. } => "create_container",
            Action::StartContainer { .. } => "start_container",
            Action::WaitReady { .. } => "wait_ready",
            Action::StopContainer { .. } => "stop_container",
            Action::RemoveContainer { .. } => "remove_container",
            Action::Prove { .. } => "prove",
            Action::RunAgent { .. } => "run_agent",
            Action::CleanCertificate { .. } => "clean_certificate",
            Action::DeactivateNode { .. } => "deactivate_node",
            Action::RecordProof { .. } => "record_proof",
            Action::RemoveRecord { .. } => "remove_record",
            Action::WriteBackup { .. } => "write_backup",
            Action::MarkRestore { .. } => "mark_restore",
            Action::RestoreVolume { .. } => "restore_volume",
            Action::SettleCa { .. } => "settle_ca",
            Action::RestoreDatabase { .. } => "restore_database",
            Action::FinishRestore => "finish_restore",
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
            Action::SettleCa { .. } => "certificate authority".into(),
            Action::RestoreDatabase { .. } => "database puppetdb".into(),
            Action::IssueCredentials { .. } | Action::RecordIssued { .. } => "credentials".into(),
            Action::CreateContainer { spec, .. } => format!("container {}", spec.name),
            Action::StartContainer { name, .. }
            | Action::WaitReady { name, .. }
            | Action::StopContainer { name, .. }
            | Action::RemoveContainer { name, .. } => format!("container {name}"),
            Action::Prove { certname, .. } | Action::RunAgent { certname, .. } => format!("agent {certname}"),
            Action::CleanCertificate { certname, .. } => format!("certificate {certname}"),
            Action::DeactivateNode { certname, .. } => format!("node {certname}"),
            Action::RecordProof { .. }
            | Action::RemoveRecord { .. }
            | Action::MarkRestore { .. }
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
            | Action::CleanCertificate { .. }
            | Action::DeactivateNode { .. } => Stage::Clear,
            Action::CreateNetwork { .. } | Action::CreateVolume { .. } => Stage::Foundation,
            Action::PlaceFiles { .. } | Action::IssueCredentials { .. } | Action::RecordIssued { .. } => {
                Stage::Credentials
            }
            Action::CreateContainer { .. } | Action::StartContainer { .. } | Action::WaitReady { .. } => {
                Stage::Services
            }
            Action::Prove { .. } | Action::RunAgent { .. } => Stage::Proof,
            Action::RecordProof { .. } => Stage::Record,
            Action::WriteBackup { .. } => Stage::Backup,
            Action::MarkRestore { .. }
            | Action::RestoreVolume { .. }
            | Action::SettleCa { .. }
            | Action::RestoreDatabase { .. }
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
            Action::RemoveContainer { service, .. } => service.as_deref(),
            _ => None,
        }
    }

    /// True when something is lost that nobody can make again.
    pub fn data_loss(&self) -> bool {
        matches!(self, Action::RemoveVolume { throw_away: false, .. })
    }

    /// True for steps that only look and wait: an interruption may cut them short.
    pub fn only_waits(&self) -> bool {
        matches!(self, Action::WaitReady { .. } | Action::Prove { .. } | Action::RunAgent { .. })
    }
}
